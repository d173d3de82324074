"""Moves everything from a data folder into PostgreSQL, and back."""
