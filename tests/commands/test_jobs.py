"""`jobs erase`: one job, or all that a key sent in a period."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

import engine.jobs.server.erasing
import storage.erasing
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_as
from engine.actions.jobs import submit
from engine.actions.principal import command_line
from engine.jobs.submit.accept import Caller
from engine.jobs.transitions import claim, finish
from storage.audit import list_entries
from storage.database import Database
from storage.job_changes import Lease
from storage.jobs import find_status
from storage.statements import Statement
from storage.tables import Workspace
from storage.workspaces import find_first_workspace
from tests.commands.conftest import Command
from tests.databases import open_database
from tests.factories import document
from tests.stored import places_of

CANARY = "canary-4Kf9"
TODAY = dt.datetime.now(dt.UTC).date()
DAY = dt.timedelta(days=1)


class Filled:
    """A folder with a key and a deployed flow."""

    def __init__(self, data: Path, key_id: str) -> None:
        self.data, self.key_id = data, key_id
        self.database: Database = open_database(data)
        workspace = self.database.read_now(find_first_workspace)
        assert workspace is not None
        self.workspace_id = workspace.id
        self.caller = Caller(workspace.id, key_id, "live")
        owner = command_line(workspace.id)
        self.flow_id = self.database.write_now(create_flow, owner, "Greeting", document())
        self.database.write_now(save_as, owner, self.flow_id, "Greeting")
        self.database.write_now(deploy, owner, self.flow_id)

    def job(self, *, ended: bool = True) -> str:
        job_id = self.database.write_now(submit, self.caller, self.flow_id, {"name": CANARY}).job_id
        if ended:
            self.database.write_now(claim, "boot_test", job_id)
            lease = Lease("boot_test", 1)
            assert self.database.write_now(finish, job_id, "completed", lease=lease, result=(f'"{CANARY}"', 13))
        return job_id

    @property
    def places_with_it(self) -> list[str]:
        """Files of the folder, or tables of PostgreSQL, that hold the values of the jobs."""
        return places_of(self.data, CANARY)

    @property
    def audited(self) -> list[tuple[str, str, str]]:
        entries = self.database.read_now(list_entries, self.workspace_id)
        return [(one.actor, one.subject, one.detail) for one in entries if one.verb == "erase data"]


@pytest.fixture
def filled(command: Command, data: Path) -> Iterator[Filled]:
    made = command("keys", "create", "--label", "Shop", "--environment", "live", "--json").json
    filled = Filled(data, made["id"])
    yield filled
    filled.database.close()


def test_a_job_loses_its_data_and_the_files_hold_it_no_more(command: Command, filled: Filled) -> None:
    job_id = filled.job()
    assert filled.places_with_it

    said = command("jobs", "erase", job_id)

    assert (said.code, said.out) == (0, "")
    assert "Backups that were made before still hold it" in said.err
    assert filled.places_with_it == []
    assert filled.audited == [("command line", job_id, "1 job")]
    assert command("jobs", "erase", job_id).code == 0, "again is no error"


@pytest.mark.sqlite("PostgreSQL has no such remains in a file")
def test_remains_that_this_sqlite_cannot_clear_are_told(command: Command, filled: Filled, monkeypatch) -> None:
    """Simulates SQLite builds without the module `sqlite_dbpage`, as some Pythons have."""
    monkeypatch.setattr(storage.erasing, "_CAN_CLEAN", Statement("select 1 where 1 = 0"))
    monkeypatch.setattr(engine.jobs.server.erasing, "ANEW_BYTES", 0)

    said = command("jobs", "erase", filled.job())

    assert said.code == 0
    assert "remains may stay" in said.err
    assert "VACUUM" in said.err
    assert "Nothing of it is left" not in said.err


@pytest.mark.sqlite("a reader keeps the write-ahead log of the file")
def test_a_reader_keeps_last_traces_and_the_command_given_again_removes_them(
    command: Command, filled: Filled, monkeypatch
) -> None:
    monkeypatch.setattr(engine.jobs.server.erasing, "TRIES", 1)
    filled.job()
    named = ("jobs", "erase", "--key", filled.key_id, "--from", TODAY - DAY, "--to", TODAY + DAY, "--yes")
    with contextlib.closing(sqlite3.connect(filled.database.url.removeprefix("sqlite:///"))) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from jobs").fetchone()
        said = command(*named)
    assert said.value == "1"
    assert "last traces are still" in said.err
    assert filled.places_with_it

    again = command(*named)

    assert (again.value, "Nothing of it is left" in again.err) == ("0", True)
    assert filled.places_with_it == []


def test_unknown_jobs_and_those_at_work_are_refused(command: Command, filled: Filled) -> None:
    assert command("jobs", "erase", "job_unknown").code == 1
    said = command("jobs", "erase", filled.job(ended=False))
    assert said.code == 1
    assert "Cancel it or wait until it has ended" in said.err


def test_all_of_a_key_in_a_period_goes_and_the_number_is_told(command: Command, filled: Filled) -> None:
    for _ in range(3):
        filled.job()
    waiting = filled.job(ended=False)
    period = ("--from", TODAY - DAY, "--to", TODAY + DAY)

    asked = command("jobs", "erase", "--key", filled.key_id, *period)
    assert asked.code == 1
    assert "--yes" in asked.err, "nobody sits at this terminal"
    assert filled.audited == []

    said = command("jobs", "erase", "--key", filled.key_id, *period, "--yes")
    assert said.value == "3"
    assert "1 that have not ended" in said.err
    assert filled.audited == [("command line", filled.key_id, "3 jobs")]
    command("jobs", "erase", waiting)
    again = command("jobs", "erase", "--key", filled.key_id, *period, "--yes")
    assert (again.value, "3 erased before" in again.err) == ("0", True)


@pytest.mark.process
def test_who_does_not_want_to_erase_is_told_so_and_the_command_was_refused(filled: Filled, at_terminal) -> None:
    filled.job()
    period = ("--from", TODAY - DAY, "--to", TODAY + DAY)
    said = at_terminal("jobs", "erase", "--key", filled.key_id, *period, typed=[(b"[y/N] ", b"\x04")])
    assert said.code == 1
    assert "Erase the data of 1 job for good?" in said.err
    assert said.err.endswith("[y/N] \r\nNothing was erased.\r\n")
    assert filled.audited == []


def test_a_period_may_end_with_the_last_day_of_the_calendar(command: Command, filled: Filled) -> None:
    filled.job()
    erased = command("jobs", "erase", "--key", filled.key_id, "--from", "0001-01-01", "--to", "9999-12-31", "--yes")
    assert erased.value == "1", erased


def test_a_period_without_jobs_erases_nothing(command: Command, filled: Filled) -> None:
    filled.job()
    before = ("--from", TODAY - 9 * DAY, "--to", TODAY - 8 * DAY)
    assert command("jobs", "erase", "--key", filled.key_id, *before, "--yes").value == "0"
    assert filled.places_with_it


@pytest.mark.parametrize(
    "named",
    [(), ("--key", "key_x"), ("job_x", "--key", "key_x"), ("--from", "2026-01-02"), ("job_x", "--to", "2026-01-02")],
)
def test_what_to_erase_must_be_said(command: Command, named: tuple[str, ...]) -> None:
    said = command("jobs", "erase", *named, "--yes")
    assert said.code == 2
    assert said.err.startswith("What to erase is not said. "), "nothing was sent, as to the API"
    assert "--key KEY_ID --from DATE --to DATE" in said.err


def test_a_period_that_ends_before_it_begins_and_a_date_that_is_none_are_refused(
    command: Command, filled: Filled
) -> None:
    key = ("jobs", "erase", "--key", filled.key_id, "--yes")
    assert command(*key, "--from", "2026-01-02", "--to", "2025-12-31").code == 1
    assert command(*key, "--from", "yesterday", "--to", "2026-01-02").code == 2


def test_the_jobs_that_wait_are_cancelled_in_slices_and_no_other(
    command: Command, filled: Filled, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("engine.actions.jobs.MAX_CANCELLED", 2)
    done = filled.job()
    filled.database.write_now(lambda session: session.execute(update(Workspace).values(concurrency=-1)))
    waiting = [filled.job(ended=False) for _ in range(5)]
    runs = filled.job(ended=False)
    filled.database.write_now(claim, "boot_test", runs)

    refused = command("jobs", "cancel")
    assert (refused.code, refused.out) == (1, "")
    assert "Which jobs to cancel is not said" in refused.err
    asked = command("jobs", "cancel", "--flow", filled.flow_id)
    assert (asked.code, asked.out) == (1, "")
    assert "--yes" in asked.err
    assert command("jobs", "cancel", "--batch", "bat_none", "--yes").value == "0"
    assert command("jobs", "cancel", "--flow", filled.flow_id, "--yes").value == "5"

    def status(job_id: str) -> str | None:
        return filled.database.read_now(find_status, filled.workspace_id, job_id)

    assert [status(job_id) for job_id in waiting] == ["cancelled"] * 5
    assert (status(runs), status(done)) == ("processing", "completed")
    entries = filled.database.read_now(list_entries, filled.workspace_id)
    assert [one.detail for one in entries if one.verb == "cancel jobs"] == ["1 job", "2 jobs", "2 jobs"]
