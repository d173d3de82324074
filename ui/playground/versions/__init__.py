"""Versions of a flow in the Playground: the Versions menu."""
