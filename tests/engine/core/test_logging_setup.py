"""Log lines are text by default or JSON for programs, and never contain a secret."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.core.logging_setup import (
    CURRENT_JOB,
    EACH_CALL,
    LOG_STYLES,
    LogStyle,
    as_json,
    as_text,
    hide_in_logs,
    known,
    line_of,
    log_to_stderr,
    worker_line,
    write_to_stderr,
)
from engine.secrets.sealing import Vault

SECRET = "canary-secret-value"
log = logging.getLogger("engine.test")


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:], root.level = handlers, level


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip()


def test_a_readable_line_names_time_level_and_room(capsys: pytest.CaptureFixture[str]):
    log_to_stderr()

    log.info("Worker %s is ready", "boot_1")

    assert last_line(capsys).endswith("INFO engine.test: Worker boot_1 is ready")


def test_a_json_line_is_one_object_with_the_job_it_belongs_to(capsys: pytest.CaptureFixture[str]):
    log_to_stderr(style="json")
    token = CURRENT_JOB.set("job_1")

    log.warning("Two\nlines and “quotes”", extra=known(request_id="req_1", status=202))
    CURRENT_JOB.reset(token)

    line = json.loads(last_line(capsys))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "WARNING",
        "logger": "engine.test",
        "message": "Two\nlines and “quotes”",
        "job_id": "job_1",
        "request_id": "req_1",
        "status": 202,
    }


@pytest.mark.parametrize("style", ["text", "json"])
def test_no_line_holds_a_secret(style, capsys: pytest.CaptureFixture[str]):
    log_to_stderr([SECRET], style)

    try:
        raise ValueError(f"no such key: {SECRET}")
    except ValueError:
        log.exception("It failed with %s", SECRET, extra=known(note=f"a {SECRET}"))

    line = last_line(capsys)
    assert "It failed" in line
    assert "Traceback" in line
    assert SECRET not in line


def test_what_stands_in_a_line_makes_no_second_one_and_moves_no_cursor(capsys: pytest.CaptureFixture[str]):
    log_to_stderr()
    forged = "x\n2026-01-01 INFO engine.test: Worker boot_9 is ready\r\x1b[2J\x85\u2028\u202e"

    log.warning("No page at %s", forged)
    line = last_line(capsys)
    assert line.endswith(r"No page at x\n2026-01-01 INFO engine.test: Worker boot_9 is ready\r\x1b[2J\x85\u2028\u202e")
    assert line.isprintable()

    try:
        raise ValueError(forged)
    except ValueError:
        log.exception("It failed")
    first, *below = last_line(capsys).split("\n")
    assert first.endswith("It failed")
    assert below[0] == "  Traceback (most recent call last):"
    assert all(line.startswith("  ") and line.isprintable() for line in below)


def test_a_json_line_holds_no_line_end_of_any_kind(capsys: pytest.CaptureFixture[str]):
    log_to_stderr(style="json")

    log.warning("a\x85b\u2028c\u202ed\x7f", extra=known(note="e\u2029"))

    line = last_line(capsys)
    assert line.isprintable()
    assert json.loads(line)["message"] == "a\x85b\u2028c\u202ed\x7f"


def test_a_line_beside_the_log_has_its_form():
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO server: It is ready", line_of("It is ready", "text")
    )
    line = json.loads(line_of("It is ready", "json"))
    assert (line["level"], line["message"]) == ("INFO", "It is ready")


def test_a_line_of_another_process_is_one_line():
    assert as_text("a\rb\x1b[2J\u2028c", "worker[7]") == r"worker[7] a\rb\x1b[2J\u2028c"


@pytest.mark.parametrize("style", LOG_STYLES)
def test_a_line_of_another_process_holds_no_secret(style: LogStyle):
    """The interpreter itself writes a thread's uncaught exception, without the worker's log filter."""
    secret, key = 'canary "of a worker"', "sk-" + "a1B2" * 8
    hide_in_logs(secret)
    write = worker_line(style)
    for line in (f"ValueError: {secret} {key}", json.dumps({"level": "ERROR", "message": f"{secret} {key}"})):
        written = write(line, "worker[7]")
        assert "worker[7]" in written
        assert not [part for part in ("canary", key) if part in written]
        if style == "json":
            assert json.loads(written)["message"].endswith("•••• ••••")


def test_a_secret_is_hidden_from_the_moment_it_comes(capsys: pytest.CaptureFixture[str]):
    log_to_stderr()
    vault, other = Vault(b"k" * 32), "made-while-it-runs"
    log.info("before: %s", other)
    assert other in last_line(capsys)

    sealed = vault.seal("ws_1", "sec_1", other)
    log.info("after: %s", other)
    assert other not in last_line(capsys)

    read = "sealed-by-another-process"
    sealed = Vault(b"k" * 32).seal("ws_1", "sec_2", read)
    code = f"""
