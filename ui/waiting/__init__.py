"""The page Waiting: what jobs ask people."""
