"""Encrypted backups of the data folder, and the passphrase that protects them."""
