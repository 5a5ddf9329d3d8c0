"""The engine as a process of its own: its REST API, and the client that speaks it."""
