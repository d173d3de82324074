"""Runs a flow: the plan of a version, the runner that executes it, retries and time limits. Needs no database."""
