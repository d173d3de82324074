"""Tests of traffic on the canvas: sums of callers' jobs by node, and the shares that are shown."""

from __future__ import annotations

from sqlalchemy import insert

from storage.database import Database
from storage.tables import Step
from storage.traffic import NodeSums, sum_by_node
from tests.ui.arrange import ended
from tests.ui.conftest import Site
from ui.playground.state.traffic import traffic_view


def add_step(database: Database, job_id: str, node_id: str, status: str, ms: int, nanos: int | None) -> None:
    row = {"job_id": job_id, "node_id": node_id, "index_path": "", "status": status, "attempt": 1, "tries": 1}
    row |= {"started_at": 1, "ended_at": 1 + ms, "duration_ms": ms, "cost_nanos": nanos, "input_tokens": 0}
    row |= {"output_tokens": 0, "model_calls": 0, "simulated": False}
    database.write_now(lambda session: session.execute(insert(Step).values(row)))


async def test_only_callers_jobs_of_the_period_and_the_workspace_count(site: Site) -> None:
    flow_id = site.flow("Greet", live=True)
    for environment, ms in (("live", 30), ("test", 10)):
        job_id = ended(site, flow_id, environment=environment)
        add_step(site.database, job_id, "prompt", "completed", ms, 500)
        add_step(site.database, job_id, "page", "failed", 10, None)
        add_step(site.database, job_id, "later", "skipped", 0, None)
    sums = site.database.read_now(sum_by_node, site.workspace_id, flow_id, 0)
    assert sorted(sums, key=lambda row: row.node_id) == [
        NodeSums("page", 2, 20, 0, 2),
        NodeSums("prompt", 2, 40, 1000, 0),
    ]
    now = site.database.clock.now()
    assert site.database.read_now(sum_by_node, site.workspace_id, flow_id, now + 1) == []
    assert site.database.read_now(sum_by_node, "ws_other", flow_id, 0) == []


def test_shares_are_levels_and_words() -> None:
    sums = [NodeSums("a", 2, 750, 0, 0), NodeSums("b", 2, 250, 2_000_000, 3), NodeSums("c", 1, 0, 0, 0)]
    time = traffic_view(sums, "time")
    assert {name: (node["level"], node["word"]) for name, node in time["nodes"].items()} == {
        "a": (4, "75 %"),
        "b": (2, "25 %"),
        "c": (0, "0 %"),
    }
    assert time["total"] == "1.0 s"
    assert traffic_view(sums, "money")["nodes"]["b"]["aside"] == "$0.0020"
    assert traffic_view(sums, "failures")["nodes"]["b"]["aside"] == "3 failures"


def test_nothing_to_show_says_why() -> None:
    assert "Deploy the flow" in traffic_view([], "money")["empty"]
    assert traffic_view([NodeSums("a", 1, 5, 0, 0)], "failures")["empty"] == "Nothing failed."
