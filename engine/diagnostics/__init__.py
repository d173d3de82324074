"""Looks at a server from all sides and says what to do about what is wrong: `app.py check`, and Settings, Server."""
