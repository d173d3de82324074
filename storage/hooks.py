"""Queries for incoming webhooks: their secrets, the messages they accepted, and their newest calls."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.orm import Session

from engine.core.clock import DAY
from engine.core.error_codes import RefusalCode
from engine.core.errors import NotFound
from storage.database import now
from storage.tables_triggers import Hook, HookDelivery, HookMessage, HookSecret

#: How many calls of a hook are kept, and how long a message is recognised when it is delivered again.
DELIVERIES_KEPT = 100
#: How many of these may be calls that did not prove where they come from, and the codes of their refusals.
UNPROVEN_KEPT = 20
_UNPROVEN = (RefusalCode.SIGNATURE_INVALID, RefusalCode.BODY_TOO_LARGE, RefusalCode.REQUEST_TIMEOUT)
MESSAGES_KEPT_MS = 7 * DAY  # `storage.retention` removes them later


class HookRow(Struct, frozen=True):
    """A hook as stored; `storage.tables_triggers.Hook` describes its columns."""

    id: str
    workspace_id: str
    flow_id: str
    title: str
    preset: str
    mapping: dict[str, Any]
    paused: bool
    created_at: int
    created_by: str
    last_at: int | None


class LastCall(Struct, frozen=True):
    """The last genuine call of a hook: its body as JSON text, and its headers."""

    at: int
    body: str
    headers: dict[str, str]


class DeliveryLine(Struct, frozen=True):
    """One of the newest calls of a hook; `storage.tables_triggers.HookDelivery` describes its columns."""

    at: int
    status: int
    code: str
    reason: str
    event: str
    size: int
    job_id: str | None


_COLUMNS: list[Any] = [getattr(Hook, name) for name in HookRow.__struct_fields__]


def find_called_hook(session: Session, hook_id: str) -> HookRow | None:
    """Returns a hook of any workspace, for a call of its address; None when there is none."""
    row = session.execute(select(*_COLUMNS).where(Hook.id == hook_id)).one_or_none()
    return None if row is None else HookRow(*row)


def list_hooks(session: Session, workspace_id: str, flow_id: str) -> list[HookRow]:
    """Returns the hooks of a flow, the oldest first."""
    rows = session.execute(
        select(*_COLUMNS)
        .where(Hook.workspace_id == workspace_id, Hook.flow_id == flow_id)
        .order_by(Hook.created_at, Hook.id)
    )
    return [HookRow(*row) for row in rows]


def get_hook(session: Session, workspace_id: str, hook_id: str) -> HookRow:
    """Returns a hook of this workspace. Raises NotFound."""
    row = session.execute(select(*_COLUMNS).where(Hook.workspace_id == workspace_id, Hook.id == hook_id)).one_or_none()
    if row is None:
        raise no_such_hook()
    return HookRow(*row)


def hold_hook(session: Session, workspace_id: str, hook_id: str) -> Hook:
    """Returns the hook's ORM row, for an action to change. Raises NotFound."""
    row = session.scalars(select(Hook).where(Hook.workspace_id == workspace_id, Hook.id == hook_id)).one_or_none()
    if row is None:
        raise no_such_hook()
    return row


def count_hooks(session: Session, workspace_id: str, flow_id: str) -> int:
    """Returns how many hooks a flow has."""
    wanted = select(func.count()).select_from(Hook).where(Hook.workspace_id == workspace_id, Hook.flow_id == flow_id)
    return session.scalar(wanted) or 0


def insert_hook(session: Session, row: HookRow) -> None:
    """Adds a hook."""
    session.add(Hook(**{name: getattr(row, name) for name in HookRow.__struct_fields__}))
    session.flush()


def remove_hooks(session: Session, workspace_id: str, *, flow_id: str = "", hook_id: str = "") -> int:
    """Removes one hook, or all of a flow, with all that belongs to it; their jobs stay. Returns how many there were."""
    which = Hook.id == hook_id if hook_id else Hook.flow_id == flow_id
    ids = list(session.scalars(select(Hook.id).where(Hook.workspace_id == workspace_id, which)))
    for table in (HookSecret, HookMessage, HookDelivery):
        session.execute(delete(table).where(table.hook_id.in_(ids)))
    session.execute(delete(Hook).where(Hook.id.in_(ids)))
    return len(ids)


def insert_hook_secret(session: Session, hook: HookRow | Hook, secret_id: str, sealed: str, overlap_ms: int) -> None:
    """Adds the current secret of a hook; the others end after `overlap_ms` at the latest, and those that have ended are
    removed.
    """
    at = now(session)
    until = at + overlap_ms if overlap_ms else 0  # 0 is past for every clock, also for one that is set back later
    session.execute(
        delete(HookSecret).where(
            HookSecret.hook_id == hook.id, HookSecret.ends_at.is_not(None), HookSecret.ends_at <= at
        )
    )
    older = update(HookSecret).where(
        HookSecret.hook_id == hook.id, or_(HookSecret.ends_at.is_(None), HookSecret.ends_at > until)
    )
    session.execute(older.values(ends_at=until))
    session.add(
        HookSecret(
            id=secret_id, workspace_id=hook.workspace_id, hook_id=hook.id, sealed=sealed, created_at=at, ends_at=None
        )
    )
    session.flush()


