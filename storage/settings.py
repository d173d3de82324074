"""Small settings kept in the database: of a workspace (`scope` = its id) or of the whole server."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.tables import Setting

SERVER = "server"
#: Server settings: the address the server last ran at, and the host (`name:port`) its owner opened when setting it up.
ADDRESS = "address"
KNOWN_HOST = "known_host"
#: What the owner sets on the pages Server and Data: further names (`name` or `name:port`) the server may be opened by, the public
#: address, private addresses flows may reach (a text like FLOWPORT_OUTBOUND_ALLOW), those that webhooks of callers may reach,
#: and the sealed passphrase of backups.
KNOWN_NAMES = "known_names"
PUBLIC_URL = "public_url"
OUTBOUND_ALLOW = "outbound_allow"
WEBHOOK_ALLOW = "webhook_allow"
#: Until the owner saves that list: the upgrade has filled it, and left these hosts out (a list, which may be empty).
WEBHOOK_HOSTS_LEFT = "webhook_hosts_left"
#: A workspace's setting: the upgrade has found the hosts of its secrets in flows, and the owner has not looked at them yet.
SECRET_HOSTS_FOUND = "secret_hosts_found"  # noqa: S105 - a name
BACKUP_PASSPHRASE = "backup_passphrase"  # noqa: S105 - a name
#: Of a workspace: whether its owners sign in with a second factor.
OWNERS_NEED_SECOND_FACTOR = "owners_need_second_factor"

Json = Any


def find_setting(session: Session, scope: str, name: str) -> Json:
    """The setting's JSON value, or None."""
    value = session.scalars(select(Setting.value).where(Setting.scope == scope, Setting.name == name)).one_or_none()
    return None if value is None else value["value"]


def put_setting(session: Session, scope: str, name: str, value: Json) -> None:
    """Keeps a value; None takes the setting away."""
    if value is None:
        session.execute(delete(Setting).where(Setting.scope == scope, Setting.name == name))
    else:
        session.merge(Setting(scope=scope, name=name, value={"value": value}))


def known_names(session: Session) -> tuple[str, ...]:
    """The hosts (`name:port`) this server may be opened by: the one it was set up at, and those the owner added."""
    found = session.execute(
        select(Setting.name, Setting.value).where(
            Setting.scope == SERVER, Setting.name.in_((KNOWN_HOST, KNOWN_NAMES, PUBLIC_URL))
        )
    )
    said = {name: value["value"] for name, value in found}
    names = [said.get(KNOWN_HOST), *(said.get(KNOWN_NAMES) or ())]
    if isinstance(address := said.get(PUBLIC_URL), str):
        names.append(address.partition("://")[2])
    return tuple(dict.fromkeys(name for name in names if name))
