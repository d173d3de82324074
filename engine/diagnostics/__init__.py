"""Checks a server's configuration and state and proposes fixes, for `app.py check` and Settings → Server."""
