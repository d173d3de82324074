"""What only PostgreSQL has. With SQLite none of these files is imported."""
