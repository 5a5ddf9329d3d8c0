"""The headless face: one module for each command group, loaded when it is called."""
