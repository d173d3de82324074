"""Checks bodies before the transaction that accepts them, so that no other call waits for it."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Mapping
from typing import Any, Final, TypeVar

from cachetools import LRUCache

from engine.core.do_first import TOO_MUCH_FIRST
from engine.core.errors import TooManyConnections, Unavailable
from engine.flow.payload_check import check_payload
from engine.jobs.submit.accept import Caller, find_body_version
from engine.jobs.submit.bodies import MAX_CHECKS, CheckedBody, NotChecked, SubmitOptions, WithDefaults, checked_body
from engine.jobs.submit.check_threads import CheckThreads
from storage.database import Database

T = TypeVar("T")

_KNOWN: Final = 10_000
#: What the bodies of one workspace that wait for their check, or are checked, may take in memory together, and those of all
#: workspaces. Above that a workspace may have one.
MAX_OF_WORKSPACE: Final = 64 * 1024 * 1024
MAX_OF_ALL: Final = 512 * 1024 * 1024

#: Accepts a body in a transaction, with what was checked. Raises NotChecked in place of a check that may take long.
Accepting = Callable[[CheckedBody | None], Awaitable[T]]


class BodyChecks:
    """Checks the bodies of calls in threads of their own. Only one event loop may use it."""

    def __init__(self, database: Database, threads: CheckThreads) -> None:
        self._database = database
        self._threads = threads
        #: Flows whose version that was checked last has patterns.
        self._patterned: LRUCache[str, bool] = LRUCache(_KNOWN)
        #: Workspace -> the bytes of memory of its bodies that are here.
        self._held: Counter[str] = Counter()

    async def check(
        self,
        caller: Caller,
        flow_id: str,
        body: Mapping[str, Any],
        options: SubmitOptions,
        weight: int,
        with_defaults: WithDefaults = check_payload,
    ) -> CheckedBody | None:
        """Returns the body with its defaults and errors; None when the transaction will refuse the call anyway, or has
        to choose the version itself. `weight`: the bytes of memory that the body needs. Raises RateLimited when too many
        bodies of this caller wait, and TooManyConnections when those of its workspace take too much memory.
        """
        found = await self._database.read(find_body_version, caller, flow_id, options)
        if found is None:
            return None
        number, version = found
        if not version.has_patterns:
            self._patterned.pop(flow_id, None)
        workspace_id, sender = caller.workspace_id, caller.key_id or options.trigger or ""
        with self._holding(workspace_id, weight):
            return await self._threads.run(
                workspace_id, sender, checked_body, number, version.fields, body, options, with_defaults
            )

    @contextlib.contextmanager
    def _holding(self, workspace_id: str, weight: int) -> Generator[None]:
        held = self._held
        if workspace_id in held and (
            held[workspace_id] + weight > MAX_OF_WORKSPACE or held.total() + weight > MAX_OF_ALL
        ):
            raise TooManyConnections(
                "The requests of this workspace whose data are being checked take too much memory together",
                remedy="Send the request again in a few seconds, or a smaller one.",
            )
        held[workspace_id] += weight
        try:
            yield
        finally:
            held[workspace_id] -= weight
            if held[workspace_id] <= 0:
                del held[workspace_id]

    async def accepted(
        self,
        flow_id: str,
        check: Callable[[], Awaitable[CheckedBody | None]],
        accepting: Accepting[T],
        checked: CheckedBody | None = None,
    ) -> T:
        """Returns the answer of `accepting`. The body of a flow with patterns is checked with `check` before, and that of
        any other flow by `accepting`, unless it was: `checked`. Raises Unavailable when other versions go live again and
        again meanwhile.
        """
        if checked is None and flow_id in self._patterned:
            checked = await check()
        for _ in range(MAX_CHECKS):
            try:
                return await accepting(checked)
            except NotChecked:
                self._patterned[flow_id] = True
                checked = await check()
        raise Unavailable(TOO_MUCH_FIRST, remedy="Nothing was accepted. Send the request again.")
