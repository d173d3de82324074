"""Queries for the Monitoring page: counts, percentiles and curves of a period."""
