"""Secrets at rest: how they are sealed, and how a step that is about to send one gets its value."""
