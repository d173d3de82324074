"""Killable processes in which a Text Template is rendered, and pages are read that may take long (security.md S5-S8)."""
