"""The database: the only package that contains SQL. Each file holds the queries of one noun; `engine/actions` makes
changes.
"""
