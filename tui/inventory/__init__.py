"""The inventory as a list: which servers it shows, in which order, with which columns, and how they are reached."""
