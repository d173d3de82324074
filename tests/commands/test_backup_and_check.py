"""`backup`, `restore`, `check`, and how a server exits that cannot use its folder."""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import os
import re
import shutil
import sqlite3
from pathlib import Path

import pytest

from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.jobs import submit
from engine.actions.principal import command_line
from engine.backups.backups import new_name, write_backup
from engine.backups.passphrase import seal_passphrase
from engine.backups.work_folders import backups_folder
from engine.core.errors import InUse
from engine.jobs.submit.accept import Caller
from engine.jobs.worker_locks import new_boot, no_older_version, serve_lock
from engine.secrets.sealing import open_vault
from storage.backup import SMALL_BYTES, schema_of
from storage.job_changes import claim_job
from storage.jobs import get_job
from storage.migrations.schema import newest_schema
from storage.opening import open_database as open_database_of
from storage.secrets import list_sealed
from storage.settings import ADDRESS, BACKUP_PASSPHRASE, SERVER, put_setting
from storage.workspaces import find_first_workspace
from tests.commands.conftest import Command
from tests.databases import open_database
from tests.factories import flow_file, greeting
from tests.live_server import free_port

pytestmark = pytest.mark.sqlite(
    "it restores into folders; tests/storage/postgres/test_backups.py restores into PostgreSQL"
)

GIVEN = {"FLOWPORT_BACKUP_PASSPHRASE": "correct horse"}
#: No proxy listens on this port, so every outbound request fails at once.
CLOSED = {"FLOWPORT_OUTBOUND_PROXY": "http://127.0.0.1:9"}
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root acts on the folder of another user")


def prints(folder: Path) -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_a_backup_is_restored_and_checked(command: Command, data: Path, tmp_path: Path):
    key = command("keys", "create", "--label", "Shop", "--environment", "live").value
    unasked = command("backup", tmp_path / "one.fpbackup")
    assert (unasked.code, unasked.out) == (1, "")
    assert "FLOWPORT_BACKUP_PASSPHRASE" in unasked.err
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse\n")
    made = command("backup", tmp_path / "one.fpbackup", FLOWPORT_BACKUP_PASSPHRASE_FILE=str(secret))
    assert made.value == str(tmp_path / "one.fpbackup")
    assert "Keep the passphrase" in made.err

    occupied = command("restore", tmp_path / "one.fpbackup", **GIVEN)
    assert occupied.code == 1
    assert "not empty" in occupied.err
    data.rename(tmp_path / "lost")
    done = command("restore", tmp_path / "one.fpbackup", **GIVEN)
    assert done.code == 0, done
    assert "Restored into" in done.err
    assert "No fault was found" in done.out
    assert key[:8] in command("keys", "list").out


def test_a_backup_replaces_an_earlier_one_and_other_files_only_when_told_to(command: Command, tmp_path: Path):
    file = tmp_path / "one.fpbackup"
    file.write_text("dear")
    refused = command("backup", file, **GIVEN)
    assert (refused.code, file.read_text()) == (1, "dear")
    assert "--overwrite" in refused.err
    assert command("backup", file, "--overwrite", **GIVEN).code == 0
    assert file.read_bytes()[:4] != b"dear"
    assert command("backup", file, **GIVEN).code == 0


def test_a_backup_that_nobody_attends_takes_the_passphrase_of_the_page(
    command: Command, data: Path, tmp_path: Path
) -> None:
    database = open_database_of(data)
    database.write_now(
        put_setting, SERVER, BACKUP_PASSPHRASE, seal_passphrase(open_vault(data), GIVEN["FLOWPORT_BACKUP_PASSPHRASE"])
    )
    database.close()
    assert command("backup", tmp_path / "one.fpbackup").code == 0
    data.rename(tmp_path / "lost")
    assert command("restore", tmp_path / "one.fpbackup", **GIVEN).code == 0


def test_a_backup_in_another_place_is_the_last_one_that_a_check_tells(command: Command, tmp_path: Path):
    file = tmp_path / "one.fpbackup"
    assert command("backup", file, **GIVEN).code == 0
    file.rename(tmp_path / "on-another-disk.fpbackup")
    (line,) = (one for one in command("check", "--json", "--offline").json if one["name"] == "Backup")
    assert line["state"] == "ok"
    assert re.fullmatch(rf"The last one is fresh \(.* UTC\), made on the machine .+: {file}\.", line["found"])


