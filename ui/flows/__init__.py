"""Saved Flows, the page of one flow, deploying, templates and the first-run page."""
