"""Questions to models, against a scripted server on this machine."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import httpx2
import pytest
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import ModelRequest as Asked
from pydantic_ai.messages import UserPromptPart

from engine.core.clock import SystemClock
from engine.flow.contract import payload_schema
from engine.flow.node_models import ModelQuestion
from engine.models.client import ModelCall, ModelConnection, ModelFailed, ModelRequest, Models, Price, split_model
from engine.models.errors import LONGEST_ARGUMENTS, MAX_PARTS
from engine.models.providers import build_model
from engine.outbound.client import OutboundClient
from engine.outbound.errors import ResponseTooLarge
from engine.outbound.reply_size import MAX_BYTES, _Bounded
from tests.stand_ins.openai_server import OpenAIServer, Said

pytestmark = pytest.mark.process

SCHEMA = payload_schema(
    [
        {"name": "city", "type": "string", "required": True, "description": "Where it is"},
        {"name": "people", "type": "integer", "required": True},
    ],
    for_output=True,
)
GOOD = '{"city": "Paris", "people": 2100000}'
KEY = "sk-test-0123456789abcdef"


@pytest.fixture(scope="module")
def running():
    with OpenAIServer() as server:
        yield server


@pytest.fixture
def server(running):
    """The server, reset for each test; its socket stays open."""
    running.requests.clear()
    running._script.clear()
    running.key, running.json_mode, running.streams = None, True, True
    running.answer_with, running.default = None, "Hello."
    return running


class Ahead(SystemClock):
    """A clock that may be some seconds ahead of the machine's."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


@pytest.fixture
def clock():
    return Ahead()


@pytest.fixture
async def models(clock):
    outbound = OutboundClient()
    yield Models(outbound, clock)
    await outbound.aclose()


def connect(server, **rest) -> ModelConnection:
    return ModelConnection(
        **{"name": "Mine", "provider": "openai_compatible", "base_url": server.url, "opens_address": True, **rest}
    )


def question(**rest) -> ModelRequest:
    return ModelRequest(**{"prompt": "Where?", "model_name": "small-model", **rest})


async def failure(models, connection, request) -> ModelFailed:
    with pytest.raises(ModelFailed) as caught:
        await models.ask(connection, request)
    return caught.value


async def test_a_text_answer_comes_with_its_tokens(models, server):
    server.say(Said("Paris.", input_tokens=30, output_tokens=2))
    answer = await models.ask(connect(server), question(system="Be terse.", temperature=0.2, max_tokens=50))
    assert (answer.value, answer.text, answer.model, answer.connection) == ("Paris.", "Paris.", "small-model", "Mine")
    assert (answer.input_tokens, answer.output_tokens, answer.simulated) == (30, 2, False)
    asked = server.asked[0]
    assert asked["messages"] == [{"role": "system", "content": "Be terse."}, {"role": "user", "content": "Where?"}]
    assert asked["temperature"] == 0.2
    assert 50 in {asked.get("max_tokens"), asked.get("max_completion_tokens")}


async def test_the_key_goes_along_and_shows_nowhere_else(models, server):
    server.key = KEY
    connection = connect(server, key=KEY)
    answer = await models.ask(connection, question())
    assert server.last.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in repr(connection) + repr(answer)


async def test_an_unknown_price_makes_the_cost_unknown(models, server):
    answer = await models.ask(connect(server), question())
    assert answer.cost_nanos is None
    assert answer.calls[0].price is None


async def test_own_prices_make_the_cost(models, server):
    server.say(Said("Paris.", input_tokens=1000, output_tokens=10))
    own = Price(1_000_000_000, 2_000_000_000)
    answer = await models.ask(connect(server, own_prices={"small-model": own}), question())
    assert answer.cost_nanos == 1000 * 1000 + 10 * 2000
    assert answer.calls[0].price == own


async def test_a_local_model_costs_nothing(models, server):
    answer = await models.ask(connect(server, local=True), question())
    assert answer.cost_nanos == 0
    assert answer.calls[0].price is not None
    assert answer.calls[0].price.source == "local"