@pytest.mark.process
def test_a_passphrase_that_nobody_types_is_a_refusal(at_terminal, tmp_path: Path):
    said = at_terminal("backup", tmp_path / "one.fpbackup", typed=[(b"backup: ", b"\x04")])
    assert (said.code, (tmp_path / "one.fpbackup").exists()) == (1, False)
    assert said.err.endswith("backup: \r\nNo passphrase was typed, and nothing was done. Give the command again.\r\n")


def test_jobs_that_had_not_ended_go_on_after_a_restore_and_a_wrong_passphrase_leaves_nothing(
    command: Command, data: Path, tmp_path: Path
):
    database = open_database(data)
    workspace = database.read_now(find_first_workspace)
    assert workspace is not None
    owner = command_line(workspace.id)
    flow_id = database.write_now(import_flow, owner, flow_file(greeting())).flow_id
    database.write_now(deploy, owner, flow_id)
    caller = Caller(workspace.id, None, "live", "Shop", "fp_live_", flow_ids=None, concurrency=None, monthly=None)
    job_id = database.write_now(submit, caller, flow_id, {"name": "Ada"}).job_id
    database.write_now(claim_job, "boot_test", job_id)
    database.close()
    assert command("backup", tmp_path / "one.fpbackup", **GIVEN).code == 0
    data.rename(tmp_path / "lost")

    refused = command("restore", tmp_path / "one.fpbackup", FLOWPORT_BACKUP_PASSPHRASE="wrong one")
    assert refused.code == 1
    assert "The passphrase is wrong" in refused.err
    assert not list(data.glob("*"))
    done = command("restore", tmp_path / "one.fpbackup", **GIVEN)
    assert "1 jobs that were running go on" in done.err
    database = open_database(data)
    assert database.read_now(get_job, workspace.id, job_id).status == "queued"
    database.close()


def test_a_nightly_backup_without_a_passphrase_needs_the_old_key(command: Command, data: Path, tmp_path: Path):
    database = open_database(data)
    target = backups_folder(data) / new_name("nightly", 1_764_000_000_000)
    write_backup(data, target, at=1_764_000_000_000)
    database.close()
    data.rename(tmp_path / "old")
    file = tmp_path / "old" / "backups" / target.name
    assert "--key FILE" in command("restore", file).err
    done = command("restore", file, "--key", tmp_path / "old" / "secret.key")
    assert done.code == 0, done
    assert (data / "secret.key").read_text() == (tmp_path / "old" / "secret.key").read_text()


def test_an_older_backup_with_a_short_passphrase_is_restored_and_no_new_one_is_made(
    command: Command, data: Path, tmp_path: Path
) -> None:
    write_backup(data, tmp_path / "one.fpbackup", at=1_764_000_000_000, passphrase="abc")
    refused = command("backup", tmp_path / "two.fpbackup", FLOWPORT_BACKUP_PASSPHRASE="abc")
    assert (refused.code, (tmp_path / "two.fpbackup").exists()) == (1, False)
    data.rename(tmp_path / "old")
    done = command("restore", tmp_path / "one.fpbackup", FLOWPORT_BACKUP_PASSPHRASE="abc")
    assert "Restored into" in done.err
    assert (data / "flowport.db").exists()


