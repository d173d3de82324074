"""Batches of the Playground: the draft runs once per sample or dataset row, on the server, until all rows have ended."""
