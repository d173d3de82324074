"""How the tables came to be: one numbered Alembic revision per change."""