def valid_hook_secrets(session: Session, hook_id: str) -> list[tuple[str, str]]:
    """Returns (id, sealed text) of the secrets that are valid now, the current one first."""
    rows = session.execute(
        select(HookSecret.id, HookSecret.sealed)
        .where(HookSecret.hook_id == hook_id, or_(HookSecret.ends_at.is_(None), HookSecret.ends_at > now(session)))
        .order_by(HookSecret.ends_at.is_not(None), HookSecret.created_at.desc())
    )
    return [(row[0], row[1]) for row in rows]


def find_message(session: Session, hook_id: str, message: str) -> str | None:
    """Returns the job that a message has started; None for a new message."""
    row = session.get(HookMessage, (hook_id, message))
    return None if row is None or row.at <= now(session) - MESSAGES_KEPT_MS else row.job_id


def add_message(session: Session, hook_id: str, message: str, job_id: str) -> None:
    """Stores that a message was accepted, in the transaction that accepts its job."""
    session.execute(delete(HookMessage).where(HookMessage.hook_id == hook_id, HookMessage.message == message))
    session.add(HookMessage(hook_id=hook_id, message=message, job_id=job_id, at=now(session)))


def note_call(session: Session, hook_id: str, body: str | None, headers: dict[str, str], job_id: str | None) -> None:
    """Stores the last genuine call of a hook. `body`: its JSON text; None when it is too long to be kept."""
    session.execute(
        update(Hook)
        .where(Hook.id == hook_id)
        .values(last_body=body, last_headers=headers, last_at=now(session), last_job_id=job_id)
    )


def find_last_call(session: Session, workspace_id: str, hook_id: str) -> LastCall | None:
    """Returns the last genuine call of a hook of this workspace, if there was one and its body is still kept."""
    row = session.execute(
        select(Hook.last_at, Hook.last_body, Hook.last_headers).where(
            Hook.workspace_id == workspace_id, Hook.id == hook_id
        )
    ).one_or_none()
    if row is None or row.last_body is None:
        return None
    return LastCall(row.last_at, row.last_body, row.last_headers or {})


def add_delivery_line(session: Session, hook_id: str, line: DeliveryLine) -> None:
    """Stores a call of a hook, and removes the oldest above DELIVERIES_KEPT. Of calls that did not prove where they come
    from, UNPROVEN_KEPT are kept, so that strangers push out no others.
    """
    session.add(HookDelivery(hook_id=hook_id, **{name: getattr(line, name) for name in DeliveryLine.__struct_fields__}))
    session.flush()
    if line.code in _UNPROVEN:
        _keep_newest(session, UNPROVEN_KEPT, HookDelivery.hook_id == hook_id, HookDelivery.code.in_(_UNPROVEN))
    _keep_newest(session, DELIVERIES_KEPT, HookDelivery.hook_id == hook_id)


def _keep_newest(session: Session, most: int, *which: ColumnElement[bool]) -> None:
    oldest = session.scalar(
        select(HookDelivery.id).where(*which).order_by(HookDelivery.id.desc()).offset(most - 1).limit(1)
    )
    if oldest is not None:
        session.execute(delete(HookDelivery).where(*which, HookDelivery.id < oldest))


def list_hook_deliveries(session: Session, workspace_id: str, hook_id: str, limit: int = 20) -> list[DeliveryLine]:
    """Returns the newest calls of a hook of this workspace, newest first."""
    columns: list[Any] = [getattr(HookDelivery, name) for name in DeliveryLine.__struct_fields__]
    rows = session.execute(
        select(*columns)
        .join(Hook, Hook.id == HookDelivery.hook_id)
        .where(Hook.workspace_id == workspace_id, Hook.id == hook_id)
        .order_by(HookDelivery.id.desc())
        .limit(limit)
    )
    return [DeliveryLine(*row) for row in rows]


def hook_titles(session: Session, workspace_id: str, hook_ids: Iterable[str]) -> dict[str, str]:
    """Returns hook id -> title, for those that still exist."""
    ids = sorted({*hook_ids})
    rows = session.execute(select(Hook.id, Hook.title).where(Hook.workspace_id == workspace_id, Hook.id.in_(ids)))
    return {row[0]: row[1] for row in rows} if ids else {}


def has_old_calls(session: Session, before: int) -> bool:
    """True when hooks keep the body of a call from before a time."""
    return (
        session.scalar(select(Hook.id).where(Hook.last_at < before, Hook.last_body.is_not(None)).limit(1)) is not None
    )


def forget_calls(session: Session, before: int) -> None:
    """Removes the bodies of calls from before a time."""
    session.execute(
        update(Hook).where(Hook.last_at < before).values(last_body=None, last_headers=None, last_job_id=None)
    )


def no_such_hook() -> NotFound:
    """Returns the refusal for an address or id that no webhook has."""
    return NotFound(
        "No webhook has this address", remedy="Copy it again from the flow's page; it may have been removed."
    )
