"""Actions on server-wide settings: address and host names, allow-lists, retention and backups."""

from __future__ import annotations

import re
from pathlib import Path

from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.stale_forms import refuse_stale
from engine.backups.backups import check_passphrase
from engine.backups.last_backup import note_made
from engine.backups.passphrase import seal_passphrase
from engine.core.errors import FieldError, Invalid, NotAllowed
from engine.core.settings import bare_address
from engine.files.intake import SPACE_GB
from engine.jobs.server.retention import CAP_GB, ROWS_MONTHS, VALUES_DAYS, Rules, read_rules
from engine.outbound.allow_list import parse_allow_list
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.settings import (
    BACKUP_PASSPHRASE,
    KNOWN_NAMES,
    OUTBOUND_ALLOW,
    PUBLIC_URL,
    SERVER,
    WEBHOOK_ALLOW,
    WEBHOOK_HOSTS_LEFT,
    find_public_url,
    find_setting,
    put_setting,
)
from storage.workspaces import is_first_workspace

_NAME = re.compile(r"^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?::\d{1,5})?\Z")
MAX_NAMES = 50


def require_server_owner(session: Session, principal: Principal) -> None:
    """Raises NotAllowed unless the principal is an owner of the server's first workspace.

    Other workspaces are other tenants, which must not see or change the server's settings.
    """
    require_may(principal, "change the server")
    if not is_first_workspace(session, principal.workspace_id):
        raise NotAllowed("Only the owner of this server's first workspace looks after the server")


def set_public_url(session: Session, principal: Principal, url: str, *, began: str | None = None) -> str:
    """Sets the base URL of the links and endpoints that are shown, "" removes it; returns what is stored: the address
    as browsers send it.

    `began`: the address that the form began with. Raises Invalid, and VersionConflict when another is stored by now.
    """
    require_server_owner(session, principal)
    typed = url.strip().rstrip("/")
    address = bare_address(typed) if typed else ""
    if address is None:
        raise Invalid(
            f"`{typed[:200]}` is not an address",
            remedy="Write it in full, with nothing behind the name, like https://flows.example.com.",
            errors=(FieldError("/url", "format", "a web address"),),
        )
    refuse_stale(began, find_public_url(session))
    put_setting(session, SERVER, PUBLIC_URL, address or None)
    add_entry(session, principal, "set public address", SERVER, address or "none")
    return address


def set_known_names(
    session: Session, principal: Principal, text: str, *, began: tuple[str, ...] | None = None
) -> tuple[str, ...]:
    """Sets further host names that the server accepts, separated by blanks, line breaks or commas; returns them.

    `began`: the names that the form began with. Raises Invalid, and VersionConflict when others are stored by now.
    """
    require_server_owner(session, principal)
    names = tuple(dict.fromkeys(_as_sent(piece) for piece in re.split(r"[,\s]+", text) if piece))
    for name in names:
        if not _NAME.match(name):
            raise Invalid(
                f"`{name[:200]}` is not a name",
                remedy="Write names as they stand in the browser's address bar, like flows.lan or flows.lan:8080.",
                errors=(FieldError("/names", "format", "names"),),
            )
    if len(names) > MAX_NAMES:
        raise Invalid(f"{len(names)} names are too many", remedy=f"Keep it to {MAX_NAMES}.")
    refuse_stale(began, tuple(find_setting(session, SERVER, KNOWN_NAMES) or ()))
    put_setting(session, SERVER, KNOWN_NAMES, list(names) or None)
    add_entry(session, principal, "set names of the server", SERVER, ", ".join(names) or "none")
    return names


def _as_sent(name: str) -> str:
    """Returns the name of a host as browsers send it; the address bar shows other letters than ASCII as they are."""
    host, colon, port = name.lower().partition(":")
    origin = None if host.isascii() else bare_address(f"http://{host}")
    return f"{host if origin is None else origin.removeprefix('http://')}{colon}{port}"


def set_outbound_allow(session: Session, principal: Principal, text: str, *, began: str | None = None) -> str:
    """Sets the allow-list of private addresses for flows, from the next request on; returns the stored list.

    `began`: the list that the form began with. Raises Invalid, and VersionConflict when another is stored by now.
    """
    kept = _keep_list(session, principal, OUTBOUND_ALLOW, text, began)
    add_entry(session, principal, "set allowed addresses", SERVER, kept or "none")
    return kept


