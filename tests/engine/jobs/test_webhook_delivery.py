"""Webhooks: every end of a job is sent to its subscribers, repeatedly until it is accepted, with a valid signature."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.actions.erasing import erase_data
from engine.actions.jobs import submit
from engine.actions.principal import Principal, command_line
from engine.actions.webhooks import renew_signing_secret, send_again, send_test, set_webhook
from engine.core.clock import DAY, HOUR, MINUTE, SECOND, MovedClock
from engine.core.environments import ENVIRONMENTS
from engine.core.errors import Conflict, Invalid, NotFound
from engine.core.ids import WorkspaceId
from engine.jobs import webhook_delivery
from engine.jobs.server.retention import Retention
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.batches import accept_batch
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.webhook_delivery import (
    AT_ONCE_OF_WORKSPACE,
    AT_ONCE_TO_HOST,
    LEASE_MS,
    PAUSES,
    TEST_EVENT,
    Webhooks,
)
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.secrets.opening import open_all
from engine.secrets.question_links import question_link_path
from engine.secrets.sealing import Vault, open_vault
from storage.settings import ADDRESS, PUBLIC_URL, SERVER, put_setting
from storage.tables import WebhookDelivery
from storage.webhooks import DeliveryRow, insert_delivery, list_deliveries, list_due, take_due
from tests.engine.jobs.world import World, add_workspace
from tests.factories import asks_person
from tests.stand_ins.local_server import Reply
from tests.stand_ins.webhook_receiver import WebhookReceiver


@pytest.fixture
def clock() -> MovedClock:
    return MovedClock()


@pytest.fixture
def vault(world: World) -> Vault:
    return open_vault(world.data, None)


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    with WebhookReceiver() as running:
        yield running


@pytest.fixture
async def webhooks(world: World, vault: Vault, receiver: WebhookReceiver) -> AsyncIterator[Webhooks]:
    allow = parse_allow_list(receiver.origin.removeprefix("http://"))
    outbound = OutboundClient(OutboundRules(allow, callers=allow))
    made = Webhooks(world.database, outbound, vault)
    yield made
    await made.close()
    await outbound.aclose()


async def send(webhooks: Webhooks) -> None:
    await webhooks.pass_over()
    await webhooks.settled()


async def ended_job(world: World, url: str | None, *, settings: dict[str, Any] | None = None) -> tuple[str, str]:
    """Runs a job to its end; returns the flow id and the job id."""
    flow_id = world.add_flow(settings=settings)
    job_id = world.submit(flow_id, {"n": 7}, webhook_url=url).job_id
    await world.runs().carry(job_id)
    return flow_id, job_id


def owner(world: World) -> Principal:
    return command_line(WorkspaceId(world.workspace_id))


def deliveries(world: World, flow_id: str) -> list[DeliveryRow]:
    return world.read(list_deliveries, world.workspace_id, flow_id)


def signatures(secret: str, seen: Any) -> str:
    """Computes the signature of a delivery as the Standard Webhooks specification describes."""
    said = f"{seen.headers['webhook-id']}.{seen.headers['webhook-timestamp']}.".encode() + seen.body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode()


@pytest.mark.process
async def test_the_end_of_a_job_is_told_as_the_public_api_shows_it(world, webhooks, receiver, clock):
    flow_id, job_id = await ended_job(world, receiver.url)

    await send(webhooks)

    (seen,) = receiver.deliveries
    assert (seen.method, seen.path, seen.headers["content-type"]) == ("POST", "/hook", "application/json")
    assert abs(int(seen.headers["webhook-timestamp"]) - clock.now() // 1000) <= 2
    body = seen.json
    assert body["type"] == "job.completed"
    assert body["timestamp"] == body["data"]["completed_at"]
    assert (body["data"]["job_id"], body["data"]["status"], body["data"]["result"]) == (
        job_id,
        "completed",
        {"output": {"n": 7}},
    )
    (row,) = deliveries(world, flow_id)
    assert (row.status, row.tries, row.next_at, row.log[0]["status"]) == ("delivered", 1, None, 200)


@pytest.mark.process
async def test_the_address_of_the_flow_counts_and_that_of_the_request_wins(world, webhooks, receiver):
    of_flow = {"webhook_url": receiver.origin + "/of-flow"}
    await ended_job(world, None, settings=of_flow)
    await ended_job(world, receiver.origin + "/of-request", settings=of_flow)
    await ended_job(world, None)

    await send(webhooks)

    assert sorted(seen.path for seen in receiver.deliveries) == ["/of-flow", "/of-request"]


@pytest.mark.process
async def test_each_environment_calls_its_own_address_and_no_other(world, webhooks, receiver):
    flow_id = world.add_flow()
    for environment in ("live", "test"):
        world.write(set_webhook, owner(world), flow_id, f"{receiver.origin}/{environment}", environment)
    jobs = {}
    for environment in ENVIRONMENTS:
        caller = Caller(world.workspace_id, None, environment)
        jobs[environment] = world.write(submit, caller, flow_id, {"n": 7}, SubmitOptions()).job_id
        await world.runs().carry(jobs[environment])
    named = Caller(world.workspace_id, None, "dev")
    options = SubmitOptions(webhook_url=receiver.origin + "/of-request")
    jobs["of-request"] = world.write(submit, named, flow_id, {"n": 7}, options).job_id
    await world.runs().carry(jobs["of-request"])

    await send(webhooks)

    told = {seen.path: seen.json["data"]["job_id"] for seen in receiver.deliveries}
    assert told == {f"/{name}": jobs[name] for name in ("live", "test", "of-request")}


@pytest.mark.process
async def test_items_of_a_batch_call_the_address_of_their_environment(world, webhooks, receiver):
    flow_id = world.add_flow(settings={"webhook_url": receiver.origin + "/live"})
    world.write(set_webhook, owner(world), flow_id, receiver.origin + "/test", "test")
    caller = Caller(world.workspace_id, None, "test")
    made = world.write(accept_batch, caller, flow_id, {"items": [{"n": 7}]}, SubmitOptions())
    await world.runs().carry(made.job_ids[0])

    await send(webhooks)

    assert "/test" in {seen.path for seen in receiver.deliveries}
    assert "/live" not in {seen.path for seen in receiver.deliveries}


@pytest.mark.process
async def test_failed_tries_come_again_with_the_same_id_and_growing_pauses(world, webhooks, receiver, clock):
    flow_id, _ = await ended_job(world, receiver.url)
    receiver.answer(500, Reply(302, headers={"location": receiver.origin + "/elsewhere"}), Reply(drop=True))

    await send(webhooks)
    for pause in PAUSES[:3]:
        before = len(receiver.deliveries)
        clock.offset += pause - 4 * SECOND
        await send(webhooks)
        assert len(receiver.deliveries) == before
        clock.offset += 4 * SECOND
        await send(webhooks)
        assert len(receiver.deliveries) == before + 1

    assert len(receiver.deliveries) == 4
    assert {seen.path for seen in receiver.deliveries} == {"/hook"}, "no redirect is followed"
    assert len({seen.headers["webhook-id"] for seen in receiver.deliveries}) == 1
    (row,) = deliveries(world, flow_id)
    assert (row.status, row.tries) == ("delivered", 4)
    assert [line["status"] for line in row.log] == [500, 302, None, 200]
    assert row.log[2]["message"]


@pytest.mark.process
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"x" * 200_000),
        Reply(200, b"hello", headers={"Content-Encoding": "br"}),
        Reply(202, b"hello", headers={"Content-Encoding": "gzip"}),
        Reply(200, chunks=(b"x",), drop=True),
        Reply(200, chunks=(b"x",) * 40, pause=0.1),
    ],
    ids=["long", "packed in another way", "damaged", "broken off", "slow"],
)
async def test_the_status_is_the_whole_answer(world, webhooks, receiver, reply, monkeypatch):
    monkeypatch.setattr(webhook_delivery, "TIMEOUT_SECONDS", 0.5)
    flow_id, _ = await ended_job(world, receiver.url)
    receiver.answer(reply)

    await send(webhooks)

    (row,) = deliveries(world, flow_id)
    assert (row.status, row.tries, row.log[0]["status"], row.log[0]["message"]) == ("delivered", 1, reply.status, "")


@pytest.mark.process
async def test_after_ten_tries_a_delivery_has_failed_and_can_be_sent_again(world, webhooks, receiver, clock):
    flow_id, _ = await ended_job(world, receiver.url)
    receiver.answer(*[503] * 10)

    for pause in (0, *PAUSES, 24 * HOUR):
        clock.offset += pause
        await send(webhooks)

    (row,) = deliveries(world, flow_id)
    assert (row.status, row.tries, len(receiver.deliveries)) == ("failed", 10, 10)
    assert (
        5 * SECOND,
        5 * MINUTE,
        30 * MINUTE,
        2 * HOUR,
        5 * HOUR,
        10 * HOUR,
        14 * HOUR,
        20 * HOUR,
        24 * HOUR,
    ) == PAUSES

    world.write(send_again, owner(world), row.id)
    await send(webhooks)
    assert deliveries(world, flow_id)[0].status == "delivered"


@pytest.mark.process
async def test_a_delivery_is_not_sent_again_while_it_is_sent(world, webhooks, receiver, clock):
    flow_id, _ = await ended_job(world, receiver.url)
    receiver.answer(500, 500, 500)
    for pause in (0, *PAUSES[:2]):
        clock.offset += pause
        (row,) = deliveries(world, flow_id)
        assert len(world.write(take_due, [row.id], lease_ms=LEASE_MS)) == 1
        with pytest.raises(Conflict):
            world.write(send_again, owner(world), row.id)
        clock.offset += LEASE_MS  # the worker died
        with pytest.raises(Conflict):
            world.write(send_again, owner(world), row.id)
        await send(webhooks)
    world.write(send_again, owner(world), row.id)
    await send(webhooks)
    assert [row.status for row in deliveries(world, flow_id)] == ["delivered"]


@pytest.mark.process
async def test_a_receiver_that_is_gone_is_not_called_again(world, webhooks, receiver):
    flow_id, _ = await ended_job(world, receiver.url)
    receiver.answer(410)

    await send(webhooks)

    assert deliveries(world, flow_id)[0].status == "failed"


@pytest.mark.process
async def test_what_a_dead_worker_had_taken_is_due_again_after_its_lease(world, webhooks, receiver, clock):
    await ended_job(world, receiver.url)
    due = [one.id for one in world.read(list_due, 10)]
    taken = world.write(take_due, due, lease_ms=LEASE_MS)
    assert world.write(take_due, due, lease_ms=LEASE_MS) == []
    assert len(taken) == 1

    await send(webhooks)
    assert receiver.deliveries == []
    clock.offset += LEASE_MS + 1
    await send(webhooks)

    assert [seen.headers["webhook-id"] for seen in receiver.deliveries] == [taken[0].id]


@pytest.mark.process
async def test_two_workers_send_a_delivery_once(world, webhooks, receiver, vault):
    for _ in range(5):
        await ended_job(world, receiver.url)
    other = Webhooks(world.database, webhooks._outbound, vault)

    await webhooks.pass_over()
    await other.pass_over()
    await webhooks.settled()
    await other.settled()

    assert len(receiver.deliveries) == len({seen.headers["webhook-id"] for seen in receiver.deliveries}) == 5


def queue(world: World, url: str, count: int, workspace_id: str = "") -> None:
    """Queues deliveries that are due now."""

    workspace_id = workspace_id or world.workspace_id

    def insert(session: Session) -> None:
        for _ in range(count):
            insert_delivery(session, workspace_id, f"flow of {workspace_id}", "", url, TEST_EVENT)

    world.write(insert)


@pytest.fixture
def silent() -> Iterator[list[str]]:
    """Addresses of hosts that take connections and answer nothing."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(3)]
        yield [f"http://127.0.0.1:{one.getsockname()[1]}" for one in sockets]