async def test_without_token_counts_the_cost_is_unknown(models, server):
    server.say(Said("Paris.", usage=False))
    answer = await models.ask(connect(server, own_prices={"small-model": Price(1, 1)}), question())
    assert answer.cost_nanos is None


@pytest.mark.parametrize("said", [10**9 + 1, 2**63, 10**30])
async def test_token_counts_that_no_call_has_are_not_counted(models, server, said):
    own = {"small-model": Price(1, 1)}
    server.say(Said("Paris.", input_tokens=said), Said("Rome.", input_tokens=said), Said("Oslo.", input_tokens=said))
    answers = [
        await models.ask(connect(server, own_prices=own), question()),
        await models.ask(connect(server, own_prices=own, local=True), question()),
        await models.ask(connect(server, local=True), question()),
    ]
    assert [answer.value for answer in answers] == ["Paris.", "Rome.", "Oslo."]
    assert [(one.input_tokens, one.output_tokens, one.cost_nanos) for one in answers] == [
        (0, 0, None),
        (0, 0, None),
        (0, 0, 0),
    ]


async def test_cached_tokens_of_openai_are_cheaper(models, server):
    server.say(Said("Paris.", input_tokens=1000, output_tokens=0, cached_tokens=1000))
    answer = await models.ask(connect(server, provider="openai", key=KEY), question(model_name="gpt-4o-mini"))
    assert answer.cost_nanos == 75_000


async def test_an_object_is_asked_for_by_schema_and_in_words(models, server):
    server.say(GOOD)
    answer = await models.ask(connect(server), question(output_schema=SCHEMA))
    assert answer.value == {"city": "Paris", "people": 2100000}
    asked = server.asked[0]
    assert asked["response_format"]["json_schema"]["schema"]["required"] == ["city", "people"]
    assert "Where it is" in asked["messages"][0]["content"]


async def test_an_answer_with_half_of_a_character_is_repaired(models, server):
    """What the model said, and what is wrong with it, go back to it."""
    server.say('{"city": "Par\\ud83d", "people": "\\ud83d"} \ud83d', GOOD)
    answer = await models.ask(connect(server), question(output_schema=SCHEMA))
    assert answer.value == {"city": "Paris", "people": 2100000}
    assert server.asked[1]["messages"][-2]["content"].endswith("�")


async def test_an_answer_that_does_not_fit_is_repaired(models, server):
    server.say('{"city": "Paris", "people": "many"}', f"Sorry!\n```json\n{GOOD}\n```")
    seen: list[ModelCall] = []
    answer = await models.ask(connect(server), question(output_schema=SCHEMA, on_call=seen.append))
    assert answer.value == {"city": "Paris", "people": 2100000}
    assert [(call.attempt, call.error) for call in answer.calls] == [(1, "output_invalid"), (2, None)]
    assert seen == list(answer.calls)
    assert answer.input_tokens == 24
    first, said, told = server.asked[1]["messages"][-3:]
    assert (first["role"], said["role"]) == ("user", "assistant")
    assert "/people: expected a whole number, got a string" in told["content"]


async def test_after_the_last_attempt_the_output_is_invalid(models, server):
    server.say("no", "no", "no")
    failed = await failure(models, connect(server, local=True), question(output_schema=SCHEMA))
    assert failed.code == "output_invalid"
    assert not failed.passing
    assert "3 attempts" in failed.message
    assert [call.error for call in failed.calls] == ["output_invalid"] * 3
    assert len(server.asked) == 3


async def test_attempts_are_bounded_by_the_request(models, server):
    server.default = "no"
    failed = await failure(models, connect(server), question(output_schema=SCHEMA, max_attempts=1))
    assert (failed.code, len(server.asked)) == ("output_invalid", 1)


async def test_an_answer_cut_short_says_which_setting_to_raise(models, server):
    server.default = Said('{"city": "Pa', finish_reason="length")
    failed = await failure(models, connect(server), question(output_schema=SCHEMA, max_attempts=2, max_tokens=5))
    assert "max tokens" in failed.remedy


