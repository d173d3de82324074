"""Files stay as long as something names them, and go with it: retention, erasing, backups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.actions.datasets import add_dataset, add_row, delete_rows
from engine.actions.erasing import erase_data
from engine.actions.flows import create_flow, save_draft
from engine.actions.jobs import run_in_playground
from engine.actions.principal import command_line
from engine.backups.backups import restore_backup, write_backup
from engine.backups.sealed_file import SCRYPT
from engine.core.clock import DAY, HOUR, MovedClock
from engine.core.errors import BackupUnreadable
from engine.files.intake import incoming_of, store_file, value_of
from engine.flow.document import Document
from engine.jobs.server.retention import Retention, Rules
from engine.jobs.transitions import claim, finish
from engine.secrets.sealing import open_vault
from storage.datasets import ColumnLine
from storage.files import find_file, list_uses, used_bytes
from storage.flows import get_draft
from storage.job_changes import Lease
from storage.opening import open_database
from tests.databases import damage_bytes, stored_bytes, url_of
from tests.engine.jobs.world import World, document_of

RULES = Rules(cap_gb=0)
FIELDS = [{"name": "document", "type": "file"}]


def upload(world: World, content: bytes = b"some text", name: str = "a.txt") -> dict[str, Any]:
    incoming = incoming_of(world.database.file_bytes, content, name)
    return value_of(world.write(store_file, incoming, workspace_id=world.workspace_id, environment="live"))


def is_kept(world: World, value: dict[str, Any]) -> bool:
    return world.read(find_file, world.workspace_id, value["file_id"]) is not None


def all_bytes(world: World) -> list[bytes]:
    return stored_bytes(world.database)


def clean(world: World) -> None:
    retention = Retention(world.database, rest=0.0)
    retention.run(RULES)


def end(world: World, job_id: str) -> None:
    world.write(claim, "boot_test", job_id)
    world.write(finish, job_id, "completed", lease=Lease("boot_test", 1), result=("{}", 2))


def with_sample(value: dict[str, Any] | None) -> Document:
    samples = [] if value is None else [{"title": "Sample", "payload": {"document": value}}]
    node = {"id": "api_input", "type": "api_input", "config": {"fields": FIELDS, "samples": samples}}
    return Document.model_validate({"format": 1, "nodes": [node], "edges": []})


def test_an_upload_that_nothing_uses_goes_after_a_day(world: World, clock: MovedClock) -> None:
    value = upload(world)
    clock.offset += 23 * HOUR
    clean(world)
    assert is_kept(world, value)
    clock.offset += 2 * HOUR
    clean(world)
    assert not is_kept(world, value)
    assert all_bytes(world) == []


def test_a_file_goes_with_the_values_of_its_last_job(world: World, clock: MovedClock) -> None:
    value = upload(world)
    flow_id = world.add_flow(document_of(("echo", "set_fields", {}), fields=FIELDS))
    for _ in range(2):
        end(world, world.submit(flow_id, {"document": value["file_id"]}).job_id)
        clock.offset += 10 * DAY
    clean(world)
    assert is_kept(world, value)
    clock.offset += 12 * DAY
    clean(world)
    assert is_kept(world, value)
    clock.offset += 10 * DAY
    clean(world)
    assert not is_kept(world, value)


def test_equal_bytes_are_stored_once_and_stay_for_the_last_of_them(world: World, clock: MovedClock) -> None:
    first = upload(world)
    clock.offset += 2 * HOUR
    second = upload(world, name="b.txt")
    assert all_bytes(world) == [b"some text"]
    assert world.read(used_bytes, world.workspace_id) == 18
    clock.offset += 23 * HOUR
    clean(world)
    assert (is_kept(world, first), is_kept(world, second), all_bytes(world)) == (False, True, [b"some text"])


def test_erasing_a_jobs_data_takes_its_files_at_once_unless_something_else_names_them(world: World) -> None:
    shared, own = upload(world), upload(world, b"secret", "b.txt")
    fields = [*FIELDS, {"name": "other", "type": "file"}]
    flow_id = world.add_flow(document_of(("echo", "set_fields", {}), fields=fields))
    first = world.submit(flow_id, {"document": shared["file_id"], "other": own["file_id"]}).job_id
    second = world.submit(flow_id, {"document": shared["file_id"]}).job_id
    for job_id in (first, second):
        end(world, job_id)
    world.write(erase_data, command_line(world.workspace_id), first)
    assert (is_kept(world, shared), is_kept(world, own), all_bytes(world)) == (True, False, [b"some text"])
    world.write(erase_data, command_line(world.workspace_id), second)
    assert all_bytes(world) == []


def test_a_sample_keeps_its_file_until_it_is_gone(world: World, clock: MovedClock) -> None:
    value, who = upload(world), command_line(world.workspace_id)
    flow_id = world.write(create_flow, who, "A flow", with_sample(value))
    clock.offset += 40 * DAY
    clean(world)
    assert is_kept(world, value)
    job_id = world.write(run_in_playground, who, flow_id, with_sample(value), {"document": value})
    assert world.read(list_uses, "job", job_id) == [value["file_id"]]
    end(world, job_id)
    world.write(
        save_draft, who, flow_id, with_sample(None), world.read(get_draft, world.workspace_id, flow_id).revision
    )
    clock.offset += 40 * DAY
    clean(world)
    assert not is_kept(world, value)


def test_rows_of_a_dataset_keep_their_files(world: World, clock: MovedClock) -> None:
    kept, removed, who = upload(world), upload(world, b"other", "b.txt"), command_line(world.workspace_id)
    dataset_id = world.write(add_dataset, who, "Invoices", (ColumnLine("file", "object"),))
    row_ids = [world.write(add_row, who, dataset_id, {"file": value}) for value in (kept, removed)]
    world.write(delete_rows, who, dataset_id, row_ids[1:])
    clock.offset += 2 * DAY
    clean(world)
    assert (is_kept(world, kept), is_kept(world, removed)) == (True, False)


def test_what_a_killed_process_left_is_removed(world: World, clock: MovedClock) -> None:
    files = world.database.file_bytes
    value = upload(world)
    left = files.draft_of(b"left behind")
    world.write(lambda session: files.place(left, session))
    files.draft_of(b"half")
    clean(world)
    assert files.remove_old_drafts(older_than_seconds=-1) == 1
    assert sorted(files.old_hashes(older_than_seconds=-1)) == sorted(
        [left.sha256, world.read(find_file, world.workspace_id, value["file_id"]).sha256]
    )


@pytest.mark.parametrize("passphrase", ["", "correct horse"])
def test_a_backup_holds_the_files(
    world: World, tmp_path: Path, passphrase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(SCRYPT, "n", 1 << 10)
    open_vault(world.data)
    large = bytes(range(256)) * 10_000
    values = [upload(world), upload(world, b"", "empty.txt"), upload(world, large, "large.bin")]
    gone = upload(world, b"gone", "gone.txt")
    damage_bytes(world.database, world.read(find_file, world.workspace_id, gone["file_id"]).sha256, None)
    target, restored = tmp_path / "a.fpbackup", tmp_path / "restored"
    write_backup(world.data, target, at=0, passphrase=passphrase, url=url_of(world.data))
    assert [path.name for path in (world.data / "backups").iterdir()] == []
    restore_backup(target, restored, passphrase=passphrase, key_file=None if passphrase else world.data / "secret.key")
    database = open_database(restored)
    try:
        for value, content in zip(values, (b"some text", b"", large), strict=True):
            row = database.read_now(find_file, world.workspace_id, value["file_id"])
            assert row is not None
            assert database.file_bytes.read(row.sha256, row.size) == content
    finally:
        database.close()


def test_a_backup_that_is_cut_off_in_the_files_restores_nothing(world: World, tmp_path: Path) -> None:
    open_vault(world.data)
    upload(world, bytes(range(256)) * 10_000, "large.bin")
    target, restored = tmp_path / "a.fpbackup", tmp_path / "restored"
    write_backup(world.data, target, at=0, url=url_of(world.data))
    target.write_bytes(target.read_bytes()[:-2_000])
    with pytest.raises(BackupUnreadable):
        restore_backup(target, restored, key_file=world.data / "secret.key")
    assert not restored.exists()
