"""Encryption of stored secrets, and their decryption for a step that is about to send one."""
