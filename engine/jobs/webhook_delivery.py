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
import json
import logging
import time
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.clock import HOUR, MINUTE, SECOND, to_rfc3339
from engine.core.errors import NotFound, StorageUnavailable
from engine.core.log_throttle import LogThrottle
from engine.core.trace_context import NO_TRACE, TraceContext
from engine.flow.node_context import NodeFailed
from engine.jobs.job_views import batch_view, job_view, question_view
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
from storage.settings import ADDRESS, PUBLIC_URL, SERVER, find_setting
from storage.webhooks import DeliveryRow, anything_due, note_try, take_due

log = logging.getLogger(__name__)

#: The pause after try 1, 2, 3 ..., in milliseconds. When the try after the last pause fails, the delivery has failed.
PAUSES = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
TIMEOUT_SECONDS = 15.0
LEASE_MS = 60 * SECOND
AT_ONCE = 20
#: The event of a delivery that a person sends to test the address; it belongs to no job.
TEST_EVENT = "webhook.test"
_GONE = 410


class _Notification(Struct, frozen=True):
    body: bytes
    secrets: list[str]
    trace: TraceContext = NO_TRACE


class Webhooks:
    """Sends deliveries on the worker's event loop.

    `pass_over` is called every second; it starts due deliveries without waiting for them.
    """

    def __init__(self, database: Database, outbound: OutboundClient, vault: Vault) -> None:
        self._database = database
        self._outbound = outbound
        self._vault = vault
        self._under_way: set[asyncio.Task[None]] = set()
        self._log_throttle = LogThrottle()

    async def pass_over(self) -> None:
        """Takes due deliveries and starts to send them, at most AT_ONCE at a time."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0 or not await self._database.read(anything_due):
            return
        for delivery in await self._database.write(take_due, most=room, lease_ms=LEASE_MS):
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Cancels deliveries that are being sent; each is due again when its lease expires."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)

    async def settled(self) -> None:
        """Waits until no delivery is being sent; for tests."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _deliver(self, delivery: DeliveryRow) -> None:
        try:
            notification = await self._database.write(_make_notification, self._vault, delivery)
            await self._send(delivery, notification)
        except StorageUnavailable as error:
            if self._log_throttle.may_say("wait"):
                log.warning("Webhook %s waits: %s", delivery.id, error)
        except Exception:
            log.exception("Webhook %s stumbled", delivery.id)

    async def _send(self, delivery: DeliveryRow, notification: _Notification | None) -> None:
        begun, at = time.monotonic(), self._database.clock.now()
        status: int | None = None
        if notification is None:
            message, ended = f"The {'batch' if delivery.batch_id else 'job'} is not kept any more.", True
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


def _outcome(status: int | None, tries: int, *, ended: bool) -> tuple[str, int | None]:
    """Returns the status of a delivery after this try, and the pause before the next try in milliseconds."""
    if status is not None and 200 <= status < 300:
        return "delivered", None
    if ended or tries > len(PAUSES):
        return "failed", None
    return "waiting", PAUSES[tries - 1]


def _make_notification(session: Session, vault: Vault, delivery: DeliveryRow) -> _Notification | None:
    """Returns the body and the secrets that sign it; None when the job or the batch was removed."""
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
        base = find_setting(session, SERVER, PUBLIC_URL) or find_setting(session, SERVER, ADDRESS) or ""
        view = question_view(question, base + question_link_path(vault, question.id))
        return _Notification(_body(delivery, question.asked_at, view), secrets, TraceContext.loads(job.traceparent))
    small, large = small_results(session, delivery.workspace_id, [job.id])
    data = job_view(job, small.get(job.id)) | ({"result_truncated": True} if job.id in large else {})
    body = _body(delivery, job.completed_at or delivery.created_at, data)
    return _Notification(body, secrets, TraceContext.loads(job.traceparent))


def _body(delivery: DeliveryRow, at: int, data: dict[str, Any]) -> bytes:
    body = {"type": delivery.event, "timestamp": to_rfc3339(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
