"""Accepting jobs: what is stored, what is refused, and in which order."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from engine.actions.jobs import submit
from engine.core.errors import (
    IdempotencyKeyReused,
    NotAllowed,
    NotDeployed,
    NotFound,
    PayloadInvalid,
    StorageUnavailable,
    Unauthorized,
)
from engine.flow.document import Document
from engine.flow.payload_check import check_payload
from engine.jobs.huey_queue import JsonSerializer
from engine.jobs.notifier import NOTIFIER
from engine.jobs.submit.accept import (
    Accepted,
    Caller,
    find_body_version,
    find_live_flow,
    read_key_again,
)
from engine.jobs.submit.bodies import CheckedBody, SubmitOptions, checked_body, read_version
from storage.database import now
from storage.jobs import KeyScope, read_value
from storage.keys import read_caller
from storage.tables import ApiKey, ApiKeySecret, Flow, FlowVersion, Job
from tests.engine.jobs.submit.submitting import add_key, submit_with
from tests.engine.jobs.world import World, add_workspace, count_open, document_of
from tests.stored import fill_disk, free_disk


def test_an_accepted_job_is_queued_with_its_payload_event_and_message(world: World) -> None:
    flow_id = world.add_flow()
    accepted = world.submit(flow_id, {"n": 5}, request_id="req_1", trace="00-1")
    job = world.job(accepted.job_id)
    assert (job.status, job.flow_version, job.environment, job.limit_ms) == ("queued", 1, "live", 1_800_000)
    assert (job.request_id, job.traceparent, job.steps_total) == ("req_1", "00-1", 2)
    assert (accepted.limits.concurrency, accepted.limits.active, accepted.limits.monthly, accepted.limits.used) == (
        4,
        1,
        1000,
        1,
    )
    (message,) = world.read(
        lambda session: session.connection().exec_driver_sql("select data from task").scalars().all()
    )
    assert JsonSerializer().deserialize(message).args == [job.id]


class Told:
    """A notifier that records the job ids it is given."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def wake(self) -> None:
        self.heard.append("wake")

    def cancel(self, job_id: str) -> None:
        raise AssertionError("nothing was cancelled")

    def changed(self, *job_ids: str) -> None:
        self.heard += job_ids


def test_workers_and_those_who_wait_hear_of_an_accepted_job(world: World) -> None:
    notifier = world.database.info[NOTIFIER] = Told()
    job_id = world.submit(world.add_flow()).job_id
    world.database.write_now(
        lambda _session: None
    )  # the notices of a write follow its answer, and precede the next write
    assert sorted(notifier.heard) == [job_id, "wake"]


def test_a_job_of_a_key_is_stored_with_it_and_seen_by_it(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world, environment="test", flow_ids=[flow_id])
    job = world.job(submit_with(world, caller, flow_id).job_id)
    assert (job.key_id, job.environment) == (caller.key_id, "test")
    scope = replace(caller, environment="test", flow_ids=frozenset({flow_id})).scope
    assert scope == KeyScope("test", frozenset({flow_id}))


def test_a_job_begins_with_the_defaults_of_its_fields(world: World) -> None:
    fields = [{"name": "n", "type": "integer"}, {"name": "word", "type": "string", "default": "hello"}]
    job_id = world.submit(world.add_flow(document_of(fields=fields)), {"n": 1}).job_id
    assert world.read(read_value, job_id, "payload") == {"n": 1, "word": "hello"}


def test_a_node_that_stands_apart_is_no_step(world: World) -> None:
    document = document_of(("echo", "set_fields", {"n": 1}), ("apart", "set_fields", {"n": 1}))
    document = document.model_copy(update={"edges": document.edges[:1]})
    assert world.job(world.submit(world.add_flow(document)).job_id).steps_total == 2


