"""The key of a database: all that open it seal and open its secrets with the same key.

The database stores the fingerprint of the key of the first process that opened it. A process with another key would store
secrets that the others cannot open, and put its key into backups in the place of the one that opens what is there, so it
does not start. A lost key is not made anew in silence for the same reason; `app.py new-key` does it, and seals with a new
key what it can open with the old one.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.orm import Session

from engine.core.errors import Conflict, SecretUnreadable
from engine.core.settings import BadSetting, Settings
from engine.secrets.sealing import KEY_FILE, Vault, key_text, open_vault
from storage.backup import DATABASE, key_fingerprint_of, list_sealed_in
from storage.database import Database
from storage.secrets import list_sealed, list_sealed_of_server, replace_sealed
from storage.settings import BACKUP_PASSPHRASE, KEY_FINGERPRINT, SERVER, find_setting, put_setting


def require_shared_key(database: Database, vault: Vault, path: Path, *, named: bool = True) -> None:
    """Compares the key with the database's, and stores its fingerprint when the database has none yet. For the refusal,
    `path` is the file with the key, and `named` says that FLOWPORT_SECRET_KEY_FILE names it. Raises BadSetting.
    """
    known = database.read_now(find_setting, SERVER, KEY_FINGERPRINT)
    if known == vault.fingerprint():
        return
    if known is None:
        known = database.write_now(_take_key, vault)
    if known is None:
        raise _opens_none(_told(path, named=named), _what_to_do(named=named, is_postgres=database.is_postgres))
    if known != vault.fingerprint():
        what_to_do = _what_to_do(named=named, is_postgres=database.is_postgres)
        raise _is_another(vault, _told(path, named=named), known, what_to_do)


def require_key_of_file(settings: Settings) -> None:
    """Does what `open_vault_of` does, on the file of a database whose tables are those of an earlier release, and writes
    nothing: with a key that is refused afterwards, the tables stay as that release can use them. Raises BadSetting.
    """
    named, file = settings.secret_key_file is not None, settings.data / DATABASE
    path = settings.secret_key_file or settings.data / KEY_FILE
    known, sealed = key_fingerprint_of(file), list_sealed_in(file)
    if not known and not sealed:
        return
    if not named and not path.exists():
        raise _is_gone(path)
    vault = open_vault(settings.data, settings.secret_key_file)
    told, what_to_do = _told(path, named=named), _what_to_do(named=named, is_postgres=False)
    if known and vault.fingerprint() != known:
        raise _is_another(vault, told, known, what_to_do)
    if not known and not any(vault.opens(*one) for one in sealed):
        raise _opens_none(told, what_to_do)


def require_own_key(data: Path) -> None:
    """Raises BadSetting when the key in a data folder is gone or was replaced since its database was opened with it."""
    path, known = data / KEY_FILE, key_fingerprint_of(data / DATABASE)
    if known and not path.exists():
        raise _is_gone(path)
    if known and (vault := open_vault(data)).fingerprint() != known:
        raise _is_another(vault, str(path), known, _what_to_do(named=False, is_postgres=False))


def require_key_file(database: Database, path: Path) -> None:
    """Raises BadSetting when a data folder has lost its key, the file `path`: a new one would open nothing that is there."""
    if path.exists() or not database.read_now(_was_sealed):
        return
    if not path.exists():  # another process may have made the first one just now
        raise _is_gone(path)


def take_new_key(database: Database, settings: Settings, old_key: Path | None = None) -> tuple[Vault, int]:
    """Makes the key in the file of the settings the key of the database, in one transaction; makes one where that file is
    missing. Nobody else may use the database.

    `old_key` is the file with the key that the database has: everything is sealed anew. Without it what was sealed stays
    unreadable, and the passphrase of nightly backups is removed, so that they are made with the new key alone. Returns the
    vault, and how many values the old key does not open, which stay as they are. Raises BadSetting, OSError, and Conflict
    when the key is the database's already.
    """
    known = database.read_now(find_setting, SERVER, KEY_FINGERPRINT)
    refuse_same_key(settings, known if isinstance(known, str) else "")
    old = None if old_key is None else database.read_now(_open_old, settings.data, old_key)
    path = settings.secret_key_file or settings.data / KEY_FILE
    if not path.exists():
        try:
            key_text(path)
        except OSError as error:
            raise BadSetting(
                f"The key file {path} cannot be made ({error.strerror or error}). Give the command as a user who may write "
                "there, or put the new key there yourself: `openssl rand -base64 32` makes one. No secret was changed."
            ) from error
    vault = open_vault(settings.data, settings.secret_key_file)
    return vault, database.write_now(_seal_with, vault, old)


def _open_old(session: Session, data: Path, path: Path) -> Vault:
    """Opens the vault of the key that the database has. Raises BadSetting when the file is missing or holds another one."""
    what_to_do = "Name the file with the key that sealed the secrets so far. No secret was changed."
    old, known = open_vault(data, path, what_to_do), find_setting(session, SERVER, KEY_FINGERPRINT)
    if known is not None and known != old.fingerprint():
        raise _is_another(old, str(path), known, what_to_do)
    if known is None and (sealed := _all_sealed(session)) and not any(old.opens(*one) for one in sealed):
        raise _opens_none(str(path), what_to_do)
    return old


def _seal_with(session: Session, vault: Vault, old: Vault | None) -> int:
    """Notes the key of a vault as the database's, and seals with it what the `old` one opens. Returns how many values that
    one does not open.
    """
    put_setting(session, SERVER, KEY_FINGERPRINT, vault.fingerprint())
    if old is None:
        passphrase = find_setting(session, SERVER, BACKUP_PASSPHRASE)
        if isinstance(passphrase, str) and not vault.opens(SERVER, BACKUP_PASSPHRASE, passphrase):
            put_setting(session, SERVER, BACKUP_PASSPHRASE, None)
        return 0
    unreadable = 0

    def seal_anew(workspace_id: str, secret_id: str, sealed: str) -> str:
        nonlocal unreadable
        try:
            value = old.open(workspace_id, secret_id, sealed, hide=False)
        except SecretUnreadable:
            unreadable += 1
            return sealed
        return vault.seal(workspace_id, secret_id, value, hide=False)

    replace_sealed(session, seal_anew)
    return unreadable


def refuse_same_key(settings: Settings, known: str) -> None:
    """Raises Conflict when the key that the settings name is the database's, whose fingerprint is `known`."""
    path = settings.secret_key_file or settings.data / KEY_FILE
    if known and path.exists() and open_vault(settings.data, path).fingerprint() == known:
        raise Conflict(
            f"The key in {path} is the key of this database",
            remedy="No other one is needed. To seal with another one all the same, rename this file, and give `app.py new-key` its new name with --old-key.",
        )