@pytest.mark.parametrize("content", ["", "abc", None], ids=["empty", "short", "missing"])
def test_a_check_says_that_the_passphrase_of_nightly_backups_cannot_be_used(
    command: Command, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "passphrase"
    if content is not None:
        file.write_text(content)
    said = command("check", "--json", "--offline", FLOWPORT_BACKUP_PASSPHRASE_FILE=str(file))
    (line,) = (line for line in said.json if line["name"] == "Backup passphrase")
    assert (said.code, line["state"]) == (1, "bad")
    assert "FLOWPORT_BACKUP_PASSPHRASE_FILE" in line["found"]


def test_a_lost_key_is_told_until_another_one_is_taken(command: Command, data: Path, tmp_path: Path) -> None:
    command("models", "add", "oa", "--provider", "openai", "--key-env", "MY_KEY", MY_KEY="sk-canary-0123456789abcdef")
    assert command("new-key").code == 1, "the key is there"
    (data / "secret.key").unlink()
    for words in (("check", "--offline"), ("backup", tmp_path / "one.fpbackup"), ("models", "add", "b", "--provider", "openai", "--key-env", "B")):  # fmt: skip
        refused = command(*words, B="sk-b", **GIVEN)
        assert (refused.code, refused.out) == (1, "")
        assert f"no key file {data / 'secret.key'}" in refused.err
        assert "If the server has FLOWPORT_SECRET_KEY_FILE, set it here" in refused.err
        assert "app.py new-key" in refused.err
    assert not (data / "secret.key").exists()
    assert not (tmp_path / "one.fpbackup").exists()

    lock = serve_lock(data)
    assert "A server runs on the folder" in command("new-key").err
    lock.release()
    assert not (data / "secret.key").exists()
    taken = command("new-key", "--yes")
    assert (len(taken.value), "enter secrets" in taken.err) == (16, True)
    assert "nightly backups are sealed with the new key alone" in taken.err
    for told in ("New signing secret", "New address", "New secret"):
        assert told in taken.err
    said = command("check", "--offline")
    assert said.code == 0
    assert "1 value cannot be read any more, as another key sealed them. keys of models: “oa”." in said.out
    assert command("backup", tmp_path / "one.fpbackup", **GIVEN).code == 0


@pytest.mark.parametrize("own", ["none", "another"])
def test_another_key_is_taken_after_a_question_where_the_server_may_have_a_named_one(
    command: Command, data: Path, tmp_path: Path, own: str
) -> None:
    """A person's shell has no variable that is set in the unit of the service."""
    named = tmp_path / "named.key"
    named.write_text(base64.b64encode(bytes(32)).decode())
    given = {"FLOWPORT_SECRET_KEY_FILE": str(named)}
    assert command("check", "--offline", **given).code == 0
    if own == "another":
        (data / "secret.key").write_text(base64.b64encode(b"b" * 32).decode())
    asked = command("new-key")
    assert (asked.code, asked.out) == (1, "")
    assert "If the server has FLOWPORT_SECRET_KEY_FILE, set it here as the server has it" in asked.err
    assert "--yes" in asked.err, "nobody sits at this terminal"
    assert (data / "secret.key").exists() == (own == "another")
    assert command("check", "--offline", **given).code == 0
    assert "is the key of this database" in command("new-key", **given).err
    assert len(command("new-key", "--yes").value) == 16


def test_a_key_at_hand_is_replaced_and_nothing_is_lost(command: Command, data: Path, tmp_path: Path) -> None:
    command("models", "add", "oa", "--provider", "openai", "--key-env", "MY_KEY", MY_KEY="sk-canary-0123456789abcdef")
    refused = command("new-key", "--old-key", data / "secret.key")
    assert (refused.code, "rename this file" in refused.err, "--old-key" in refused.err) == (1, True, True)
    old = (data / "secret.key").rename(tmp_path / "old.key")
    other = tmp_path / "other.key"
    other.write_text(base64.b64encode(bytes(32)).decode())
    refused = command("new-key", "--old-key", other)
    assert (refused.code, "is not the key of this database" in refused.err) == (1, True)
    assert not (data / "secret.key").exists()

    lock = serve_lock(data)
    assert "A server runs on the folder" in command("new-key", "--old-key", old).err
    lock.release()
    taken = command("new-key", "--old-key", old)  # no question: nothing can be lost
    assert len(taken.value) == 16
    assert "nothing has to be entered again" in taken.err
    assert f"`app.py restore FILE --key {old}`" in taken.err
    assert (data / "secret.key").read_text() != old.read_text()
    database = open_database(data)
    sealed = database.read_now(list_sealed)
    database.close()
    assert [open_vault(data).open(*one) for one in sealed] == ["sk-canary-0123456789abcdef"]
    assert "is the key of this database" in command("new-key", "--old-key", old).err, "it is done"


def test_a_named_key_file_that_is_missing_is_made_after_a_question(
    command: Command, data: Path, tmp_path: Path
) -> None:
    named = {"FLOWPORT_SECRET_KEY_FILE": str(tmp_path / "named.key")}
    command("check", "--offline")
    refused = command("check", "--offline", **named)
    assert f"There is no key file {tmp_path / 'named.key'}" in refused.err
    assert "app.py new-key --help" in refused.err
    asked = command("new-key", **named)
    assert (asked.code, "If another machine or a backup has the old key" in asked.err) == (1, True)
    assert not (tmp_path / "named.key").exists()
    assert len(command("new-key", "--yes", **named).value) == 16
    assert command("check", "--offline", **named).code == 0
    nowhere = {"FLOWPORT_SECRET_KEY_FILE": str(tmp_path / "nowhere" / "named.key")}
    assert "cannot be made (No such file or directory)" in command("new-key", "--yes", **nowhere).err


def test_a_passphrase_that_was_sealed_with_another_key_is_told(command: Command, data: Path) -> None:
    """Earlier releases left it there when another key was taken."""
    command("check", "--offline")
    database = open_database(data)
    database.write_now(put_setting, SERVER, BACKUP_PASSPHRASE, "v1.AAAA")
    database.close()
    told = command("check", "--offline", "--json")
    (line,) = (one for one in told.json if one["name"] == "Backup passphrase")
    assert (told.code, line["state"]) == (1, "bad")
    assert "no nightly backup is made" in line["found"]
    assert line["fix"] == "Enter it again under Settings, Data."


def test_a_key_that_is_named_must_be_the_databases(command: Command, data: Path, tmp_path: Path) -> None:
    command("check", "--offline")
    other = tmp_path / "other.key"
    other.write_text(base64.b64encode(bytes(32)).decode())
    named = command("check", "--offline", FLOWPORT_SECRET_KEY_FILE=str(other))
    assert (named.code, named.out) == (1, "")
    assert "is not the key of this database" in named.err
    assert "unset FLOWPORT_SECRET_KEY_FILE" in named.err


def unpack_older(data: Path) -> None:
    """Makes the data folder of the last release."""
    release = max((Path(__file__).parents[1] / "storage" / "releases").glob("*.db.gz"))
    data.mkdir()
    (data / "flowport.db").write_bytes(gzip.decompress(release.read_bytes()))


@pytest.mark.parametrize("begin", ["server", "worker"])
@pytest.mark.parametrize("words", [("check", "--offline"), ("backup", "one.fpbackup"), ("migrate",), ("worker",)])
def test_nothing_brings_the_tables_up_to_date_under_a_server_of_an_older_version(
    new_folder: None, command: Command, data: Path, words: tuple[str, ...], begin: str
) -> None:
    unpack_older(data)
    before = schema_of(data / "flowport.db")
    lock = serve_lock(data) if begin == "server" else new_boot(data)[1]
    refused = command(*words, **GIVEN)
    assert (refused.code, refused.out, schema_of(data / "flowport.db")) == (1, "", before)
    assert f"A {begin}" in refused.err
    assert "of an older version of Flowport runs on the folder" in refused.err
    lock.release()
    if words == ("migrate",):
        assert command(*words).value != before


def test_a_server_brings_the_tables_up_to_date_itself_unless_an_older_worker_runs(data: Path) -> None:
    unpack_older(data)
    serving, (_, working) = serve_lock(data), new_boot(data)
    keep_out = functools.partial(no_older_version, data, serves=True)
    with pytest.raises(InUse, match=r"A worker .* of an older version"):
        open_database_of(data, keep_out=keep_out)
    working.release()
    open_database_of(data, keep_out=keep_out).close()
    assert schema_of(data / "flowport.db") == newest_schema()
    serving.release()


@pytest.mark.parametrize("key", ["gone", "another", "another one that is named", "no key"])
@pytest.mark.parametrize("words", [("check", "--offline"), ("backup", "one.fpbackup"), ("flows", "list"), ("worker",)])
def test_nothing_brings_the_tables_up_to_date_without_the_key(
    new_folder: None, command: Command, data: Path, tmp_path: Path, words: tuple[str, ...], key: str
) -> None:
    """The release before must be able to go on with the folder."""
    unpack_older(data)
    named = tmp_path / "named.key" if "named" in key else data / "secret.key"
    if key != "gone":
        named.write_text("no key" if key == "no key" else base64.b64encode(b"b" * 32).decode())
    before = schema_of(data / "flowport.db")
    refused = command(*words, **GIVEN, **({"FLOWPORT_SECRET_KEY_FILE": str(named)} if "named" in key else {}))
    assert (refused.code, refused.out) == (1, "")
    assert {"gone": "no key file", "no key": "does not hold a key"}.get(key, "opens none of the secrets") in refused.err
    assert schema_of(data / "flowport.db") == before
    assert not (data / "backups").exists()
    assert (data / "secret.key").exists() == (key in {"another", "no key"})


@pytest.mark.process
def test_a_server_brings_no_tables_up_to_date_without_the_key(new_folder: None, command: Command, data: Path) -> None:
    unpack_older(data)
    before = schema_of(data / "flowport.db")
    refused = command("serve", "--port", free_port(), "--no-worker")
    assert (refused.code, refused.out) == (1, "")
    assert "no key file" in refused.err
    assert schema_of(data / "flowport.db") == before
    assert not (data / "backups").exists()


@pytest.mark.parametrize("words", [("migrate",), ("new-key", "--yes")])
def test_tables_are_brought_up_to_date_without_the_key_where_that_is_asked_for(
    new_folder: None, command: Command, data: Path, words: tuple[str, ...]
) -> None:
    unpack_older(data)
    assert command(*words).code == 0
    assert schema_of(data / "flowport.db") == newest_schema()


def test_a_restore_writes_the_key_where_the_settings_want_it(command: Command, data: Path, tmp_path: Path):
    command("keys", "list")
    assert command("backup", tmp_path / "one.fpbackup", **GIVEN).code == 0
    data.rename(tmp_path / "old")
    own = tmp_path / "own.key"
    done = command("restore", tmp_path / "one.fpbackup", **GIVEN, FLOWPORT_SECRET_KEY_FILE=str(own))
    assert done.code == 0, done
    assert f"is in {own} (FLOWPORT_SECRET_KEY_FILE)" in done.err
    assert own.read_text() == (tmp_path / "old" / "secret.key").read_text()


def test_a_check_tells_of_backups_that_cannot_be_read(command: Command, data: Path):
    command("keys", "list")
    (data / "backups").write_text("no folder")
    lines = {line["name"]: line for line in command("check", "--offline", "--json").json}
    assert lines["Backup"]["state"] == "bad"
    assert "cannot be read: Not a directory" in lines["Backup"]["found"]
    assert "sudo chown" in lines["Backup"]["fix"]


@AS_ROOT
@pytest.mark.parametrize(
    "given", [("backup", "one.fpbackup"), ("restore", "one.fpbackup"), ("keys", "list"), ("check",), ("migrate",)]
)
def test_root_makes_nothing_in_the_folder_of_another_user(command: Command, data: Path, given: tuple[str, ...]):
    command("keys", "list")
    for path in (data, *data.rglob("*")):
        os.chown(path, 65_534, 65_534)
    before = {path: path.stat().st_uid for path in data.rglob("*")}
    refused = command(*given, **GIVEN)
    assert (refused.code, refused.out) == (1, "")
    assert f"{data} belongs to the user" in refused.err
    assert "sudo -u '" in refused.err
    assert "docker compose exec -u 65534 flowport" in refused.err
    assert {path: path.stat().st_uid for path in data.rglob("*")} == before


@AS_ROOT
@pytest.mark.parametrize("run", ["made by root", "brought over, and a worker of root runs"])
def test_root_gives_commands_where_the_server_is_roots(command: Command, data: Path, tmp_path: Path, run: str):
    """A container whose user is root on a volume of another user, or a folder that was brought over with its owners."""
    command("check", "--offline")
    if run != "made by root":
        serve_lock(data).release()
    for path in (data, *data.rglob("*")):
        os.chown(path, 65_534, 65_534)
    assert "belongs to the user" in command("keys", "list").err
    if run == "made by root":
        shutil.rmtree(data / "run", ignore_errors=True)
    working = new_boot(data)[1]
    assert command("backup", tmp_path / "one.fpbackup", **GIVEN).code == 0
    working.release()
    assert command("keys", "list").code == (0 if run == "made by root" else 1)


@AS_ROOT
def test_root_makes_no_key_in_an_empty_folder_of_another_user(new_folder: None, command: Command, data: Path):
    data.mkdir()
    os.chown(data, 65_534, 65_534)
    assert "belongs to the user" in command("keys", "create", "--label", "Shop", "--environment", "live").err
    assert list(data.iterdir()) == []


def test_a_check_says_what_to_do_and_ends_with_1_when_something_is_wrong(
    new_folder: None, command: Command, data: Path
):
    assert "no Flowport in" in command("check").err
    command("setup-link")
    fine = command("check", "--json", **CLOSED)
    assert fine.code == 0, fine
    lines = {line["name"]: line for line in fine.json}
    assert {"Data folder", "Disk", "Size", "Clock", "Database", "Worker", "Key", "Backup", "Backup passphrase", "Foreign files", "Files", "Public address", "Outbound", "Browser", "Models"} == set(lines)  # fmt: skip
    assert lines["Outbound"]["state"] == "warn"
    assert lines["Key"]["found"] == (
        f"{data / 'secret.key'} is the key of this database; its fingerprint is {open_vault(data).fingerprint()}."
    )
    assert all(line["fix"] for line in fine.json if line["state"] in {"warn", "bad"})

    file = backups_folder(data) / new_name("nightly", 4_000_000_000_000)
    write_backup(data, file, at=4_000_000_000_000)
    lines = {line["name"]: line for line in command("check", "--json", **CLOSED).json}
    assert "There is none" in lines["Backup"]["found"], "one of a clock that was ahead"
    database = open_database_of(data)
    database.write_now(put_setting, SERVER, ADDRESS, "https://flows.example.com")  # a server had it in its environment
    database.close()
    lines = {line["name"]: line for line in command("check", "--json", **CLOSED).json}
    assert lines["Public address"]["found"].startswith("https://flows.example.com does not answer")
    command("models", "add", "local", "--provider", "openai_compatible", "--base-url", "http://127.0.0.1:9/v1")
    wrong = command("check", **CLOSED)
    assert wrong.code == 1
    assert "BAD   Model local" in wrong.out


def test_a_damaged_or_newer_folder_is_left_alone(command: Command, data: Path):
    command("keys", "list")
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    before = prints(data)
    newer = command("serve", "--port", "1")
    assert (newer.code, newer.out) == (1, "")
    assert "newer Flowport" in command("keys", "list").err
    (data / "run" / "serve").unlink(missing_ok=True)
    assert {name: before[name] for name in before} == {name: prints(data)[name] for name in before}

    with (data / "flowport.db").open("r+b") as file:
        file.seek(4_096 * 3)
        file.write(b"\xa5" * 4_096 * 20)
    before = prints(data)
    damaged = command("serve")
    assert (damaged.code, damaged.out) == (1, "")
    assert "is damaged" in damaged.err
    assert "restore FILE" in damaged.err
    assert "Traceback" not in damaged.err
    assert {name: prints(data)[name] for name in before} == before


def test_a_large_database_that_a_server_found_damaged_is_checked_before_the_next_start(command: Command, data: Path):
    command("keys", "list")
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("create table padding as select zeroblob(?) as value", (SMALL_BYTES,))
    connection.close()
    with (data / "flowport.db").open("r+b") as file:
        file.seek(4_096 * 3)
        file.write(b"\xa5" * 4_096 * 20)
    (data / "run").mkdir(exist_ok=True)
    (data / "run" / "serve").write_bytes(b"damaged\n")
    before = prints(data)
    for _ in range(2):
        refused = command("serve")
        assert (refused.code, refused.out) == (1, "")
        assert "is damaged" in refused.err
    assert prints(data) == before
