"""Tables in files: CSV and JSON into rows and back. Pure; the rows' limits are of `storage.dataset_changes`."""
