"""Backups of the data folder: snapshot, passphrase and sealed file."""