async def test_a_server_without_json_mode_is_asked_in_words_for_ten_minutes(models, server, clock):
    server.json_mode, server.default = False, GOOD
    connection = connect(server, own_prices={"small-model": Price(1_000_000, 0)})
    answer = await models.ask(connection, question(output_schema=SCHEMA))
    assert answer.value == {"city": "Paris", "people": 2100000}
    assert [call.error for call in answer.calls] == ["node_failed", None]
    assert answer.calls[0].cost_nanos == 0
    await models.ask(connection, question(output_schema=SCHEMA))
    assert ["response_format" in asked for asked in server.asked] == [True, False, False]
    clock.ahead = 601
    await models.ask(connection, question(output_schema=SCHEMA))
    assert ["response_format" in asked for asked in server.asked[3:]] == [True, False]


async def test_a_schema_that_a_provider_refuses_changes_nothing_for_other_schemas_and_connections(models, server):
    server.default = '{"name": "Ada", "odd": "x"}'
    odd, plain = (payload_schema([{"name": name, "type": "string"}], for_output=True) for name in ("odd", "name"))

    def refuse_odd(body):
        if "odd" in json.dumps(body.get("response_format")):
            return Said(status=400, message="Invalid schema for response_format 'answer'.")
        return server.default

    server.answer_with = refuse_odd
    for schema in (odd, plain, odd):
        await models.ask(connect(server), question(output_schema=schema))
    server.answer_with = None
    await models.ask(connect(server, name="Another", key=KEY), question(output_schema=odd))
    assert ["response_format" in asked for asked in server.asked] == [True, False, True, False, True]


async def test_text_arrives_piece_by_piece(models, server):
    server.say(Said("Paris is large.", input_tokens=20, output_tokens=3))
    pieces: list[str] = []
    answer = await models.ask(connect(server), question(on_delta=pieces.append))
    assert pieces == ["Paris ", "is ", "large."]
    assert (answer.value, answer.input_tokens, answer.output_tokens) == ("Paris is large.", 20, 3)


async def test_a_server_that_cannot_stream_is_asked_plainly_after_the_second_time(models, server, clock):
    server.streams = False
    pieces: list[str] = []
    for _ in range(3):
        answer = await models.ask(connect(server), question(on_delta=pieces.append))
        assert answer.value == "Hello."
    assert pieces == ["Hello."] * 3
    assert [bool(asked.get("stream")) for asked in server.asked] == [True, False, True, False, False]
    await models.ask(connect(server, name="Another"), question(on_delta=pieces.append))
    clock.ahead = 601
    await models.ask(connect(server), question(on_delta=pieces.append))
    assert [bool(asked.get("stream")) for asked in server.asked[5:]] == [True, False, True, False]


async def test_an_odd_answer_of_a_proxy_now_and_then_ends_no_streaming(models, server):
    for _ in range(3):
        server.say(Said(raw=b"<html>Bad gateway</html>"))
        await models.ask(connect(server), question(on_delta=lambda text: None))
        await models.ask(connect(server), question(on_delta=lambda text: None))
    assert [bool(asked.get("stream")) for asked in server.asked] == [True, False, True] * 3


async def test_a_stream_that_breaks_off_is_a_passing_fault(models, server):
    server.say(Said("Paris is large.", drop=True))
    failed = await failure(models, connect(server), question(on_delta=lambda text: None))
    assert (failed.code, failed.passing) == ("model_unreachable", True)
    assert failed.calls[0].cost_nanos is None