@pytest.mark.process
@pytest.mark.timeout(60)
async def test_hosts_that_do_not_answer_leave_places_to_others(world, vault, receiver, silent):
    allow = parse_allow_list(",".join(url.removeprefix("http://") for url in (receiver.origin, *silent)))
    outbound = OutboundClient(OutboundRules(allow))
    webhooks = Webhooks(world.database, outbound, vault)
    try:
        for number in range(250):  # more than are read at once, at different paths of one host
            queue(world, silent[0] + ("/?"[number % 2] + str(number)), 1)
        queue(world, receiver.url, 1)
        await webhooks.pass_over()
        await asyncio.to_thread(receiver.wait_for, 1)
        assert under_way(world, silent) == AT_ONCE_TO_HOST

        queue(world, silent[1], 30)
        queue(world, silent[2], 30)
        queue(world, receiver.url, 1, world.write(add_workspace))
        # the delivery that was received first may hold its place a moment longer
        while len(receiver.deliveries) < 2 or under_way(world, silent) < AT_ONCE_OF_WORKSPACE:
            await webhooks.pass_over()
            await asyncio.sleep(0.01)
        assert under_way(world, silent) == AT_ONCE_OF_WORKSPACE
    finally:
        await webhooks.close()
        await outbound.aclose()


def under_way(world: World, hosts: list[str]) -> int:
    """Returns how many deliveries to these hosts are leased."""
    at = world.database.clock.now()
    query = select(WebhookDelivery.url).where(WebhookDelivery.status == "waiting", WebhookDelivery.next_at > at)
    return sum(url.startswith(tuple(hosts)) for url in world.read(lambda session: session.scalars(query).all()))


