"""The log of a run has one line for everything that is stored about it, and nothing else."""

from __future__ import annotations

from typing import Any

from nicegui.testing import User

from storage.events import EventRow
from storage.job_log import CallRow, JobLog
from storage.steps import StepRow
from storage.tables import Event
from tests.ui.arrange import page_text
from tests.ui.conftest import Site
from tests.ui.playground.runs import Did, playground_run
from tests.ui.playground.test_lists import step
from tests.ui.playground.test_run_panel import BROKEN, FLOW, named, opened
from ui.playground.run.log_lines import LogLine, log_lines, narrowed


def lines(*steps: StepRow, events: Any = (), calls: Any = (), tries: Any = None, said: Any = None) -> list[LogLine]:
    stored = tuple(EventRow(place, at, name, data) for place, (at, name, data) in enumerate(events))
    return log_lines(JobLog(stored, tuple(calls), tries or {}, said or {}, cut=False), steps)


def told(found: list[LogLine]) -> list[tuple[str, str, str, str]]:
    return [(line.level, line.node_id, line.index_path, line.text) for line in found]


def test_events_are_told_in_their_order_with_node_and_item():
    found = lines(
        events=[
            (1, "job.queued", {}),
            (2, "job.processing", {"attempt": 1}),
            (3, "step.started", {"node_id": "a", "index": [2]}),
            (9, "step.completed", {"node_id": "a", "index": [2], "duration_ms": 1500}),
            (9, "step.failed", {"node_id": "b", "index": [], "duration_ms": 20, "message": "It broke."}),
            (10, "job.failed", {}),
        ]
    )
    assert told(found) == [
        ("info", "", "", "The run was accepted."),
        ("info", "", "", "The run began."),
        ("info", "a", "2", "started"),
        ("info", "a", "2", "finished in 1.5 s"),
        ("error", "b", "", "failed after 20 ms: It broke."),
        ("error", "", "", "The run failed."),
    ]


def test_what_a_step_tells_in_the_millisecond_of_its_end_stands_before_that_end():
    where = {"node_id": "a", "index": [0]}
    found = lines(
        step("a", "0", tries=1, warnings=("It was cut.",)),
        events=[
            (5, "step.started", where),
            (5, "step.completed", {**where, "duration_ms": 0}),
            (5, "step.started", {"node_id": "b"}),
            (5, "step.completed", {"node_id": "b", "duration_ms": 0}),
            (5, "job.completed", {}),
        ],
        calls=[CallRow("a", "0", 5, "simulated", "simulated", 3, 4, 0, 0, True, None)],
    )
    texts = [(line.node_id, line.text.split(" in ")[0]) for line in found if line.at == 5]
    assert texts == [
        ("a", "started"),
        ("a", "simulated answered"),
        ("a", "It was cut."),
        ("a", "finished"),
        ("b", "started"),
        ("b", "finished"),
        ("", "The run is completed."),
    ]


def test_tries_warnings_model_calls_and_what_a_step_says_have_their_own_lines():
    call = CallRow("a", "", 5, "shop", "gpt", 1200, 30, None, 800, False, None)
    lost = CallRow("a", "", 6, "shop", "gpt", 0, 0, 0, 100, False, "It is busy.")
    away = CallRow("a", "", 7, "shop", "gpt", 0, 0, 0, 100, False, "model_unreachable")
    tried = {("a", ""): [{"number": 1, "started_at": 2, "duration_ms": 1, "message": "Busy."}, {"number": 2}]}
    found = lines(
        step("a", tries=2, warnings=("It was cut.",), attempt=1),
        step("b", tries=1, attempt=0),
        calls=[call, lost, away],
        tries=tried,
        said={("a", ""): ["Read 3 pages."]},
    )
    assert told(found) == [
        ("info", "b", "", "reused from an earlier run"),
        ("warning", "a", "", "try 1 failed after 1 ms: Busy."),
        ("info", "a", "", "shop:gpt answered in 800 ms: 1,200 tokens in, 30 out, cost unknown"),
        ("warning", "a", "", "It was cut."),
        ("info", "a", "", "Read 3 pages."),
        ("warning", "a", "", "shop:gpt gave no answer (100 ms): It is busy."),
        ("warning", "a", "", "shop:gpt gave no answer (100 ms): Model not reachable (model_unreachable)"),
    ]


def test_lines_are_narrowed_by_level_and_node():
    found = [LogLine(1, "info", "a", "", "x"), LogLine(2, "warning", "b", "", "y"), LogLine(3, "error", "a", "", "z")]
    assert [line.text for line in narrowed(found, "warning", "")] == ["y", "z"]
    assert [line.text for line in narrowed(found, "info", "a")] == ["x", "z"]


async def test_the_tab_shows_the_stored_events_of_the_run_and_narrows_them(site: Site, user: User) -> None:
    flow_id = site.flow("Letter", saved=False, file=FLOW)
    job_id = playground_run(
        site, flow_id, {"who": "Ann"}, Did("text_template", status="failed", error=BROKEN, warnings=("It was slow.",)),
        status="failed", error=BROKEN,
    )  # fmt: skip

    def happened(session: Any) -> None:
        data = {"node_id": "text_template", "index": [], "duration_ms": 5, "message": "The template broke."}
        session.add(Event(job_id=job_id, seq=2, at=1, name="step.failed", data=data))
        session.add(Event(job_id=job_id, seq=3, at=1, name="step.delta", data={"text": "half a word"}))

    site.database.write_now(happened)
    await opened(user, flow_id, f"?job={job_id}")
    await user.should_see("Failed", retries=60)
    tabs = next(one for one in user.client.elements.values() if "log" in str(getattr(one, "_props", {}).get("name")))  # type: ignore[union-attr]
    tabs.parent_slot.parent.value = "log"  # type: ignore[union-attr]
    await user.should_see("failed after 5 ms: The template broke.", retries=60)
    assert "half a word" not in page_text(user)
    assert "It was slow." in page_text(user)
    named(user, "Level").value = "error"
    assert "It was slow." not in page_text(user).split("newest first")[1]
