"""Calls the address a flow or a request named when a job or a whole batch has ended, again and again until it answers with 2xx.

Inside the network a flow's address is reached by the owner's list for flows, and one that a request named by the list for
callers' webhooks, which is another one: whoever has a key is no designer of flows.

The job's last write puts a row into the outbox in the same transaction, and the last write of a batch's last item one for the
batch, so no end goes unsaid. A worker takes due rows under a lease: what a dead worker had in its hands is due again when the
lease is over. The receiver tells repeats by `webhook-id`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from engine.core.clock import HOUR, MINUTE, SECOND, to_rfc3339
from engine.core.errors import NotFound, StorageUnavailable
from engine.core.trace_context import NO_TRACE, TraceContext
from engine.flow.node_type import NodeFailed
from engine.jobs.job_views import batch_view, job_view
from engine.outbound.client import OutboundClient
from engine.secrets.sealing import Vault
from engine.secrets.webhook_secrets import signing_secrets
from engine.secrets.webhook_signing import signed_headers
from storage.batches import find_trace_of_batch, get_batch
from storage.database import Database
from storage.job_results import small_results
from storage.jobs import find_job
from storage.webhooks import DeliveryRow, anything_due, note_try, take_due

log = logging.getLogger(__name__)

#: After try 1, 2, 3 ...: how long until the next one. After the last a delivery has failed.
PAUSES = (5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
TIMEOUT_SECONDS = 15.0
LEASE_MS = 60 * SECOND
AT_ONCE = 20
#: Sent by a person to see whether the address works; it belongs to no job.
TEST_EVENT = "webhook.test"
_GONE = 410


@dataclass(frozen=True)
class _Letter:
    body: bytes
    secrets: list[str]
    trace: TraceContext = NO_TRACE


class Webhooks:
    """Lives on the worker's event loop. `pass_over` is called every second; it starts what is due and does not wait for it."""

    def __init__(self, database: Database, outbound: OutboundClient, vault: Vault) -> None:
        self._database = database
        self._door = outbound
        self._vault = vault
        self._under_way: set[asyncio.Task[None]] = set()

    async def pass_over(self) -> None:
        """Takes due deliveries and sends them, a bounded number at once."""
        room = AT_ONCE - len(self._under_way)
        if room <= 0 or not await self._database.read(anything_due):
            return
        for delivery in await self._database.write(take_due, most=room, lease_ms=LEASE_MS):
            task = asyncio.create_task(self._deliver(delivery), name=f"webhook {delivery.id}")
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Stops what is under way; it is due again when its lease is over."""
        for task in self._under_way:
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=1)

    async def settled(self) -> None:
        """Returns when nothing is under way; for tests."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    async def _deliver(self, delivery: DeliveryRow) -> None:
        try:
            letter = await self._database.write(_write_letter, self._vault, delivery)
            await self._send(delivery, letter)
        except StorageUnavailable as error:
            log.warning("Webhook %s waits: %s", delivery.id, error)
        except Exception:
            log.exception("Webhook %s stumbled", delivery.id)

    async def _send(self, delivery: DeliveryRow, letter: _Letter | None) -> None:
        begun, at = time.monotonic(), self._database.clock.now()
        status: int | None = None
        if letter is None:
            message, ended = f"The {'batch' if delivery.batch_id else 'job'} is not kept any more.", True
        else:
            headers = {
                "Content-Type": "application/json",
                **letter.trace.headers(),
                **signed_headers(letter.secrets, delivery.id, at // 1000, letter.body),
            }
            try:
                answer = await self._door.request(
                    "POST",
                    delivery.url,
                    headers=headers,
                    content=letter.body,
                    timeout_seconds=TIMEOUT_SECONDS,
                    max_bytes=64 * 1024,
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
    """What a delivery is after this try, and the pause before the next one."""
    if status is not None and 200 <= status < 300:
        return "delivered", None
    if ended or tries > len(PAUSES):
        return "failed", None
    return "waiting", PAUSES[tries - 1]


def _write_letter(session: Session, vault: Vault, delivery: DeliveryRow) -> _Letter | None:
    """The body and what it is signed with; None when the job or the batch is gone."""
    secrets = signing_secrets(session, vault, delivery.workspace_id, delivery.flow_id)
    if delivery.event == TEST_EVENT:
        data: dict[str, Any] = {"flow_id": delivery.flow_id, "message": "This is a test. Calls for jobs look like it."}
        return _Letter(_body(delivery, delivery.created_at, data), secrets)
    if delivery.batch_id is not None:
        try:
            batch = get_batch(session, delivery.workspace_id, delivery.batch_id)
        except NotFound:
            return None
        trace = TraceContext.loads(find_trace_of_batch(session, batch.id))
        return _Letter(_body(delivery, batch.completed_at or delivery.created_at, batch_view(batch)), secrets, trace)
    job = find_job(session, delivery.workspace_id, delivery.job_id)
    if job is None:
        return None
    small, large = small_results(session, delivery.workspace_id, [job.id])
    data = job_view(job, small.get(job.id)) | ({"result_truncated": True} if job.id in large else {})
    body = _body(delivery, job.completed_at or delivery.created_at, data)
    return _Letter(body, secrets, TraceContext.loads(job.traceparent))


def _body(delivery: DeliveryRow, at: int, data: dict[str, Any]) -> bytes:
    body = {"type": delivery.event, "timestamp": to_rfc3339(at), "data": data}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