@pytest.mark.process
async def test_free_places_are_filled_before_the_next_pass(world, webhooks, receiver):
    receiver.delay = 0.2
    queue(world, receiver.url, 3 * AT_ONCE_TO_HOST)
    await webhooks.pass_over()
    await webhooks.pass_over()  # which leaves out the host, whose places are all taken
    await asyncio.to_thread(receiver.wait_for, 3 * AT_ONCE_TO_HOST)


@pytest.mark.process
async def test_the_signature_is_the_standards_and_both_secrets_sign_while_one_is_replaced(
    world, webhooks, receiver, vault, clock
):
    flow_id, _ = await ended_job(world, receiver.url)
    first = world.write(renew_signing_secret, owner(world), vault, flow_id)
    second = world.write(renew_signing_secret, owner(world), vault, flow_id, HOUR)
    await send(webhooks)

    seen = receiver.deliveries[0]
    assert seen.headers["webhook-signature"].split(" ") == [signatures(second, seen), signatures(first, seen)]

    clock.offset += HOUR + 1
    world.write(send_again, owner(world), deliveries(world, flow_id)[0].id)
    await send(webhooks)
    seen = receiver.deliveries[1]
    assert seen.headers["webhook-signature"] == signatures(second, seen)
    assert {first, second} & set(world.read(open_all, vault)) == {first, second}


