"""Secrets at rest: how they are sealed (`sealing`) and how a step that is about to send one gets its value (`opening`)."""
