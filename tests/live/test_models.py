"""Prompt nodes with a local model server: text, fields, tokens, costs, and an API key that never becomes visible."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import update

from engine.actions.connections import set_price
from storage.tables import Connection
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Terminal
from tests.stand_ins.local_server import Places
from tests.stand_ins.openai_server import OpenAIServer, Said

KEY = "sk-canary-4f1d6a0b9c7e2358"
TOPIC = {"name": "topic", "type": "string", "required": True}
FACTS = (
    {"name": "city", "type": "string", "required": True},
    {"name": "people", "type": "integer", "required": True},
)


@pytest.fixture(scope="module")
def model(places: Places) -> Iterator[OpenAIServer]:
    with OpenAIServer(key=KEY).at_place(places) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def _connections(terminal: Terminal, model: OpenAIServer) -> None:
    """`box` is a local model; `far` stands for a remote one with an unknown price."""
    terminal.set_plan(
        "enterprise"
    )  # every job is read again after each test, which exceeds the request rate of other plans
    add = ("--provider", "openai_compatible", "--key-stdin", "--base-url")
    for name in ("box", "far"):
        assert terminal.value("models", "add", name, *add, model.url, stdin=KEY) == name
    far = update(Connection).where(Connection.workspace_id == terminal.workspace_id, Connection.name == "far")
    terminal.store.write_now(lambda session: session.execute(far.values(local=False)))


@pytest.fixture(autouse=True)
def _the_key_is_nowhere(server, caller):
    """After every test: the key is in no file (the database has it encrypted), not in the log, and not in what callers
    and owners can read.
    """
    yield
    for file in server.data.rglob("*"):
        if file.is_file():
            assert KEY.encode() not in file.read_bytes(), file
    assert KEY not in server.log()
    jobs = caller.request("GET", "/jobs").json()["data"]
    for job in jobs:
        assert KEY not in caller.request("GET", f"/jobs/{job['job_id']}").text
        assert KEY not in caller.request("GET", f"/jobs/{job['job_id']}/events").text


def ask(terminal, model_name: str, *fields: dict) -> str:
    return terminal.flow(flows.one_node(flows.prompt(model_name, *fields), TOPIC))


def test_a_prompt_answers_with_text_and_counts_its_tokens(terminal, caller, model):
    model.say(Said("Oslo is in the north.", input_tokens=30, output_tokens=6))
    job = caller.run(ask(terminal, "box:small-model"), {"topic": "Oslo"})
    assert job["result"] == {"output": "Oslo is in the north."}
    assert job["usage"] == {"cost_usd": 0, "input_tokens": 30, "output_tokens": 6, "model_calls": 1}
    assert job["simulated"] is False
    assert model.asked[-1]["model"] == "small-model"
    assert "Tell me about Oslo." in json.dumps(model.asked[-1]["messages"])
    assert model.last.headers["authorization"] == f"Bearer {KEY}"


def test_a_prompt_with_output_fields_answers_with_an_object(terminal, caller, model):
    model.say('{"city": "Oslo", "people": 717710}')
    job = caller.run(ask(terminal, "box:small-model", *FACTS), {"topic": "Oslo"})
    assert job["result"] == {"output": {"city": "Oslo", "people": 717710}}


def test_an_answer_that_does_not_fit_is_asked_for_again_and_both_count(terminal, caller, model):
    model.say(Said('{"city": "Oslo"}', 10, 1), Said('{"city": "Oslo", "people": 717710}', 20, 2))
    job = caller.run(ask(terminal, "box:small-model", *FACTS), {"topic": "Oslo"})
    assert job["result"] == {"output": {"city": "Oslo", "people": 717710}}
    assert (job["usage"]["input_tokens"], job["usage"]["output_tokens"], job["usage"]["model_calls"]) == (30, 3, 2)


def test_the_text_of_a_model_arrives_in_the_events(terminal, caller, model):
    model.say("one two three")
    job = caller.run(ask(terminal, "box:small-model"), {"topic": "Oslo"})
    deltas = [data for _, name, data in caller.events(job["job_id"]) if name == "step.delta"]
    assert "".join(data["text"] for data in deltas) == "one two three"
    assert {data["node_id"] for data in deltas} == {"prompt"}


def test_text_goes_out_while_the_model_still_writes_and_a_replay_tells_the_same(terminal, caller, model):
    go_on, words = threading.Semaphore(0), iter(range(5))

    def after_a_word() -> None:
        if next(words, None) is not None:
            go_on.acquire(timeout=60)

    model.say(Said("one two three four five six", between=after_a_word))
    job_id = caller.accepted(ask(terminal, "box:small-model"), {"topic": "Oslo"})
    # The model sends its next word after the previous one has arrived at the caller; the last one waits for the step to
    # end.
    live = caller.events(job_id, each=lambda name: name == "step.delta" and go_on.release())
    names = [name for _, name, _ in live]
    assert names.count("step.delta") == 6, names
    assert names[-3:] == ["step.delta", "step.completed", "job.completed"]
    assert caller.events(job_id) == live
    half = live[len(live) // 2][0]
    assert caller.events(job_id, after=half) == [event for event in live if event[0] > half]


def test_a_key_that_is_spelled_over_many_events_is_in_none(terminal, caller, model):
    model.say(Said(f"My key is {KEY[:9]} {KEY[9:]} or {KEY} indeed.", pause=0.15))
    job = caller.run(ask(terminal, "box:small-model"), {"topic": "keys"})
    texts = [data["text"] for _, name, data in caller.events(job["job_id"]) if name == "step.delta"]
    assert KEY not in "".join(texts)
    assert "".join(texts).endswith("or •••• indeed.")


def test_a_stream_that_broke_off_is_told_as_another_call(terminal, caller, model):
    model.say(Said("Lost half", drop=True), "Whole answer.")
    patient = {**flows.prompt("box:small-model"), "policy": {"retries": 1}}
    job = caller.run(terminal.flow(flows.one_node(patient, TOPIC)), {"topic": "Oslo"})
    assert job["result"] == {"output": "Whole answer."}
    deltas = [data for _, name, data in caller.events(job["job_id"]) if name == "step.delta"]
    said = {call: "".join(one["text"] for one in deltas if one["call"] == call) for call in (1, 2)}
    assert said == {1: "Lost half", 2: "Whole answer."}


def test_an_unknown_price_is_unknown_and_an_own_price_counts(terminal, caller, model):
    flow_id = ask(terminal, "far:small-model")
    job = caller.run(flow_id, {"topic": "Oslo"})
    assert job["status"] == "completed", job
    assert job["usage"] == {"cost_usd": None, "input_tokens": 12, "output_tokens": 7, "model_calls": 1}

    terminal.store.write_now(set_price, terminal.owner, "far", "small-model", 1_000_000_000, 2_000_000_000)
    assert caller.run(flow_id, {"topic": "Oslo"})["usage"]["cost_usd"] == pytest.approx(26e-6)


def test_the_simulated_model_is_labelled_and_needs_no_connection(terminal, caller, model):
    before = len(model.requests)
    for fields in ((), FACTS):
        job = caller.run(ask(terminal, "simulated", *fields), {"topic": "Oslo"})
        assert (job["status"], job["simulated"]) == ("completed", True)
        assert (set(job["result"]["output"]) == {"city", "people"}) if fields else job["result"]["output"]
    assert len(model.requests) == before


def test_a_key_that_the_model_server_repeats_is_blacked_out(terminal, caller, model):
    model.say(f"My key is {KEY}.")
    job = caller.run(ask(terminal, "box:small-model"), {"topic": "keys"})
    assert job["status"] == "completed"
    assert KEY not in json.dumps(job)


def test_a_refused_key_is_told_without_the_key(terminal, caller, model):
    model.say(Said(status=401, message=f"Incorrect API key provided: {KEY}"))
    job = caller.run(ask(terminal, "box:small-model"), {"topic": "Oslo"})
    assert (job["status"], job["error"]["code"]) == ("failed", "model_key_refused")


def test_a_connection_that_is_gone_is_told(terminal, caller, model):
    add = ("--provider", "openai_compatible", "--key-stdin", "--base-url")
    terminal.value("models", "add", "short", *add, model.url, stdin=KEY)
    flow_id = ask(terminal, "short:small-model")
    terminal.do("models", "remove", "short")
    job = caller.run(flow_id, {"topic": "Oslo"})
    assert (job["status"], job["error"]["code"]) == ("failed", "model_key_missing")
    assert "short" in job["error"]["message"]


def test_an_export_and_the_lists_of_the_terminal_know_no_key(terminal):
    flow_id = ask(terminal, "box:small-model")
    for command in (("flows", "export", flow_id), ("models", "list", "--json")):
        said = terminal.run(*command)
        assert "box" in said.stdout
        assert KEY not in said.stdout + said.stderr


def test_flows_run_at_the_terminal_uses_the_connections_of_the_folder(terminal, model):
    model.say("From the terminal.")
    file = json.dumps(flows.one_node(flows.prompt("box:small-model"), TOPIC))
    said = terminal.run("flows", "run", "-", "--input", '{"topic": "Oslo"}', stdin=file)
    assert json.loads(said.stdout) == {"output": "From the terminal."}
    assert KEY not in said.stdout + said.stderr


def test_a_flow_without_a_model_is_untouched_by_all_this(terminal, caller):
    job = caller.run(terminal.flow(greeting()), {"name": "Ada"})
    assert job["usage"] == {"cost_usd": 0, "input_tokens": 0, "output_tokens": 0, "model_calls": 0}