@pytest.mark.parametrize(
    ("said", "code", "passing", "retry_after"),
    [
        (Said(status=429, headers={"retry-after": "200"}), "model_rate_limited", True, 200.0),
        (Said(status=402, message="No credit."), "model_rate_limited", False, None),
        (Said(status=500, message="Oh dear."), "model_unreachable", True, None),
        (Said(status=503, headers={"retry-after": "3"}), "model_unreachable", True, 3.0),
        (Said(status=404, message="No such model."), "node_failed", False, None),
        (Said(status=400, message="Too hot."), "node_failed", False, None),
        (Said(status=403, message="Not you."), "model_key_refused", False, None),
        (Said(status=307, headers={"location": "http://127.0.0.1:1/"}), "node_failed", False, None),
        (Said(drop=True), "model_unreachable", True, None),
        (Said(raw=b"<html>Not a model</html>"), "model_unreachable", False, None),
        (Said(raw=b'{"choices": []}'), "model_unreachable", False, None),
        (Said("", finish_reason="length"), "output_invalid", False, None),
        (Said("", finish_reason="content_filter"), "node_failed", False, None),
    ],
)
async def test_a_fault_is_told_once_and_not_tried_again_here(models, server, said, code, passing, retry_after):
    server.say(said)
    failed = await failure(models, connect(server, key=KEY), question(timeout_seconds=120))
    assert (failed.code, failed.passing, failed.retry_after) == (code, passing, retry_after), failed.sentence
    assert len(server.asked) == 1
    assert [call.error for call in failed.calls] == [code]
    assert failed.remedy


async def test_what_the_provider_says_is_passed_on_without_the_key(models, server):
    server.key = "another"
    failed = await failure(models, connect(server, key=KEY), question())
    assert failed.code == "model_key_refused"
    assert "Incorrect API key provided" in failed.why
    assert KEY not in failed.sentence
    assert "sk-test" not in failed.sentence


async def test_a_missing_key_is_told_before_anything_is_sent(models, server):
    failed = await failure(models, connect(server, provider="openai"), question())
    assert failed.code == "model_key_missing"
    assert server.requests == []


async def test_a_compatible_server_that_wants_a_key_says_so(models, server):
    server.key = KEY
    assert (await failure(models, connect(server), question())).code == "model_key_missing"


async def test_a_server_that_is_not_there_is_unreachable(models, server):
    connection = connect(server, base_url="http://127.0.0.1:1/v1", own_prices={"small-model": Price(1, 1)})
    failed = await failure(models, connection, question())
    assert (failed.code, failed.passing) == ("model_unreachable", True)
    assert failed.calls[0].cost_nanos == 0


async def test_a_slow_model_is_cut_off_and_its_cost_is_unknown(models, server):
    server.say(Said("late", delay=30))
    seen: list[ModelCall] = []
    request = question(timeout_seconds=2, on_call=seen.append)
    connection = connect(server, own_prices={"small-model": Price(1, 1)})
    failed = await failure(models, connection, request)
    assert (failed.code, failed.passing) == ("timeout", True)
    assert [(call.error, call.cost_nanos) for call in seen] == [("cut_off", None)]
    assert failed.calls == tuple(seen)


async def test_a_cancelled_call_is_still_reported(models, server):
    server.say(Said("late", delay=30))
    seen: list[ModelCall] = []
    task = asyncio.create_task(models.ask(connect(server), question(on_call=seen.append)))
    while not server.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [call.error for call in seen] == ["cut_off"]


async def test_a_saved_address_opens_its_own_host_and_port_only(models, server):
    server.say(Said(status=307, headers={"location": f"{server.origin}/elsewhere"}))
    await failure(models, connect(server), question())
    assert server.hits("/elsewhere") == 0


@pytest.mark.parametrize("address", ["", "ftp://127.0.0.1/v1", "not an address", "http://user:pw@127.0.0.1:1/v1"])
async def test_an_address_that_is_none_is_told(models, server, address):
    failed = await failure(models, connect(server, base_url=address), question())
    assert failed.code in {"node_failed", "address_not_allowed"}
    assert "pw" not in failed.sentence


