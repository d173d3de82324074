"""Datasets: the list, the table of one, import and export."""
