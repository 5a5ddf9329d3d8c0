"""Themes as data, and the signs of the states that every face shares."""
