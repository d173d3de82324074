"""Queries behind the Monitoring page: counts, curves and figures of a period."""
