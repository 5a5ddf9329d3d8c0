"""A workspace: the folder that holds everything of one environment owner."""
