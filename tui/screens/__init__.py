"""Screens: each rebuilds itself from the engine and keeps no truth of its own."""
