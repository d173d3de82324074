"""Agents as jobs, against a scripted model server: calls of tools, limits, and what is told to the model."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from engine.actions.connections import set_price
from engine.flow.document import Document
from engine.jobs.questions import answer
from engine.nodes.agent_loop import MAX_CALLS
from storage.events import list_events
from storage.jobs import JobRow
from storage.steps import list_steps
from storage.value_sizes import VALUE_CAP
from tests.engine.jobs.kitchen import WORD, Kitchen, agent_document, configured
from tests.engine.jobs.supervised import ended, supervised, until_running
from tests.engine.jobs.test_questions import open_question
from tests.engine.jobs.world import World, document_of
from tests.logical_time import LogicalLoop
from tests.stand_ins.local_server import LocalServer, Reply, Seen
from tests.stand_ins.openai_server import OpenAIServer, Said

BROKEN = document_of(("bad", "test_fail", {}), fields=WORD)


async def test_calls_of_one_reply_run_at_the_same_time_and_stand_with_the_step(kitchen: Kitchen) -> None:
    slow = document_of(("wait", "test_sleep", {"seconds": 0.5, "value": "{{ api_input.out.word }}"}), fields=WORD)
    kitchen.model.say(
        Said("Let me look.", calls=(("slow", {"word": "a"}), ("slow", {"word": "b"}), ("shout", {"word": "pen"}))),
        "It is 7.",
    )
    job = await kitchen.run(kitchen.agent(kitchen.shout("slow", slow), kitchen.shout()))
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "It is 7."}), job.error
    assert kitchen.told() == ['{"output": "a"}', '{"output": "b"}', '{"output": "PEN!"}']
    parts = kitchen.parts(job.id)
    assert list(parts) == ["turn/1", "call/1/0", "call/1/1", "call/1/2", "turn/2"]
    assert all(one.ended_at is not None for one in parts.values())
    assert parts["turn/1"].value["text"] == "Let me look."
    assert (parts["turn/1"].value["input_tokens"], parts["turn/2"].value["output_tokens"]) == (12, 7)
    assert parts["call/1/2"].value["arguments"] == {"word": "pen"}
    assert parts["call/1/2"].value["result"] == {"output": "PEN!"}
    steps = {
        (step.node_id, step.index_path): step
        for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id)
    }
    first, second = steps["agent.slow.wait", "20"], steps["agent.slow.wait", "21"]
    assert max(first.started_at, second.started_at) < min(first.ended_at or 0, second.ended_at or 0)
    assert steps["agent", ""].model_calls == job.model_calls == 2
    names = [event.name for event in kitchen.world.read(list_events, kitchen.world.workspace_id, job.id)]
    assert names.count("step.part") == 10


@pytest.mark.parametrize("called", [False, True], ids=["its own step", "in a called flow"])
async def test_an_agent_answers_for_its_item_when_another_attempt_has_another_list(
    kitchen: Kitchen, tmp_path: Path, called: bool
) -> None:
    kitchen.model.answer_with = lambda body: f"about {body['messages'][-1]['content']}"
    path = tmp_path / "lines"
    path.write_text("old")
    config = {"model": "box:m", "max_cost_usd": None}
    if called:
        inner = document_of(("agent", "agent", {"message": "{{ api_input.out.word }}"}), fields=WORD)
        step = ("answer", "call_flow", {"word": "{{ each.out }}"})
        settings: dict[str, Any] = {
            "answer": {"flow_id": kitchen.world.add_flow(configured(inner, agent=config)), "version": 1}
        }
    else:
        step = ("answer", "agent", {"message": "{{ each.out }}"})
        settings = {"answer": config}
    document = document_of(
        ("read", "test_lines", {"path": str(path)}),
        ("each", "array_splitter", {"items": "{{ read.out.lines }}"}),
        step,
        ("list", "array_flatten", {"value": "{{ answer.out }}"}),
        ("ask", "approval", {"title": "Go on?"}),
        ("end", "set_fields", {"all": "{{ list.out.items }}"}),
    )
    edges = tuple(
        edge.model_copy(update={"source_port": "approved"}) if edge.source == "ask" else edge for edge in document.edges
    )
    document = configured(document, **settings).model_copy(update={"edges": edges})
    job_id = kitchen.world.submit(kitchen.world.add_flow(document), {"n": 1}).job_id
    await kitchen.carry(job_id)
    path.write_text("new old")
    kitchen.world.write(answer, open_question(kitchen.world, job_id), "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    given = ["about new", "about old"]
    assert kitchen.world.result(job_id) == {
        "output": {"all": [{"output": one} for one in given] if called else given}
    }, kitchen.world.job(job_id).error


async def test_calls_above_those_that_are_made_are_told_and_leave_nothing(kitchen: Kitchen) -> None:
    kitchen.model.say(Said(calls=(("nothing", {}),) * (MAX_CALLS + 5)), "Done.")
    job = await kitchen.run(kitchen.agent(kitchen.shout()))
    assert job.status == "completed", job.error
    calls = [f"call/1/{place}" for place in range(MAX_CALLS)]
    assert set(kitchen.parts(job.id)) == {"turn/1", *calls, "turn/2"}
    assert kitchen.told()[MAX_CALLS:] == [f"Only {MAX_CALLS} calls are made at a time. Ask again."] * 5


async def test_what_goes_wrong_with_a_call_is_told_to_the_model(kitchen: Kitchen) -> None:
    kitchen.model.say(
        Said(
            calls=(
                ("shout", {"wrd": "x"}),
                ("shout", '{"word": '),
                ("nothing", {}),
                ("broken", {"word": "x"}),
                ("shout", {"word": "fine"}),
            )
        ),
        "So be it.",
    )
    job = await kitchen.run(kitchen.agent(kitchen.shout(), kitchen.shout("broken", BROKEN)))
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "So be it."}), job.error
    assert kitchen.told() == [
        "The arguments do not fit: /word: is missing; /wrd: there is no such parameter; there are: `word`.",
        "The arguments do not fit: they must be one JSON object.",
        "There is no tool called `nothing`. There are: shout, broken.",
        "The tool failed: “A flow” failed at bad: It fails on purpose.",
        '{"output": "FINE!"}',
    ]
    states = [one.value["state"] for name, one in kitchen.parts(job.id).items() if name.startswith("call/")]
    assert states == ["bad_arguments", "bad_arguments", "unknown_tool", "failed", "done"]


async def test_a_tool_that_hangs_is_given_up_and_told(kitchen: Kitchen) -> None:
    never = document_of(("wait", "test_sleep", {"seconds": 3_600}), fields=WORD)
    kitchen.model.say(Said(calls=(("never", {"word": "x"}),)), "I could not find out.")
    job = await kitchen.run(kitchen.agent(kitchen.shout("never", never, timeout_seconds=0.2)))
    assert job.status == "completed", job.error
    assert kitchen.told() == ["The tool did not answer within 0.2 seconds and was given up."]


async def test_at_its_last_step_the_model_must_answer(kitchen: Kitchen) -> None:
    again = Said(calls=(("shout", {"word": "x"}),))
    kitchen.model.say(again, again, "That is all I know.")
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_steps=3))
    assert kitchen.world.result(job.id) == {"output": "That is all I know."}
    *before, last = kitchen.model.asked
    assert [one.get("tool_choice") for one in before] == ["auto", "auto"]
    assert last["tool_choice"] == "none"
    assert "answer now" in last["messages"][-1]["content"]
    (step,) = [
        one for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id) if one.node_id == "agent"
    ]
    assert "which is its limit" in step.warnings[0]


async def test_the_limit_of_steps_says_how_far_it_came(kitchen: Kitchen) -> None:
    kitchen.model.default = Said(calls=(("shout", {"word": "x"}),))
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_steps=3))
    assert job.error is not None
    assert job.error["message"] == (
        "The agent reached its limit of 3 steps without an answer, after 3 replies of its model and 2 calls of tools."
    )


def test_the_limit_of_time_says_how_far_it_came(world: World, model_server: OpenAIServer) -> None:
    """In simulated time: a limit of real seconds may end before the reply of the model, on a busy machine.

    The model closes its connection, because time is real while one is open.
    """

    async def run() -> JobRow:
        kitchen = Kitchen(world, model_server)
        never = document_of(("wait", "test_sleep", {"seconds": 3_600}), fields=WORD)
        kitchen.model.say(Said(calls=(("never", {"word": "x"}),), headers={"connection": "close"}))
        tool = kitchen.shout("never", never, timeout_seconds=600)
        document = agent_document({"model": "box:m", "max_cost_usd": None, "tools": [tool]})
        nodes = [
            {**one, "policy": {"timeout_seconds": 60}} if one["id"] == "agent" else one
            for one in document.model_dump()["nodes"]
        ]
        document = Document.model_validate({**document.model_dump(), "nodes": nodes})
        try:
            return await kitchen.run(world.add_flow(document))
        finally:
            await kitchen.outbound.aclose()

    with asyncio.Runner(loop_factory=LogicalLoop) as runner:
        job = runner.run(run())
    assert job.error is not None
    assert (job.error["code"], job.error["message"]) == (
        "timeout",
        "The agent did not finish within 60 seconds, after 1 reply of its model and 0 calls of tools.",
    )


@pytest.mark.parametrize("known", [True, False], ids=["reached", "price unknown"])
async def test_the_limit_of_money_ends_it_before_the_next_reply(kitchen: Kitchen, known: bool) -> None:
    if known:
        kitchen.world.write(set_price, kitchen.owner, "box", "m", 10**9 * 1_000, 10**9 * 1_000)
    kitchen.world.write(make_remote)
    kitchen.model.default = Said(calls=(("shout", {"word": "x"}),))
    job = await kitchen.run(kitchen.agent(kitchen.shout(), max_cost_usd=0.02))
    assert job.error is not None
    assert job.error["code"] == "budget_exceeded"
    assert len(kitchen.model.asked) == (2 if known else 1)
    reached = (
        "The agent reached its limit of $0.02: it has spent $0.0380, after 2 replies of its model and 2 calls of tools."
    )
    assert job.error["message"] == reached if known else "is not known" in job.error["message"]


@pytest.mark.parametrize(
    ("then", "settings", "state"),
    [
        (("bad", "test_fail", {}), {}, "failed"),
        (("slow", "test_sleep", {"seconds": 3_600}), {"timeout_seconds": 2}, "failed"),
        (("ask", "test_ask", {"title": "Ok?"}), {}, "done"),
        (("ask", "test_ask", {"title": "Ok?"}), {"ask_first": True}, "done"),
    ],
    ids=["fails", "takes too long", "asks a person", "is approved and asks a person"],
)
async def test_what_a_flow_paid_counts_towards_the_limit_of_money_when_it(
    kitchen: Kitchen, then: Any, settings: dict[str, Any], state: str
) -> None:
    kitchen.world.write(set_price, kitchen.owner, "box", "m", 10**9 * 1_000, 10**9 * 1_000)
    kitchen.world.write(make_remote)
    prompt = {"model": "box:m"}
    paid = document_of(("paid", "prompt", {"prompt": "{{ api_input.out.word }}"}), then, fields=WORD)
    nodes = tuple(node.model_copy(update={"config": prompt}) if node.id == "paid" else node for node in paid.nodes)
    kitchen.model.say(Said(calls=(("paid", {"word": "x"}),)), "Paid.", "Not asked for.")
    flow = kitchen.shout("paid", paid.model_copy(update={"nodes": nodes}), **settings)
    job = await kitchen.run(kitchen.agent(flow, max_cost_usd=0.03))
    while job.waits_for_person:
        kitchen.world.write(answer, open_question(kitchen.world, job.id), "approved", {}, "", "Ada")
        await kitchen.carry(job.id)
        job = kitchen.world.job(job.id)
    assert job.error is not None
    assert job.error["code"] == "budget_exceeded", job.error
    call = kitchen.parts(job.id)["call/1/0"].value
    assert (call["state"], call["cost_nanos"]) == (state, 19_000_000)
    steps = {step.node_id: step for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id)}
    assert (steps["agent"].cost_nanos, steps["agent"].model_calls) == (job.cost_nanos, job.model_calls)


def make_remote(session: Any) -> None:
    """Makes the connection one whose calls cost money."""
    session.execute(text("update connections set local = false"))


async def test_halves_of_characters_are_replaced_for_models_and_tools(kitchen: Kitchen) -> None:
    """JSON can name one: a model does in what it says and fills in, and a service in what it answers."""

    class Titles(LocalServer):
        def reply(self, seen: Seen) -> Reply:
            return Reply(200, b'{"title": "cut \\ud83d"}', {"content-type": "application/json"})

    with Titles() as titles:
        address = f"http://127.0.0.1:{titles.port}/{{word}}"
        tool = {
            "kind": "http",
            "address": address,
            "method": "POST",
            "parameters": [{"name": "word"}, {"name": "more"}],
        }
        half = '{"word": "a\\ud83d", "more": "b\\ud83d"}'
        kitchen.model.say(
            Said("Look \ud83d", calls=(("shout", '{"word": "a\\ud83d"}'), ("get", half))),
            "Done.",
        )
        job = await kitchen.run(kitchen.agent(kitchen.shout(), {**tool, "name": "get"}))
        (seen,) = titles.requests
    assert (job.status, kitchen.world.result(job.id)) == ("completed", {"output": "Done."}), job.error
    assert kitchen.told() == ['{"output": "A�!"}', '{"status": 200, "json": {"title": "cut �"}}']
    assert (seen.path, json.loads(seen.body)) == ("/a%EF%BF%BD", {"more": "b�"})


async def test_an_answer_that_was_cut_off_says_so(kitchen: Kitchen) -> None:
    kitchen.model.say(Said("The orders: 1, 2 and", finish_reason="length"), Said("", finish_reason="length"))
    flow_id = kitchen.agent()
    job = await kitchen.run(flow_id)
    (step,) = [one for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id) if one.warnings]
    assert kitchen.world.result(job.id) == {"output": "The orders: 1, 2 and"}
    assert step.warnings == (
        "The answer is not complete: it reached its longest length. Ask for a shorter answer, or choose another model.",
    )
    empty = (await kitchen.run(flow_id)).error
    assert empty is not None
    assert empty["remedy"] == "Ask for a shorter answer, or choose another model."


async def test_output_fields_are_checked_and_asked_for_again(kitchen: Kitchen) -> None:
    fields = [{"name": "price", "type": "number", "required": True}]
    kitchen.model.say(Said('{"price":', finish_reason="length"), '{"price": 7}')
    job = await kitchen.run(kitchen.agent(output_fields=fields))
    assert not any(one.warnings for one in kitchen.world.read(list_steps, kitchen.world.workspace_id, job.id))
    assert kitchen.world.result(job.id) == {"output": {"price": 7}}
    assert "does not fit" in kitchen.model.asked[1]["messages"][-1]["content"]


async def test_a_person_is_asked_first_and_no_call_is_repeated(kitchen: Kitchen, tmp_path: Any) -> None:
    written = tmp_path / "written"
    write = document_of(
        ("write", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}), fields=WORD
    )
    flow_id = kitchen.agent(kitchen.shout(), kitchen.shout("send", write, ask_first=True, editable=True), max_steps=5)
    kitchen.model.say(
        Said(calls=(("send", {"word": "hello"}), ("shout", {"word": "pen"}), ("send", {"word": "bye"}))), "Sent."
    )
    job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
    asked = []
    for decision, changed, note in (("approved", {"word": "hi"}, ""), ("refused", {}, "Not now")):
        await kitchen.carry(job_id)
        job = kitchen.world.job(job_id)
        assert job.waits_for_person, job.error
        question = open_question(kitchen.world, job_id)
        asked.append((question.title, question.values, question.editable))
        kitchen.world.write(answer, question, decision, changed, note, "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, kitchen.world.result(job_id)) == ("completed", {"output": "Sent."}), job.error
    assert asked == [("May the agent use “send”?", {"word": word}, ("word",)) for word in ("hello", "bye")]
    sent, shouted, refused = kitchen.told()
    assert json.loads(sent) == {"changed_by_a_person": {"word": "hi"}, "result": {"output": "hi"}}
    assert shouted == '{"output": "PEN!"}'
    assert refused == "A person refused this call, so it was not made. The note: Not now"
    assert written.read_text().split() == ["hi"]
    assert (len(kitchen.model.asked), job.model_calls) == (2, 2)
    parts = kitchen.parts(job_id)
    assert (parts["call/1/0"].value["by"], parts["call/1/2"].value["state"]) == ("Ada", "refused")


async def test_a_person_is_shown_no_half_of_a_character(kitchen: Kitchen) -> None:
    kitchen.model.say(Said(calls=(("shout", '{"word": "a\\ud83d"}'),)), "Done.")
    job = await kitchen.run(kitchen.agent(kitchen.shout(ask_first=True, editable=True)))
    question = open_question(kitchen.world, job.id)
    assert question.values == {"word": "a�"}
    assert kitchen.parts(job.id)["call/1/0"].value["arguments"] == {"word": "a�"}
    kitchen.world.write(answer, question, "approved", {}, "", "Ada")
    await kitchen.carry(job.id)
    assert kitchen.told() == ['{"output": "A�!"}'], "nobody changed it"


async def test_no_reply_is_repeated_when_no_earlier_output_is_kept(kitchen: Kitchen) -> None:
    """The input is too large to be kept whole, so no step before the agent has an output that is kept."""
    kitchen.model.say(Said(calls=(("shout", {"word": "pen"}),)), "Done.")
    flow_id = kitchen.agent(kitchen.shout(ask_first=True))
    job_id = kitchen.world.submit(flow_id, {"question": "?" * (VALUE_CAP + 1)}).job_id
    await kitchen.carry(job_id)
    kitchen.world.write(answer, open_question(kitchen.world, job_id), "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, kitchen.world.result(job_id)) == ("completed", {"output": "Done."}), job.error
    assert kitchen.told() == ['{"output": "PEN!"}']
    assert (len(kitchen.model.asked), job.model_calls) == (2, 2)


async def test_a_flow_that_asks_a_person_sets_the_agent_aside(kitchen: Kitchen) -> None:
    asks = document_of(("ask", "test_ask", {"title": "{{ api_input.out.word }}?", "values": {"a": 1}}), fields=WORD)
    kitchen.model.say(Said(calls=(("asks", {"word": "go"}), ("shout", {"word": "pen"}))), "Done.")
    flow_id = kitchen.agent(kitchen.shout("asks", asks), kitchen.shout())
    job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
    await kitchen.carry(job_id)
    question = open_question(kitchen.world, job_id)
    assert question.title == "go?"
    assert kitchen.parts(job_id)["call/1/1"].ended_at is not None, "the other call has ended"
    kitchen.world.write(answer, question, "approved", {}, "", "Ada")
    await kitchen.carry(job_id)
    job = kitchen.world.job(job_id)
    assert (job.status, len(kitchen.model.asked)) == ("completed", 2), job.error


async def test_a_crash_repeats_no_reply_and_no_call_that_ended(kitchen: Kitchen, tmp_path: Any) -> None:
    """The worker process is killed while the second tool runs."""
    written = tmp_path / "written"
    until = tmp_path / "go"
    write = document_of(
        ("write", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}), fields=WORD
    )
    wait = document_of(
        ("mark", "test_write", {"path": str(written), "line": "{{ api_input.out.word }}"}),
        ("slow", "test_wait", {"until": str(until), "value": "waited"}),
        fields=WORD,
    )
    kitchen.model.say(
        Said(calls=(("write", {"word": "one"}), ("write", {"word": "two"}))),
        Said(calls=(("wait", {"word": "three"}),)),
        "The end.",
    )
    flow_id = kitchen.agent(kitchen.shout("write", write), kitchen.shout("wait", wait, timeout_seconds=600))
    with supervised(kitchen.world) as (supervisor, waiters, _lines):
        job_id = kitchen.world.submit(flow_id, {"question": "?"}).job_id
        await until_running(kitchen.world, job_id, "agent.wait.slow")
        assert supervisor.pid is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        until.touch()
        job = await ended(kitchen.world, waiters, job_id)
    assert (job.status, job.attempts) == ("completed", 2), job.error
    assert kitchen.world.result(job_id) == {"output": "The end."}
    assert sorted(written.read_text().split()) == ["one", "three", "two"], "no step ran twice"
    assert len(kitchen.model.asked) == 3
    assert job.model_calls == 3
    steps = {step.node_id: step for step in kitchen.world.read(list_steps, kitchen.world.workspace_id, job_id)}
    assert (steps["agent"].model_calls, steps["agent"].input_tokens) == (3, job.input_tokens)
