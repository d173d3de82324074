"""A flow drawn without editing: nodes, list frames, and a job's progress on them."""
