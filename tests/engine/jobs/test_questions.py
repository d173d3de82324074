"""Steps that ask a person: the job is set aside without a worker and a slot, and goes on after exactly one answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from engine.core.clock import HOUR, MovedClock
from engine.core.errors import QuestionClosed
from engine.diagnostics.waiting_jobs import check_waiting_jobs
from engine.flow.document import Document
from engine.flow.node_context import PersonQuestion
from engine.jobs.job_views import job_view
from engine.jobs.questions import Place, answer, ask, expire_due, set_aside
from engine.jobs.transitions import cancel_job, claim, claim_many, reclaim, send_forgotten
from engine.jobs.worker.step_writer import JobRecorder
from storage.events import list_events
from storage.job_changes import Claimed, Lease
from storage.jobs import JobRow, find_value
from storage.questions import QuestionRow, find_question, has_due_question, list_questions_of_job
from storage.server_figures import server_figures
from storage.steps import list_steps
from storage.usage import reconcile_usage
from tests.engine.jobs.world import World, count_open, document_of, open_world

FIELDS = [{"name": "n", "type": "integer"}, {"name": "items", "type": "array"}]


def flow_of(nodes: list[tuple[str, str, Mapping[str, Any]]], edges: str, configs: Mapping[str, Any] = {}) -> Document:
    """`edges` is a text such as `in>a a>b`; `in` is an API Input with the fields `n` and `items`."""
    drawn = [one.split(">") for one in edges.split()]
    made = [
        {"id": "in", "type": "api_input", "config": {"fields": FIELDS}},
        *(
            {"id": node_id, "type": kind, "inputs": dict(inputs), "config": dict(configs.get(node_id, {}))}
            for node_id, kind, inputs in nodes
        ),
    ]
    return Document.model_validate(
        {
            "format": 1,
            "nodes": made,
            "edges": [
                {"id": f"e{number}", "source": source, "target": target}
                for number, (source, target) in enumerate(drawn)
            ],
        }
    )


def asking(path: Path, **more: Any) -> Document:
    """Writes a line, asks, and returns the answer."""
    return document_of(
        ("before", "test_write", {"path": str(path), "line": "before"}),
        ("ask", "test_ask", {"title": "Send it?", "values": {"text": "Hello"}, "editable": ["text"], **more}),
        ("after", "test_write", {"path": str(path), "line": "{{ ask.out.values.text }}"}),
    )


def questions(world: World, job_id: str) -> list[QuestionRow]:
    return world.read(list_questions_of_job, world.workspace_id, job_id)


def open_question(world: World, job_id: str) -> QuestionRow:
    (found,) = [one for one in questions(world, job_id) if one.open]
    return found


def approve(world: World, question: QuestionRow, **changed: Any) -> None:
    world.write(answer, question, "approved", changed, "", "Ada")


def events(world: World, job_id: str) -> list[str]:
    return [one.name for one in world.read(list_events, world.workspace_id, job_id)]


async def run_until_waiting(world: World, job_id: str) -> JobRow:
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.waits_for_person
    return job


async def test_a_job_waits_without_worker_and_slot_and_goes_on_after_the_answer(world: World, tmp_path: Path) -> None:
    path = tmp_path / "written"
    job_id = world.submit(world.add_flow(asking(path))).job_id
    assert world.active() == 1
    job = await run_until_waiting(world, job_id)
    view = job_view(job, None)
    assert (view["status"], view["waiting_for"], view["ends_by"], view["attempts"]) == ("processing", "person", None, 1)
    figures = world.database.read_now(server_figures)
    assert (figures.queued, figures.processing, figures.waiting) == (0, 0, 1)
    assert check_waiting_jobs(figures, "1 worker lives").found == (
        "1 worker lives; 0 jobs wait, 0 run, 1 waits for a person."
    )
    assert view["progress"]["steps_done"] == 2
    assert world.active() == world.read(count_open, world.workspace_id) == 0
    assert events(world, job_id)[-1] == "step.waiting"
    steps = {step.node_id: step.status for step in world.read(list_steps, world.workspace_id, job_id)}
    assert steps == {"api_input": "completed", "before": "completed", "ask": "waiting"}

    question = open_question(world, job_id)
    assert (question.title, question.values, question.editable) == ("Send it?", {"text": "Hello"}, ("text",))
    assert not await world.runs().carry(job_id)  # nobody can claim it
    world.write(answer, question, "approved", {"text": "Hi"}, "Looks good", "Ada")
    assert world.job(job_id).status == "queued"
    assert world.active() == 1
    await world.runs().carry(job_id)
    done = world.job(job_id)
    assert (done.status, done.attempts) == ("completed", 1)
    assert world.result(job_id) == {"output": "Hi"}
    assert path.read_text().split() == ["before", "Hi"]
    assert world.active() == 0
    assert events(world, job_id) == [
        "job.queued",
        "job.processing",
        *["step.started", "step.completed"] * 2,
        "step.started",
        "step.waiting",
        "step.answered",
        "job.queued",
        "job.processing",
        *["step.started", "step.completed"] * 2,
        "job.completed",
    ]
    told = world.read(list_events, world.workspace_id, job_id)
    assert [one.seq for one in told] == list(range(1, len(told) + 1))
    assert [one.data["attempt"] for one in told if "attempt" in one.data] == [1, 1, 1]
    asked = world.read(find_question, question.id)
    assert (asked.outcome, asked.answer, asked.note, asked.answered_by) == (
        "approved",
        {"text": "Hi"},
        "Looks good",
        "Ada",
    )


async def test_exactly_one_answer_counts(world: World, tmp_path: Path) -> None:
    job_id = world.submit(world.add_flow(asking(tmp_path / "written"))).job_id
    await run_until_waiting(world, job_id)
    question = open_question(world, job_id)

    async def say(number: int) -> str:
        try:
            await world.database.write(answer, question, "approved", {"text": f"of {number}"}, "", f"Person {number}")
        except QuestionClosed:
            return "refused"
        return f"of {number}"

    said = await asyncio.gather(*(say(number) for number in range(20)))
    assert said.count("refused") == 19
    await world.runs().carry(job_id)
    assert world.result(job_id)["output"] in said
    assert events(world, job_id).count("step.answered") == 1
    with pytest.raises(QuestionClosed, match="approved it"):
        approve(world, question)


async def test_an_answer_while_the_job_is_being_set_aside_is_not_missed(world: World, tmp_path: Path) -> None:
    job_id = world.submit(world.add_flow(asking(tmp_path / "written"))).job_id
    claimed = world.write(claim, world.boot_id, job_id)
    lease = Lease(world.boot_id, claimed.attempt)
    question = world.write(
        ask, job_id, lease, Place("ask", ""), PersonQuestion("one", "T", {}), '{"values":{},"editable":[]}', "T"
    )
    approve(world, question)
    assert world.job(job_id).status == "processing"
    assert world.write(set_aside, job_id, lease, [question.id])
    assert world.job(job_id).status == "queued"


async def test_the_time_limit_does_not_count_the_wait(new_data: Path, tmp_path: Path) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    document = asking(tmp_path / "written", expires_after_seconds=10 * 86_400)
    job_id = world.submit(world.add_flow(document, settings={"limit_seconds": 60})).job_id
    await run_until_waiting(world, job_id)
    clock.offset += 72 * HOUR
    approve(world, open_question(world, job_id))
    clock.offset += 2 * HOUR  # until a worker has time for it
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.status == "completed"
    assert job.waited_ms >= 74 * HOUR
    assert (job.run_ms or 0) < HOUR
    world.database.close()


@pytest.mark.parametrize(
    ("on_expiry", "status", "approved"),
    [("refuse", "completed", False), ("approve", "completed", True), ("fail", "failed", None)],
)
async def test_what_happens_when_nobody_answers(
    new_data: Path, tmp_path: Path, on_expiry: str, status: str, approved: bool | None
) -> None:
    clock = MovedClock()
    world = open_world(new_data, clock=clock)
    job_id = world.submit(
        world.add_flow(document_of(("ask", "test_ask", {"expires_after_seconds": 60, "on_expiry": on_expiry})))
    ).job_id
    await run_until_waiting(world, job_id)
    assert not world.read(has_due_question)
    question = open_question(world, job_id)
    clock.offset += 60_000
    assert world.read(has_due_question)
    with pytest.raises(QuestionClosed, match="time for an answer is over"):
        approve(world, question)  # its time is over, although it was not closed yet
    assert world.write(expire_due) == 1
    assert world.write(expire_due) == 0
    with pytest.raises(QuestionClosed):
        approve(world, question)
    await world.runs().carry(job_id)
    job = world.job(job_id)
    assert job.status == status
    if approved is None:
        assert job.error is not None
        assert job.error["code"] == "timeout"
    else:
        assert world.result(job_id)["output"] | {"values": {}} == {
            "approved": approved,
            "values": {},
            "note": "",
            "by": "",
            "expired": True,
        }
    world.database.close()


async def test_other_branches_run_before_the_job_is_set_aside(world: World, tmp_path: Path) -> None:
    path = tmp_path / "written"
    document = flow_of(
        [
            ("ask", "test_ask", {"title": "First?"}),
            ("again", "test_ask", {"title": "Second?"}),
            ("other", "test_write", {"path": str(path), "line": "other"}),
            (
                "end",
                "set_fields",
                {"a": "{{ ask.out.approved }}", "b": "{{ again.out.approved }}", "c": "{{ other.out }}"},
            ),
        ],
        "in>ask in>again in>other ask>end again>end other>end",
    )
    job_id = world.submit(world.add_flow(document)).job_id
    await run_until_waiting(world, job_id)
    assert path.read_text() == "other\n"
    first, second = sorted(questions(world, job_id), key=lambda one: one.title)
    approve(world, first)
    job = await run_until_waiting(world, job_id)  # for the second answer
    assert job.questions == 2
    approve(world, second)
    await world.runs().carry(job_id)
    assert world.result(job_id) == {"output": {"a": True, "b": True, "c": "other"}}
    assert path.read_text() == "other\n"


@pytest.mark.parametrize("mode", ["parallel", "sequential", "chunked"])
async def test_items_of_a_list_may_all_ask(world: World, mode: str) -> None:
    document = flow_of(
        [
            ("each", "array_splitter", {"items": "{{ in.out.items }}"}),
            ("ask", "test_ask", {"title": "{{ each.out }}"}),
            ("list", "array_flatten", {"value": "{{ ask.out.approved }}"}),
        ],
        "in>each each>ask ask>list",
        {"each": {"mode": mode, "max_concurrency": 4, "chunk_size": 2}},
    )
    job_id = world.submit(world.add_flow(document), {"items": ["a", "b", "c", "d", "e"]}).job_id
    asked_at_once = []
    outcomes = iter(["approved", "refused", "approved", "refused", "approved"])
    while world.job(job_id).status != "completed":
        await run_until_waiting(world, job_id)
        now_open = [one for one in questions(world, job_id) if one.open]
        asked_at_once.append(len(now_open))
        for question in now_open:
            world.write(answer, question, next(outcomes), {}, "", "Ada")
        await world.runs().carry(job_id)
        if world.job(job_id).waits_for_person:
            continue
    assert asked_at_once == {"parallel": [5], "sequential": [1] * 5, "chunked": [2, 2, 1]}[mode]
    assert sorted(map(str, world.result(job_id)["output"]["items"])) == ["False", "False", "True", "True", "True"]


async def test_what_failed_before_the_question_does_not_run_again(world: World, tmp_path: Path) -> None:
    path = tmp_path / "written"
    document = flow_of(
        [
            ("each", "array_splitter", {"items": "{{ in.out.items }}"}),
            ("work", "test_write", {"path": str(path), "line": "{{ each.out }}"}),
            ("bad", "test_fail_on", {"value": "{{ each.out }}", "on": "b"}),
            ("ask", "test_ask", {"title": "{{ each.out }}"}),
            ("list", "array_flatten", {"value": "{{ ask.out.approved }}"}),
        ],
        "in>each each>work work>bad bad>ask ask>list",
        {"each": {"mode": "parallel", "max_concurrency": 4}, "list": {"on_item_error": "exclude"}},
    )
    job_id = world.submit(world.add_flow(document), {"items": ["a", "b", "c"]}).job_id
    for _ in range(2):
        await run_until_waiting(world, job_id)
        approve(world, next(one for one in questions(world, job_id) if one.open))
    await world.runs().carry(job_id)
    output = world.result(job_id)["output"]
    assert (output["items"], output["failed_count"]) == ([True, True], 1)
    job = world.job(job_id)
    assert (job.items_failed, job.steps_failed) == (1, 1)
    assert events(world, job_id).count("step.failed") == 1
    assert sorted(path.read_text().split()) == ["a", "b", "c"]


@pytest.mark.parametrize("in_a_list", [False, True], ids=["called", "called for each item"])
async def test_what_failed_in_a_called_flow_before_its_question_does_not_run_again(
    world: World, in_a_list: bool
) -> None:
    document = flow_of(
        [
            ("bad", "test_fail", {}),
            ("ask", "test_ask", {"title": "Go on?"}),
            ("end", "set_fields", {"approved": "{{ ask.out.approved }}"}),
        ],
        "in>bad in>ask bad>end ask>end",
    ).model_dump()
    document["nodes"][1]["policy"] = {"on_error": "skip"}
    inner = world.add_flow(Document.model_validate(document))
    call = {"call": {"flow_id": inner, "version": 1}, "each": {"mode": "parallel"}}
    if in_a_list:
        nodes: list[Any] = [
            ("each", "array_splitter", {"items": [1, 2]}),
            ("call", "call_flow", {"n": "{{ each.out }}"}),
            ("list", "array_flatten", {}),
        ]
        job_id = world.submit(world.add_flow(flow_of(nodes, "in>each each>call call>list", call))).job_id
    else:
        job_id = world.submit(world.add_flow(flow_of([("call", "call_flow", {"n": 1})], "in>call", call))).job_id
    while True:
        await world.runs().carry(job_id)
        waiting = [one for one in questions(world, job_id) if one.open]
        if not waiting:
            break
        approve(world, waiting[0])
    assert world.job(job_id).status == "completed"
    assert events(world, job_id).count("step.skipped") == (2 if in_a_list else 1)


async def test_what_was_done_for_a_list_does_not_count_for_another_one_in_any_later_attempt(
    world: World, tmp_path: Path
) -> None:
    path = tmp_path / "lines"
    path.write_text("a b")
    document = flow_of(
        [
            ("read", "test_lines", {"path": str(path)}),
            ("each", "array_splitter", {"items": "{{ read.out.lines }}"}),
            ("work", "test_sleep", {"value": "{{ each.out }}"}),
            ("ask", "test_ask", {"title": "{{ each.out }}?"}),
            ("list", "array_flatten", {"value": "{{ work.out }}"}),
        ],
        "in>read read>each each>work work>ask ask>list",
    )
    job_id = world.submit(world.add_flow(document)).job_id
    asked = []
    while True:
        await world.runs().carry(job_id)
        if not world.job(job_id).waits_for_person:
            break
        question = open_question(world, job_id)
        asked.append(question.title)
        if question.title == "b?":
            path.write_text("x y")  # the work of "b" is kept by now
        approve(world, question)
    assert asked == ["a?", "b?", "x?", "y?"]
    assert world.result(job_id)["output"]["items"] == ["x", "y"]


async def test_a_step_may_ask_several_questions_at_once(world: World) -> None:
    job_id = world.submit(world.add_flow(document_of(("ask", "test_ask", {"keys": ["a", "b"]})))).job_id
    await run_until_waiting(world, job_id)
    first, second = questions(world, job_id)
    approve(world, first)
    await run_until_waiting(world, job_id)
    approve(world, second)
    await world.runs().carry(job_id)
    assert [one["approved"] for one in world.result(job_id)["output"]] == [True, True]


async def test_a_called_flow_may_ask(world: World) -> None:
    inner = world.add_flow(document_of(("ask", "test_ask", {"title": "Inside?"})))
    document = flow_of([("call", "call_flow", {"n": 1})], "in>call", {"call": {"flow_id": inner, "version": 1}})
    job_id = world.submit(world.add_flow(document), {"n": 1}).job_id
    await run_until_waiting(world, job_id)
    question = open_question(world, job_id)
    assert question.node_id == "call.ask"
    approve(world, question)
    await world.runs().carry(job_id)
    assert world.result(job_id)["output"]["output"]["approved"] is True


async def test_a_waiting_job_is_cancelled_at_once(world: World, tmp_path: Path) -> None:
    job_id = world.submit(world.add_flow(asking(tmp_path / "written"))).job_id
    await run_until_waiting(world, job_id)
    question = open_question(world, job_id)
    world.write(cancel_job, world.workspace_id, job_id)
    job = world.job(job_id)
    assert (job.status, job.attempts, world.active()) == ("cancelled", 1, 0)
    (step,) = [one for one in world.read(list_steps, world.workspace_id, job_id) if one.node_id == "ask"]
    assert step.status == "cancelled"
    told = world.read(list_events, world.workspace_id, job_id)
    assert [one.seq for one in told] == list(range(1, len(told) + 1))
    assert [one.name for one in told][-3:] == ["step.waiting", "step.cancelled", "job.cancelled"]
    assert told[-2].data == {"node_id": "ask", "index": [], "duration_ms": step.duration_ms}
    asked = world.read(find_question, question.id)
    assert asked.outcome == "withdrawn"
    with pytest.raises(QuestionClosed, match="does not wait for it any more"):
        approve(world, question)
    assert world.job(job_id).status == "cancelled"


async def test_a_waiting_job_survives_the_end_of_every_worker(world: World, tmp_path: Path) -> None:
    path = tmp_path / "written"
    job_id = world.submit(world.add_flow(asking(path))).job_id
    await run_until_waiting(world, job_id)
    assert world.write(reclaim, world.boot_id) == 0  # it belongs to no worker
    assert world.write(send_forgotten, 0) == 0
    assert world.write(reconcile_usage) == 0
    approve(world, open_question(world, job_id))
    # The worker that takes it dies before it has done anything.
    claimed, _ = world.write(claim_many, "boot_dead", 10, ())
    assert [job.id for job in claimed] == [job_id]
    assert world.write(reclaim, "boot_dead") == 1
    await world.runs("boot_next").carry(job_id)
    assert world.job(job_id).status == "completed"
    assert path.read_text().split() == ["before", "Hello"]


async def test_what_was_asked_anew_with_other_values_needs_another_answer(world: World) -> None:
    job_id = world.submit(world.add_flow(document_of(("ask", "test_ask", {})))).job_id
    claimed = world.write(claim, world.boot_id, job_id)
    lease, place = Lease(world.boot_id, claimed.attempt), Place("ask", "")
    content = '{"values":{},"editable":[]}'
    first = world.write(ask, job_id, lease, place, PersonQuestion("one", "Send 1?", {}), content, "Send 1?")
    same = world.write(ask, job_id, lease, place, PersonQuestion("one", "Send 1?", {}), content, "Send 1?")
    assert same.id == first.id
    other = world.write(ask, job_id, lease, place, PersonQuestion("one", "Send 2?", {}), content, "Send 2?")
    assert other.id != first.id
    with pytest.raises(QuestionClosed):
        approve(world, first)
    approve(world, other)
    third = world.write(ask, job_id, lease, place, PersonQuestion("one", "Send 3?", {}), content, "Send 3?")
    assert third.open


@pytest.mark.parametrize(
    ("text", "secret", "result", "shown"),
    [
        ("https://a.example/sk-chairs-for-the-living-room", "", None, "https://a.example/••••"),
        ("You sent canary-7c2e91d0", "canary-7c2e91d0", "You sent ••••", "You sent ••••"),
    ],
    ids=["looks like a key", "is a secret of the run"],
)
async def test_a_step_before_a_question_is_asked_about_once_whatever_its_text(
    world: World, text: str, secret: str, result: str | None, shown: str
) -> None:
    document = document_of(
        ("before", "set_fields", {"text": text}),
        ("ask", "test_ask", {"title": "Send it?", "values": {"text": "{{ before.out.text }}"}}),
        ("after", "test_sleep", {"value": "{{ before.out.text }}"}),
    )
    job_id = world.submit(world.add_flow(document)).job_id
    for _ in range(2):
        runs = world.runs()
        services_for = runs.services_for

        def with_secret(job: Claimed, recorder: JobRecorder, services_for: Any = services_for) -> Any:
            recorder.redaction.add(secret)
            return services_for(job, recorder)

        runs.services_for = with_secret
        await runs.carry(job_id)
        for question in questions(world, job_id):
            if question.open:
                approve(world, question)
    assert world.job(job_id).questions == 1
    assert world.result(job_id) == {"output": text if result is None else result}
    stored = world.read(find_value, job_id, "output", "before")
    assert stored is not None
    assert stored.value == {"text": shown}


async def test_a_job_that_goes_on_waits_for_a_slot(world: World, tmp_path: Path) -> None:
    asking_flow = world.add_flow(asking(tmp_path / "written"))
    job_id = world.submit(asking_flow).job_id
    await run_until_waiting(world, job_id)
    others = [world.submit(world.add_flow()).job_id for _ in range(4)]  # all slots of the plan
    assert world.active() == 4
    approve(world, open_question(world, job_id))
    assert (world.job(job_id).status, world.job(job_id).counted, world.active()) == ("queued", False, 4)
    await world.runs().carry(others[0])
    assert (world.job(job_id).counted, world.active()) == (True, 4)
    await world.runs().carry(job_id)
    assert (world.job(job_id).status, world.active()) == ("completed", 3)


async def test_a_flow_that_runs_one_job_at_a_time_goes_on_while_one_waits(world: World, tmp_path: Path) -> None:
    flow_id = world.add_flow(asking(tmp_path / "written"), settings={"concurrency": 1})
    first, second = world.submit(flow_id).job_id, world.submit(flow_id).job_id
    await run_until_waiting(world, first)
    claimed, _ = world.write(claim_many, world.boot_id, 10, ())
    assert [job.id for job in claimed] == [second]
    approve(world, open_question(world, first))
    assert world.write(claim_many, "boot_other", 10, ())[0] == []  # the second one runs
