"""Real SSH servers on loopback, for trying things out and for tests."""
