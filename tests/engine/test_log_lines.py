"""Log lines: readable by default, JSON where a program reads them, never with a secret in them."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from engine.log_lines import CURRENT_JOB, EACH_CALL, as_json, known, log_to_stderr

SECRET = "canary-secret-value"
log = logging.getLogger("engine.test")


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
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


#: The server's own lines and those it passes on, from two threads at once.
_TWO_THREADS = """
import logging, threading
from engine.log_lines import EACH_CALL, log_to_stderr, write_to_stderr
log_to_stderr(style="json")
calls = logging.getLogger(EACH_CALL)
own = threading.Thread(target=lambda: [calls.info("own %d", number) for number in range(3_000)])
own.start()
for number in range(3_000):
    write_to_stderr('{"message": "passed on %d"}' % number)
own.join()
"""


def test_a_line_that_is_passed_on_and_one_of_the_server_never_share_a_line():
    ended = subprocess.run([sys.executable, "-c", _TWO_THREADS], capture_output=True, text=True, check=True)

    said = [json.loads(line)["message"] for line in ended.stderr.splitlines()]
    assert sorted(said) == sorted([f"{who} {number}" for who in ("own", "passed on") for number in range(3_000)])
