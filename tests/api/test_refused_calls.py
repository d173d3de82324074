from __future__ import annotations

import asyncio
import json

from sqlalchemy import select
from sqlalchemy.orm import Session
from starlette.types import Message

from engine.actions.deployments import undeploy
from engine.actions.keys import create_key, revoke_key
from engine.core.api_key_format import new_key_text
from engine.core.clock import MINUTE
from storage.keys import get_key
from storage.refusals import KEPT_CALLS, RefusedRow, add_refusals, count_refusals, list_refused_calls
from storage.tables import RefusalCount
from tests.api.arrange import House

SECRET = "https://secret.example/very-private"


def counts(house: House, workspace_id: str | None = None) -> dict[str, int]:
    at = house.clock.now()
    owner = house.principal.workspace_id if workspace_id is None else workspace_id
    return house.database.read_now(count_refusals, owner, at - MINUTE, at)


async def test_a_refused_call_is_kept_with_its_fields_and_without_values(house: House):
    response = await house.submit({"url": 5, "max_pages": SECRET, SECRET[:8]: 1})
    await house.api.close()

    (call,) = house.database.read_now(list_refused_calls, house.principal.workspace_id)

    assert (call.code, call.status, call.flow_id, call.key_prefix) == (
        "validation_failed",
        400,
        house.flow_id,
        "fp_live_",
    )
    assert call.request_id == response.headers["x-request-id"]
    assert {(field["pointer"], field["code"]) for field in call.fields} == {
        ("/url", "type_error"),
        ("/max_pages", "type_error"),
        ("/https:~1~1", "unknown_field"),
    }
    assert "very-private" not in str(call)
    (unknown,) = [field for field in call.fields if field["code"] == "unknown_field"]
    assert unknown["detail"].startswith("the flow has no field of this name; it has `url`")


async def test_refused_calls_are_counted_by_code(house: House):
    for _ in range(3):
        await house.submit({})
    await house.post("/flows/execute/flow_unknown", {})
    house.database.write_now(undeploy, house.principal, house.flow_id)
    await house.submit()
    await house.api.close()

    assert counts(house) == {"validation_failed": 3, "not_found": 1, "flow_not_deployed": 1}


async def test_an_unknown_flow_is_not_kept_by_its_name(house: House):
    await house.post("/flows/execute/flow_unknown", {})
    await house.api.close()

    (call,) = house.database.read_now(list_refused_calls, house.principal.workspace_id)
    assert call.flow_id == ""


async def test_made_up_flow_ids_of_a_valid_key_are_one_count(house: House):
    """Invented ids are counted without an id for every kind of refusal, also for those that are raised before the flow
    is looked up.
    """
    wrong = {"Cancel-After": "soon"}
    made_up = [f"flow_{number}" for number in range(5)] + ["x" * 10_000, "a%20b"]
    for flow_id in made_up:
        assert (await house.post(f"/flows/execute/{flow_id}", {}, headers=wrong)).json()["code"] == "invalid_parameter"
    await house.post(f"/flows/execute/{house.flow_id}", {}, headers=wrong)
    await house.api.close()

    kept = house.database.read_now(_flows_and_counts)
    assert sorted(kept) == sorted([("", len(made_up)), (house.flow_id, 1)])
    calls = house.database.read_now(list_refused_calls, house.principal.workspace_id)
    assert {call.flow_id for call in calls} == {"", house.flow_id}


async def test_a_flow_of_another_workspace_is_not_named(house: House):
    theirs = house.new_flow(principal=house.other_workspace())
    await house.post(f"/flows/execute/{theirs}", {}, headers={"Cancel-After": "soon"})
    await house.api.close()

    (call,) = house.database.read_now(list_refused_calls, house.principal.workspace_id)
    assert call.flow_id == ""


async def test_calls_without_a_valid_key_are_only_counted(house: House):
    for _ in range(2):
        await house.submit(key=new_key_text("live"))
    await house.api.close()

    assert counts(house, "") == {"unauthorized": 2}
    assert house.database.read_now(list_refused_calls, "") == []


async def test_a_call_with_a_revoked_key_is_named_to_its_owner(house: House):
    made = house.database.write_now(create_key, house.principal, "Old shop", "live")
    house.database.write_now(revoke_key, house.principal, made.id)
    response = await house.submit(key=made.key)
    await house.api.close()

    (call,) = house.database.read_now(list_refused_calls, house.principal.workspace_id)
    assert response.status_code == 401
    assert (call.code, call.key_id, call.flow_id) == ("unauthorized", made.id, house.flow_id)


async def test_counts_of_one_minute_are_one_row(house: House):
    for _ in range(2):
        await house.submit({})
        await house.api.close()
    assert len(house.database.read_now(_rows)) == 1


def test_the_last_thousand_calls_are_kept(house: House):
    def call(number: int) -> RefusedRow:
        return RefusedRow("ws", number, f"req_{number}", "key", "fp_live_", "flow", 400, "invalid_json", ())

    for start in (0, 600):
        house.database.write_now(add_refusals, {}, [call(start + number) for number in range(600)])

    kept = house.database.read_now(list_refused_calls, "ws", limit=5_000)
    assert len(kept) == KEPT_CALLS
    assert (kept[0].request_id, kept[-1].request_id) == ("req_1199", "req_200")


async def test_a_key_remembers_when_it_was_used_at_most_once_a_minute(house: House):
    key = house.new_key()
    await house.submit(key=key.key)
    await house.api.close()
    first = house.database.read_now(get_key, house.principal.workspace_id, key.id).last_used_at
    assert first is not None

    house.clock.offset += MINUTE // 2
    await house.submit(key=key.key)
    await house.api.close()
    assert house.database.read_now(get_key, house.principal.workspace_id, key.id).last_used_at == first


def _rows(session: Session) -> list[int]:
    return list(session.scalars(select(RefusalCount.count)))


def _flows_and_counts(session: Session) -> list[tuple[str, int]]:
    return [(flow_id, count) for flow_id, count in session.execute(select(RefusalCount.flow_id, RefusalCount.count))]


async def test_a_call_that_is_cancelled_when_the_time_to_stop_is_over_is_answered_with_503(house: House):
    waits, sent = asyncio.Event(), []

    async def receive() -> Message:
        waits.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {house.key}".encode()), (b"content-type", b"application/json")]
    scope = {
        "type": "http", "method": "POST", "path": f"/public/v1/flows/execute/{house.flow_id}", "query_string": b"",
        "headers": [*headers, (b"content-length", b"10")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    call = asyncio.create_task(house.api(scope, receive, send))
    await waits.wait()
    house.api.stop()
    call.cancel()
    await call
    begin, body = sent
    assert begin["status"] == 503
    assert dict(begin["headers"])[b"connection"] == b"close"
    assert json.loads(body["body"])["code"] == "shutting_down"