@pytest.mark.parametrize("provider", ["anthropic", "google"])
async def test_other_providers_answer_in_text_and_objects(models, server, provider):
    server.key = KEY
    server.say(Said("Paris.", input_tokens=30, output_tokens=2), GOOD)
    connection = connect(server, provider=provider, base_url=server.origin, key=KEY)
    name = {"anthropic": "claude-haiku-4-5", "google": "gemini-2.5-flash"}[provider]
    answer = await models.ask(connection, question(model_name=name, system="Be terse."))
    assert (answer.value, answer.input_tokens, answer.output_tokens) == ("Paris.", 30, 2)
    assert answer.cost_nanos == {"anthropic": 30 * 1000 + 2 * 5000, "google": 30 * 300 + 2 * 2500}[provider]
    nullable = payload_schema([{"name": "city"}, {"name": "people", "type": "integer"}], for_output=True)
    answer = await models.ask(connection, question(model_name=name, output_schema=nullable))
    assert answer.value == {"city": "Paris", "people": 2100000}


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google"])
async def test_no_provider_tries_again_by_itself(models, server, provider):
    server.default = Said(status=500)
    base = server.url if provider == "openai" else server.origin
    failed = await failure(models, connect(server, provider=provider, base_url=base, key=KEY), question())
    assert (failed.code, failed.passing, len(server.asked)) == ("model_unreachable", True, 1)


async def test_a_temperature_that_a_model_does_not_take_is_left_out_and_told(models, server):
    answer = await models.ask(
        connect(server, provider="openai", key=KEY), question(model_name="gpt-5", temperature=0.5)
    )
    assert "temperature" not in server.asked[0]
    assert answer.warnings == ("gpt-5 takes no temperature, so it was left out.",)


async def test_keys_of_the_environment_are_never_used(models, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-from-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    await models.ask(connect(server), question())
    await models.ask(connect(server, provider="openai", key=KEY), question())
    assert "from-environment" not in json.dumps([dict(seen.headers) for seen in server.requests])


async def test_the_simulated_model_needs_no_connection_and_says_what_it_is(models):
    pieces: list[str] = []
    calls: list[ModelCall] = []
    request = ModelRequest(prompt="Say it again: A cat sat down.", on_delta=pieces.append, on_call=calls.append)
    answer = await models.ask(None, request)
    assert (answer.value, answer.simulated, answer.model, answer.cost_nanos) == (
        "A cat sat down.",
        True,
        "simulated",
        0,
    )
    assert pieces == ["A cat sat down."]
    assert (calls[0].simulated, calls[0].input_tokens, calls[0].output_tokens) == (True, 8, 4)
    assert (await models.ask(None, request)).value == answer.value


async def test_the_simulated_model_fills_output_fields(models):
    answer = await models.ask(None, ModelRequest(prompt="Paris has 2100000 people.", output_schema=SCHEMA))
    assert answer.value == {"city": "Paris has 2100000 people.", "people": 2100000}


async def test_the_simulated_model_says_when_it_cannot(models):
    schema = payload_schema([{"name": "code", "required": True, "pattern": "^zzz$"}], for_output=True)
    failed = await failure(models, None, ModelRequest(prompt="Hello.", output_schema=schema))
    assert failed.code == "output_invalid"


async def test_a_hundred_questions_at_once_are_answered(models, server):
    server.answer_with = lambda body: body["messages"][-1]["content"].upper()
    answers = await asyncio.gather(*(models.ask(connect(server), question(prompt=f"q{n}")) for n in range(100)))
    assert [answer.value for answer in answers] == [f"Q{n}" for n in range(100)]


def test_a_nodes_question_becomes_a_request():
    request = ModelRequest.of(ModelQuestion("Ollama:llama3.2:3b", "Hi", system="S", max_attempts=2, timeout_seconds=9))
    assert (request.model_name, request.prompt, request.system) == ("llama3.2:3b", "Hi", "S")
    assert (request.max_attempts, request.timeout_seconds) == (2, 9)
    assert split_model("Ollama:llama3.2:3b") == ("Ollama", "llama3.2:3b")
    assert split_model("simulated") == (None, "simulated")


async def test_the_test_button_lists_models(models, server):
    server.key = KEY
    tested = await models.test(connect(server, key=KEY))
    assert tested.ok
    assert tested.models == ("large-model", "small-model")
    assert "2 models" in tested.sentence


@pytest.mark.parametrize("provider", ["anthropic", "google"])
async def test_the_test_button_knows_the_other_providers(models, server, provider):
    server.key = KEY
    tested = await models.test(connect(server, provider=provider, base_url=server.origin, key=KEY))
    assert tested.models == ("large-model", "small-model"), tested.sentence


@pytest.mark.parametrize(
    ("rest", "told"),
    [
        ({"key": "wrong-key-0123456789"}, "was refused"),
        ({}, "no API key"),
        ({"provider": "openai"}, "no API key"),
        ({"key": KEY, "base_url": "ORIGIN"}, "/v1 and test again"),
        ({"key": KEY, "base_url": "ORIGIN/v2"}, "ends with /v1"),
        ({"base_url": "http://127.0.0.1:1/v1"}, "Check that the server runs"),
        ({"base_url": "nonsense"}, "is not a web address"),
    ],
)
async def test_a_failing_test_says_what_to_do(models, server, rest, told):
    server.key = KEY
    if "base_url" in rest:
        rest = {**rest, "base_url": rest["base_url"].replace("ORIGIN", server.origin)}
    tested = await models.test(connect(server, **rest))
    assert not tested.ok
    assert told in tested.sentence
    assert "wrong-key" not in tested.sentence


def test_the_module_loads_without_the_slow_sdks():
    code = "import sys, engine.models.client; print({'openai', 'anthropic', 'google.genai', 'pydantic_ai', 'genai_prices'} & set(sys.modules))"
    ran = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": "."}
    )
    assert ran.stdout.strip() == "set()", ran.stderr


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reply_of_more_parts_than_are_read_is_refused(models, server, streamed):
    on_delta = [].append if streamed else None
    for count, said in ((MAX_PARTS, "answered with no text"), (MAX_PARTS + 1, "gave a reply of more than 100 calls")):
        server.say(Said(calls=(("look", {}),) * count))
        assert said in (await failure(models, connect(server), question(on_delta=on_delta))).message


