"""Which processes hold the lock that says that they live (`storage.postgres.process_link`)."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import text
from sqlalchemy.orm import Session

from storage.postgres.process_link import lock_key

_HELD = text(
    """
    select (classid::bigint << 32) | objid::bigint from pg_locks
     where locktype = 'advisory' and objsubid = 1 and granted
       and database = (select oid from pg_database where datname = current_database())
    """
)


def held_locks(session: Session, names: Iterable[str]) -> set[str]:
    """Returns the names whose lock some process holds now."""
    held = set(session.scalars(_HELD))
    return {name for name in names if lock_key(name) in held}
