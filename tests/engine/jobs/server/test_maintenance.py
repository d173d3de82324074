"""The thread of the background tasks goes on after every error."""

from __future__ import annotations

import errno
import os
import threading

import pytest
from sqlalchemy import func, select

from engine.actions.datasets import add_dataset_with_rows, delete_dataset
from engine.core.settings import Settings
from engine.jobs.server import maintenance as module
from engine.jobs.server.maintenance import Maintenance
from engine.secrets.opening import open_vault_of
from storage.dataset_changes import checked_rows
from storage.dataset_keys import PIECE_ROWS
from storage.file_bytes import DRAFTS
from storage.tables import DatasetRow
from tests.engine.jobs.world import World
from tests.factories import person


def test_a_look_that_fails_is_followed_by_the_next_one(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.01)
    (world.data / "backups").write_text("not a folder, so no backup can be listed")
    errors, looked = [OSError(errno.EMFILE, "Too many open files")], threading.Event()

    def leads() -> bool:
        if errors:
            raise errors.pop()
        looked.set()
        return False

    settings = Settings(data=world.data)
    maintenance = Maintenance(world.database, settings, open_vault_of(settings, world.database), leads=leads)
    maintenance.start(on_damage=lambda: None)
    assert looked.wait(30)
    maintenance.stop()
    assert "Too many open files" in caplog.text


def test_a_server_that_does_not_lead_removes_what_killed_processes_left_in_its_own_folder(world: World) -> None:
    left, new = (world.database.file_bytes.folder / DRAFTS / f"copy-{name}" for name in ("left", "new"))
    left.parent.mkdir(parents=True, exist_ok=True)
    for path in (left, new):
        path.write_bytes(b"half of a file")
    os.utime(left, (1, 1))
    settings = Settings(data=world.data)
    Maintenance(world.database, settings, open_vault_of(settings, world.database), leads=lambda: False).pass_over()
    assert (left.exists(), new.exists()) == (False, True)


def test_the_rows_of_a_large_dataset_that_was_deleted_are_removed(world: World) -> None:
    ada, new = person(world.workspace_id), checked_rows([{"n": 1}] * (2 * PIECE_ROWS))
    dataset_id = world.write(add_dataset_with_rows, ada, "Many", new)
    world.write(delete_dataset, ada, dataset_id)
    rows = select(func.count()).select_from(DatasetRow)
    assert world.read(lambda session: session.scalar(rows)) == 2 * PIECE_ROWS
    settings = Settings(data=world.data)
    Maintenance(world.database, settings, open_vault_of(settings, world.database)).pass_over()
    assert world.read(lambda session: session.scalar(rows)) == 0


def test_backups_that_cannot_be_listed_are_told_once_an_hour_and_stop_no_other_work(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (world.data / "backups").write_text("not a folder, so no backup can be listed")
    settings, at = Settings(data=world.data), [5_000.0]
    vault = open_vault_of(settings, world.database)
    maintenance = Maintenance(world.database, settings, vault, monotonic=lambda: at[0])
    maintenance.pass_over()
    maintenance.pass_over()
    assert caplog.text.count("The nightly backup was not made") == 1
    assert "cannot be read: Not a directory" in caplog.text
    at[0] += 3_600
    maintenance.pass_over()
    assert caplog.text.count("The nightly backup was not made") == 2
