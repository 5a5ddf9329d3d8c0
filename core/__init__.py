"""The engine and everything it needs; it knows no face and no concrete provider."""
