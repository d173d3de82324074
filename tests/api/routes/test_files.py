"""Uploads and downloads of files by callers: good, hostile, too large, foreign, cut off."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect

from api.http.schemas import ProblemDetails, UploadedFile
from api.http.upload import AT_ONCE
from engine.files.intake import SPACE_GB
from storage.files import count_files, list_uses, remove_files
from storage.jobs import read_value
from storage.settings import SERVER, put_setting
from tests.api.arrange import House
from tests.api.routes.test_mcp import offer, session
from tests.databases import damage_bytes, stored_bytes

PDF = b"%PDF-1.7\nnot a real one"
FIELDS = [
    {"name": "url", "type": "string"},
    {"name": "document", "type": "file", "required": True},
    {"name": "more", "type": "array", "items": {"type": "file"}},
]


async def upload(
    house: House, content: bytes = PDF, name: str = "a.pdf", key: str | None = None, once: str = ""
) -> httpx.Response:
    headers = {"Idempotency-Key": once} if once else {}
    return await house.post("/files", files={"file": (name, content, "text/x-lie")}, key=key, headers=headers)


async def file_id_of(house: House, **options: Any) -> str:
    return (await upload(house, **options)).json()["file_id"]


def left_behind(house: House) -> list[bytes]:
    drafts = house.database.file_bytes.folder / "drafts"
    return [*stored_bytes(house.database), *(path.read_bytes() for path in drafts.glob("*"))]


async def test_an_upload_can_be_downloaded_again(house: House):
    response = await upload(house)

    view = response.json()
    UploadedFile.model_validate(view)
    assert (response.status_code, response.headers["location"]) == (201, view["url"])
    assert (view["name"], view["media_type"], view["size"]) == ("a.pdf", "application/pdf", len(PDF))
    download = await house.get(f"/files/{view['file_id']}")
    assert (download.status_code, download.content) == (200, PDF)


@pytest.mark.parametrize(
    ("content", "name", "media_type"),
    [
        (b"<html><script>alert(1)</script></html>", "a.pdf", "text/html"),
        (b"<svg onload=alert(1)>", "a.svg", "image/svg+xml"),
        (b"", "empty.bin", "text/plain"),
    ],
)
async def test_no_browser_runs_what_somebody_uploaded(house: House, content: bytes, name: str, media_type: str):
    file_id = await file_id_of(house, content=content, name=name)

    download = await house.get(f"/files/{file_id}")

    headers = download.headers
    assert (download.content, headers["content-type"], headers["x-content-type-options"]) == (
        content,
        media_type,
        "nosniff",
    )
    assert headers["content-disposition"].startswith("attachment;")
    assert headers["content-security-policy"].startswith("sandbox;")
    assert headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("../../a b.pdf", "a b.pdf"),
        ("C:\\Windows\\x.pdf", "x.pdf"),
        ("<b>\u202ex.pdf", "_b_x.pdf"),
        ("ü 💥.pdf", "ü 💥.pdf"),
        ('a"b".pdf', "a_b_.pdf"),
        ("100%.pdf", "100%.pdf"),
        ("CON.csv", "_CON.csv"),
        ("..", "file.pdf"),
        ("file", "file.pdf"),
        ("files", "files"),
        ("x" * 5_000 + ".pdf", "x" * 116 + ".pdf"),
    ],
)
async def test_a_name_arrives_clean_and_comes_back(house: House, raw: str, clean: str):
    response = await upload(house, name=raw)

    assert response.json()["name"] == clean
    download = await house.get(f"/files/{response.json()['file_id']}")
    assert "\r" not in download.headers["content-disposition"]
    assert download.headers["content-disposition"].isascii()


async def test_a_part_of_a_file_can_be_asked_for(house: House):
    address = f"/files/{await file_id_of(house, content=b'0123456789', name='a.txt')}"
    etag = (await house.get(address)).headers["etag"]

    for asked, part, told in (
        ("bytes=0-2", b"012", "bytes 0-2/10"),
        ("bytes=7-", b"789", "bytes 7-9/10"),
        ("bytes=-4", b"6789", "bytes 6-9/10"),
        ("bytes=5-900", b"56789", "bytes 5-9/10"),
        (f"bytes=5-{'9' * 30}", b"56789", "bytes 5-9/10"),
        (f"bytes=-{'9' * 30}", b"0123456789", "bytes 0-9/10"),
    ):
        response = await house.get(address, headers={"Range": asked, "If-Range": etag})
        assert (response.status_code, response.content) == (206, part)
        assert (response.headers["content-range"], response.headers["etag"]) == (told, etag)
    for sent in ("bytes=0-1,4-5", "bytes=5-2", "bytes=x", "pages=1-2", "bytes=" + "9" * 9_000 + "-"):
        response = await house.get(address, headers={"Range": sent})
        assert (response.status_code, response.content) == (200, b"0123456789"), sent
    stale = await house.get(address, headers={"Range": "bytes=0-2", "If-Range": '"other"'})
    assert (stale.status_code, stale.content) == (200, b"0123456789")
    empty = await file_id_of(house, content=b"", name="a.txt")
    for sent in ("bytes=0-", "bytes=0-1023", "bytes=-5", "bytes=-0"):
        response = await house.get(f"/files/{empty}", headers={"Range": sent})
        assert (response.status_code, response.content, "content-range" in response.headers) == (200, b"", False)


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=900-901", "bytes=-0", f"bytes={'9' * 30}-"])
async def test_a_part_that_a_file_does_not_have_is_a_problem(house: House, asked: str):
    file_id = await file_id_of(house, content=b"0123456789", name="a.txt")

    response = await house.get(f"/files/{file_id}", headers={"Range": asked})

    problem = ProblemDetails.model_validate(response.json())
    assert (response.status_code, problem.code) == (416, "range_not_satisfiable")
    assert response.headers["content-range"] == "bytes */10"
    assert problem.detail == (
        "It has 10 bytes; the last 0 of them are no part of it"
        if asked == "bytes=-0"
        else "It has 10 bytes; the first is number 0"
    )


async def test_a_file_that_the_caller_has_is_not_sent_again(house: House):
    file_id = await file_id_of(house)
    first = await house.get(f"/files/{file_id}", headers={"Accept": "application/json"})

    for known in (first.headers["etag"], f'"x", W/{first.headers["etag"]}', "*"):
        again = await house.get(f"/files/{file_id}", headers={"If-None-Match": known, "Range": "bytes=900-"})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await house.get(f"/files/{file_id}", headers={"If-None-Match": '"x"'})
    assert (first.status_code, other.status_code, other.content) == (200, 200, PDF)


async def test_the_document_tells_all_headers_of_a_download(house: House):
    declared = (await house.get("/openapi.json")).json()["paths"]["/public/v1/files/{file_id}"]["get"]["responses"]
    address = f"/files/{await file_id_of(house)}"
    etag = (await house.get(address)).headers["etag"]

    for sent in ({}, {"Range": "bytes=0-2"}, {"If-None-Match": etag}, {"Range": "bytes=900-"}):
        response = await house.get(address, headers=sent)
        told = {name.lower() for name in declared[str(response.status_code)]["headers"]}
        always = {"content-type", "content-length"}
        assert set(response.headers) - always <= told
    assert "406" not in declared


def form(*parts: bytes, end: bytes = b"--x--\r\n") -> bytes:
    return b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + end


_FIELD = b'Content-Disposition: form-data; name="x"\r\n\r\ntext'
_FILE = b'Content-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n' + PDF


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no form at all",
        form(),
        form(_FILE, end=b""),
        form(_FILE, _FILE),
        form(b'Content-Disposition: form-data; name="file"\r\n\r\ntext'),
        form(b"\r\n" + PDF),
        form(b"X-Long: " + b"x" * 20_000 + b"\r\n" + _FILE),
        form(b"".join(b"X: y\r\n" for _ in range(5_000)) + _FILE),
    ],
    ids=["empty", "no form", "no part", "cut off", "two files", "a text", "no headers", "long header", "many headers"],
)
async def test_a_form_that_is_none_is_refused_and_leaves_nothing(house: House, body: bytes):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await house.post("/files", content=body, headers=headers)

    problem = ProblemDetails.model_validate(response.json())
    assert (problem.status, problem.code) == (400, "invalid_upload")
    assert left_behind(house) == []


@pytest.mark.parametrize(
    "before", [b"pre\r\n", b"\r\n", b"a mail - of --x several\r\nlines\r\n"], ids=["text", "empty line", "lines"]
)
async def test_what_stands_before_the_first_boundary_is_passed_over(house: House, before: bytes):
    """RFC 2046 allows it, for readers that do not know what a form is."""

    async def bytewise() -> AsyncIterator[bytes]:
        for at in range(len(body)):
            yield body[at : at + 1]

    body = before + form(_FILE) + b"\r\nbehind"
    for content in (body, bytewise()):
        response = await house.post(
            "/files", content=content, headers={"Content-Type": "multipart/form-data; boundary=x"}
        )
        assert response.status_code == 201
        download = await house.get(f"/files/{response.json()['file_id']}")
        assert download.content == PDF


@pytest.mark.parametrize(("blanks", "at_end"), [(b" ", b""), (b" \t  ", b""), (b"", b" \t"), (b" " * 30, b" " * 30)])
@pytest.mark.parametrize("pieces_of", [1, 100_000])
async def test_blanks_may_stand_behind_a_boundary(house: House, blanks: bytes, at_end: bytes, pieces_of: int):
    """RFC 2046 5.1.1: who passes a form on may have added them."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), pieces_of):
            yield body[at : at + pieces_of]

    body = form(_FILE, end=b"--x--%b\r\n" % at_end).replace(b"--x\r\n", b"--x%b\r\n" % blanks)
    response = await house.post("/files", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status_code == 201
    assert (await house.get(f"/files/{response.json()['file_id']}")).content == PDF


@pytest.mark.parametrize("said", [b"binary", b" 8BIT", b"7bit ", b""])
async def test_a_part_that_is_sent_as_it_is_may_say_so(house: House, said: bytes):
    body = form(b"Content-Transfer-Encoding:" + said + b"\r\n" + _FILE)
    response = await house.post("/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status_code == 201


@pytest.mark.parametrize("pieces_of", [1, 1_000, 100_000])
@pytest.mark.parametrize(("before", "status"), [(16 * 1024, 201), (16 * 1024 + 1, 400), (60_000, 400)])
async def test_what_is_passed_over_is_bounded_in_whatever_pieces_it_comes(
    house: House, pieces_of: int, before: int, status: int
):
    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), pieces_of):
            yield body[at : at + pieces_of]

    body = b"x" * (before - 2) + b"\r\n" + form(_FILE)
    response = await house.post("/files", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert response.status_code == status
    if status == 400:
        assert "in the first 16 KiB" in response.json()["detail"]


@pytest.mark.parametrize(
    ("names", "stored"),
    [
        (b"filename=\"=?utf-8?B?w7wucGRm?=\"; filename*=utf-8''%C3%BC.pdf", "ü.pdf"),
        (b"filename*=UTF-8'de'%C3%BC%20b.pdf", "ü b.pdf"),
        (b"filename*=iso-8859-1''%FC.pdf; filename=x.pdf", "ü.pdf"),
        (b"filename=\"a.pdf\"; filename*=UTF-8''%FF.pdf", "a.pdf"),
        (b"filename=\"a.pdf\"; filename*=cp437''b.pdf", "a.pdf"),
        (b"filename=\"a; filename*=utf-8''b.pdf\"", "a; filename_=utf-8''b.pdf"),
        (b'filename="\xff.pdf"', "\ufffd.pdf"),
        (b'filename="a%22b.pdf"', "a_b.pdf"),
    ],
)
async def test_a_name_may_have_the_form_that_other_headers_have(house: House, names: bytes, stored: str):
    """.NET writes both forms, of which `filename` is no name that a person knows."""
    body = form(b'Content-Disposition: form-data; name="file"; ' + names + b"\r\n\r\n" + PDF)
    response = await house.post("/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert (response.status_code, response.json()["name"]) == (201, stored)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "The form is empty, or does not begin with the boundary"),
        (form(), "The form holds no file"),
        (form(_FILE).replace(b"--x", b"--y"), "The form is empty, or does not begin with the boundary"),
        (b"x" * 10_000, "The form is empty, or does not begin with the boundary"),
        (b"x" * 100_000, "The boundary that the Content-Type names is not in the first 16 KiB of the form"),
        (form(_FILE).replace(b"--x\r\n", b"--x\n", 1), "One of its boundaries does not end with a line break (CR LF)"),
        (form(b"\r\n" + PDF), "The part of the form is no file: it has no `filename`"),
        (
            form(_FILE.replace(b"a.pdf", b"")),
            "The part of the form is no file: its `filename` is empty, as nobody chose",
        ),
        (form(b": y\r\n" + _FILE), "A header of its part has no name, a character that may not stand there"),
        (form(_FILE).replace(b"--x\r\n", b"--x y\r\n", 1), "One of its boundaries does not end with a line break"),
        (
            form(b"Content-Transfer-Encoding: base64\r\n" + _FILE),
            "Its part came with Content-Transfer-Encoding: base64. Send the bytes of the file as they are",
        ),
        (
            form(b"X-Long: " + b"x" * 20_000 + b"\r\n" + _FILE),
            "Its part has more headers, or longer ones, than are read",
        ),
    ],
)
async def test_a_form_that_cannot_be_read_is_told_why_in_words(house: House, body: bytes, told: str):
    response = await house.post("/files", content=body, headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert (response.status_code, response.json()["code"]) == (400, "invalid_upload")
    assert response.json()["detail"].startswith(told)


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ((_FIELD,), "The part of the form is no file"),
        ((_FIELD, _FILE), "The form holds more than one part"),
        ((_FILE, _FIELD), "The form holds more than one part"),
        ((_FIELD + b"x" * 100_000, _FILE), "The part of the form is no file"),
    ],
)
async def test_a_refused_form_is_told_what_is_wrong_with_it(house: House, parts: tuple[bytes, ...], told: str):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    response = await house.post("/files", content=form(*parts), headers=headers)

    assert response.json()["detail"].startswith(told)
    assert left_behind(house) == []


