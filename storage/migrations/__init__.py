"""Alembic migrations: one numbered revision per change of the tables."""
