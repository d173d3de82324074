"""The Prompt node in a flow, with the scripted model server or the Simulated model."""

import json
from contextlib import nullcontext
from typing import Any

import pytest

from engine.flow.document import Document
from engine.flow.file_values import MIB, FileContent, StoredFile, file_value
from engine.flow.output_schemas import out_schema
from engine.flow.validation import problems
from engine.models.client import ModelConnection, ModelRequest, Models, Price, split_model
from engine.nodes import CATALOG
from engine.nodes.given_files import files_of
from engine.nodes.model_answers import SAME_TEXTS
from engine.outbound.client import OutboundClient
from engine.run.plan import compile_plan
from engine.run.runner import run_flow
from tests.stand_ins.openai_server import OpenAIServer, Said

FIELDS = [
    {"name": "city", "type": "string", "required": True, "description": "Where it is"},
    {"name": "people", "type": "integer"},
]


def flow(config, inputs, policy=None):
    prompt = {
        "id": "prompt",
        "type": "prompt",
        "config": config,
        "inputs": inputs,
        **({"policy": policy} if policy else {}),
    }
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "place", "type": "string"}]}},
                prompt,
            ],
            "edges": [{"id": "e", "source": "api_input", "target": "prompt"}],
        }
    )


class Notebook:
    def __init__(self):
        self.steps, self.calls, self.texts = {}, [], []

    def started(self, step):
        pass

    def ended(self, step):
        self.steps[step.key.node_id] = step

    def called(self, key, call):
        self.calls.append(call)

    def delta(self, key, text):
        self.texts.append(text)


class Services:
    """The services that a worker gives to a run, with one connection."""

    def __init__(self, outbound, server):
        self.http = outbound
        self._models = Models(outbound)
        own = {"small": Price(1_000_000_000, 2_000_000_000)}
        self._connection = ModelConnection("Mine", "openai_compatible", server.url, own_prices=own, opens_address=True)
        self.files = self

    async def ask_model(self, question, *, on_call=None, on_text=None):
        name, _ = split_model(question.model)
        connection = None if name is None else self._connection
        return await self._models.ask(connection, ModelRequest.of(question, on_delta=on_text, on_call=on_call))

    async def read(self, value):
        """Returns the bytes of a file value, as the files of a workspace do."""
        return FileContent(value["name"], value["media_type"], 3, b"abc")

    async def look_up(self, value):
        """Returns what a file value says of itself."""
        return StoredFile(value["name"], value["media_type"], value["size"])

    def room(self, size):
        return nullcontext()

    async def secret(self, secret_id):
        raise AssertionError

    async def in_thread(self, work, *args):
        return work(*args)


@pytest.fixture
def server():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
async def ask(server):
    """Runs a flow with one Prompt; returns the outcome and the recorded steps."""
    outbound = OutboundClient()

    async def go(config, inputs, place="Paris", policy=None):
        notebook = Notebook()
        plan = compile_plan(flow(config, inputs, policy), CATALOG)
        outcome = await run_flow(
            plan, {"place": place}, system={}, services=Services(outbound, server), recorder=notebook
        )
        return outcome, notebook

    yield go
    await outbound.aclose()


@pytest.mark.process
async def test_the_answer_is_text_and_its_call_is_kept_with_the_step(ask, server):
    server.say(Said("It is large.", input_tokens=10, output_tokens=5))
    outcome, notebook = await ask(
        {"model": "Mine:small"}, {"prompt": "Is {{ api_input.out.place }} large?", "system": "Be terse."}
    )
    assert outcome.result == {"output": "It is large."}
    assert [message["content"] for message in server.asked[0]["messages"]] == ["Be terse.", "Is Paris large?"]
    step = notebook.steps["prompt"]
    assert [(call.model, call.input_tokens, call.cost_nanos) for call in step.calls] == [("small", 10, 20_000)]
    assert list(step.calls) == notebook.calls
    assert "".join(notebook.texts) == "It is large."
    assert not step.simulated


@pytest.mark.process
async def test_output_fields_make_an_object(ask, server):
    server.say('{"city": "Paris"}')
    outcome, _ = await ask({"model": "Mine:small", "output_fields": FIELDS}, {"prompt": "Where?"})
    assert outcome.result == {"output": {"city": "Paris", "people": None}}


