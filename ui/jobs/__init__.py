"""The jobs table, the page of one job, and refused calls."""
