"""Small settings kept in the database: of a workspace (`scope` = its id) or of the whole server."""

from __future__ import annotations

from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from storage.models import Setting

SERVER = "server"
#: Server settings: the address the server last ran at, and the host (`name:port`) its owner opened when setting it up.
ADDRESS = "address"
KNOWN_HOST = "known_host"

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
