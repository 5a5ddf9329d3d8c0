"""The remote supervisor: its shell program, its frames, and one session of it."""
