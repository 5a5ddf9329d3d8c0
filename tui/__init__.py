"""The terminal face: a client of the Engine protocol. Nothing but the launcher imports it."""
