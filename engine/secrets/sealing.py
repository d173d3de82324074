"""Encrypts secrets with AES-256-GCM, with the workspace and id as associated data: a value copied to another row cannot
be decrypted.

The key is 32 random bytes in base64, in `secret.key` of the data folder (mode 0600) or in the file that
FLOWPORT_SECRET_KEY_FILE names.
"""

from __future__ import annotations

import base64
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from engine.core.errors import SecretUnreadable
from engine.core.logging_setup import hide_in_logs
from engine.core.settings import BadSetting
from storage.file_modes import user_name

KEY_FILE = "secret.key"
_KEY_BYTES = 32
_NONCE_BYTES = 12
_FORM = "v1."


class Vault:
    """Encrypts and decrypts secrets with one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self._link_key = hmac.digest(key, b"flowport links", "sha256")

    def fingerprint(self) -> str:
        """Returns 16 hexadecimal digits that tell keys apart and do not tell the key."""
        return hmac.digest(self._link_key, b"flowport fingerprint", "sha256").hex()[:16]

    def link_mark(self, subject: str) -> str:
        """Returns the part of a link that proves that this server made it for `subject`: 27 letters of base64url."""
        mark = hmac.digest(self._link_key, subject.encode(), "sha256")[:20]
        return base64.urlsafe_b64encode(mark).decode().rstrip("=")

    def seal(self, workspace_id: str, secret_id: str, value: str, *, hide: bool = True) -> str:
        """Encrypts a value. From then on the log filter hides the value, unless `hide` is False: for one that nothing
        stores, as the filter forgets none.

        The result is the format version `v1.` followed by the base64 of nonce (12 bytes), ciphertext and tag (16
        bytes).
        """
        if hide:
            hide_in_logs(value)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, value.encode(), _bound_to(workspace_id, secret_id))
        return _FORM + base64.b64encode(nonce + sealed).decode()

    def open(self, workspace_id: str, secret_id: str, sealed: str, *, hide: bool = True) -> str:
        """Decrypts a value. Raises SecretUnreadable when the key, the row or the text is not the one of `seal`. `hide`: as in
        `seal`.
        """
        try:
            raw = base64.b64decode(sealed.removeprefix(_FORM), validate=True)
            nonce, text = raw[:_NONCE_BYTES], raw[_NONCE_BYTES:]
            value = self._cipher.decrypt(nonce, text, _bound_to(workspace_id, secret_id)).decode()
        except (InvalidTag, ValueError) as error:
            raise SecretUnreadable from error
        if hide:
            hide_in_logs(value)
        return value

    def opens(self, workspace_id: str, secret_id: str, sealed: str) -> bool:
        """Tells whether this key sealed a value."""
        try:
            self.open(workspace_id, secret_id, sealed, hide=False)
        except SecretUnreadable:
            return False
        return True


def open_vault(data: Path, key_file: Path | None = None, what_to_do: str = "") -> Vault:
    """Opens the vault of a data folder and creates its key on first use.

    A key file that is named must exist. Raises BadSetting when the key cannot be read, with `what_to_do` instead of how the
    key of the database is found or made.
    """
    path = key_file or data / KEY_FILE
    try:
        text = path.read_text().strip() if key_file else key_text(path)
    except FileNotFoundError as error:
        todo = what_to_do or f"{_HOW} When it is lost everywhere, see `app.py new-key --help`."
        raise BadSetting(f"There is no key file {path}. {todo}") from error
    except PermissionError as error:
        user = user_name(os.geteuid())
        raise BadSetting(
            f"The key file {path} cannot be read by the user {user}, who runs this. It must be the file of the user who runs the "
            f"servers: `sudo chown {user} {path}` gives it to {user}. Make no other key: it would open nothing that is stored."
        ) from error
    except UnicodeDecodeError:
        text = ""
    except OSError as error:
        why = "is a folder" if isinstance(error, IsADirectoryError) else f"cannot be read ({error.strerror or error})"
        raise BadSetting(f"The key file {path} {why}. {what_to_do or _HOW}") from error
    return Vault(_parse_key(path, text, what_to_do or _HOW))


def key_text(path: Path) -> str:
    """Reads a key (32 random bytes in base64) from a file; creates the file with mode 0600 when it is missing."""
    if not path.exists():
        _make_key(path)
    return path.read_text().strip()


_HOW = (
    "It must hold the key of the database, which is 32 random bytes in base64: when the database has data, copy the key file "
    "of the other machines or of the old folder (`secret.key`), as no other key opens what is stored. Only for a new "
    "database, make one with `openssl rand -base64 32 > FILE`."
)


def _make_key(path: Path) -> None:
    """Creates the key file atomically: when two processes do this at once, the first `link` succeeds and both read the
    same key.
    """
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _parse_key(path: Path, text: str, what_to_do: str) -> bytes:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise BadSetting(f"The key file {path} does not hold a key. {what_to_do}")
    return key


def _bound_to(workspace_id: str, secret_id: str) -> bytes:
    return f"{workspace_id}\n{secret_id}".encode()
