"""Reads the passphrase of a backup from the settings or the terminal."""

from __future__ import annotations

import getpass
import sys

from engine.core.errors import Invalid
from engine.core.settings import Settings


def read_passphrase(settings: Settings, *, twice: bool) -> str:
    """Returns the passphrase; `twice`, for a new backup, asks again for confirmation. Raises BadSetting and Invalid."""
    from engine.backups.backups import MIN_PASSPHRASE
    from engine.backups.passphrase import named_passphrase

    if named := named_passphrase(settings, shortest=MIN_PASSPHRASE if twice else 1):
        return named
    if not sys.stdin.isatty():
        raise Invalid(
            "The passphrase of the backup is not given, and there is nobody at this terminal to ask",
            remedy="Put it into FLOWPORT_BACKUP_PASSPHRASE, or name a file with it in FLOWPORT_BACKUP_PASSPHRASE_FILE.",
        )
    try:
        typed = getpass.getpass("Passphrase of the backup: ")
        again = getpass.getpass("The same once more: ") if twice else typed
    except EOFError:  # Ctrl+D
        print(file=sys.stderr)  # ends the line of the question
        raise Invalid("No passphrase was typed, and nothing was done", remedy="Give the command again.") from None
    if again != typed:
        raise Invalid("The two are not the same", remedy="Start again.")
    return typed