TEXTS = [{"name": name, "type": "string", "required": True} for name in ("name", "price", "stock")]
LONG = "In stock: 14. A solid piece for every office."


@pytest.mark.process
@pytest.mark.parametrize(
    ("fields", "answer", "told"),
    [
        (TEXTS, {"name": LONG, "price": LONG, "stock": LONG}, True),
        (TEXTS, {"name": "Lamp", "price": "Lamp", "stock": " Lamp"}, True),
        (TEXTS[:2], {"name": LONG, "price": LONG}, True),
        (TEXTS[:2], {"name": "Lamp", "price": "Lamp"}, False),
        (TEXTS, {"name": LONG, "price": LONG, "stock": "14"}, False),
        (TEXTS, {"name": "", "price": "", "stock": ""}, False),
        ([{**one, "default": "unknown"} for one in TEXTS], dict.fromkeys(("name", "price", "stock"), "unknown"), False),
        ([*TEXTS[:2], {"name": "n", "type": "integer"}], {"name": LONG, "price": LONG, "n": 2}, True),
    ],
)
async def test_an_answer_with_the_same_text_in_all_fields_has_a_warning(ask, server, fields, answer, told):
    server.say(json.dumps(answer))
    _, notebook = await ask({"model": "Mine:small", "output_fields": fields}, {"prompt": "Which?"})
    assert list(notebook.steps["prompt"].warnings) == [SAME_TEXTS] * told


@pytest.mark.process
async def test_a_wrong_object_is_repaired_within_the_attempts_and_all_calls_are_kept(ask, server):
    server.say("{}", "no", '{"city": "Paris", "people": 2}')
    config = {"model": "Mine:small", "output_fields": FIELDS, "max_attempts": 3}
    outcome, notebook = await ask(config, {"prompt": "Where?"})
    assert outcome.result == {"output": {"city": "Paris", "people": 2}}
    assert [call.error for call in notebook.steps["prompt"].calls] == ["output_invalid", "output_invalid", None]


@pytest.mark.process
async def test_after_the_last_attempt_the_step_fails_and_keeps_what_it_spent(ask, server):
    server.say("no", "no")
    config = {"model": "Mine:small", "output_fields": FIELDS, "max_attempts": 2}
    outcome, notebook = await ask(config, {"prompt": "Where?"}, policy={"retries": 3})
    assert (outcome.status, outcome.error.code, outcome.error.node_id) == ("failed", "output_invalid", "prompt")
    assert len(server.asked) == 2
    assert sum(call.cost_nanos for call in notebook.steps["prompt"].calls) == 2 * (12 * 1000 + 7 * 2000)


@pytest.mark.process
async def test_a_passing_fault_is_tried_again_by_the_runner(ask, server):
    server.say(Said(status=503, headers={"retry-after": "0"}), "Fine.")
    outcome, notebook = await ask({"model": "Mine:small"}, {"prompt": "Where?"}, policy={"retries": 1})
    assert outcome.result == {"output": "Fine."}
    assert [one.code for one in notebook.steps["prompt"].tries] == ["model_unreachable", None]
    assert [call.error for call in notebook.steps["prompt"].calls] == ["model_unreachable", None]


@pytest.mark.process
async def test_the_simulated_model_marks_the_step(ask, server):
    outcome, notebook = await ask(
        {"model": "simulated"}, {"prompt": "Say it shorter: {{ api_input.out.place }} is by the sea."}
    )
    assert outcome.result == {"output": "Paris is by the sea."}
    assert notebook.steps["prompt"].simulated
    assert notebook.steps["prompt"].calls[0].cost_nanos == 0
    assert server.requests == []


@pytest.mark.process
async def test_data_and_answers_are_never_read_as_template(ask, server):
    server.say("{{ api_input.out.place }} {{ 7*7 }}")
    outcome, _ = await ask({"model": "Mine:small"}, {"prompt": "{{ api_input.out.place }}"}, place="{{ 7*7 }}")
    assert server.asked[0]["messages"][-1]["content"] == "{{ 7*7 }}"
    assert outcome.result == {"output": "{{ api_input.out.place }} {{ 7*7 }}"}


PICTURE = file_value("file_" + "1" * 22, "bread.png", "image/png", 3)
LARGE = [file_value(f"file_{number}{'3' * 21}", "large.txt", "text/plain", 40 * MIB) for number in range(3)]
SOUND = file_value("file_" + "2" * 22, "call.mp3", "audio/mpeg", 3)


