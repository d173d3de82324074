"""The objects that every route of the public API uses, and the functions with which several routes wait."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from cachetools import LRUCache
from msgspec import Struct, field
from starlette.requests import Request

from api.connection_limits import network_of
from api.http.auth import Callers
from api.http.call_figures import CallFigures
from api.http.held_calls import HeldCalls, Peer
from api.http.json_body import Bodies, BodyLimits
from api.http.refused_calls import RefusalRecorder
from api.http.request_rate import WITHOUT_A_KEY, RequestRates, too_many
from api.http.upload import Uploads
from engine.core.errors import ParameterInvalid, ShuttingDown, Unauthorized
from engine.core.settings import Settings
from engine.diagnostics.readiness import Readiness
from engine.jobs.server.job_waiters import JobWaiters, Look, wait_until_ended
from engine.jobs.submit.accept import Caller, read_key_again
from engine.jobs.submit.body_checks import BodyChecks
from engine.jobs.submit.sent_fields import SentFieldRecorder
from engine.secrets.sealing import Vault
from storage.database import Database
from storage.jobs import find_status

T = TypeVar("T")

#: A webhook of another service may have 1 MiB, and all that are being received 32 MiB.
HOOK_BODIES = BodyLimits(max_bytes=1024 * 1024, bytes_in_flight=32 * 1024 * 1024)


class Context(Struct, frozen=True):
    """The shared objects of one application. `stopping` is set when the server stops; waiting calls then answer at
    once.
    """

    database: Database
    waiters: JobWaiters
    settings: Settings
    refusals: RefusalRecorder
    callers: Callers
    sent_fields: SentFieldRecorder
    bodies: Bodies
    uploads: Uploads
    vault: Vault
    checks: BodyChecks
    held: HeldCalls
    calls: CallFigures
    rates: RequestRates = field(default_factory=RequestRates)
    readiness: Readiness = field(default_factory=Readiness)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    #: The bodies of incoming webhooks, which have a limit of their own.
    hook_bodies: Bodies = field(default_factory=lambda: Bodies(HOOK_BODIES))
    _noted: LRUCache[str, float] = field(default_factory=lambda: LRUCache(1_000))
    #: Callers, by the hash of their key, whose keys were read in this turn of the event loop.
    _just_read: dict[str, Caller] = field(default_factory=dict[str, Caller])

    async def caller(self, request: Request, *, lately: bool = False) -> Caller:
        """Authenticates the caller and counts the request. Raises Unauthorized, ParameterInvalid and RateLimited.
        `lately` is explained at `Callers.find`.
        """
        caller = await self.callers.find(request, lately=lately)
        self._count(request, f"key {caller.key_id}", caller.requests, caller.label)
        return caller

    async def count_refused(self, request: Request) -> None:
        """Counts a call without an authenticated caller: for its key when that is valid, else for its address. Raises
        RateLimited.
        """
        try:
            await self.caller(request, lately=True)
        except (Unauthorized, ParameterInvalid):
            address = network_of(request.client.host if request.client else "")
            self._count(request, f"address {address}", WITHOUT_A_KEY, None)

    def _count(self, request: Request, subject: str, quota: int | None, label: str | None) -> None:
        request.state.rate = rate = self.rates.count(subject, quota)
        if rate is not None and rate.over:
            raise too_many(rate, label=label)

    def notes_refusal_of(self, hook_id: str, at: float, seconds: float) -> bool:
        """Tells whether a refused call of a hook may be stored: at most one in so many seconds. `at`: monotonic."""
        if at - self._noted.get(hook_id, -math.inf) < seconds:
            return False
        self._noted[hook_id] = at
        return True

    def refuse_when_stopping(self) -> None:
        """Refuses new work while the server stops. Raises ShuttingDown."""
        if self.stopping.is_set():
            raise ShuttingDown(retry_after=5)

    async def caller_now(self, caller: Caller) -> Caller:
        """Returns the caller with its key as it is now, for a call that has waited. Raises Unauthorized.

        Calls with the same key that wake up in the same turn of the event loop share one read of the key.
        """
        known = self._just_read.get(caller.key_hash)
        if known is None:
            known = await self.database.find(read_key_again, caller)
            if caller.key_hash:
                if not self._just_read:
                    asyncio.get_running_loop().call_soon(self._just_read.clear)
                self._just_read[caller.key_hash] = known
        return known

    async def until_ended(
        self,
        caller: Caller,
        job_id: str,
        seconds: float,
        look: Look = find_status,
        *,
        peer: Peer | None = None,
        is_new: bool = False,
    ) -> Caller:
        """Waits until the job has ended, `seconds` are over or the server stops. The route then reads the job again. Within
        some seconds after `peer` is lost it waits no more.

        With `find_batch_status` as `look` it waits for a batch. The key is checked at each wake-up; the returned caller
        has the key as it is at the end. `is_new`: this call has just created the job. Raises Unauthorized.
        """
        known = caller

        async def check() -> bool:
            nonlocal known
            if peer is not None and peer.is_lost:
                return False
            known = await self.caller_now(caller)
            return not self.stopping.is_set()

        if not self.stopping.is_set():
            asked = caller.workspace_id, job_id
            await wait_until_ended(self.database, self.waiters, *asked, seconds, check, look, is_new=is_new)
        return known

    def stop(self) -> None:
        """Ends waiting calls and event streams, and refuses new work. Called on the event loop."""
        self.stopping.set()
        self.waiters.wake_all()

    async def unless_stopping(self, work: Coroutine[Any, Any, T]) -> T | None:
        """Returns the result of `work`, or None as soon as the server stops."""
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            for pending in (task, stop):
                pending.cancel()

    def base_url(self, request: Request) -> str:
        """Returns the scheme and host for URLs in documents: the configured public URL, else those of the request."""
        return self.settings.public_url or f"{request.url.scheme}://{request.url.netloc}"


async def context_of(request: Request) -> Context:
    """FastAPI dependency: returns the context of the application that handles the request."""
    return request.app.state.context