def set_webhook_allow(session: Session, principal: Principal, text: str, *, began: str | None = None) -> str:
    """Sets the allow-list of private addresses for webhooks that API callers name, from the next attempt on.

    Returns the stored list. `began`: the list that the form began with. Raises Invalid, and VersionConflict when another
    is stored by now.
    """
    kept = _keep_list(session, principal, WEBHOOK_ALLOW, text, began)
    put_setting(session, SERVER, WEBHOOK_HOSTS_LEFT, None)
    add_entry(session, principal, "set addresses of callers' webhooks", SERVER, kept or "none")
    return kept


def _keep_list(session: Session, principal: Principal, name: str, text: str, began: str | None) -> str:
    require_server_owner(session, principal)
    try:
        entries = parse_allow_list(text)
    except ValueError as error:
        raise Invalid(
            str(error).rstrip("."), remedy="", errors=(FieldError("/addresses", "format", str(error)),)
        ) from None
    refuse_stale(began, find_setting(session, SERVER, name) or "")
    kept = ", ".join(str(entry) for entry in entries)
    put_setting(session, SERVER, name, kept or None)
    return kept


def set_rules(session: Session, principal: Principal, rules: Rules, *, began: Rules | None = None) -> None:
    """Sets how long values and rows are kept, and the maximum size of the database.

    `began`: the rules that the form began with. Raises Invalid, and VersionConflict when others are stored by now.
    """
    require_server_owner(session, principal)
    for name, value, least, most, unit in (
        ("values", rules.values_days, 1, 3_650, "days"),
        ("rows", rules.rows_months, 1, 120, "months"),
    ):
        if not least <= value <= most:
            raise Invalid(
                f"{value} {unit} are not possible",
                remedy=f"Write {least} to {most:,} {unit}.",
                errors=(FieldError(f"/{name}", "minimum", f"{least} to {most}"),),
            )
    if rules.cap_gb and not 0.05 <= rules.cap_gb <= 100_000:
        raise Invalid(
            f"A cap of {rules.cap_gb:g} GB is not possible",
            remedy="Write 0.05 GB or more, or 0 for no cap.",
            errors=(FieldError("/cap", "minimum", "0.05 or more"),),
        )
    if rules.files_gb and not 0.01 <= rules.files_gb <= 100_000:
        raise Invalid(
            f"A space of {rules.files_gb:g} GB is not possible",
            remedy="Write 0.01 GB or more, or 0 for no limit.",
            errors=(FieldError("/files", "minimum", "0.01 or more"),),
        )
    refuse_stale(began, read_rules(session))
    for name, value in (
        (VALUES_DAYS, rules.values_days),
        (ROWS_MONTHS, rules.rows_months),
        (CAP_GB, rules.cap_gb),
        (SPACE_GB, rules.files_gb),
    ):
        put_setting(session, SERVER, name, value)
    cap = f"{rules.cap_gb:g} GB" if rules.cap_gb else "no cap"
    files = f"files {rules.files_gb:g} GB" if rules.files_gb else "files without limit"
    said = f"{rules.values_days} days, {rules.rows_months} months, {cap}, {files}"
    add_entry(session, principal, "set retention", SERVER, said)


def set_backup_passphrase(session: Session, principal: Principal, vault: Vault, passphrase: str) -> None:
    """Sets the passphrase of nightly backups, which is stored encrypted; "" removes it. Raises Invalid."""
    require_server_owner(session, principal)
    sealed = seal_passphrase(vault, check_passphrase(passphrase)) if passphrase else None
    put_setting(session, SERVER, BACKUP_PASSPHRASE, sealed)
    add_entry(session, principal, "set backup passphrase", SERVER, "" if sealed else "taken away")


def note_backup(session: Session, principal: Principal, verb: str, name: str) -> None:
    """Records in the audit log that a backup is created, downloaded or deleted. Raises NotAllowed."""
    require_server_owner(session, principal)
    add_entry(session, principal, verb, name)


def note_backup_made(session: Session, principal: Principal, at: int, file: Path) -> None:
    """Stores that a backup of the time `at` (milliseconds since 1970) is complete in `file` of this machine. Raises
    NotAllowed.
    """
    require_server_owner(session, principal)
    note_made(session, at, file)


def note_new_key(session: Session, principal: Principal, fingerprint: str) -> None:
    """Records in the audit log that secrets are sealed with another key from now on. Raises NotAllowed."""
    require_server_owner(session, principal)
    add_entry(session, principal, "take new key", SERVER, fingerprint)
