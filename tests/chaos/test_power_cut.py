"""An accepted job survives a power cut: what was written and synced under load is recorded, and the data folder is
rebuilt from what was on the disk at many moments.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.chaos.disk_trace import Disk
from tests.chaos.power_cut import Recording, record
from tests.live_server import live_server

#: So many that the log is begun anew while they are sent: before that no page is lost without the syncs of the database.
REQUESTS = 1_000
CUTS = 200

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(1_800)]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("cut"), REQUESTS)


def test_the_trace_holds_everything_that_was_written(recording: Recording) -> None:
    """Whatever strace missed would be missing in the rebuilt files as well."""
    assert Disk(recording.calls, recording.start).end() == recording.final


def test_no_accepted_job_is_missing_after_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    dice = random.Random(1)
    faults = Counter()
    for at, files in recording.cuts(CUTS, dice):
        recording.rebuild(tmp_path / "data", files)
        faults.update(recording.faults(tmp_path / "data", at))
    assert faults == {}


def test_without_the_sync_at_acceptance_jobs_are_missing(recording: Recording, tmp_path: Path) -> None:
    """Shows that the test above can fail."""
    found = faults_without_syncs(recording, tmp_path, "-wal")
    assert any("accepted jobs are missing" in fault for fault in found), found


def test_without_the_sync_of_the_database_it_is_damaged(recording: Recording, tmp_path: Path) -> None:
    """Shows that torn and lost pages are noticed."""
    found = faults_without_syncs(recording, tmp_path, ".db")
    assert any("damaged" in fault or "does not open" in fault for fault in found), found


def faults_without_syncs(recording: Recording, folder: Path, file_end: str) -> Counter[str]:
    """Returns the faults after cuts, as if nothing was synced in these files."""
    found = Counter()
    for at, files in recording.cuts(50, random.Random(2), recording.without_syncs(file_end)):
        recording.rebuild(folder / "data", files)
        found.update(recording.faults(folder / "data", at))
    return found


def test_a_server_goes_on_after_a_power_cut(recording: Recording, tmp_path: Path) -> None:
    """What had begun and not ended runs again, and every accepted job ends once."""
    *_, (at, files) = recording.cuts(3, random.Random(3))
    recording.rebuild(tmp_path / "data", files)
    with live_server(tmp_path / "data", env={"FLOWPORT_PLAN": "enterprise"}) as server:
        with closing(sqlite3.connect(server.data / "flowport.db", timeout=30)) as database:
            question = "select count(*) from jobs where status in ('queued', 'processing')"
            until(lambda: database.execute(question).fetchone() == (0,))
        assert recording.faults(server.data, at) == []


def until(reached: Callable[[], bool], seconds: float = 120.0) -> None:
    """Waits until it is so."""
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        time.sleep(0.1)