@pytest.mark.process
async def test_a_flow_whose_owner_never_made_a_secret_signs_all_the_same(world, webhooks, receiver):
    flow_id = world.add_flow()
    for _ in range(2):
        job_id = world.submit(flow_id, {"n": 7}, webhook_url=receiver.url).job_id
        await world.runs().carry(job_id)
        await send(webhooks)

    assert all(seen.headers["webhook-signature"].startswith("v1,") for seen in receiver.deliveries)


@pytest.mark.process
async def test_after_a_lost_key_a_delivery_says_what_to_do_and_a_new_secret_signs_it(
    world, webhooks, receiver, clock, vault
):
    flow_id, _ = await ended_job(world, receiver.url)
    world.write(renew_signing_secret, owner(world), Vault(b"a" * 32), flow_id)
    await send(webhooks)
    (row,) = deliveries(world, flow_id)
    assert (row.status, row.tries, row.log[0]["status"]) == ("waiting", 1, None)
    assert "cannot be opened with this server's key" in row.log[0]["message"]
    assert "Press New signing secret" in row.log[0]["message"]

    secret = world.write(renew_signing_secret, owner(world), vault, flow_id)
    clock.offset += PAUSES[0] + SECOND
    await send(webhooks)
    (seen,) = receiver.deliveries
    assert seen.headers["webhook-signature"] == signatures(secret, seen)
    assert deliveries(world, flow_id)[0].status == "delivered"


@pytest.mark.process
async def test_a_large_result_is_left_out_and_says_so(world, webhooks, receiver):
    from tests.engine.jobs.world import document_of

    flow_id = world.add_flow(document_of(("large", "test_large", {"bytes": 300_000})))
    job_id = world.submit(flow_id, {"n": 1}, webhook_url=receiver.url).job_id
    await world.runs().carry(job_id)

    await send(webhooks)

    data = receiver.deliveries[0].json["data"]
    assert (data["status"], data["result"], data["result_truncated"]) == ("completed", None, True)


@pytest.mark.process
@pytest.mark.parametrize("of", ["time", "person"])
async def test_a_result_that_is_gone_is_told(world, webhooks, receiver, clock, of):
    _, job_id = await ended_job(world, receiver.url)
    if of == "person":
        world.write(erase_data, owner(world), job_id)
    clock.offset += 40 * DAY
    Retention(world.database, rest=0).run()

    await send(webhooks)

    (seen,) = receiver.deliveries
    data = seen.json["data"]
    assert (data["status"], data["result"], data["data_erased_at"] is None) == ("completed", None, of == "time")
    assert data.get("result_expired") == (True if of == "time" else None)


