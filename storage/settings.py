"""Settings in the database: of a workspace (`scope` is its id) or of the whole server (`scope` is SERVER)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from engine.core.settings import bare_address
from storage.tables import Setting

SERVER = "server"
#: Server settings: the last address of the server, and the host (`name:port`) under which its owner set it up.
ADDRESS = "address"
KNOWN_HOST = "known_host"
#: Set by the owner on the pages Server and Data: further host names (`name` or `name:port`) of the server, its public
#: address, private addresses that flows may reach (a text like FLOWPORT_OUTBOUND_ALLOW) and that webhooks of callers
#: may reach, and the sealed passphrase of backups.
KNOWN_NAMES = "known_names"
PUBLIC_URL = "public_url"
OUTBOUND_ALLOW = "outbound_allow"
WEBHOOK_ALLOW = "webhook_allow"
#: A list of the hosts that the migration left out when it filled WEBHOOK_ALLOW; kept until the owner saves that list.
WEBHOOK_HOSTS_LEFT = "webhook_hosts_left"
#: A workspace's setting: the migration found the hosts of its secrets in flows, and the owner has not confirmed them
#: yet.
SECRET_HOSTS_FOUND = "secret_hosts_found"  # noqa: S105 - a name
BACKUP_PASSPHRASE = "backup_passphrase"  # noqa: S105 - a name
#: Which key seals the secrets of this database (`engine.secrets.shared_key`).
KEY_FINGERPRINT = "key_fingerprint"
#: When a server that shares a PostgreSQL made the last nightly backup, in milliseconds since 1970.
NIGHTLY_AT = "nightly_at"
#: The last complete backup that was noted: its time in milliseconds since 1970, the host name of the machine, and the path
#: of the file there. With SQLite nightly backups are not noted.
BACKUP_MADE = "backup_made"
#: Where everything of a PostgreSQL database was moved, in words (`storage.database_note`).
MOVED_TO = "moved_to"
#: A workspace's setting: the id of the key "Try it now" and the last four characters of its secret; with PostgreSQL also
#: the sealed secret, for all servers.
TRY_KEY = "try_key"
#: A workspace's setting: whether its owners must use a second factor.
OWNERS_NEED_SECOND_FACTOR = "owners_need_second_factor"

Json = Any


def find_setting(session: Session, scope: str, name: str) -> Json:
    """Returns the setting's JSON value, or None."""
    value = session.scalars(select(Setting.value).where(Setting.scope == scope, Setting.name == name)).one_or_none()
    return None if value is None else value["value"]


def put_setting(session: Session, scope: str, name: str, value: Json) -> None:
    """Stores a value; None removes the setting."""
    if value is None:
        session.execute(delete(Setting).where(Setting.scope == scope, Setting.name == name))
    else:
        session.merge(Setting(scope=scope, name=name, value={"value": value}))


def find_public_url(session: Session) -> str:
    """Returns the public address that the owner set, as browsers send it; "" when there is none."""
    return _as_browsers_send(find_setting(session, SERVER, PUBLIC_URL))


def _as_browsers_send(stored: Json) -> str:
    """Returns a stored address in the form that browsers send: earlier releases stored it as it was typed."""
    return (bare_address(stored) or stored) if isinstance(stored, str) else ""


def known_names(session: Session) -> tuple[str, ...]:
    """Returns the hosts (`name:port`) under which this server may be opened: that of the set-up, and those the owner
    added.
    """
    found = session.execute(
        select(Setting.name, Setting.value).where(
            Setting.scope == SERVER, Setting.name.in_((KNOWN_HOST, KNOWN_NAMES, PUBLIC_URL))
        )
    )
    stored = {name: value["value"] for name, value in found}
    names = [stored.get(KNOWN_HOST), *(stored.get(KNOWN_NAMES) or ())]
    names.append(_as_browsers_send(stored.get(PUBLIC_URL)).partition("://")[2])
    return tuple(dict.fromkeys(name for name in names if name))
