"""Reads tables from CSV and JSON files and writes them.

Pure functions; `storage.dataset_changes` applies the limits of a dataset.
"""