@pytest.mark.parametrize("streamed", [True, False])
async def test_thoughts_and_texts_count_as_parts(models, server, streamed):
    thoughts = ["<think>", "a", "</think>", "b"] * (MAX_PARTS + 1)
    lines = [{"choices": [{"index": 0, "delta": {"content": one}}]} for one in thoughts]
    stream = "".join(f"data: {json.dumps(line)}\n\n" for line in lines).encode()
    server.say(Said(raw=stream) if streamed else "".join(thoughts))
    failed = await failure(models, connect(server), question(on_delta=[].append if streamed else None))
    assert "gave a reply of more than 100 calls of tools and pieces of text" in failed.message


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 50, 10**9])
def test_objects_are_counted_for_each_event_and_in_whole_json(ends, size):
    few, many = (b'data: {"a":[%s]}' % b",".join([b"{}"] * count) + ends for count in (15_000, 20_000))

    def look_at(body: bytes) -> None:
        bounded = _Bounded(httpx2.ByteStream(b""), "the model", MAX_BYTES)
        for start in range(0, len(body), size):
            bounded._look_at(body[start : start + size])

    look_at(few * 2)
    for body in (few + many, few[6:] * 2, b" \n" + few[6:] * 2):
        with pytest.raises(ResponseTooLarge, match="more than 20,000 objects"):
            look_at(body)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reply_of_more_objects_than_are_read_is_refused(models, server, streamed):
    body = b'{"choices":[%s]}' % b",".join([b'{"delta":{}}'] * 10_000)
    server.say(Said(raw=b"data: %s\n\n" % body if streamed else body))
    failed = await failure(models, connect(server), question(on_delta=[].append if streamed else None))
    assert (failed.code, "more than 20,000 objects" in failed.message) == ("response_too_large", True)


