"""The settings pages, with their navigation at the left."""