_LOST = "A backup with a passphrase holds the key (`app.py restore FILE` into a new folder). If it is lost for good, stop the server and run `app.py new-key`: secrets have to be entered again then. Nothing was changed."


def _is_gone(path: Path) -> BadSetting:
    what_to_do = _what_to_do(named=False, is_postgres=False)
    return BadSetting(f"There is no key file {path}, and what the database holds is sealed. {what_to_do}")


def _is_another(vault: Vault, told: str, known: str, what_to_do: str) -> BadSetting:
    return BadSetting(
        f"The key in {told} is not the key of this database: its fingerprint is {vault.fingerprint()}, and that of "
        f"the database's key is {known}. {what_to_do}"
    )


def _opens_none(told: str, what_to_do: str) -> BadSetting:
    return BadSetting(
        f"The key in {told} opens none of the secrets in the database. They were sealed with another key: that of "
        f"the data folder they came from is its file `secret.key`. {what_to_do}"
    )


def _told(path: Path, *, named: bool) -> str:
    return f"{path} (FLOWPORT_SECRET_KEY_FILE)" if named else str(path)


def _what_to_do(*, named: bool, is_postgres: bool) -> str:
    if is_postgres:  # its tables may have been brought up to date before; servers of the release before can use them
        return (
            "Name the file with that key, the same on every machine. If it is lost on all of them and in every backup, stop all "
            "servers and workers and run `app.py new-key`: secrets have to be entered again then. No secret was changed."
        )
    if named:
        return f"Name the file with that key, or unset FLOWPORT_SECRET_KEY_FILE. {_LOST}"
    return f"If the server has FLOWPORT_SECRET_KEY_FILE, set it here as the server has it. If not, bring that file back. {_LOST}"


def _was_sealed(session: Session) -> bool:
    return find_setting(session, SERVER, KEY_FINGERPRINT) is not None or bool(_all_sealed(session))


def _all_sealed(session: Session) -> list[tuple[str, str, str]]:
    return [*list_sealed(session), *list_sealed_of_server(session)]


def _take_key(session: Session, vault: Vault) -> str | None:
    """Stores the fingerprint of a key unless another process did; returns the stored one. None when the key opens none of
    the secrets that are there.
    """
    known = find_setting(session, SERVER, KEY_FINGERPRINT)
    if isinstance(known, str):
        return known
    sealed = _all_sealed(session)
    if sealed and not any(vault.opens(*one) for one in sealed):
        return None
    put_setting(session, SERVER, KEY_FINGERPRINT, vault.fingerprint())
    return vault.fingerprint()
