"""Stored files: taking them in, the workspace's space for them, and reading them.

`engine/flow/file_values.py` says what a file is in a flow, `storage/file_bytes.py` where the bytes lie.
"""
