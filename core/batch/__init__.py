"""Batch documents: parsed with positions, validated whole, every fault told at once."""
