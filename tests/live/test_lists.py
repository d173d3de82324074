"""A list through the public API: items run in parallel, results keep the order, and a failed item gives a partial
result.
"""

from __future__ import annotations

import pytest

from tests.live import flows

AT_ONCE = 5


@pytest.fixture(scope="module")
def fetch_all(terminal) -> str:
    return terminal.flow(flows.in_a_list(AT_ONCE))


def test_a_list_runs_so_many_at_once_and_comes_out_in_order(caller, site, fetch_all):
    urls = [site.hold(f"p{number}") for number in range(12)]
    urls[3] = site.at("/gone")
    job_id = caller.accepted(fetch_all, {"urls": urls})
    for first in (0, 1, 2, 4, 5):  # /gone fails at once, so the sixth item takes its place
        site.wait_until_held(f"p{first}")
    assert caller.job(job_id)["progress"]["steps_total"] == 4
    for number in reversed(range(12)):
        site.let_go(f"p{number}")
    job = caller.ended(job_id)
    assert job["status"] == "completed", job
    assert site.most_held == AT_ONCE
    out = job["result"]["output"]
    assert out["items"] == [f"{number}: held no more" for number in range(12) if number != 3]
    assert (out["count"], out["total_count"], out["failed_count"]) == (11, 12, 1)
    assert [error["index"] for error in out["errors"]] == [3]
    assert job["progress"] == {"steps_total": 4, "steps_done": 4, "items_failed": 1}
    events = [(name, data["index"]) for _, name, data in caller.events(job_id) if data.get("node_id") == "get"]
    assert sorted(index for name, index in events if name == "step.started") == [[number] for number in range(12)]
    assert [index for name, index in events if name == "step.failed"] == [[3]]