@pytest.mark.parametrize(
    "content_type", ["application/json", "", "multipart/form-data", "multipart/form-data; boundary=" + "x" * 300]
)
async def test_another_content_type_is_refused(house: House, content_type: str):
    response = await house.post("/files", content=form(_FILE), headers={"Content-Type": content_type})

    assert response.status_code in {400, 415}
    assert response.json()["code"] in {"unsupported_media_type", "invalid_upload"}
    assert "form" in response.json()["detail"] or "boundary" in response.json()["detail"]


@pytest.mark.parametrize(("encoding", "status"), [("identity, identity", 201), ("identity, gzip", 415)])
async def test_a_form_comes_as_it_is(house: House, encoding: str, status: int):
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Content-Encoding": encoding}
    response = await house.post("/files", content=form(_FILE), headers=headers)

    assert response.status_code == status, response.text


@pytest.mark.parametrize("announced", [True, False])
async def test_a_file_that_is_too_large_is_refused_while_it_arrives(house: House, announced: bool):
    house.api.state.context.uploads.most_bytes = 100_000
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"--x\r\n" + _FILE
        while sent < 400:
            sent += 1
            yield b"x" * 10_000

    headers = {"Content-Type": "multipart/form-data; boundary=x"} | ({"Content-Length": "4000000"} if announced else {})
    response = await house.post("/files", content=pieces(), headers=headers)

    assert (response.status_code, response.json()["code"]) == (413, "file_too_large")
    assert sent <= (0 if announced else 11)
    assert left_behind(house) == []


