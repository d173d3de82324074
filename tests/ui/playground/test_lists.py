"""Tests of lists on the canvas and in the list of steps: frames, "3 of 12", failed items."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from nicegui.testing.user_simulation import user_simulation

from storage.steps import StepRow
from tests.engine.run.arrange import flow
from ui.flow_view.job_watch import Look, item_paths, statuses, step_of
from ui.flow_view.list_frames import frames_of, lists_of
from ui.jobs.step_list import MOST, step_lines
from ui.kit.text import ENGLISH
from ui.kit.times import Times

FLOW = flow(
    [
        ("s", "array_splitter", {"items": "{{ in.out.x }}"}),
        ("a", "work", {"x": "{{ s.out }}"}),
        ("t", "array_splitter", {"items": "{{ a.out }}"}),
        ("b", "work", {"x": "{{ t.out }}"}),
        ("f", "array_flatten", {}, {"levels": "all"}),
    ],
    "in>s s>a a>t t>b b>f",
)


def step(node_id: str, index_path: str = "", status: str = "completed", **more: Any) -> StepRow:
    values: dict[str, Any] = dict.fromkeys(StepRow.__struct_fields__)
    over = status != "running"
    values |= {"warnings": (), "started_at": 0, "ended_at": 5 if over else None, "duration_ms": 5 if over else None}
    return StepRow(**{**values, "node_id": node_id, "index_path": index_path, "status": status, **more})


def look(*steps: StepRow, ended: bool = False, error: dict[str, Any] | None = None) -> Look:
    job: Any = SimpleNamespace(
        ended=ended, error=error, started_at=0, created_at=0, run_options=None, waits_for_person=False
    )
    return Look(job, steps)


FAILED = {"error": {"message": "It broke."}}


def test_a_frame_stands_round_what_runs_for_each_item():
    assert frames_of(FLOW) == [
        {"id": "s", "nodes": ["a", "t", "b"], "label": "For each item of s"},
        {"id": "t", "nodes": ["b"], "label": "For each item of t"},
    ]
    assert lists_of(FLOW) == {"a": "s", "t": "s", "b": "t"}


def test_a_node_in_a_list_counts_its_items_while_it_runs():
    shown = statuses(look(step("s", items=3), step("a", "0"), step("a", "1", "running")), FLOW)
    assert (shown["s"]["word"], shown["s"]["state"]) == ("3 items", "done")
    assert {name: shown["a"][name] for name in ("state", "word", "done", "total")} == {
        "state": "running",
        "word": "1 of 3",
        "done": 1,
        "total": 3,
    }
    assert shown["f"]["state"] == "waiting"


def test_between_two_items_it_is_still_running():
    assert statuses(look(step("s", items=3), step("a", "0")), FLOW)["a"]["state"] == "running"


def test_a_node_some_of_whose_items_failed_is_done_and_says_how_many():
    steps = [step("s", items=2), step("a", "0"), step("a", "1", "failed", **FAILED)]
    shown = statuses(look(*steps, ended=True), FLOW)["a"]
    assert (shown["state"], shown["word"], shown["message"]) == ("done", "1 of 2", "1 of 2 failed: It broke.")


def test_a_node_that_ended_the_job_or_all_of_whose_items_failed_has_failed():
    steps = [step("s", items=2), step("a", "0"), step("a", "1", "failed", **FAILED)]
    assert statuses(look(*steps, ended=True, error={"node_id": "a"}), FLOW)["a"]["state"] == "failed"
    steps = [step("s", items=1), step("a", "0", "failed", **FAILED)]
    assert statuses(look(*steps, ended=True), FLOW)["a"]["state"] == "failed"


def test_nodes_of_an_empty_list_are_skipped():
    shown = statuses(look(step("s", items=0), step("a", "", "skipped"), ended=True), FLOW)
    assert (shown["s"]["word"], shown["a"]["word"]) == ("0 items", "Skipped")


def test_items_of_inner_lists_are_added_up():
    steps = [step("s", items=2), step("t", "0", items=3), step("t", "1", items=2), step("b", "0/1")]
    assert statuses(look(*steps), FLOW)["b"]["word"] == "1 of 5"


def test_a_failed_item_is_shown_first_and_items_stand_in_order():
    seen = look(step("a", "10"), step("a", "2", "failed", **FAILED), step("a", "0"))
    assert item_paths(seen, "a") == ["0", "2", "10"]
    first, chosen = step_of(seen, "a"), step_of(seen, "a", "10")
    assert (first and first.index_path, chosen and chosen.index_path) == ("2", "10")
    assert step_of(seen, "b") is None


def test_steps_of_items_say_which_of_how_many_and_a_long_list_leaves_room_for_what_failed():
    times: Any = SimpleNamespace(clock=SimpleNamespace(now=lambda: 9))
    steps = [step("s", items=500), *(step("a", str(number)) for number in range(500))]
    steps[400] = step("a", "399", "failed", **FAILED)
    steps[451] = step("a", "450", "skipped", **FAILED)
    lines = [line for line in step_lines(FLOW, look(*steps), times) if line.step is not None]
    labels = [line.label for line in lines]
    assert len(lines) == MOST
    assert labels[:2] == ["s", "a, 1 of 500"]
    assert {"a, 400 of 500", "a, 451 of 500"} <= set(labels), "also where the job went on without it"
    same = step_lines(FLOW, look(step("b", "0/0"), step("a", "0"), step("s", items=1)), times)
    assert [line.node_id for line in same][:3] == ["s", "a", "b"], "what gives stands before what takes"
    inner = step_lines(FLOW, look(step("t", "1", items=7), step("b", "1/4")), times)
    assert inner[1].label == "b, 2 · 5 of 7"


async def test_a_running_step_keeps_its_link_while_its_time_grows() -> None:
    from ui.jobs.step_list import StepLine, StepList

    def lines(*lengths: float) -> list[StepLine]:
        done, running = step("s", items=1), step("a", "", "running")
        begun = [StepLine("s", "", "Split", done, 0, 5), StepLine("a", "", "Ask", running, 5, lengths[0])]
        return [*begun, *(StepLine("t", "", "Write", None) for _length in lengths[1:])]

    async def chosen(_line: StepLine) -> None: ...

    made: list[StepList] = []

    def draw() -> None:
        made.append(StepList("job_1", Times(SimpleNamespace(now=lambda: 9), ENGLISH), chosen))  # type: ignore[arg-type]
        made[0].draw(lines(10, 0), ended=False)

    async with user_simulation(draw) as user:
        await user.open("/")
        (shown,) = made
        before = [row.id for _line, row in shown.rows]
        shown.draw(lines(1_510, 0), ended=False)
        assert [row.id for _line, row in shown.rows] == before
        assert shown.anchors[1] is not None
        assert shown.anchors[1].props["title"] == "Ask: 1.5 s"
        shown.draw(lines(1_510), ended=False)
        assert [row.id for _line, row in shown.rows] == before[:2]
        shown.draw(lines(1_510, 0), ended=False)
        assert ([row.id for _line, row in shown.rows][:2], len(shown.rows)) == (before[:2], 3)
