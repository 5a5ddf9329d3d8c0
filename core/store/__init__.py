"""The state of a workspace in one SQLite file: one writer, readers that never block it."""
