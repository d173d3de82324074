"""A file that is being sent breaks off when its reader is signed out, or may not have it any more (S19, S30)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nicegui.testing import User

from engine.actions.datasets import add_dataset, delete_dataset, delete_rows, import_rows, rename_column
from engine.actions.files import upload_by_person
from engine.actions.members import sign_out
from engine.actions.playground_batches import begin_playground_batch, run_in_batch
from engine.backups.backups import new_name
from engine.backups.work_folders import backups_folder
from engine.files.intake import incoming_of
from storage.dataset_changes import checked_rows
from storage.datasets import CHUNK, list_row_ids
from storage.members import list_people
from storage.tables import User as UserRow
from tests.factories import document, greeting
from tests.ui.arrange import accepted
from tests.ui.conftest import Site
from ui.file_download import Pieces, Recipient, sent_table

#: More than what is sent of a file at a time.
LINES = b"".join(b"line %d\n" % number for number in range(40_000))
LATE = "WRITTEN-AFTER-SHUT-OUT"


def rows(site: Site, ending: str) -> tuple[str, Callable[[], Any]]:
    dataset_id = site.database.write_now(add_dataset, site.owner, "Goods")

    def add(name: str = LATE) -> None:
        site.database.write_now(import_rows, site.owner, dataset_id, checked_rows([{"name": name}]))

    add("first")
    return f"/datasets/{dataset_id}/export.{ending}", add


def audit_log(site: Site) -> tuple[str, Callable[[], Any]]:
    for number in range(3):
        site.database.write_now(add_dataset, site.owner, f"Table {number}")
    return "/settings/audit/export.csv", lambda: None


def jobs(site: Site) -> tuple[str, Callable[[], Any]]:
    flow_id = site.flow(live=True)
    for _ in range(3):
        accepted(site, flow_id)
    return "/jobs/export.csv", lambda: None


def batch(site: Site) -> tuple[str, Callable[[], Any]]:
    made = begin_playground_batch, site.owner, site.flow(), document(greeting()), 3, {"kind": "listed", "rows": []}
    begun = site.database.write_now(*made)
    for row in (1, 2, 3):
        site.database.write_now(run_in_batch, site.owner, begun, {"name": f"row {row}"}, row=row, title="")
    return f"/playground/batches/{begun.id}/results.csv", lambda: None


def stored_file(site: Site) -> tuple[str, Callable[[], Any]]:
    incoming = incoming_of(site.database.file_bytes, LINES, "lines.txt")
    return f"/files/{site.database.write_now(upload_by_person, site.owner, incoming).id}", lambda: None


def backup(site: Site) -> tuple[str, Callable[[], Any]]:
    name = new_name("nightly", 1_764_000_000_000)
    (backups_folder(site.settings.data) / name).write_bytes(LINES)
    return f"/settings/data/backups/{name}", lambda: None


async def sent(
    site: Site, cookie: str, path: str, meanwhile: Callable[[], Any], byte_range: str = "", after: int = 1
) -> tuple[str, bool]:
    """Returns the file, or the part of it that `byte_range` asks for, during which `meanwhile` is called once: when its
    first piece was sent, or as many as `after` says; and whether the response came to its end, without which a server
    closes the connection and a browser says that the download failed.
    """
    scope = {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "",
        "headers": [
            (b"host", b"test"), (b"cookie", f"flowport_session={cookie}".encode()),
            *([(b"range", byte_range.encode())] if byte_range else []),
        ],
        "server": ("test", 80), "client": ("127.0.0.1", 1),
    }  # fmt: skip
    pieces: list[bytes] = []
    is_whole = False

    async def receive() -> dict[str, Any]:
        if pieces:
            await asyncio.Future()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal is_whole
        if message["type"] == "http.response.start":
            assert message["status"] == (206 if byte_range else 200)
            return
        is_whole = not message.get("more_body", False)
        if message["body"]:
            pieces.append(message["body"])
            if len(pieces) == after:
                meanwhile()

    await site.root(scope, receive, send)
    return b"".join(pieces).decode(), is_whole


MADE: dict[str, Callable[[Site], tuple[str, Callable[[], Any]]]] = {
    "rows as CSV": lambda site: rows(site, "csv"),
    "rows as JSON": lambda site: rows(site, "json"),
    "audit log": audit_log,
    "jobs": jobs,
    "batch": batch,
    "stored file": stored_file,
    "backup": backup,
}


@pytest.mark.parametrize("which", MADE)
async def test_a_file_breaks_off_with_the_session(
    site: Site, user: User, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ui.settings.audit_csv", "ui.jobs.jobs_csv", "ui.playground.run.batch_csv"):
        monkeypatch.setattr(f"{module}.PIECE", 1)
    monkeypatch.setattr("ui.file_download.LOOK_BYTES", 1)
    cookie = user.http_client.cookies["flowport_session"]
    path, write = MADE[which](site)
    whole, is_whole = await sent(site, cookie, path, lambda: None)
    assert is_whole

    def shut_out() -> None:
        site.database.write_now(sign_out, cookie)
        write()

    cut, is_whole = await sent(site, cookie, path, shut_out)

    assert not is_whole
    assert cut != whole
    assert whole.startswith(cut)
    assert LATE not in cut
    assert len(cut.splitlines()) < len(whole.splitlines())


async def test_a_part_of_a_stored_file_is_sent_and_breaks_off_too(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ui.file_download.LOOK_BYTES", 1)
    cookie = user.http_client.cookies["flowport_session"]
    path, _ = stored_file(site)
    wanted = f"bytes={len(LINES) // 4}-"
    part, is_whole = await sent(site, cookie, path, lambda: None, wanted)
    assert (part.encode(), is_whole) == (LINES[len(LINES) // 4 :], True)

    cut, is_whole = await sent(site, cookie, path, lambda: site.database.write_now(sign_out, cookie), wanted)

    assert not is_whole
    assert part.startswith(cut)
    assert len(cut) < len(part)


@pytest.mark.parametrize(("which", "most_lines"), [("audit log", 1), ("backup", len(LINES.splitlines()) // 2)])
async def test_what_is_for_owners_breaks_off_for_somebody_who_is_no_owner_any_more(
    site: Site, user: User, monkeypatch: pytest.MonkeyPatch, which: str, most_lines: int
) -> None:
    monkeypatch.setattr("ui.settings.audit_csv.PIECE", 1)
    monkeypatch.setattr("ui.file_download.LOOK_BYTES", 1)
    path, _ = MADE[which](site)
    person = site.database.read_now(list_people, site.workspace_id)[0]

    def demote() -> None:
        site.database.write_now(lambda session: setattr(session.get_one(UserRow, person.id), "role", "editor"))

    cut, is_whole = await sent(site, user.http_client.cookies["flowport_session"], path, demote)
    assert not is_whole
    assert len(cut.splitlines()) <= most_lines


#: The pieces of a file of rows up to the first one that holds rows: a CSV file begins with its columns.
PIECES_WITH_A_ROW = {"csv": 2, "json": 1}


@pytest.mark.parametrize("ending", ["csv", "json"])
@pytest.mark.parametrize("change", ["replaced", "renamed", "deleted"])
async def test_a_table_that_is_another_one_meanwhile_breaks_off(
    site: Site, user: User, ending: str, change: str
) -> None:
    dataset_id = site.database.write_now(add_dataset, site.owner, "Goods")
    many = checked_rows([{"name": f"first {number}", "price": number} for number in range(CHUNK + 1)])
    site.database.write_now(import_rows, site.owner, dataset_id, many)

    def changed() -> None:
        if change == "replaced":
            new = checked_rows([{"name": LATE, "price": 1}])
            site.database.write_now(import_rows, site.owner, dataset_id, new, "replace")
        elif change == "renamed":
            site.database.write_now(rename_column, site.owner, dataset_id, "name", LATE)
        else:
            site.database.write_now(delete_dataset, site.owner, dataset_id)

    path = f"/datasets/{dataset_id}/export.{ending}"
    cookie = user.http_client.cookies["flowport_session"]
    whole, is_whole = await sent(site, cookie, path, lambda: None)
    assert (is_whole, f"first {CHUNK}" in whole) == (True, True)
    cut, is_whole = await sent(site, cookie, path, changed, after=PIECES_WITH_A_ROW[ending])
    assert not is_whole
    assert (f"first {CHUNK - 1}" in cut, cut != whole and whole.startswith(cut)) == (True, True)
    assert (LATE in cut, f"first {CHUNK}" in cut) == (False, False)


@pytest.mark.parametrize("ending", ["csv", "json"])
async def test_a_table_that_loses_a_row_that_was_sent_comes_to_its_end(site: Site, user: User, ending: str) -> None:
    dataset_id = site.database.write_now(add_dataset, site.owner, "Goods")
    many = checked_rows([{"name": f"first {number}"} for number in range(CHUNK + 1)])
    site.database.write_now(import_rows, site.owner, dataset_id, many)
    last_sent = site.database.read_now(list_row_ids, site.workspace_id, dataset_id)[CHUNK - 1]
    path = f"/datasets/{dataset_id}/export.{ending}"
    cookie = user.http_client.cookies["flowport_session"]
    whole, _ = await sent(site, cookie, path, lambda: None)

    def delete() -> None:
        assert site.database.write_now(delete_rows, site.owner, dataset_id, [last_sent]) == 1

    assert await sent(site, cookie, path, delete, after=PIECES_WITH_A_ROW[ending]) == (whole, True)


async def test_an_excel_file_is_not_sent_when_its_reader_is_shut_out_meanwhile(site: Site, user: User) -> None:
    cookie = user.http_client.cookies["flowport_session"]
    recipient = Recipient(site.app, cookie, site.workspace_id)

    async def pieces() -> Pieces:
        yield [["name"], [LATE]]
        site.database.write_now(sign_out, cookie)
        await recipient.look()

    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    await sent_table(recipient, "goods", "xlsx", pieces())({"type": "http"}, asyncio.Future, send)
    assert messages[0]["status"] == 409
    assert b"Go back and download it again." in messages[1]["body"]
    assert not list(backups_folder(site.settings.data).iterdir()), "nothing is left on the disk"
