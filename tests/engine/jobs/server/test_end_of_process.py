"""Waiting for the end of a process: it is noticed at once, and nobody looks for it meanwhile."""

from __future__ import annotations

import resource
import subprocess
import time

import pytest

from engine.jobs.server.end_of_process import EndOfProcess

pytestmark = pytest.mark.process


def test_the_end_is_noticed_at_once_and_nobody_looks_for_it() -> None:
    process = subprocess.Popen(["cat"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    with EndOfProcess(process) as end:
        before = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        assert not end.wait(0.1)
        assert resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw - before <= 2
        process.stdin.close()
        begun = time.monotonic()
        assert end.wait(30)
        assert time.monotonic() - begun < 10
        assert end.wait(0)
    assert process.returncode == 0
    with EndOfProcess(process) as end:
        assert end.wait(0)
