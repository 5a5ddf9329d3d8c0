"""Workspace templates, one folder each: copied as they are by `windlass init` and `windlass demo`."""
