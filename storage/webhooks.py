"""Queries for the outbox of webhooks: due deliveries, their tries, and the secrets that sign them."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from msgspec import Struct
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.orm import Session

from engine.core.errors import NotFound
from engine.core.ids import new_id
from storage.database import now
from storage.tables import WebhookDelivery, WebhookSecret


class DeliveryRow(Struct, frozen=True):
    """A delivery for a job or a batch. `log` has an entry per try: at (ms), status (None: no answer), milliseconds,
    message. `next_at`: the time of the next try.

    `by_caller`: a call named the address, not the flow.
    """

    id: str
    workspace_id: str
    flow_id: str
    job_id: str
    batch_id: str | None
    url: str
    event: str
    status: str  # waiting, delivered, failed
    tries: int
    next_at: int | None
    log: list[dict[str, Any]]
    created_at: int
    by_caller: bool
    #: The question that the job asks a person.
    question_id: str | None


_COLUMNS: list[Any] = [getattr(WebhookDelivery, name) for name in DeliveryRow.__struct_fields__]
#: Scheme, host and port of an address.
_HOST = re.compile(r"[^:/?#]*://[^/?#]*")


class DueDelivery(Struct, frozen=True):
    """A delivery that is due. `host`: scheme, host and port of its address, as they are written."""

    id: str
    workspace_id: str
    host: str


def host_of(url: str) -> str:
    """Returns scheme, host and port of an address, as they are written."""
    found = _HOST.match(url)
    return url if found is None else found[0]


def list_due(
    session: Session, most: int, without_workspaces: Collection[str] = (), without_hosts: Collection[str] = ()
) -> list[DueDelivery]:
    """Returns deliveries that are due, the earliest first, without those of some workspaces and to some hosts
    (`host_of`). It reads an index as long as the first ones are not left out.
    """
    due = select(WebhookDelivery.id, WebhookDelivery.workspace_id, WebhookDelivery.url).where(
        WebhookDelivery.next_at <= now(session), WebhookDelivery.status == "waiting"
    )
    if without_workspaces:
        due = due.where(WebhookDelivery.workspace_id.not_in(without_workspaces))
    for host in without_hosts:
        beginning = func.substr(WebhookDelivery.url + "/", 1, len(host) + 1)
        due = due.where(beginning.not_in([f"{host}{end}" for end in "/?#"]))
    rows = session.execute(due.order_by(WebhookDelivery.next_at).limit(most))
    return [DueDelivery(delivery_id, workspace_id, host_of(url)) for delivery_id, workspace_id, url in rows]


def take_due(session: Session, ids: Collection[str], *, lease_ms: int) -> list[DeliveryRow]:
    """Returns those of these deliveries that are due, and leases them: no other worker takes them for `lease_ms`."""
    at = now(session)
    mine = WebhookDelivery.id.in_(ids), WebhookDelivery.next_at <= at, WebhookDelivery.status == "waiting"
    leased = update(WebhookDelivery).where(*mine).values(next_at=at + lease_ms).returning(WebhookDelivery.id)
    taken = list(session.scalars(leased.execution_options(synchronize_session=False)))
    if not taken:
        return []
    rows = session.execute(select(*_COLUMNS).where(WebhookDelivery.id.in_(taken)).order_by(WebhookDelivery.created_at))
    return [DeliveryRow(*row) for row in rows]


def note_try(session: Session, delivery_id: str, line: dict[str, Any], *, status: str, next_at: int | None) -> None:
    """Stores the result of a try, and when the next one is due."""
    row = session.get(WebhookDelivery, delivery_id)
    if row is None:
        return  # removed by retention meanwhile
    row.tries += 1
    row.status = status
    row.next_at = next_at
    row.log = [*row.log, line][-20:]


def insert_delivery(
    session: Session,
    workspace_id: str,
    flow_id: str,
    job_id: str,
    url: str,
    event: str,
    *,
    question_id: str | None = None,
    by_caller: bool = False,
) -> str:
    """Adds a delivery that is due now; returns its id."""
    at, delivery_id = now(session), new_id("whd")
    session.add(
        WebhookDelivery(
            id=delivery_id,
            workspace_id=workspace_id,
            flow_id=flow_id,
            job_id=job_id,
            question_id=question_id,
            by_caller=by_caller,
            url=url,
            event=event,
            status="waiting",
            tries=0,
            next_at=at,
            log=[],
            created_at=at,
        )
    )
    return delivery_id


def hold_delivery(session: Session, workspace_id: str, delivery_id: str) -> WebhookDelivery:
    """Returns the ORM row of a delivery, for an action to change. Raises NotFound."""
    row = session.scalars(
        select(WebhookDelivery).where(WebhookDelivery.id == delivery_id, WebhookDelivery.workspace_id == workspace_id)
    ).one_or_none()
    if row is None:
        raise NotFound("This delivery is not there any more")
    return row


def list_deliveries(session: Session, workspace_id: str, flow_id: str, limit: int = 20) -> list[DeliveryRow]:
    """Returns the newest deliveries of a flow."""
    rows = session.execute(
        select(*_COLUMNS)
        .where(WebhookDelivery.flow_id == flow_id, WebhookDelivery.workspace_id == workspace_id)
        .order_by(WebhookDelivery.created_at.desc(), WebhookDelivery.id)
        .limit(limit)
    )
    return [DeliveryRow(*row) for row in rows]


def valid_secrets(session: Session, flow_id: str) -> list[WebhookSecret]:
    """Returns the secrets that sign a flow's deliveries now: the current one first, then one that is being replaced."""
    rows = session.scalars(
        select(WebhookSecret)
        .where(
            WebhookSecret.flow_id == flow_id,
            or_(WebhookSecret.ends_at.is_(None), WebhookSecret.ends_at > now(session)),
        )
        .order_by(WebhookSecret.ends_at.is_not(None), WebhookSecret.created_at.desc())
    )
    return list(rows)


def end_signing_secrets(session: Session, flow_id: str, until: int) -> None:
    """Ends the validity of the flow's secrets at `until` (milliseconds) at the latest, and removes expired ones."""
    for row in valid_secrets(session, flow_id):
        row.ends_at = until if row.ends_at is None else min(row.ends_at, until)
    session.flush()
    session.execute(
        delete(WebhookSecret).where(WebhookSecret.flow_id == flow_id, WebhookSecret.ends_at <= now(session))
    )


def insert_signing_secret(session: Session, workspace_id: str, flow_id: str, secret_id: str, sealed: str) -> None:
    """Adds a secret, which becomes the flow's current one."""
    session.add(
        WebhookSecret(
            id=secret_id,
            workspace_id=workspace_id,
            flow_id=flow_id,
            sealed=sealed,
            created_at=now(session),
            ends_at=None,
        )
    )
    session.flush()