@pytest.mark.parametrize(
    ("flows", "asked", "url", "by_caller"),
    [
        (None, None, None, False),
        ("https://a.example", None, "https://a.example", False),
        (None, "https://b.example", "https://b.example", True),
        ("https://a.example", "https://b.example", "https://b.example", True),
    ],
)
def test_the_webhook_of_a_request_counts_before_that_of_its_flow(world: World, flows, asked, url, by_caller) -> None:
    flow_id = world.add_flow(settings={"webhook_url": flows} if flows else {})
    world.submit(flow_id, webhook_url=asked)
    stored = world.read(lambda session: session.execute(select(Job.webhook_url, Job.webhook_by_caller)).one())
    assert tuple(stored) == (url, by_caller)


@pytest.mark.parametrize("change", [{"revoked_at": 1}, {"expires_at": 1}])
def test_a_key_that_is_no_longer_valid_is_refused_whatever_was_cached(world: World, change: dict[str, int]) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)
    submit_with(world, caller, flow_id)
    world.write(lambda session: session.execute(update(ApiKey).values(**change)))
    with pytest.raises(Unauthorized):
        submit_with(world, caller, flow_id)


def test_only_the_secret_that_was_sent_counts_while_a_key_has_two(world: World) -> None:
    flow_id = world.add_flow()
    caller = add_key(world)

    def add_secrets(session) -> None:
        at = now(session)
        for number, valid_until in enumerate((None, at - 1)):
            secret = {"hash": f"hash_{number}", "key_id": caller.key_id, "prefix": "fp_live_ab", "last4": "abcd"}
            session.add(ApiKeySecret(**secret, created_at=at, valid_until=valid_until))

    world.write(add_secrets)
    assert submit_with(world, replace(caller, key_hash="hash_0"), flow_id).status == "queued"
    for gone in ("hash_1", "hash_of_nothing"):
        with pytest.raises(Unauthorized):
            submit_with(world, replace(caller, key_hash=gone), flow_id)


def test_what_a_key_may_is_read_again_and_what_was_sent_stays(world: World) -> None:
    known = add_key(world)
    changed = {"label": "Store", "environment": "test", "flow_ids": ["flow_1"], "concurrency": 3, "monthly": 9}
    world.write(lambda session: session.execute(update(ApiKey).values(**changed)))
    plan = world.read(read_caller, world.workspace_id, known.key_id)
    assert plan.requests is not None
    assert world.read(read_key_again, known) == Caller(
        world.workspace_id,
        known.key_id,
        "test",
        label="Store",
        prefix="fp_live_ab",
        flow_ids=frozenset({"flow_1"}),
        concurrency=3,
        monthly=9,
        requests=plan.requests,
    )
    secret = {"hash": "hash_1", "key_id": known.key_id, "prefix": "fp_live_ab", "last4": "abcd"}
    world.write(lambda session: session.add(ApiKeySecret(**secret, created_at=1)))
    assert world.read(read_key_again, replace(known, key_hash="hash_1")).key_hash == "hash_1"


def test_unknown_foreign_and_switched_off_flows_are_refused(world: World) -> None:
    foreign = world.add_flow(workspace_id=world.write(add_workspace))
    for flow_id in (foreign, "flow_unknown"):
        with pytest.raises(NotFound):
            world.submit(flow_id)
    with pytest.raises(NotDeployed):
        world.submit(world.add_flow(live=False))


def test_a_key_for_some_flows_may_not_call_others(world: World) -> None:
    mine, other = world.add_flow(), world.add_flow()
    caller = add_key(world, flow_ids=[mine])
    assert submit_with(world, caller, mine).status == "queued"
    with pytest.raises(NotAllowed):
        submit_with(world, caller, other)
    with pytest.raises(NotAllowed):
        world.read(find_live_flow, replace(caller, flow_ids=frozenset({mine})), other)
    foreign = world.add_flow(workspace_id=world.write(add_workspace))
    for flow_id in (foreign, "flow_unknown"):
        with pytest.raises(NotFound):
            submit_with(world, caller, flow_id)


def add_versions(world: World, flow_id: str, numbers: Iterable[int], **changes) -> None:
    """Adds deployed versions; each has one input field, `f` and its number."""

    def add(session) -> None:
        rows = [
            {
                "flow_id": flow_id,
                "number": number,
                "document": document_of(fields=[{"name": f"f{number}", "type": "string"}]).dumps(),
                "title": "",
                "note": "",
                "created_at": 1,
                "created_by": "",
                "first_deployed_at": 1,
                **changes,
            }
            for number in numbers
        ]
        session.execute(insert(FlowVersion), rows)

    world.write(add)


