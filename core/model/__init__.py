"""Ids, states, events and results: frozen data that every room of the house shares."""
