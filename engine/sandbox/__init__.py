"""Killable processes that render Text Templates and read pages and documents that may take long (S5, S6, S7, S8)."""