@pytest.mark.parametrize("size", [1, 50, 10**9])
@pytest.mark.parametrize("begin", [b"data: ", b'{"a": "'])
def test_the_bytes_and_lines_of_an_event_and_of_whole_json_are_counted(begin, size):
    def look_at(*events: bytes) -> None:
        bounded = _Bounded(httpx2.ByteStream(b""), "the model", 10_000)
        body = b"\n\n".join(events)
        for start in range(0, len(body), size):
            bounded._look_at(body[start : start + size])

    fits = begin + b"a" * (9_990 - len(begin))  # an end of a line counts until the next one is there
    look_at(fits)
    with pytest.raises(ResponseTooLarge, match=r"a piece of more than 0\.01 MB"):
        look_at(fits + b"a" * 20)
    if begin == b"data: ":
        look_at(fits, fits, b"a\n" * 1_999, b"\n" * 9_000)
        with pytest.raises(ResponseTooLarge, match="more than 2,000 lines"):
            look_at(fits, b"data:\n" * 1_000 + b":\r" * 1_001)
    else:
        look_at(b'{"a": [' + b"1,\n" * 2_001)
        with pytest.raises(ResponseTooLarge):
            look_at(fits, fits)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_long_piece_of_a_reply_is_refused_in_plain_words(models, server, streamed):
    body = json.dumps({"choices": [{"index": 0, "delta": {"content": "a" * MAX_BYTES}}]}).encode()
    server.say(Said(raw=b"data: %s\n\n" % body if streamed else body))
    failed = await failure(models, connect(server), question(on_delta=[].append if streamed else None))
    said = "The reply of the model has a piece of more than 2 MB, which is not read. Ask for less at once."
    assert (failed.code, failed.message) == ("response_too_large", said)


async def test_a_stream_whose_text_has_no_end_is_refused(models, server):
    server.say(" ".join(["a" * (MAX_BYTES // 4)] * 4))
    failed = await failure(models, connect(server), question(on_delta=[].append))
    assert (failed.code, "more than 2,000,000 characters" in failed.message) == ("response_too_large", True)


@pytest.mark.parametrize("streamed", [True, False])
async def test_arguments_of_more_characters_than_are_read_are_refused(models, server, streamed):
    on_delta = [].append if streamed else None
    half = "a" * (LONGEST_ARGUMENTS // 2)
    for more, said in (("", "answered with no text"), ("a", "more than 200,000 characters into calls of tools")):
        server.say(Said(calls=(("look", half), ("look", half + more))))
        assert said in (await failure(models, connect(server), question(on_delta=on_delta))).message


async def test_others_get_their_turns_while_a_large_piece_is_read():
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    other = asyncio.create_task(take_turns())
    body = b"data:\n\n" * 100_000
    assert b"".join([piece async for piece in _Bounded(httpx2.ByteStream(body), "the model", MAX_BYTES)]) == body
    other.cancel()
    assert turns >= len(body) // 65_536


@pytest.mark.parametrize("kind", ["content", "refusal"])
async def test_a_stream_is_not_joined_anew_with_each_piece(kind):
    """The library keeps one more text for citations, and that of a refusal, and appended each piece to a copy."""
    pieces = ["a" * 50_000, *("b" * 200)]
    lines = [{"choices": [{"index": 0, "delta": {kind: piece}}]} for piece in pieces]
    body = "".join(f"data: {json.dumps(line)}\n\n" for line in lines) + "data: [DONE]\n\n"
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, text=body)
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(lambda _: answer)) as client:
        connection = ModelConnection(name="Mine", provider="openai_compatible", base_url="http://a.example/v1")
        asked: Any = [Asked(parts=[UserPromptPart("Where?")])]
        async with model_request_stream(build_model(connection, "m", client), asked) as opened:
            stream: Any = opened  # of the library's class for OpenAI, whose private texts are looked at
            async for _ in stream:
                pass
            assert len(stream._raw_text_content) + len(stream._refusal_text) < 2_000
            assert (stream.get().text or "") == ("".join(pieces) if kind == "content" else "")
