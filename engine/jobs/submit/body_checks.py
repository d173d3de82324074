"""Checks bodies before the transaction that accepts them, so that no other call waits for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeVar

from cachetools import LRUCache

from engine.core.errors import RateLimited
from engine.flow.payload_check import check_payload
from engine.jobs.submit.accept import Caller, find_body_version
from engine.jobs.submit.bodies import CheckedBody, NotChecked, SubmitOptions, WithDefaults, checked_body
from engine.jobs.submit.check_threads import CheckThreads
from storage.database import Database

T = TypeVar("T")

#: How often a body is checked again because another version went live meanwhile.
_TRIES: Final = 3
_KNOWN: Final = 10_000
#: How many bodies of one key or hook may wait for their check; the largest plan has as many jobs at once.
MOST_WAITING: Final = 100

#: Accepts a body in a transaction, with what was checked. When the second argument is true, it raises NotChecked in place of
#: a check that may take long.
Accepting = Callable[[CheckedBody | None, bool], Awaitable[T]]


class BodyChecks:
    """Checks the bodies of calls in threads of their own. Only one event loop may use it."""

    def __init__(self, database: Database, threads: CheckThreads) -> None:
        self._database = database
        self._threads = threads
        #: Flows whose version that was checked last has patterns.
        self._patterned: LRUCache[str, bool] = LRUCache(_KNOWN)

    async def check(
        self,
        caller: Caller,
        flow_id: str,
        body: Mapping[str, Any],
        options: SubmitOptions,
        with_defaults: WithDefaults = check_payload,
    ) -> CheckedBody | None:
        """Returns the body with its defaults and errors; None when the transaction will refuse the call anyway, or has
        to choose the version itself. Raises RateLimited when too many bodies of this caller wait.
        """
        found = await self._database.read(find_body_version, caller, flow_id, options)
        if found is None:
            return None
        number, version = found
        if not version.has_patterns:
            self._patterned.pop(flow_id, None)
        workspace_id, sender = caller.workspace_id, caller.key_id or options.trigger or ""
        if self._threads.waiting(workspace_id, sender) >= MOST_WAITING:
            raise RateLimited(
                f"{MOST_WAITING} requests wait until their bodies are checked",
                remedy="Send it again in a few seconds, and fewer at the same time",
                retry_after=1,
            )
        return await self._threads.run(
            workspace_id, sender, checked_body, number, version.fields, body, options, with_defaults
        )

    async def accepted(
        self,
        flow_id: str,
        check: Callable[[], Awaitable[CheckedBody | None]],
        accepting: Accepting[T],
        checked: CheckedBody | None = None,
    ) -> T:
        """Returns the answer of `accepting`. The body of a flow with patterns is checked with `check` before, and that of
        any other flow by `accepting`, unless it was: `checked`.
        """
        if checked is None and flow_id in self._patterned:
            checked = await check()
        for _ in range(_TRIES):
            try:
                return await accepting(checked, True)
            except NotChecked:
                self._patterned[flow_id] = True
                checked = await check()
        return await accepting(checked, False)