import logging
from engine.core.logging_setup import log_to_stderr
from engine.secrets.sealing import Vault
log_to_stderr()
value = Vault(b"k" * 32).open("ws_1", "sec_2", {sealed!r})
logging.getLogger("engine.test").info("opened: %s", value)
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "opened: ••••" in ended.stderr
    assert read not in ended.stderr


def test_calls_have_lines_of_their_own_only_as_json(capsys: pytest.CaptureFixture[str]):
    calls = logging.getLogger(EACH_CALL)
    log_to_stderr()
    calls.info("POST 202")
    assert last_line(capsys) == ""

    log_to_stderr(style="json")
    calls.info("POST 202")
    assert json.loads(last_line(capsys))["message"] == "POST 202"


def test_what_a_worker_writes_is_json_too():
    said = json.dumps({"level": "INFO", "message": "Worker is ready"})

    assert json.loads(as_json(said, "worker[7]")) == {
        "level": "INFO",
        "message": "Worker is ready",
        "process": "worker[7]",
    }
    raw = json.loads(as_json("Fatal Python error: out of memory", "worker[7]"))
    assert (raw["message"], raw["process"]) == ("Fatal Python error: out of memory", "worker[7]")


#: Logs the server's own lines and lines of other processes from two threads at once.
_TWO_THREADS = """
import logging, threading
from engine.core.logging_setup import EACH_CALL, log_to_stderr, write_to_stderr
log_to_stderr(style="json")
calls = logging.getLogger(EACH_CALL)
own = threading.Thread(target=lambda: [calls.info("own %d", number) for number in range(3_000)])
own.start()
for number in range(3_000):
    write_to_stderr('{"message": "passed on %d"}' % number)
own.join()
"""


@pytest.mark.process
def test_a_line_that_is_passed_on_and_one_of_the_server_never_share_a_line():
    ended = subprocess.run([sys.executable, "-c", _TWO_THREADS], capture_output=True, text=True, check=True)

    said = [json.loads(line)["message"] for line in ended.stderr.splitlines()]
    assert sorted(said) == sorted([f"{who} {number}" for who in ("own", "passed on") for number in range(3_000)])


def _fail() -> None:
    raise ValueError(f"{SECRET}\nnot a line of the log")


@pytest.mark.parametrize("style", LOG_STYLES)
def test_an_error_that_ends_a_thread_or_the_program_is_told_without_secrets(
    capsys: pytest.CaptureFixture[str], style: LogStyle
) -> None:
    log_to_stderr([SECRET], style)

    thread = threading.Thread(target=_fail, name="writer")
    thread.start()
    thread.join()
    try:
        _fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)

    said = capsys.readouterr().err
    assert SECRET not in said
    assert "The thread writer ended by an error" in said
    assert "The program ended by an error" in said
    assert "\nnot a line of the log" not in said


def full_disk(_folder: Path) -> int:
    return os.open("/dev/full", os.O_WRONLY)


def pipe_without_reader(_folder: Path) -> int:
    read_end, write_end = os.pipe()
    os.close(read_end)
    return write_end


def full_pipe(folder: Path) -> int:
    """A pipe that does not block; it is its own reader, who does not read."""
    os.mkfifo(folder / "pipe")
    pipe = os.open(folder / "pipe", os.O_RDWR | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(pipe, b"x" * 4_096)
    return pipe


@pytest.mark.parametrize("where", [full_disk, pipe_without_reader, full_pipe])
@pytest.mark.parametrize("style", LOG_STYLES)
def test_a_line_that_nobody_takes_is_dropped(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: Callable[[Path], int], style: LogStyle
):
    with os.fdopen(where(tmp_path), "w", 1) as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        log_to_stderr(style=style)

        for _ in range(500):  # more than a buffer takes
            write_to_stderr("worker[1] a line of a worker")
            log.warning("another line")

        monkeypatch.undo()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def test_a_process_without_stderr_or_with_a_closed_one_drops_its_lines(monkeypatch: pytest.MonkeyPatch):
    closed = io.StringIO()
    closed.close()
    for stream in (closed, None):
        monkeypatch.setattr(sys, "stderr", stream)
        log_to_stderr()

        write_to_stderr("worker[1] a line of a worker")
        log.warning("another line")


@pytest.mark.parametrize("style", LOG_STYLES)
def test_a_line_whose_values_do_not_fit_says_so_without_them(style: LogStyle, capsys: pytest.CaptureFixture[str]):
    log_to_stderr(style=style)

    log.warning("%d jobs", SECRET)

    said = capsys.readouterr().err
    assert "engine.test" in said
    assert "TypeError" in said
    assert SECRET not in said


def test_a_line_of_a_worker_that_is_no_json_is_told_however_deep_it_is():
    assert json.loads(as_json("[" * 50_000, "worker[1]"))["process"] == "worker[1]"
