"""Runs one command of `app.py`: in this process, or in one of its own.

A hundred tests ask the command line something, and most of a command's time is Python reading its modules, so that most of
them call the program's own `main` with their environment, folder and streams (`run_here`). What only a process can show
(commands that come at once) has one that is forked from a process which has imported the program already (`run_command`).
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
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from pathlib import Path

ROOT = Path(__file__).parents[1]
IMPORTED = ("app", "api.commands.run_flow", "storage.database", "storage.migrations.upgrade", "engine.actions.flows")
PATIENCE_SECONDS = 120


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    returncode: int
    stdout: bytes
    stderr: bytes


def run_here(arguments: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], folder: Path) -> Ended:
    """Calls the program's `main` as its last line does, in a thread: whoever calls may have an event loop running."""
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
    except SystemExit as said:  # argparse
        ended.append(said.code if isinstance(said.code, int) else 1)
    except BaseException as fault:  # noqa: BLE001 - whoever waits raises it
        ended.append(fault)


def run_command(arguments: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], folder: Path) -> Ended:
    """Runs `app.py` with these arguments. Fails when it does not end in time."""
    with tempfile.TemporaryDirectory() as streams:
        files = [Path(streams) / name for name in ("stdin", "stdout", "stderr")]
        for file, content in zip(files, (stdin, b"", b""), strict=True):
            file.write_bytes(content)
        with _STARTING:  # commands that begin at once share one
            starter = _starter()
        process = starter.Process(target=_be_the_command, args=(arguments, dict(environment), folder, files))
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"{arguments} did not end: {files[2].read_text()}")
        return Ended(process.exitcode, files[1].read_bytes(), files[2].read_bytes())


_STARTING = threading.Lock()


@functools.cache
def _starter() -> ForkServerContext:
    """Its process must find our modules; it looks for them once, when it starts."""
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