def test_a_version_of_another_flow_is_none_of_this_one(world: World) -> None:
    other, flow_id = sorted(world.add_flow() for _ in range(2))
    add_versions(world, other, [2, 3])
    add_versions(world, flow_id, [3], first_deployed_at=None)
    for number in (2, 3):
        with pytest.raises(NotFound, match=f"Version {number} of this flow was never deployed"):
            world.submit(flow_id, version=number)
    with pytest.raises(NotFound):
        world.read(read_version, flow_id, 2)
    add_versions(world, flow_id, [2], document=document_of(fields=[{"name": "mine", "type": "string"}]).dumps())
    assert [[field["name"] for field in world.read(read_version, one, 2).fields] for one in (flow_id, other)] == [
        ["mine"],
        ["f2"],
    ]


def test_what_was_read_of_the_newest_512_versions_is_not_read_again(world: World) -> None:
    flow_id = world.add_flow()
    add_versions(world, flow_id, range(2, 515))

    def read_all(session) -> None:
        for number in range(2, 515):
            read_version(session, flow_id, number)

    world.read(read_all)
    world.write(lambda session: session.execute(delete(FlowVersion).where(FlowVersion.flow_id == flow_id)))
    for number in (3, 514):
        assert [field["name"] for field in world.read(read_version, flow_id, number).fields] == [f"f{number}"]
    with pytest.raises(NotFound):
        world.read(read_version, flow_id, 2)


def test_the_live_version_counts_from_the_next_request_and_old_ones_by_request(world: World) -> None:
    flow_id = world.add_flow()

    def go_live(session) -> None:
        for number, deployed in ((2, now(session)), (3, None)):
            session.add(
                FlowVersion(
                    flow_id=flow_id,
                    number=number,
                    document=document_of(fields=[{"name": "m", "type": "string"}]).dumps(),
                    title="",
                    note="",
                    created_at=now(session),
                    created_by="",
                    first_deployed_at=deployed,
                )
            )
        session.execute(update(Flow).values(live_version=2))

    world.submit(flow_id, {"n": 1})
    world.write(go_live)
    assert world.job(world.submit(flow_id, {"m": "x"}).job_id).flow_version == 2
    assert world.job(world.submit(flow_id, {"n": 1}, version=1).job_id).flow_version == 1
    with pytest.raises(NotFound):
        world.submit(flow_id, {"m": "x"}, version=3)


def test_a_wrong_payload_is_told_before_any_limit(world: World) -> None:
    flow_id = world.add_flow()
    for _ in range(4):
        world.submit(flow_id)
    with pytest.raises(PayloadInvalid) as refused:
        world.submit(flow_id, {"n": "5", "x": 1})
    assert {error.pointer for error in refused.value.errors} == {"/n", "/x"}
    assert "2 fields are wrong" in str(refused.value)
    with pytest.raises(PayloadInvalid, match="1 field is wrong"):
        world.submit(flow_id, {"n": "5"})


@pytest.mark.parametrize(
    ("settings", "cancel_after", "limit"),
    [
        ({}, None, 1_800_000),
        ({}, 60, 60_000),
        ({"limit_seconds": 30}, 60, 30_000),
        ({"limit_seconds": 1}, None, 10_000),
        ({"limit_seconds": 10**9}, None, 86_400_000),
        ({"limit_seconds": 60.5}, None, 60_500),
        ({"limit_seconds": True}, None, 1_800_000),
        ({"limit_seconds": "60"}, None, 1_800_000),
        ({"limit_seconds": None}, None, 1_800_000),
        ({}, 0, 1),
        ({}, 0.0004, 1),
        ({}, 12.3456, 12_346),
    ],
)
def test_the_time_limit_is_the_flows_or_lower(world: World, settings, cancel_after, limit: int) -> None:
    job_id = world.submit(world.add_flow(settings=settings), cancel_after_seconds=cancel_after).job_id
    assert world.job(job_id).limit_ms == limit


