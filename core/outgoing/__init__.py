"""Events on their way out: to webhooks and to programs, at least once and in order."""
