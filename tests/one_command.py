"""Runs one command of `app.py` in a process of its own, which is forked from one that has imported it already.

A hundred tests ask the command line something; most of a command's time is Python reading its modules. The process has
its own environment, folder, streams and exit status, as if it had been started from a shell.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import runpy
import sys
import tempfile
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


def run_command(arguments: Sequence[str], *, stdin: bytes, environment: Mapping[str, str], folder: Path) -> Ended:
    """Runs `app.py` with these arguments. Fails when it does not end within a minute."""
    with tempfile.TemporaryDirectory() as streams:
        files = [Path(streams) / name for name in ("stdin", "stdout", "stderr")]
        for file, content in zip(files, (stdin, b"", b""), strict=True):
            file.write_bytes(content)
        process = _starter().Process(target=_be_the_command, args=(arguments, dict(environment), folder, files))
        process.start()
        process.join(PATIENCE_SECONDS)
        if process.exitcode is None:
            process.kill()
            raise AssertionError(f"{arguments} did not end: {files[2].read_text()}")
        return Ended(process.exitcode, files[1].read_bytes(), files[2].read_bytes())


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
