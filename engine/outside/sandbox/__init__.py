"""Killable processes in which a Text Template is rendered (security.md S5-S7)."""
