"""Delivers webhooks: calls the address that a flow or a request names when a job or a whole batch has ended, or when a job
asks a person, until it answers 2xx.

Two lists of the owner allow addresses inside the network: one for addresses in flows, one for addresses that requests
name, because whoever holds an API key does not have to be allowed to edit flows.

The final write of a job adds a row to the outbox in the same transaction, and the final write of a batch's last item
adds one for the batch, so every end is reported. A worker takes due rows under a lease: the rows of a worker that died
are due again when their lease expires. A receiver recognises a repeated delivery by its `webhook-id` header (Standard
Webhooks).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import HOUR, MINUTE, SECOND, to_rfc3339
from engine.core.errors import NotFound, SecretUnreadable, StorageUnavailable
from engine.core.json_text import json_bytes
from engine.core.log_throttle import LogThrottle
from engine.core.trace_context import NO_TRACE, TraceContext
from engine.flow.node_context import NodeFailed
from engine.jobs.job_views import batch_of, batch_view, job_view, question_view
from engine.outbound.client import OutboundClient
from engine.secrets.question_links import question_link_path
from engine.secrets.sealing import Vault
from engine.secrets.webhook_secrets import signing_secrets
from engine.secrets.webhook_signing import signed_headers
from storage.batches import find_trace_of_batch, get_batch
from storage.database import Database
from storage.job_results import small_results
from storage.jobs import find_job
from storage.questions import find_question
from storage.settings import ADDRESS, SERVER, find_public_url, find_setting
from storage.webhooks import DeliveryRow, DueDelivery, list_due, note_try, take_due

if TYPE_CHECKING:
    from storage.tables import WebhookDelivery

log = logging.getLogger(__name__)

#: The pause after try 1, 2, 3 ..., in milliseconds. When the try after the last pause fails, the delivery has failed.
PAUSES = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
TIMEOUT_SECONDS = 15.0
LEASE_MS = 60 * SECOND
#: The deliveries of a worker that are under way at the same time: all of them, those to a host, and those of a workspace.
#: A host that does not answer keeps each of its places for TIMEOUT_SECONDS, and must leave some to the others.
AT_ONCE = 50
AT_ONCE_TO_HOST = 10
AT_ONCE_OF_WORKSPACE = 20
#: How many due deliveries are read at once.
_LOOK = 200
#: The shortest pause before free places are filled.
_FILL_SECONDS = 0.1
#: While more are due than have a place, the pause after a look is this many times as long as the look, which takes a tenth of
#: a second when a hundred thousand deliveries to one host have to be passed.
_REST_PER_LOOK = 20
_MAX_REST_SECONDS = 10.0
#: The event of a delivery that a person sends to test the address; it belongs to no job.
TEST_EVENT = "webhook.test"
_GONE = 410


class _Notification(Struct, frozen=True):
    body: bytes
    secrets: list[str]
    trace: TraceContext = NO_TRACE


class _Places:
    """The places of deliveries that are under way, or will be."""

    def __init__(self, under_way: Iterable[DueDelivery]) -> None:
        self._hosts: Counter[str] = Counter()
        self._workspaces: Counter[str] = Counter()
        self.room = AT_ONCE
        for one in under_way:
            self._add(one)

    def take(self, one: DueDelivery) -> bool:
        """Gives a delivery a place. Returns False when there is none."""
        free = self.room > 0 and self._hosts[one.host] < AT_ONCE_TO_HOST
        if free and self._workspaces[one.workspace_id] < AT_ONCE_OF_WORKSPACE:
            self._add(one)
            return True
        return False

    def full_hosts(self) -> list[str]:
        return [host for host, count in self._hosts.items() if count >= AT_ONCE_TO_HOST]

    def full_workspaces(self) -> list[str]:
        return [workspace for workspace, count in self._workspaces.items() if count >= AT_ONCE_OF_WORKSPACE]

    def _add(self, one: DueDelivery) -> None:
        self._hosts[one.host] += 1
        self._workspaces[one.workspace_id] += 1
        self.room -= 1


class Webhooks:
    """Sends deliveries on the worker's event loop.

    `pass_over` is called every second; it starts due deliveries without waiting for them. While more may be due than have
    a place, it also looks soon after one has ended. `public_url`: FLOWPORT_PUBLIC_URL, which wins over what is stored.
    """

    def __init__(self, database: Database, outbound: OutboundClient, vault: Vault, *, public_url: str = "") -> None:
        self._database = database
        self._outbound = outbound
        self._vault = vault
        self._public_url = public_url
        self._under_way: dict[asyncio.Task[None], DueDelivery] = {}
        self._looking = False
        self._more_due = False
        self._filling: asyncio.Task[None] | None = None
        self._rest_until = 0.0
        self._log_throttle = LogThrottle()

    async def pass_over(self) -> None:
        """Takes due deliveries that have a place, and starts to send them."""
        if self._looking or time.monotonic() < self._rest_until:
            return
        self._looking = True
        try:
            due = await self._due()
            if not due:
                return
            for delivery in await self._database.write(take_due, list(due), lease_ms=LEASE_MS):
                task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
                self._under_way[task] = due[delivery.id]
                task.add_done_callback(self._ended)
        finally:
            self._looking = False

    async def _due(self) -> dict[str, DueDelivery]:
        """Returns the due deliveries that have a place now, the earliest first, by id."""
        places = _Places(self._under_way.values())
        found: dict[str, DueDelivery] = {}
        self._more_due = places.room == 0
        took = 0.0
        while places.room > 0:
            # Each time either all that are due have been read, or one more host or workspace is full and left out.
            full = places.full_workspaces(), places.full_hosts()
            due, seconds = await self._database.read(_timed_list_due, *full)
            took += seconds
            for one in due:
                if one.id not in found and places.take(one):
                    found[one.id] = one
            left_out = any(full) or any(one.id not in found for one in due)
            self._more_due = self._more_due or left_out or len(due) == _LOOK
            if len(due) < _LOOK:
                break
        if self._more_due:
            self._rest_until = time.monotonic() + min(_MAX_REST_SECONDS, took * _REST_PER_LOOK)
        return found

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._under_way[task]
        if self._more_due and self._filling is None and not task.cancelled():
            self._filling = asyncio.create_task(self._fill(), name="free places for webhooks")

    async def _fill(self) -> None:
        try:
            await asyncio.sleep(max(_FILL_SECONDS, self._rest_until - time.monotonic()))
            with contextlib.suppress(StorageUnavailable):  # the pass of the next second tries again
                await self.pass_over()
        finally:
            self._filling = None

    async def close(self) -> None:
        """Cancels deliveries that are being sent; each is due again when its lease expires."""
        self._more_due = False
        tasks = {*self._under_way, *([] if self._filling is None else [self._filling])}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=1)

    async def settled(self) -> None:
        """Waits until no delivery is being sent; for tests."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _deliver(self, delivery: DeliveryRow) -> None:
        try:
            try:
                notification = await self._database.write(_make_notification, self._vault, delivery, self._public_url)
            except SecretUnreadable as refusal:
                notification = refusal
            await self._send(delivery, notification)
        except StorageUnavailable as error:
            if self._log_throttle.may_say("wait"):
                log.warning("Webhook %s waits: %s", delivery.id, error)
        except Exception:
            log.exception("Webhook %s stumbled", delivery.id)

    async def _send(self, delivery: DeliveryRow, notification: _Notification | SecretUnreadable | None) -> None:
        begun, at = time.monotonic(), self._database.clock.now()
        status: int | None = None
        if notification is None:
            message, ended = f"The {'batch' if delivery.batch_id else 'job'} is not kept any more.", True
        elif isinstance(notification, SecretUnreadable):
            message, ended = str(notification), False
        else:
            headers = {
                "Content-Type": "application/json",
                **notification.trace.headers(),
                **signed_headers(notification.secrets, delivery.id, at // 1000, notification.body),
            }
            try:
                answer = await self._outbound.request(
                    "POST",
                    delivery.url,
                    headers=headers,
                    content=notification.body,
                    timeout_seconds=TIMEOUT_SECONDS,
                    max_bytes=None,  # its status is the whole answer
                    follow_redirects=False,
                    reach="callers" if delivery.by_caller else "flows",
                )
                status, message = answer.status, ""
                ended = status == _GONE
            except NodeFailed as error:
                message, ended = error.message, False
        line = {
            "at": at,
            "status": status,
            "milliseconds": round((time.monotonic() - begun) * 1000),
            "message": message,
        }
        outcome, pause = _outcome(status, delivery.tries + 1, ended=ended)
        next_at = None if pause is None else self._database.clock.now() + pause
        await self._database.write(note_try, delivery.id, line, status=outcome, next_at=next_at)


def _timed_list_due(
    session: Session, full_workspaces: Collection[str], full_hosts: Collection[str]
) -> tuple[list[DueDelivery], float]:
    """Returns what is due, and the seconds that looking took, without those until a thread was free."""
    begun = time.monotonic()
    return list_due(session, _LOOK, full_workspaces, full_hosts), time.monotonic() - begun


def is_being_sent(delivery: WebhookDelivery, at: int) -> bool:
    """Tells whether a worker sends a delivery now, or will in a moment. A lease is told from a pause by its end, which is
    later than that of the pause after the last try.
    """
    if delivery.status != "waiting" or delivery.next_at is None or delivery.next_at > at + LEASE_MS:
        return False
    if delivery.next_at <= at or delivery.tries == 0:
        return True
    last = delivery.log[-1]
    return delivery.next_at - (last["at"] + last["milliseconds"] + PAUSES[delivery.tries - 1]) > LEASE_MS / 2


def _outcome(status: int | None, tries: int, *, ended: bool) -> tuple[str, int | None]:
    """Returns the status of a delivery after this try, and the pause before the next try in milliseconds."""
    if status is not None and 200 <= status < 300:
        return "delivered", None
    if ended or tries > len(PAUSES):
        return "failed", None
    return "waiting", PAUSES[tries - 1]


def _make_notification(
    session: Session, vault: Vault, delivery: DeliveryRow, public_url: str = ""
) -> _Notification | None:
    """Returns the body and the secrets that sign it; None when the job or the batch was removed. Raises SecretUnreadable."""
    secrets = signing_secrets(session, vault, delivery.workspace_id, delivery.flow_id)
    if delivery.event == TEST_EVENT:
        data: dict[str, Any] = {"flow_id": delivery.flow_id, "message": "This is a test. Calls for jobs look like it."}
        return _Notification(_body(delivery, delivery.created_at, data), secrets)
    if delivery.batch_id is not None:
        try:
            batch = get_batch(session, delivery.workspace_id, delivery.batch_id)
        except NotFound:
            return None
        trace = TraceContext.loads(find_trace_of_batch(session, batch.id))
        return _Notification(
            _body(delivery, batch.completed_at or delivery.created_at, batch_view(batch)), secrets, trace
        )
    job = find_job(session, delivery.workspace_id, delivery.job_id)
    if job is None:
        return None
    if delivery.question_id is not None:
        question = find_question(session, delivery.question_id)
        if question is None:
            return None
        base = public_url or find_public_url(session) or find_setting(session, SERVER, ADDRESS) or ""
        view = question_view(question, base + question_link_path(vault, question.id)) | batch_of(job)
        return _Notification(_body(delivery, question.asked_at, view), secrets, TraceContext.loads(job.traceparent))
    small, large = small_results(session, delivery.workspace_id, [job.id])
    data = job_view(job, small.get(job.id))
    if job.id in large:
        data["result_truncated"] = True
    elif job.status == "completed" and job.data_erased_at is None and job.id not in small:
        data["result_expired"] = True
    body = _body(delivery, job.completed_at or delivery.created_at, data)
    return _Notification(body, secrets, TraceContext.loads(job.traceparent))


def _body(delivery: DeliveryRow, at: int, data: dict[str, Any]) -> bytes:
    body = {"type": delivery.event, "timestamp": to_rfc3339(at), "data": data}
    return json_bytes(body)
