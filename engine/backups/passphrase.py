"""The passphrase of the nightly backups: from the environment, otherwise from the settings page."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.backups.backups import MIN_PASSPHRASE
from engine.core.counted import counted
from engine.core.logging_setup import hide_in_logs
from engine.core.settings import BadSetting, Settings, unreadable_file
from engine.secrets.sealing import Vault
from storage.settings import BACKUP_PASSPHRASE, SERVER, find_setting


def named_passphrase(settings: Settings, *, shortest: int = MIN_PASSPHRASE) -> str:
    """Returns the passphrase from the environment, "" when it sets none. Raises BadSetting, also when it has fewer than
    `shortest` characters: that of an older backup may have fewer than one of a new backup.
    """
    named, source = settings.backup_passphrase, "The passphrase in FLOWPORT_BACKUP_PASSPHRASE"
    if not named and settings.backup_passphrase_file is not None:
        source = (
            f"The passphrase in the file that FLOWPORT_BACKUP_PASSPHRASE_FILE names, {settings.backup_passphrase_file},"
        )
        try:
            named = settings.backup_passphrase_file.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise unreadable_file("FLOWPORT_BACKUP_PASSPHRASE_FILE", settings.backup_passphrase_file, error) from error
    elif not named:
        return ""
    hide_in_logs(named)
    if len(named) < max(1, shortest):
        raise BadSetting(
            f"{source} has {counted(len(named), 'character')}. Take {MIN_PASSPHRASE} or more, best a few words, and keep it where you "
            "keep passwords. Backups made so far open with the old one."
        )
    return named


def seal_passphrase(vault: Vault, passphrase: str) -> str:
    """Encrypts a passphrase for storage in the settings table."""
    return vault.seal(SERVER, BACKUP_PASSPHRASE, passphrase)


def find_passphrase(session: Session, settings: Settings, vault: Vault) -> str:
    """Returns the passphrase of nightly backups, "" when there is none. Raises BadSetting and SecretUnreadable."""
    if named := named_passphrase(settings):
        return named
    sealed = find_setting(session, SERVER, BACKUP_PASSPHRASE)
    return vault.open(SERVER, BACKUP_PASSPHRASE, sealed) if isinstance(sealed, str) else ""


def has_passphrase(session: Session, settings: Settings) -> bool:
    """Tells whether nightly backups are encrypted with a passphrase, and can thus be restored on other machines."""
    return bool(settings.backup_passphrase or settings.backup_passphrase_file) or isinstance(
        find_setting(session, SERVER, BACKUP_PASSPHRASE), str
    )