@pytest.mark.parametrize(
    ("kept", "number"), [(None, None), (1, 1), (1_000, 1_000), (0, 1), (5_000, 1_000), (True, None), ("2", None)]
)
def test_a_job_knows_how_many_of_its_flow_run_at_once(world: World, kept: Any, number: int | None) -> None:
    job_id = world.submit(world.add_flow(settings={"concurrency": kept})).job_id
    assert world.read(lambda session: session.get(Job, job_id).flow_concurrency) == number


def test_a_disk_that_cannot_be_written_refuses_and_leaves_nothing_half_made(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "text", "type": "string"}]))
    world.write(fill_disk)
    with pytest.raises(StorageUnavailable):
        world.submit(flow_id, {"text": "x" * 500_000})
    world.write(free_disk)
    assert (world.read(count_open, world.workspace_id), world.active()) == (0, 0)
    assert world.submit(flow_id, {"text": "x" * 500_000}).limits.active == 1


def deploy_second(session: Session, flow_id: str, document: Document) -> None:
    """Version 2 of a flow, live."""
    made = {"title": "A flow", "note": "", "created_at": 1, "created_by": "test", "first_deployed_at": 1}
    session.execute(insert(FlowVersion), {"flow_id": flow_id, "number": 2, "document": document.dumps(), **made})
    session.execute(update(Flow).where(Flow.id == flow_id).values(live_version=2, newest_version=2))


@pytest.mark.parametrize("key", [None, "k1"])
def test_what_was_checked_before_is_not_done_again_while_others_wait_to_write(world: World, key: str | None) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "n", "type": "integer", "default": 7}]))
    options = SubmitOptions(idempotency_key=key)

    def submitted(payload: dict[str, int]) -> tuple[Accepted, set[str]]:
        called: set[str] = set()

        def work(session: Session) -> Accepted:
            sys.setprofile(lambda frame, event, _: called.add(frame.f_code.co_name))
            try:
                return submit(session, world.caller, flow_id, payload, options, checked)
            finally:
                sys.setprofile(None)

        checked = world.read(check_body, world.caller, flow_id, payload, options)
        return world.write(work), called

    slow = {"check_payload", "fingerprint_of"}
    first, called = submitted({})
    assert (world.read(read_value, first.job_id, "payload"), called & slow) == ({"n": 7}, set())
    world.write(deploy_second, flow_id, document_of(fields=[{"name": "n", "type": "integer", "default": 8}]))
    again, called = submitted({"n": 7})
    assert (again.replayed, called & slow) == (key is not None, set())
    if key is not None:
        with pytest.raises(IdempotencyKeyReused):
            submitted({"n": 9})


def check_body(
    session: Session, caller: Caller, flow_id: str, payload: dict[str, Any], options: SubmitOptions
) -> CheckedBody | None:
    found = find_body_version(session, caller, flow_id, options)
    if found is None:
        return None
    number, version = found
    return checked_body(number, version.fields, payload, options, check_payload)


def test_a_body_that_was_checked_for_another_version_is_checked_again(world: World) -> None:
    flow_id = world.add_flow(document_of(fields=[{"name": "n", "type": "integer", "default": 7}]))
    options = SubmitOptions(idempotency_key="k1")
    checked = world.read(check_body, world.caller, flow_id, {}, options)
    world.write(deploy_second, flow_id, document_of(fields=[{"name": "n", "type": "integer", "default": 8}]))

    job_id = world.write(submit, world.caller, flow_id, {}, options, checked).job_id

    assert world.read(read_value, job_id, "payload") == {"n": 8}
    assert world.write(submit, world.caller, flow_id, {"n": 8}, options).replayed


def test_a_body_for_a_flow_or_version_that_cannot_be_called_is_left_to_the_transaction(world: World) -> None:
    flow_id = world.add_flow()
    assert world.read(check_body, world.caller, "flow_none", {}, SubmitOptions()) is None
    assert world.read(check_body, world.caller, flow_id, {}, SubmitOptions(version=9)) is None
