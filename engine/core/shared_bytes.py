"""Memory that the work of workspaces shares: whoever needs much holds up himself and nobody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from engine.core.shared_places import CURRENT_WORKSPACE, Waited

#: In how many holds of memory the code runs. Tasks that it starts inherit it.
_DEPTH: ContextVar[int] = ContextVar("depth", default=0)


class SharedBytes:
    """Memory of `most` bytes, of which a workspace has at most `of_workspace` at a time. What becomes free goes to the
    workspace that has least, in it to one after the other.

    Work that holds some may ask for more, which is then of another `most` bytes: nobody waits for bytes that are held by
    somebody who waits. Only one event loop may use it.
    """

    def __init__(self, most: int, of_workspace: int) -> None:
        self._most = most
        self._of_workspace = of_workspace
        #: Bytes that are held: by depth, and by depth and workspace.
        self._held: Counter[int | tuple[int, str]] = Counter()
        #: Who waits, in the order of their coming, with depth, workspace and bytes.
        self._waiting: dict[asyncio.Future[None], tuple[int, str, int]] = {}

    @asynccontextmanager
    async def hold(self, size: int) -> AsyncGenerator[None]:
        """Waits for so many bytes, and holds them until the end; for more than `of_workspace`, for as many as those.

        When it is cancelled while it waits, the CancelledError has a `Waited`.
        """
        depth, workspace, size = asked = _DEPTH.get(), CURRENT_WORKSPACE.get(), min(size, self._of_workspace)
        loop = asyncio.get_running_loop()
        begun, turn = loop.time(), loop.create_future()
        self._waiting[turn] = asked
        self._give()
        try:
            await turn
        except asyncio.CancelledError as error:
            if self._waiting.pop(turn, None) is None:  # it was given the bytes in the same moment
                self._count(depth, workspace, -size)
            self._give()
            raise asyncio.CancelledError(Waited(loop.time() - begun)) from error
        token = _DEPTH.set(depth + 1)
        try:
            yield
        finally:
            _DEPTH.reset(token)
            self._count(depth, workspace, -size)
            self._give()

    def _give(self) -> None:
        """Gives bytes to all who may have them, first to those of the workspace that has least."""
        full: set[int] = set()
        for turn, (depth, workspace, size) in sorted(self._waiting.items(), key=lambda one: self._held[one[1][:2]]):
            if turn.done() or depth in full or self._held[depth, workspace] + size > self._of_workspace:
                continue
            if self._held[depth] + size > self._most:
                full.add(depth)  # smaller ones wait, too: else a large one would never have its turn
                continue
            del self._waiting[turn]
            self._count(depth, workspace, size)
            turn.set_result(None)

    def _count(self, depth: int, workspace: str, size: int) -> None:
        for key in (depth, (depth, workspace)):
            self._held[key] += size
            if not self._held[key]:
                del self._held[key]