@pytest.mark.process
async def test_an_address_inside_is_refused_and_nothing_of_it_is_told(world, webhooks):
    flow_id, _ = await ended_job(world, "http://169.254.169.254/latest/meta-data")

    await send(webhooks)

    (row,) = deliveries(world, flow_id)
    assert (row.status, row.log[0]["status"]) == ("waiting", None)
    assert "private or reserved network" in row.log[0]["message"]


@pytest.mark.process
async def test_a_test_is_sent_to_the_flows_address(world, webhooks, receiver):
    flow_id = world.add_flow()
    world.write(set_webhook, owner(world), flow_id, f" {receiver.url} ", "test")
    with pytest.raises(Conflict, match="no webhook for Production"):
        world.write(send_test, owner(world), flow_id)

    world.write(send_test, owner(world), flow_id, "test")
    await send(webhooks)

    assert receiver.deliveries[0].json["type"] == "webhook.test"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example",
        "https://",
        "https://ann:pw@a.example",
        "a.example/hook",
        "https://a.example:x/",
        "x" * 3000,
        "https://Practice.flowport.example./hook",
    ],
)
def test_an_address_that_is_none_is_refused(world, url):
    flow_id = world.add_flow()
    with pytest.raises(Invalid):
        world.write(set_webhook, owner(world), flow_id, url)


def test_the_playground_has_no_webhook(world):
    with pytest.raises(Invalid, match="no environment with a webhook"):
        world.write(set_webhook, owner(world), world.add_flow(), "https://example.com/hook", "playground")


def test_nobody_else_reads_or_repeats_a_delivery(world):
    with pytest.raises(NotFound):
        world.write(send_again, owner(world), "whd_unknown")


@pytest.mark.process
@pytest.mark.parametrize(
    ("of_environment", "stored", "link"),
    [
        ("", {ADDRESS: "https://flows.example"}, "https://flows.example"),
        ("", {ADDRESS: "http://localhost:8080", PUBLIC_URL: "https://flows.example"}, "https://flows.example"),
        (
            "https://new.example",
            {ADDRESS: "https://old.example", PUBLIC_URL: "https://old.example"},
            "https://new.example",
        ),
    ],
    ids=["the server's last address", "Settings, Server", "FLOWPORT_PUBLIC_URL"],
)
async def test_a_question_to_a_person_is_sent_with_its_link(
    world: World,
    webhooks: Webhooks,
    receiver: WebhookReceiver,
    vault: Vault,
    of_environment: str,
    stored: dict[str, str],
    link: str,
) -> None:
    for name, value in stored.items():
        world.write(put_setting, SERVER, name, value)
    webhooks = Webhooks(world.database, webhooks._outbound, vault, public_url=of_environment)
    options = SubmitOptions(webhook_url=f"{receiver.origin}/hook")
    job_id = world.write(submit, world.caller, world.add_flow(), {"n": 1}, options).job_id
    question = asks_person(world.database, job_id, title="Send it?")
    await send(webhooks)
    (seen,) = receiver.deliveries
    assert (seen.json["type"], seen.json["data"]["title"]) == ("step.waiting", "Send it?")
    assert seen.json["data"]["link"] == f"{link}{question_link_path(vault, question.id)}"


@pytest.mark.process
async def test_the_question_of_an_item_of_a_batch_names_its_place(
    world: World, webhooks: Webhooks, receiver: WebhookReceiver
) -> None:
    flow_id, options = world.add_flow(), SubmitOptions(webhook_url=f"{receiver.origin}/hook")
    made = world.write(accept_batch, world.caller, flow_id, {"items": [{"n": 1}, {"n": 2}]}, options)
    asks_person(world.database, made.job_ids[1])
    asks_person(world.database, world.write(submit, world.caller, flow_id, {"n": 1}, options).job_id)
    await send(webhooks)
    places = {(one.json["data"]["batch_id"], one.json["data"]["item_index"]) for one in receiver.deliveries}
    assert places == {(made.batch_id, 1), (None, None)}


async def test_half_of_a_character_is_sent_as_the_public_api_writes_it(
    world: World, webhooks: Webhooks, receiver: WebhookReceiver
) -> None:
    options = SubmitOptions(webhook_url=f"{receiver.origin}/hook")
    job_id = world.write(submit, world.caller, world.add_flow(), {"n": 1}, options).job_id
    asks_person(world.database, job_id, {"text": "a\ud83d"})
    await send(webhooks)
    (seen,) = receiver.deliveries
    assert seen.json["data"]["values"] == {"text": "a\ud83d"}
