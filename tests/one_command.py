"""Runs one command of `app.py`, in this process or in a process of its own.

Most of a command's time is importing modules, and a hundred tests run commands. `run_here` therefore calls the
program's `main` with the given environment, folder and streams. `run_command`, for tests that need a process (commands
that start at the same time), forks one from a process that has already imported the program.
"""

from __future__ import annotations

import contextlib
import functools
import io
import multiprocessing
import os
import runpy
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = ("app", "api.commands.run_flow", "storage.database", "storage.migrations.upgrade", "engine.actions.flows")
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    returncode: int
    stdout: bytes
    stderr: bytes


def clean_environment(**more: str) -> dict[str, str]:
    """Returns the environment for a process of Flowport: this process's own without variables of Flowport, NiceGUI and
    pytest, of which PYTEST_CURRENT_TEST changes how NiceGUI listens; with `more`.
    """
    left_out = ("FLOWPORT_", "NICEGUI_", "PYTEST_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    return kept | {"FLOWPORT_LOCAL_SERVERS": "off"} | more


def run_here(arguments: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], folder: Path) -> Ended:
    """Calls `main` as the program does, in a thread, because the caller may have a running event loop."""
    ended: list[int | BaseException] = []
    streams = [io.TextIOWrapper(io.BytesIO(given), encoding="utf-8", write_through=True) for given in (stdin, b"", b"")]
    caller = threading.Thread(target=_call_main, args=(arguments, environment, ended))
    with _ONE_AT_A_TIME, contextlib.chdir(folder), contextlib.ExitStack() as back:
        before = sys.stdin
        back.callback(setattr, sys, "stdin", before)
        sys.stdin = streams[0]
        back.enter_context(contextlib.redirect_stdout(streams[1]))
        back.enter_context(contextlib.redirect_stderr(streams[2]))
        caller.start()
        caller.join(PATIENCE_SECONDS)
    assert ended, f"{arguments} did not end"
    if isinstance(ended[0], BaseException):
        raise ended[0]
    return Ended(ended[0], *(stream.buffer.getvalue() for stream in streams[1:]))  # type: ignore[attr-defined]


_ONE_AT_A_TIME = threading.Lock()


def _call_main(arguments: Sequence[str], environment: Mapping[str, str], ended: list[int | BaseException]) -> None:
    import app

    try:
        ended.append(app.main(arguments, environment, serve=app.serve, worker=app.worker))
    except SystemExit as said:  # argparse exits this way
        ended.append(said.code if isinstance(said.code, int) else 1)
    except BaseException as fault:  # noqa: BLE001 - the waiting thread raises it
        ended.append(fault)


def run_command(arguments: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], folder: Path) -> Ended:
    """Runs `app.py` with these arguments in a process of its own. Fails when it does not end in time."""
    with tempfile.TemporaryDirectory() as streams:
        files = [Path(streams) / name for name in ("stdin", "stdout", "stderr")]
        for file, content in zip(files, (stdin, b"", b""), strict=True):
            file.write_bytes(content)
        # Commands that start at the same time share one fork server, and each start asks all others whether they have ended.
        # Two threads that read the exit code of one process at the same time would get it once.
        with _ASKING:
            process = _starter().Process(target=_be_the_command, args=(arguments, dict(environment), folder, files))
            process.start()
        connection.wait([process.sentinel], PATIENCE_SECONDS)
        with _ASKING:
            exit_code = process.exitcode
        if exit_code is None:
            process.kill()
            raise AssertionError(f"{arguments} did not end: {files[2].read_text()}")
        return Ended(exit_code, files[1].read_bytes(), files[2].read_bytes())


_ASKING = threading.Lock()


@functools.cache
def _starter() -> ForkServerContext:
    """Starts the fork server with PYTHONPATH set, because it imports the preloaded modules only once, at its start."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(ROOT)
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if before is not None:
            os.environ["PYTHONPATH"] = before
    return context


def _be_the_command(arguments: Sequence[str], environment: dict[str, str], folder: Path, files: list[Path]) -> None:
    for number, file in enumerate(files):
        os.dup2(os.open(file, os.O_RDWR), number)
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(number, how) for number, how in enumerate("rww"))
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = [str(ROOT / "app.py"), *arguments]
    runpy.run_path(sys.argv[0], run_name="__main__")
