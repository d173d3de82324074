"""Settings: a list at the left, one page each."""
