"""Reads HTML pages. Pure; the process in which pages are read that may take long imports this and little else."""
