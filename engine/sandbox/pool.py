"""The evaluator processes of one worker, or of a server for imports of tables: started when first needed, killed when
late, replaced after some hundred calls.

    sandbox = Sandbox()
    text = await sandbox.render(template, {"prompt": {"out": ...}})      # raises RenderFailed
    answer = await sandbox.read("page", {"html": ..., "url": ...})       # a reader of engine.pages.readers
    answer, pictures = await sandbox.read_file("pdf", "document", {...}, content)  # a reader of engine.documents.readers
    await sandbox.close()

Cancelling a call kills its process. An evaluator process ends by itself when the one that started it has
ended in any way.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from engine.core.error_codes import JobErrorCode
from engine.core.paths import PROJECT
from engine.core.redaction import cut
from engine.core.shared_places import SharedPlaces
from engine.flow.data_size import data_size
from engine.sandbox.limits import LIMITS, Kind

Json = Any

_PROGRAM: Final = Path(__file__).with_name("evaluator.py")
#: The seconds in which a process imports its modules, even on a very busy machine.
_START_SECONDS: Final = 30.0
#: The number of processes of each kind: each uses a whole core while it works.
SIZE: Final = 2


class RenderFailed(Exception):
    """The template could not be rendered; the error says what happened, why and what to do, for the flow's designer."""

    def __init__(self, message: str, why: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.code = JobErrorCode.TEMPLATE_ERROR
        self.message = message
        self.why = why
        self.remedy = remedy


class Sandbox:
    """The evaluators of one worker or server process. Used from one event loop. Workspaces (CURRENT_WORKSPACE) share them:
    one has at most one process of a kind while another waits, after what it began before.
    """

    def __init__(self, size: int = SIZE) -> None:
        self._templates = _Pool("templates", size)
        self._pages = _Pool("pages", size)
        self._documents = _Pool("documents", size)
        self._tables = _Pool("tables", size)

    async def render(self, template: str, data: Mapping[str, Json]) -> str:
        """Renders a template. `data` is `{node id: {"out": value}}`, as JSON. Waits for a free process. Raises
        RenderFailed.
        """
        try:
            answer, _ = await self._templates.ask({"template": template, "data": data})
        except _Refused as refused:
            raise _not_rendered(refused) from None
        return _checked(answer)

    async def read(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """Returns `{"value"}`, or `{"wrong": name of an error, "message"}`.

        The time it waits for a free process does not count.
        """
        try:
            answer, _ = await self._pages.ask({"reader": reader, "arguments": arguments})
        except _Refused as refused:
            return {"wrong": "ReadingStopped", "message": _not_read(refused)}
        if "value" in answer or (isinstance(answer.get("wrong"), str) and isinstance(answer.get("message"), str)):
            return answer
        return {"wrong": "ReadingStopped", "message": _not_read(_Broke())}

    async def read_file(
        self, family: str, reader: str, arguments: Mapping[str, Json], content: bytes
    ) -> tuple[dict[str, Json], bytes]:
        """Reads a file in a process of its own: returns `{"value"}` and the bytes of pictures or rows, or `{"wrong",
        "facts"}`.

        `family`: the libraries to load, a key of `engine.documents.readers.FAMILIES`. `wrong`: a key of
        `engine.documents.sentences`. The time it waits for a free process does not count.
        """
        pool = self._tables if reader in _OF_TABLES else self._documents
        try:
            answer, pictures = await pool.ask({"reader": reader, "arguments": arguments}, content, family)
        except _Refused as refused:
            return {"wrong": _NOT_READ.get(type(refused), "ended"), "facts": {}}, b""
        if isinstance(answer.get("value"), dict):
            return answer, pictures
        if isinstance(answer.get("wrong"), str) and isinstance(answer.get("facts"), dict):
            return answer, b""
        return {"wrong": "ended", "facts": {}}, b""

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        return [*self._templates.pids, *self._pages.pids, *self._documents.pids, *self._tables.pids]

    async def close(self) -> None:
        """Ends every process."""
        await self._templates.close()
        await self._pages.close()
        await self._documents.close()
        await self._tables.close()


class _Refused(Exception):  # private
    """An evaluator gave no answer."""


class _Stopping(_Refused):
    """Flowport is stopping."""


class _TooDeep(_Refused):
    """The request cannot be written as JSON."""


class _TooLarge(_Refused):
    """The request is too long as JSON; `size` in bytes."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class _TooLong(_Refused):
    """The time limit has passed."""


class _Broke(_Refused):
    """The process ended, or its answer is invalid."""


#: The readers of `engine.documents.tables`.
_OF_TABLES: Final = frozenset({"rows", "row texts"})
#: Why a file was not read, as a key of `engine.documents.sentences`.
_NOT_READ: Final[Mapping[type[_Refused], str]] = {
    _Stopping: "stopping",
    _TooLarge: "too_large",
    _TooLong: "too_slow",
}


class _Pool:
    """The evaluators of one kind."""

    def __init__(self, kind: Kind, size: int) -> None:
        self._kind: Kind = kind
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=f"evaluator-{kind}")
        self._free: list[_Evaluator] = []
        self._busy: set[_Evaluator] = set()
        self._places = SharedPlaces(size)
        self._closed = False

    async def ask(
        self, request: Mapping[str, Json], content: bytes = b"", family: str = ""
    ) -> tuple[dict[str, Json], bytes]:
        """Returns the answer, and the bytes that accompany it. Waits for a free process, which workspaces get in turn
        (`SharedPlaces`). Raises _Refused.
        """
        workspace = await self._places.take()
        try:
            return await self._ask(request, content, family)
        finally:
            self._places.give_back(workspace)

    async def _ask(self, request: Mapping[str, Json], content: bytes, family: str) -> tuple[dict[str, Json], bytes]:
        if self._closed:
            raise _Stopping
        evaluator = self._free.pop() if self._free else _Evaluator(self._kind, family)
        self._busy.add(evaluator)
        work = asyncio.get_running_loop().run_in_executor(self._threads, evaluator.ask, request, content)
        work.add_done_callback(lambda done: self._keep(evaluator, done))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            evaluator.kill()
            raise

    @property
    def pids(self) -> list[int]:
        """The ids of the processes that run now."""
        return [pid for one in (*self._free, *self._busy) if (pid := one.pid) is not None]

    async def close(self) -> None:
        """Ends every process."""
        self._closed = True
        for evaluator in self._busy:
            evaluator.kill()  # its thread notices it and closes the pipes
        while self._free:
            self._free.pop().close()
        await asyncio.to_thread(self._threads.shutdown)

    def _keep(self, evaluator: _Evaluator, done: asyncio.Future[Any]) -> None:
        """Takes an evaluator back when its thread has finished, even when nobody waits for the answer any more."""
        done.cancelled() or done.exception()  # marks the exception as retrieved
        self._busy.discard(evaluator)
        if evaluator.usable and not self._closed:
            self._free.append(evaluator)
        else:
            evaluator.close()


class _Evaluator:
    """One process and its pipes. One thread uses it at a time; another one may call `kill`."""

    def __init__(self, kind: Kind, family: str) -> None:
        self._kind: Kind = kind
        self._family = family
        self._limits = LIMITS[kind]
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._killed = False
        self._calls = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    @property
    def usable(self) -> bool:
        """False when it was killed, or when it has answered its number of calls."""
        return not self._killed and self._calls < self._limits.calls

    def ask(self, request: Mapping[str, Json], content: bytes) -> tuple[dict[str, Json], bytes]:
        """Sends a request and returns the answer. It blocks, so it runs in a thread. Raises _Refused."""
        most = 8 * self._limits.input  # what is written has most of the bytes that are counted, or a fraction of them
        if (size := data_size(request, most)) > most:
            raise _TooLarge(size)
        try:
            frame = json.dumps(request, allow_nan=False).encode("ascii")
        except (ValueError, RecursionError):
            raise _TooDeep from None
        if len(frame) > self._limits.input or len(content) > self._limits.content:
            raise _TooLarge(len(frame))
        process = self._running()
        self._calls += 1
        until = time.monotonic() + self._limits.seconds
        try:
            _write(process, struct.pack(">II", len(frame), len(content)) + frame, until)
            _write(process, content, until)
            size, more = struct.unpack(">II", _read(process, 8, until))
            # text as ASCII JSON is at most six times as long
            if size > 8 * self._limits.output or more > self._limits.content:
                raise _Gone
            answer = json.loads(_read(process, size, until))
            accompanying = _read(process, more, until)
        except TimeoutError:
            self.kill()
            raise _TooLong from None
        except (_Gone, OSError, ValueError, RecursionError):
            late = time.monotonic() > until
            self.kill()
            raise (_TooLong if late else _Broke) from None
        if not isinstance(answer, dict):
            self.kill()
            raise _Broke
        if answer.get("spent"):
            self._calls = self._limits.calls
        return answer, accompanying

    def kill(self) -> None:
        """Ends the process now; a thread that waits for it notices."""
        with self._lock:
            self._killed = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Ends the process and closes its pipes; called only when no thread uses it."""
        self.kill()
        if self._process is not None:
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                assert pipe is not None
                pipe.close()

    def _running(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._killed:
                raise _Broke
            if self._process is None:
                self._process = _start(self._kind, self._family)
            else:
                return self._process
        # The process sends its first byte after its imports; that time does not count for the request.
        with contextlib.suppress(TimeoutError, _Gone):
            _wait(self._process.stdout, _READ, time.monotonic() + _START_SECONDS)
            if _read(self._process, 1, time.monotonic() + 1) == b"!":
                return self._process
        self.kill()
        raise _Broke


class _Gone(Exception):  # private
    """The process ended."""


_READ: Final = select.POLLIN
_WRITE: Final = select.POLLOUT


def _start(kind: Kind, family: str) -> subprocess.Popen[bytes]:
    import jinja2

    kind_and_family = f"{kind}:{family}" if family else kind

    libraries = str(Path(jinja2.__file__).resolve().parents[1])
    process = subprocess.Popen(  # noqa: S603 - our own program, without data of a flow in its arguments
        [sys.executable, "-I", "-S", "-B", str(_PROGRAM), kind_and_family, str(PROJECT), libraries],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd="/",
        env={},
        close_fds=True,
        start_new_session=True,
        bufsize=0,
    )
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        os.set_blocking(pipe.fileno(), False)
    return process


def _wait(pipe: Any, what: int, until: float) -> None:
    poll = select.poll()
    poll.register(pipe.fileno(), what)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise TimeoutError


def _write(process: subprocess.Popen[bytes], data: bytes, until: float) -> None:
    assert process.stdin is not None
    rest = memoryview(data)
    while rest:
        _wait(process.stdin, _WRITE, until)
        rest = rest[os.write(process.stdin.fileno(), rest) :]


def _read(process: subprocess.Popen[bytes], size: int, until: float) -> bytes:
    assert process.stdout is not None
    pieces: list[bytes] = []
    while size:
        _wait(process.stdout, _READ, until)
        piece = os.read(process.stdout.fileno(), min(size, 1 << 20))
        if not piece:
            raise _Gone
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _checked(answer: dict[str, Json]) -> str:
    """Returns the text after checking the answer of the process, which is not trusted. Raises RenderFailed."""
    if isinstance(text := answer.get("text"), str):
        if len(text.encode("utf-8", "surrogatepass")) <= LIMITS["templates"].output:
            return text
        raise _not_rendered(_Broke())
    if isinstance(wrong := answer.get("wrong"), str):
        remedy = "Mend the template in the node, or look at the data it got."
        raise RenderFailed(f"The template failed. {cut(wrong, 500)}", remedy=remedy)
    raise _not_rendered(_Broke())


def _not_rendered(refused: _Refused) -> RenderFailed:
    limits = LIMITS["templates"]
    match refused:
        case _Stopping():
            return RenderFailed("The template was not rendered: Flowport is stopping.", remedy="Run it again.")
        case _TooDeep():
            return RenderFailed("The data of the template is nested too deep to be used.")
        case _TooLarge():
            return RenderFailed(
                f"The data that the template names is too large: {refused.size:,} bytes as JSON.",
                why=f"A template with `{{% %}}` may use {limits.input // 1024 // 1024} MiB.",
                remedy="Name the part you need, like `page_scraper.out.title` instead of `page_scraper.out`.",
            )
        case _TooLong():
            return RenderFailed(
                f"The template took longer than {limits.seconds:g} seconds.",
                why="It was stopped, so that other work can go on.",
                remedy="Use fewer loops inside each other, or shorter lists.",
            )
        case _:
            return RenderFailed(
                "The template was stopped.",
                why=f"It used more than {limits.memory >> 20} MB of memory or its process ended.",
                remedy="Use less data or a simpler template, and run it again.",
            )


def _not_read(refused: _Refused) -> str:
    limits = LIMITS["pages"]
    match refused:
        case _Stopping():
            return "It was not read: Flowport is stopping."
        case _TooLong():
            return f"Reading it took longer than {limits.seconds:g} seconds, so it was stopped."
        case _TooLarge() | _TooDeep():
            return "It is too long to be read."
        case _:
            return f"Reading it used more than {limits.memory >> 20:,} MB of memory or its process ended."