@pytest.mark.process
@pytest.mark.parametrize("files", [PICTURE, [PICTURE], [None, PICTURE]])
async def test_files_go_to_the_model_and_the_step_says_which(ask, server, files):
    server.say("A loaf.")
    outcome, notebook = await ask({"model": "Mine:small"}, {"prompt": "What is it?", "files": files})
    assert outcome.result == {"output": "A loaf."}
    text, picture = server.asked[0]["messages"][-1]["content"]
    assert text == {"type": "text", "text": "What is it?"}
    assert picture["image_url"]["url"] == "data:image/png;base64,YWJj"
    assert notebook.steps["prompt"].log == ("Sent to the model: “bread.png” (PNG picture, 3 bytes) as it is",)
    assert notebook.steps["prompt"].inputs["files"] == files


@pytest.mark.process
@pytest.mark.parametrize(
    ("files", "code", "words"),
    [
        (SOUND, "file_not_taken", "small of “Mine” does not take sound, so “call.mp3” cannot be sent."),
        (
            "{{ api_input.out.place }}",
            "node_failed",
            "Files takes a file, or a list of files. What came in this run is the text",
        ),
        ([[PICTURE]], "node_failed", "a list in a list"),
        ([7], "node_failed", "a number"),
        ([PICTURE] * 51, "file_not_taken", "51 files are too many"),
        (LARGE, "file_not_taken", "Together they have 120 MiB, and a question takes at most 100 MiB."),
        ({"name": "a"}, "node_failed", "a group of data that is no file"),
    ],
)
async def test_what_the_model_does_not_take_asks_nobody(ask, server, files, code, words):
    outcome, _ = await ask({"model": "Mine:small"}, {"prompt": "What is it?", "files": files})
    assert (outcome.error.code, server.requests) == (code, [])
    assert words in f"{outcome.error.message} {outcome.error.why}"
    assert outcome.error.remedy


async def test_a_file_that_is_named_many_times_is_in_memory_once():
    held = []

    class Files(Services):
        def __init__(self):
            self.files = self

        def room(self, size):
            held.append(size)
            return nullcontext()

    context: Any = Files()
    async with files_of([PICTURE, SOUND, *[PICTURE] * 48], context) as files:
        assert [one.name for one in files] == ["bread.png", "call.mp3", *["bread.png"] * 48]
        assert len({id(one) for one in files}) == 2
    assert held == [6]


@pytest.mark.process
@pytest.mark.parametrize("files", [None, "", []])
async def test_without_files_the_prompt_is_text_alone(ask, server, files):
    await ask({"model": "Mine:small"}, {"prompt": "What is it?", "files": files})
    assert server.asked[0]["messages"][-1]["content"] == "What is it?"


@pytest.mark.process
async def test_an_empty_prompt_asks_nobody(ask, server):
    outcome, _ = await ask({"model": "Mine:small"}, {"prompt": "{{ api_input.out.place }}"}, place="  ")
    assert (outcome.error.code, server.requests) == ("input_missing", [])


@pytest.mark.parametrize(
    ("config", "code", "pointer"),
    [
        ({}, "no_model", "/config/model"),
        ({"model": "gpt-5"}, "bad_model", "/config/model"),
        ({"model": ":gpt-5"}, "bad_model", "/config/model"),
        ({"model": "simulated", "output_fields": [{"name": ""}]}, "field_name", "/config/output_fields/0/name"),
    ],
)
def test_settings_that_cannot_work_are_problems(config, code, pointer):
    found = problems(flow(config, {"prompt": "Hi"}), CATALOG)
    assert [(problem.code, problem.pointer) for problem in found] == [(code, pointer)]


def test_a_prompt_without_a_model_can_be_imported_but_not_deployed():
    assert [problem.blocks_import for problem in problems(flow({}, {"prompt": "Hi"}), CATALOG)] == [False]


def test_the_output_fields_are_what_later_steps_may_use():
    node = flow({"model": "simulated", "output_fields": FIELDS}, {"prompt": "Hi"}).node("prompt")
    schema = out_schema(node, CATALOG)
    assert schema["properties"]["people"]["type"] == ["integer", "null"]
    assert out_schema(flow({}, {}).node("prompt"), CATALOG)["type"] == "string"