async def test_an_upload_that_breaks_off_leaves_nothing(house: House):
    async def pieces() -> AsyncIterator[bytes]:
        yield b"--x\r\n" + _FILE
        raise ClientDisconnect

    with pytest.raises(AssertionError):  # httpx misses an answer, which nobody would get
        await house.post("/files", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert left_behind(house) == []
    assert house.database.read_now(count_files) == (0, 0)


async def test_uploads_that_could_not_begin_do_not_count_as_being_received(house: House):
    folder = house.database.file_bytes.folder
    folder.write_text("in the way")
    refused = [await upload(house) for _ in range(AT_ONCE)]
    folder.unlink()

    assert {response.status_code for response in refused} == {503}
    assert (await upload(house)).status_code == 201


async def test_a_slow_upload_is_given_up(house: House):
    house.api.state.context.uploads.piece_seconds = 0.01

    async def pieces() -> AsyncIterator[bytes]:
        yield b"--x\r\n" + _FILE
        await asyncio.sleep(60)
        yield b""

    response = await house.post("/files", content=pieces(), headers={"Content-Type": "multipart/form-data; boundary=x"})

    assert (response.status_code, response.json()["code"]) == (408, "request_timeout")
    assert left_behind(house) == []


async def test_the_space_of_a_workspace_has_an_end(house: House):
    house.database.write_now(put_setting, SERVER, SPACE_GB, 30 / (1 << 30))
    first = await upload(house)
    second = await upload(house, content=PDF + b"other")

    assert (first.status_code, second.status_code, second.json()["code"]) == (201, 403, "file_space_full")
    assert "Settings, Data" in second.json()["detail"]
    assert len(left_behind(house)) == 1


async def test_the_same_upload_with_the_same_key_is_one_file(house: House):
    responses = [await upload(house, once="once") for _ in range(2)]
    other = await upload(house, name="b.pdf", once="once")

    assert [one.json() for one in responses] == [responses[0].json()] * 2
    assert [one.headers.get("idempotent-replayed") for one in responses] == [None, "true"]
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert other.json()["detail"].startswith("The file or its name differs")
    assert house.database.read_now(count_files)[0] == 1


async def test_the_same_upload_under_another_type_is_another_where_the_type_counts(house: House):
    async def sent(name: str, kind: str) -> httpx.Response:
        file = {"file": (name, b"a,b\n1,2\n", kind)}
        return await house.post("/files", files=file, headers={"Idempotency-Key": f"once-{name}"})

    first, again, other = [await sent("data", kind) for kind in ("text/csv", "text/csv", "application/json")]
    named = [await sent("data.csv", kind) for kind in ("text/csv", "application/json")]

    assert (first.status_code, again.json()) == (201, first.json())
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert "application/json" in other.json()["detail"]
    assert named[0].json() == named[1].json(), "the ending counts, not the type that the form says"


async def test_a_key_of_an_upload_whose_file_was_removed_says_so(house: House):
    file_id = (await upload(house, once="once")).json()["file_id"]
    house.database.write_now(lambda session: remove_files(session, [file_id], unused_only=False))
    again = await upload(house, once="once")

    assert (again.status_code, again.json()["code"]) == (422, "idempotency_key_reused")
    assert again.json()["detail"].startswith("The file that it stored was removed meanwhile")


async def test_an_upload_of_another_key_is_not_replayed_to_one_that_does_not_see_it(house: House):
    limited = house.new_key(flow_ids=[house.new_flow(fields=FIELDS)]).key
    assert (await upload(house, once="once")).status_code == 201

    refused = await upload(house, once="once", key=limited)
    own = await upload(house, once="twice", key=limited)

    assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_key_reused")
    assert "another API key" in refused.json()["detail"]
    assert (await house.get(f"/files/{own.json()['file_id']}", limited)).status_code == 200


async def test_a_flow_takes_an_uploaded_file(house: House):
    flow_id = house.new_flow(fields=FIELDS)
    file_id = await file_id_of(house)

    response = await house.post(f"/flows/execute/{flow_id}", {"document": file_id, "more": [file_id]})

    job_id = response.json()["job_id"]
    value = {"name": "a.pdf", "media_type": "application/pdf", "size": len(PDF), "file_id": file_id}
    assert house.database.read_now(read_value, job_id, "payload") == {"url": None, "document": value, "more": [value]}
    assert house.database.read_now(list_uses, "job", job_id) == [file_id]


async def test_a_batch_names_the_wrong_files_by_pointer(house: House):
    flow_id = house.new_flow(fields=FIELDS)
    file_id = await file_id_of(house)
    unknown = "file_" + "0" * 22

    good = await house.post(f"/flows/execute/{flow_id}/batch", {"items": [{"document": file_id}] * 2})
    bad = await house.post(
        f"/flows/execute/{flow_id}/batch", {"items": [{"document": file_id}, {"document": file_id, "more": [unknown]}]}
    )

    assert good.status_code == 202
    assert [house.database.read_now(list_uses, "job", one) for one in good.json()["job_ids"]] == [[file_id]] * 2
    assert (bad.status_code, bad.json()["errors"][0]["pointer"]) == (400, "/items/1/more/0")
    assert bad.json()["errors"][0]["code"] == "file_not_found"


async def test_a_key_sees_the_files_of_its_environment_and_flows(house: House):
    flow_id = house.new_flow(fields=FIELDS)
    file_id = await file_id_of(house)
    foreign = house.new_key(principal=house.other_workspace()).key
    staging = house.new_key("test").key
    limited = house.new_key(flow_ids=[flow_id]).key
    body = {"document": file_id}

    for key in (foreign, staging, limited):
        unknown = await house.get("/files/file_" + "0" * 22, key)
        found = await house.get(f"/files/{file_id}", key)
        assert found.status_code == unknown.status_code == 404
    refused = await house.post(f"/flows/execute/{flow_id}", body, limited)
    assert refused.json()["errors"][0]["code"] == "file_not_found"

    await house.post(f"/flows/execute/{flow_id}", body)
    assert (await house.get(f"/files/{file_id}", limited)).status_code == 200
    assert (await house.get(f"/files/{file_id}", staging)).status_code == 404


async def test_bytes_that_somebody_deleted_are_not_found(house: House):
    file_id = await file_id_of(house)
    damage_bytes(house.database, hashlib.sha256(PDF).hexdigest(), None)
    assert (await house.get(f"/files/{file_id}")).status_code == 404


async def test_an_assistant_sends_a_file_by_its_id_or_address(house: House):
    flow_id = house.new_flow("Read a file", fields=FIELDS)
    offer(house, flow_id)
    file_id = await file_id_of(house)
    async with session(house) as client:
        tool = next(one for one in (await client.list_tools()).tools if one.title == "Read a file")
        wrong = await client.call_tool(tool.name, {"document": "file_" + "0" * 22})
    told = [one.get("type") for one in tool.input_schema["properties"]["document"]["anyOf"]]
    assert told == ["string", "object"]
    assert wrong.is_error
    assert "file_not_found" in str(wrong) or "no file has the id" in str(wrong)
    assert file_id


async def test_the_documents_of_a_flow_tell_how_a_file_is_sent(house: House):
    flow_id = house.new_flow(fields=FIELDS)

    document = (await house.get(f"/openapi/flows/{flow_id}.json")).json()

    body = document["paths"][f"/public/v1/flows/execute/{flow_id}"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    as_text, as_object = schema["properties"]["document"]["anyOf"]
    assert as_text["type"] == "string"
    assert document["components"]["schemas"][as_object["$ref"].rpartition("/")[2]]["required"] == ["file_id"]
    assert "At most 50 MiB" in schema["properties"]["document"]["description"]
