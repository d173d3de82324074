"""Versions of a flow: the menu and the comparison of two."""
