"""Runs commands of `app.py` as a person does, on a data folder that belongs to the test."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.databases import settings_of
from tests.factories import greeting
from tests.one_command import clean_environment, run_command, run_here

APP = Path(__file__).parents[2] / "app.py"


@dataclass(frozen=True)
class Said:
    """The result of a command: exit code and output."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> str:
        """The only line on stdout of a command that succeeded."""
        assert self.code == 0, self
        assert self.out.count("\n") == 1, self
        return self.out.strip()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Said]


@pytest.fixture
def data(tmp_path) -> Path:
    """The data folder of the commands."""
    return tmp_path / "data"


@pytest.fixture(scope="session")
def made_once(tmp_path_factory) -> Path:
    """A data folder that a first command created. Copying it is faster than creating another."""
    folder = tmp_path_factory.mktemp("made") / "data"
    environment = clean_environment()
    ended = run_here(["setup-link", "--data", str(folder)], stdin=b"", environment=environment, folder=folder.parent)
    assert ended.returncode == 0, ended.stderr
    return folder


@pytest.fixture
def new_folder() -> None:
    """For tests whose first command creates the data folder; other tests get a folder that was used before."""


@pytest.fixture
def command(data, made_once, request) -> Command:
    """Returns a function that runs a command on the data folder: `command("flows", "list")`.

    It runs in this process, except for `serve`, which does not return.
    """
    if "new_folder" not in request.fixturenames:
        shutil.copytree(made_once, data)

    def run(*arguments: object, stdin: str | bytes = "", folder: bool = True, **environment: str) -> Said:
        given = stdin.encode() if isinstance(stdin, str) else stdin
        where = ["--data", str(data)] if folder else []
        start = run_command if arguments[:1] == ("serve",) else run_here
        done = start(
            [*map(str, arguments), *where],
            stdin=given,
            environment=clean_environment(**(settings_of(data) if folder else {}), **environment),
            folder=data.parent,
        )
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    return run


@pytest.fixture
def at_terminal(command, data) -> Callable[..., Said]:
    """Returns a function that runs a command as somebody sees it who sits at a terminal: `typed` are pairs of the end of what
    is asked and the keys that answer it. All output is in `err`.
    """

    def run(*arguments: object, typed: Sequence[tuple[bytes, bytes]], **environment: str) -> Said:
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [sys.executable, str(APP), *map(str, arguments), "--data", str(data)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=clean_environment(**settings_of(data), **environment),
            start_new_session=True,  # it asks the streams, not the terminal of whoever runs the tests
        )
        os.close(theirs)
        seen, waiting = b"", list(typed)
        with contextlib.suppress(OSError):  # the end of the terminal
            while piece := os.read(ours, 4096):
                seen += piece
                if waiting and seen.endswith(waiting[0][0]):
                    os.write(ours, waiting.pop(0)[1])
        os.close(ours)
        return Said(process.wait(timeout=60), "", seen.decode())

    return run


@pytest.fixture
def flow_file(tmp_path) -> Path:
    """A flow file that runs, without a title."""
    file = tmp_path / "say hello.json"
    value = greeting()
    del value["title"]
    file.write_text(json.dumps(value))
    return file
