"""Files in jobs: sent in four forms, kept while something names them, foreign and lost ones refused."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from engine.core.errors import PayloadInvalid
from engine.files.intake import SPACE_GB, incoming_of, store_file, value_of
from engine.flow.file_values import FileContent, is_file_value
from engine.flow.node_context import NodeFailed
from engine.jobs.job_views import job_view
from engine.jobs.transitions import give_back
from engine.jobs.worker.job_files import JobFiles
from engine.jobs.worker.runs import Runs
from engine.outbound.client import Answer
from engine.outbound.errors import AddressNotAllowed, ConnectFailed, ResponseTooLarge, TimedOut, TooManyRedirects
from storage.files import find_file, list_uses
from storage.job_changes import Lease
from storage.jobs import read_value
from storage.settings import SERVER, put_setting
from tests.databases import damage_bytes
from tests.engine.jobs.world import NoServices, World, add_workspace, document_of

FILE = {"name": "document", "type": "file", "required": True}
PDF = b"%PDF-1.7\nnot a real one"


def flow_of(world: World, **rules: Any) -> str:
    echo = ("echo", "set_fields", {"document": "{{ api_input.out.document }}"})
    return world.add_flow(document_of(echo, fields=[{**FILE, **rules}]))


def upload(world: World, content: bytes = PDF, name: str = "a.pdf", workspace_id: str = "") -> dict[str, Any]:
    incoming = incoming_of(world.database.file_bytes, content, name)
    owner = workspace_id or world.workspace_id
    return value_of(world.write(store_file, incoming, workspace_id=owner, environment="live"))


async def carried(world: World, flow_id: str, payload: dict[str, Any]) -> Any:
    job_id = world.submit(flow_id, payload).job_id
    await world.runs().carry(job_id)
    return world.job(job_id)


def result_of(world: World, job: Any) -> Any:
    assert job.error is None, job.error
    return world.result(job.id)["output"]["document"]


@pytest.mark.parametrize("as_object", [False, True])
async def test_an_uploaded_file_is_sent_by_its_id(world: World, as_object: bool) -> None:
    value = upload(world)
    sent = {"file_id": value["file_id"], "name": "another name"} if as_object else value["file_id"]
    job = await carried(world, flow_of(world), {"document": sent})
    assert result_of(world, job) == value
    assert world.read(list_uses, "job", job.id) == [value["file_id"]]
    assert world.read(read_value, job.id, "payload") == {"document": value}


async def test_a_data_url_becomes_a_file_and_leaves_the_stored_payload(world: World) -> None:
    sent = f"data:application/x-whatever;name=my%20file.pdf;base64,{base64.b64encode(PDF).decode()}"
    job = await carried(world, flow_of(world), {"document": sent})
    value = result_of(world, job)
    assert value == {
        "name": "my file.pdf",
        "media_type": "application/pdf",
        "size": len(PDF),
        "file_id": value["file_id"],
    }
    assert world.read(read_value, job.id, "payload") == {"document": value}
    row = world.read(find_file, world.workspace_id, value["file_id"])
    assert world.database.file_bytes.read(row.sha256, row.size) == PDF


async def test_the_job_fetches_a_web_address(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Answer:
        url, status, content_type, body = "https://files.example/x/report.pdf", 200, "text/html", PDF
        headers: dict[str, str] = {}  # noqa: RUF012

    class Outside(NoServices):
        async def request(self, method: str, url: str, **options: Any) -> Any:
            asked.append((method, url))
            return Answer

    job_id = world.submit(flow_of(world), {"document": "https://files.example/x"}).job_id
    assert asked == []
    runs = world.runs()
    runs.services_for = lambda job, recorder: Outside(recorder, world)
    await runs.carry(job_id)
    value = result_of(world, world.job(job_id))
    assert (value["name"], value["media_type"], asked) == ("report.pdf", "application/pdf", [("GET", Answer.url[:-11])])


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (ConnectFailed("No address is known for nowhere.example."), "file_not_found"),
        (TimedOut("It did not answer in time."), "file_not_found"),
        (TooManyRedirects("It sends on and on."), "file_not_found"),
        (AddressNotAllowed("127.0.0.1 is not opened."), "address_not_allowed"),
        (ResponseTooLarge("It is larger than the 50 MiB that are read."), "file_not_taken"),
    ],
)
async def test_an_address_that_brings_no_file_fails_with_a_code_of_its_own(
    world: World, fault: NodeFailed, code: str
) -> None:
    class Outside(NoServices):
        async def request(self, method: str, url: str, **options: Any) -> Any:
            raise fault

    job_id = world.submit(flow_of(world), {"document": "https://nowhere.example/x"}).job_id
    runs = world.runs()
    runs.services_for = lambda job, recorder: Outside(recorder, world)
    await runs.carry(job_id)
    error = world.job(job_id).error
    assert (job_view(world.job(job_id), None)["error"]["code"], error["node_id"]) == (code, "api_input")
    assert error["message"].startswith("`document`: ")


async def test_a_list_of_files_and_a_file_in_a_group(world: World) -> None:
    values = [upload(world, name=f"{number}.pdf") for number in range(3)]
    echo = ("echo", "set_fields", {"all": "{{ api_input.out.all }}", "one": "{{ api_input.out.group.one }}"})
    fields = [
        {"name": "all", "type": "array", "items": {"type": "file"}},
        {"name": "group", "type": "object", "fields": [FILE | {"name": "one"}]},
    ]
    payload = {"all": [value["file_id"] for value in values[:2]], "group": {"one": values[2]["file_id"]}}
    job = await carried(world, world.add_flow(document_of(echo, fields=fields)), payload)
    assert world.result(job.id)["output"] == {"all": values[:2], "one": values[2]}
    assert set(world.read(list_uses, "job", job.id)) == {value["file_id"] for value in values}


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (7, "type_error"),
        ("just text", "format"),
        ("http://example.com/a.pdf", "format"),
        ("https://ann:secret@example.com/a.pdf", "format"),
        ("https://", "format"),
        ("https:///a.pdf", "format"),
        ("https://example.com:70000/a.pdf", "format"),
        ("https://[::1/a.pdf", "format"),
        ("https://a b.com/a.pdf", "format"),
        ("data:text/plain,hello", "format"),
        ("data:application/pdf;base64,%%%%", "format"),
        ({"name": "a.pdf"}, "format"),
        ("file_0123456789012345678901", "file_not_found"),
        ("data:application/pdf;base64,aGVsbG8=", "file_kind"),
        (f"data:application/pdf;base64,{base64.b64encode(PDF * 100_000).decode()}", "file_size"),
    ],
)
def test_what_is_no_file_is_refused_with_its_pointer(world: World, sent: Any, code: str) -> None:
    with pytest.raises(PayloadInvalid) as refused:
        world.submit(flow_of(world, file_kinds=["pdf"], max_file_mb=1), {"document": sent})
    assert [(error.pointer, error.code) for error in refused.value.errors] == [("/document", code)]
    assert "secret" not in str(refused.value.errors)


def test_a_file_of_another_workspace_does_not_exist(world: World) -> None:
    foreign = upload(world, workspace_id=world.write(add_workspace))
    with pytest.raises(PayloadInvalid) as refused:
        world.submit(flow_of(world), {"document": foreign})
    assert refused.value.errors[0].code == "file_not_found"
    assert "are erased" in refused.value.errors[0].detail


async def test_a_full_space_fails_the_job_with_what_to_do(world: World) -> None:
    world.write(put_setting, SERVER, SPACE_GB, 1e-8)
    sent = f"data:application/pdf;base64,{base64.b64encode(PDF).decode()}"
    job = await carried(world, flow_of(world), {"document": sent})
    assert (job.error["code"], job.error["node_id"]) == ("file_not_stored", "api_input")
    assert "Settings" in job.error["remedy"]


async def test_a_step_reads_and_keeps_files(world: World) -> None:
    job_id = world.submit(world.add_flow()).job_id
    runs = world.runs()
    made: list[Any] = []
    read: list[FileContent] = []

    class Outside(NoServices):
        pass

    def services_for(job: Any, recorder: Any) -> Outside:
        files = JobFiles(world.database, job, recorder.lease)
        made.append(files)
        return Outside(recorder, world)

    runs.services_for = services_for
    await runs.carry(job_id)
    files = made[0]
    value = await files.keep("../x y.csv", "text/csv", b"a,b\n")
    again = await files.keep("x y.csv", "text/csv", b"a,b\n")
    assert value == again
    assert is_file_value(value)
    read.append(await files.read(value))
    assert read[0] == FileContent("x y.csv", "text/csv", 4, b"a,b\n")
    for wrong in ({"name": "x"}, "file_0123456789012345678901", None):
        with pytest.raises(NodeFailed):
            await files.read(wrong)


async def test_bytes_that_are_gone_are_said_to_be_gone(world: World) -> None:
    value = upload(world)
    row = world.read(find_file, world.workspace_id, value["file_id"])
    damage_bytes(world.database, row.sha256, b"changed")
    job_id = world.submit(world.add_flow()).job_id
    await world.runs().carry(job_id)

    class Claim:
        workspace_id, id, environment = world.workspace_id, job_id, "live"

    with pytest.raises(NodeFailed, match=r"a\.pdf"):
        await JobFiles(world.database, Claim()).read(value)  # pyright: ignore[reportArgumentType]


async def test_a_file_that_was_fetched_is_not_fetched_again_when_the_worker_is_killed_at_the_next_call(
    world: World,
) -> None:
    call = ("paid", "test_call", {"url": "https://paid.example/", "body": "{{ api_input.out.document }}"})
    job_id = world.submit(
        world.add_flow(document_of(call, fields=[FILE])), {"document": "https://files.example/x"}
    ).job_id
    sent: list[tuple[str, str]] = []
    at_the_paid_call = asyncio.Event()

    class Outside(NoServices):
        async def request(self, method: str, url: str, **_options: Any) -> Any:
            await self._recorder.settled()
            sent.append((method, url))
            if url == "https://paid.example/" and not at_the_paid_call.is_set():
                at_the_paid_call.set()
                await asyncio.sleep(1_000)
            return Answer(url, 200, {"content-type": "application/pdf"}, PDF)

    def runs() -> Runs:
        made = world.runs()
        made.services_for = lambda _job, recorder: Outside(recorder, world)
        return made

    killed = asyncio.create_task(runs().carry(job_id))
    await at_the_paid_call.wait()
    assert world.write(give_back, job_id, Lease(world.boot_id, 1), unpunished=False)  # what it wrote until then is all
    await runs().carry(job_id)
    assert [url for _, url in sent] == ["https://files.example/x", "https://paid.example/", "https://paid.example/"]
    assert world.job(job_id).status == "completed"
    killed.cancel()
