"""The server counts which fields each key sends, without their values, so that a deployment can warn which callers it
breaks.
"""

from __future__ import annotations

from engine.core.clock import DAY
from storage.sent_fields import CALLS, count_sent_fields
from tests.api.arrange import House


async def test_accepted_calls_are_counted_by_key_and_field(house: House):
    await house.submit({"url": "https://example.com", "tags": ["a"], "max_pages": None})
    await house.submit({"url": "https://example.com"})
    await house.submit({"url": 5})
    batch = await house.post(f"/flows/execute/{house.flow_id}/batch", {"items": [{"url": "https://a.example"}] * 2})
    assert batch.status_code == 202
    await house.api.close()

    counted = house.database.read_now(count_sent_fields, house.principal.workspace_id, house.flow_id)

    assert list(counted.values()) == [{CALLS: 4, "url": 4, "tags": 1}]
    assert house.database.read_now(count_sent_fields, "ws_other", house.flow_id) == {}


async def test_a_replay_counts_once_and_old_days_do_not_count(house: House):
    for _ in range(2):
        await house.post(
            f"/flows/execute/{house.flow_id}", {"url": "https://example.com"}, headers={"Idempotency-Key": "once"}
        )
    await house.api.close()
    assert [
        counts[CALLS]
        for counts in house.database.read_now(count_sent_fields, house.principal.workspace_id, house.flow_id).values()
    ] == [1]

    house.clock.offset += 9 * DAY

    assert house.database.read_now(count_sent_fields, house.principal.workspace_id, house.flow_id) == {}


async def test_the_type_of_an_unknown_field_is_kept_for_its_owner_and_not_published(house: House):
    from storage.refusals import list_refused_calls

    answer = await house.submit({"url": "https://example.com", "lang": "de", "deep": 3})
    await house.api.close()

    (call,) = house.database.read_now(list_refused_calls, house.principal.workspace_id)
    assert {(field["pointer"], field.get("sent")) for field in call.fields} == {
        ("/lang", "string"),
        ("/deep", "integer"),
    }
    assert all(set(error) == {"pointer", "code", "detail"} for error in answer.json()["errors"])
