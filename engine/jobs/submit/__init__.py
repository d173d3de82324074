"""Accepts jobs: single jobs and batches, limits, and batch items that wait for a slot."""
