"""The actions: every function that changes state on behalf of a person or an API caller.

An action takes a SQLAlchemy Session and runs in one transaction; an exception rolls it back. Actions that hash a
password are coroutines on the Database instead, because hashing must not happen inside a transaction.
"""
