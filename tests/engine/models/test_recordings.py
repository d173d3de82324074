"""What providers really answered, replayed through our connections: the value, the tokens, the cost, the sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from engine.core.clock import Millis, SystemClock
from engine.flow.contract import payload_schema
from engine.flow.file_values import FileContent
from engine.flow.node_models import ModelTurn, ToolSpec
from engine.models.client import ModelAnswer, ModelConnection, ModelFailed, ModelRequest, Models
from engine.outbound.client import OutboundClient
from tests.stand_ins.recorded_models import FOLDER, RecordedModels, Recording, recordings, shape

pytestmark = [
    pytest.mark.process,
    pytest.mark.filterwarnings("ignore:The model 'claude:DeprecationWarning"),  # the SDK's, of the recorded models
]

KEY = "sk-test-0123456789abcdef"
#: Path of a connection's base URL, where it has one.
BASES = {"openai": "/v1", "mistral": "/v1", "vllm": "/v1"}
#: The model of a recording that names none.
USUAL = {
    "openai": "gpt-4o",
    "anthropic": "claude-sonnet-4-5",
    "google": "gemini-2.5-flash",
    "mistral": "mistral-large-latest",
}
#: 2026-07-01, so that the prices of the table are those of one day.
DAY = Millis(1_782_864_000_000)
SCHEMA = payload_schema(
    [
        {"name": "city", "required": True},
        {"name": "country", "required": True},
        {"name": "population", "type": "integer"},
    ],
    for_output=True,
)
MEXICO = {"city": "Mexico City", "country": "Mexico", "population": None}
IN_WORDS = {"image/jpeg": "JPEG picture", "application/pdf": "PDF", "audio/mpeg": "Sound"}
#: Without this, an Anthropic model is always asked for a stream, and these answers are none.
ENOUGH = 4096


class Day(SystemClock):
    def now(self) -> Millis:
        return DAY


@pytest.fixture(scope="module")
def server():
    with RecordedModels() as running:
        yield running


@pytest.fixture
async def outbound():
    client = OutboundClient()
    yield client
    await client.aclose()


@pytest.fixture
def models(outbound):
    return Models(outbound, Day())


def connect(server: RecordedModels, provider: str) -> ModelConnection:
    return ModelConnection("Mine", provider, server.origin + BASES.get(provider, ""), KEY, opens_address=True)  # type: ignore[arg-type]


def model_of(recording: Recording) -> str:
    asked = recording.asked
    if "/models/" in asked.get("path", ""):
        return asked["path"].split("/models/")[1].split(":")[0]
    return asked.get("model") or USUAL[recording.provider]


def prompt_of(recording: Recording) -> str:
    user = recording.asked.get("user") or "What is the capital of France?"
    return user if isinstance(user, str) else next((part["text"] for part in user if "text" in part), "What is it?")


def question(recording: Recording, **rest: Any) -> ModelRequest:
    asked = recording.asked
    return ModelRequest(
        **{
            "prompt": prompt_of(recording),
            "system": asked.get("system", "").strip(),
            "model_name": model_of(recording),
            "max_tokens": None if asked.get("stream") else ENOUGH,
            "timeout_seconds": 20.0,
            **rest,
        }
    )


async def ask(models: Models, server: RecordedModels, recording: Recording, **rest: Any) -> ModelAnswer:
    server.play(recording)
    answer = await models.ask(connect(server, recording.provider), question(recording, **rest))
    assert len(server.requests) == 1, "no second way of asking was needed"
    return answer


def content(said: str) -> FileContent:
    name, media_type = said.split()
    return FileContent(name, media_type, 600, bytes(600))


def carriers(value: Any) -> list[Any]:
    """Returns the parts of a message that carry a file's bytes."""
    if isinstance(value, list):
        return [one for inner in value for one in carriers(inner)]
    if not isinstance(value, dict):
        return []
    if (blob := value.get("inlineData")) is not None:  # Google reads both spellings (JSON of protocol buffers)
        return [{"inlineData": {name.replace("mime_type", "mimeType"): inner for name, inner in blob.items()}}]
    if {"image_url", "file", "input_audio", "document_url", "source"} & value.keys():
        return [value]
    return [one for inner in value.values() for one in carriers(inner)]


def found(provider: str, name: str) -> Recording:
    return recordings(provider)[name]


@pytest.mark.parametrize(
    ("provider", "name", "value", "tokens", "cost_nanos"),
    [
        ("openai", "text", "The capital of France is Paris.", (14, 7), 105_000),
        ("anthropic", "text", "The capital of France is Paris.", (20, 10), 1_050_000),
        ("google", "text", "The capital of France is Paris.\n", (13, 8), 4_500),
        ("mistral", "text", "Hello! 😊 How can I assist you today?", (4, 36), 224_000),
        # what a model thinks before it answers is no part of the answer, but it is paid for
        ("anthropic", "thinking", "2 + 2 = **4**", (31, 30), 905_000),
        ("mistral", "thinking", "4", (28, 35), 25_200),
    ],
)
async def test_a_recorded_text_has_its_value_its_tokens_and_its_cost(
    models, server, provider, name, value, tokens, cost_nanos
):
    recording = found(provider, name)
    answer = await ask(models, server, recording)
    assert answer.value[: len(value)] == value
    assert (answer.input_tokens, answer.output_tokens, answer.cost_nanos) == (*tokens, cost_nanos)
    assert answer.warnings == ()
    assert server.requests[0].path == recording.asked["path"].partition("?")[0]
    assert shape(_user(server.asked[0])) == recording.asked["user"]


@pytest.mark.parametrize(
    ("provider", "value", "tokens", "cost_nanos"),
    [
        ("openai", MEXICO, (92, 15), 380_000),
        ("anthropic", {"city": "Berlin", "country": "Germany", "population": 3850809}, (197, 18), 861_000),
        ("google", MEXICO, (8, 20), 8_800),
    ],
)
async def test_a_recorded_object_fits_and_was_asked_for_in_the_providers_way(
    models, server, provider, value, tokens, cost_nanos
):
    recording = found(provider, "structured")
    answer = await ask(models, server, recording, output_schema=SCHEMA)
    assert answer.value == value
    assert (answer.input_tokens, answer.output_tokens, answer.cost_nanos) == (*tokens, cost_nanos)
    for place in ("response_format", "output_config", "generationConfig"):
        wanted = recording.asked.get(place)
        assert not wanted or _keys(wanted) <= _keys(server.asked[0][place])


@pytest.mark.parametrize(
    ("provider", "name", "file", "value", "tokens", "cost_nanos"),
    [
        ("openai", "image", "a.jpg image/jpeg", "This vegetable is a potato.", (515, 6), 53_900),
        ("openai", "pdf", "a.pdf application/pdf", 'The main content of the document is "Dummy', (235, 13), 717_500),
        ("openai", "audio", "a.mp3 audio/mpeg", "The name mentioned in the audio is Marcelo.", (64, 9), 250_000),
        ("anthropic", "image", "a.jpg image/jpeg", "This is a **potato**", (276, 92), 736_000),
        ("anthropic", "pdf", "a.pdf application/pdf", "I received a PDF document", (2218, 121), 8_469_000),
        ("google", "image", "a.jpg image/jpeg", "That is a potato.", (1817, 5), 183_700),
        ("google", "pdf", "a.pdf application/pdf", "The document appears to be a dummy PDF", (1305, 11), 134_900),
        # sound has a price of its own
        ("google", "audio", "a.mp3 audio/mpeg", "The audio file contains a male voice", (229, 17), 212_000),
        ("mistral", "image", "a.jpg image/jpeg", "The image shows a cross-section of a kiwi", (580, 114), 1_725_000),
        ("mistral", "pdf", "a.pdf application/pdf", "The retrieved file (**90ffd2**)", (110, 41), 472_500),
    ],
)
async def test_a_file_goes_to_the_provider_as_it_did_in_the_recording(
    models, server, provider, name, file, value, tokens, cost_nanos
):
    recording = found(provider, name)
    answer = await ask(models, server, recording, files=(content(file),))
    assert answer.value[: len(value)] == value
    assert (answer.input_tokens, answer.output_tokens, answer.cost_nanos) == (*tokens, cost_nanos)
    sent = carriers(shape(_user(server.asked[0])))
    assert sent == carriers(recording.asked["user"])
    assert len(sent) == 1
    assert answer.notes == (
        f"Sent to the model: “{file.split()[0]}” ({IN_WORDS[file.split()[1]]}, 600 bytes) as it is",
    )


async def test_a_model_that_does_not_hear_says_so_and_the_way_of_asking_is_not_at_fault(models, server):
    refused, object_ = found("openai", "audio_refused"), found("openai", "structured")
    server.play(refused)
    request = question(refused, files=(content("a.mp3 audio/mpeg"),), output_schema=SCHEMA)
    with pytest.raises(ModelFailed, match="did not accept the request") as caught:
        await models.ask(connect(server, "openai"), request)
    assert "“a.mp3” went with it: not every model of a provider takes" in caught.value.remedy
    server.play(object_)
    await models.ask(connect(server, "openai"), question(object_, model_name=model_of(refused), output_schema=SCHEMA))
    assert "response_format" in server.asked[0]


@pytest.mark.parametrize(
    ("provider", "name", "text", "pieces", "tokens", "cost_nanos"),
    [
        ("openai", "stream", "This is a test.", 5, (12, 5), 660_000),
        ("anthropic", "stream", "2", 1, (20, 5), 135_000),
        ("google", "stream", "The capital of France is Paris.\n", 3, (13, 8), 4_500),
        ("mistral", "stream", "Here's a light-heart.)", 8, (11, 80), 22_750),
        (
            "mistral",
            "thinking_stream",
            "To cross the street safely, follow these steps:\n\n1. Look",
            7,
            (10, 232),
            1_180_000,
        ),
    ],
)
async def test_a_recorded_stream_arrives_piece_by_piece(
    models, server, provider, name, text, pieces, tokens, cost_nanos
):
    came: list[str] = []
    recording = found(provider, name)
    answer = await ask(models, server, recording, on_delta=came.append)
    assert "".join(came) == answer.value
    assert answer.value[: len(text)] == text
    assert len(came) == pieces
    assert (answer.input_tokens, answer.output_tokens, answer.cost_nanos) == (*tokens, cost_nanos)
    assert server.requests[0].path == recording.asked["path"].partition("?")[0]


@pytest.mark.parametrize(
    ("provider", "name", "code", "passing", "sentence", "tokens"),
    [
        (
            "openai",
            "refused",
            "node_failed",
            False,
            "gpt-4o refused to answer. It said: I'm sorry, I cannot assist",
            (81, 11),
        ),
        (
            "azure_openai",
            "filtered_prompt",
            "node_failed",
            False,
            "refused to answer. The provider's content filter",
            (0, 0),
        ),
        (
            "azure_openai",
            "filtered_answer",
            "node_failed",
            False,
            "refused to answer. The provider's content filter",
            (15, 19),
        ),
        ("anthropic", "refused", "node_failed", False, "refused to answer. The provider's content filter", (8, 0)),
        ("google", "refused", "node_failed", False, "refused to answer. The provider's content filter", (14, 0)),
        (
            "google",
            "truncated_while_thinking",
            "output_invalid",
            False,
            "It used up its longest answer before",
            (15, 2),
        ),
        ("openai", "unknown_model", "node_failed", False, "knows no model “gpt-5.2-proo”", (0, 0)),
        (
            "anthropic",
            "unknown_model",
            "node_failed",
            False,
            "The provider said: model: claude-sonet-4-5. Choose",
            (0, 0),
        ),
        ("google", "unknown_model", "node_failed", False, "knows no model “gemini-3.6-flahs”", (0, 0)),
        ("anthropic", "settings_refused", "node_failed", False, "does not support effort level 'xhigh'", (0, 0)),
        ("anthropic", "overloaded", "model_unreachable", True, "is out of order right now (status 529)", (0, 0)),
        ("openai", "quota", "model_rate_limited", False, "credit or quota is used up", (0, 0)),
        ("google", "daily_quota", "model_rate_limited", False, "credit or quota is used up", (0, 0)),
        ("openai", "tool_call", "output_invalid", True, "wanted to call a tool, `get_user_country`", (68, 12)),
        ("anthropic", "tool_call", "output_invalid", True, "wanted to call a tool, `get_coordinates`", (744, 53)),
    ],
)
async def test_a_recorded_refusal_or_fault_is_told_once(
    models, server, provider, name, code, passing, sentence, tokens
):
    with pytest.raises(ModelFailed) as caught:
        await ask(models, server, found(provider, name))
    failed = caught.value
    assert (failed.code, failed.passing) == (code, passing), failed.sentence
    assert sentence in failed.sentence
    assert failed.remedy
    assert len(server.requests) == 1
    assert [(call.input_tokens, call.output_tokens) for call in failed.calls] == [tokens]


@pytest.mark.parametrize(
    ("provider", "name", "retry_after"),
    [
        ("openai", "rate_limit", 2.0),
        ("anthropic", "rate_limit", 12.0),
        ("google", "rate_limit", 31.0),  # in the body: Google sends no header
        ("mistral", "rate_limit", None),
        ("mistral", "capacity", None),
    ],
)
async def test_a_recorded_rate_limit_says_how_long_to_wait(models, server, provider, name, retry_after):
    server.play(recording := found(provider, name))
    with pytest.raises(ModelFailed) as caught:
        await models.ask(connect(server, provider), question(recording, timeout_seconds=1.5))
    failed = caught.value
    assert (failed.code, failed.passing, failed.retry_after) == ("model_rate_limited", True, retry_after)
    assert "Its rate limit is reached. The provider said: " in failed.why
    assert failed.why.endswith(".")
    assert [call.cost_nanos for call in failed.calls] == [0]


async def test_after_a_short_wait_the_question_is_asked_again(models, server):
    short = replace(found("openai", "rate_limit"), headers={"retry-after-ms": "20"})
    server.play(short, found("openai", "text"))
    answer = await models.ask(connect(server, "openai"), question(found("openai", "text")))
    assert answer.value == "The capital of France is Paris."
    assert [call.error for call in answer.calls] == ["model_rate_limited", None]


@pytest.mark.parametrize("provider", ["openai", "anthropic", "google", "mistral", "vllm"])
async def test_a_truncated_answer_is_given_with_a_warning(models, server, provider):
    answer = await ask(models, server, found(provider, "truncated"))
    assert answer.value
    assert [warning.startswith("The answer is not complete") for warning in answer.warnings] == [True]


async def test_a_truncated_object_says_which_setting_to_raise(models, server):
    server.play(recording := found("openai", "truncated"))
    with pytest.raises(ModelFailed, match="gave no object that fits") as caught:
        await models.ask(connect(server, "openai"), question(recording, output_schema=SCHEMA, max_attempts=1))
    assert "cut off" in caught.value.remedy


@pytest.mark.parametrize(
    ("provider", "name", "tool", "arguments", "tokens"),
    [
        ("openai", "tool_call", "get_user_country", {}, (68, 12)),
        ("openai", "tool_call_stream", "get_capital", {"country": "UK"}, (53, 15)),
        (
            "anthropic",
            "tool_call_stream",
            "get_exchange_rate",
            {"from_currency": "USD", "to_currency": "EUR"},
            (1591, 175),
        ),
        ("google", "tool_call", "get_user_country", {}, (33, 5)),
        ("mistral", "tool_call", "get_weather", {"city": "Paris"}, (70, 12)),
    ],
)
async def test_a_recorded_tool_call_is_read_and_its_result_is_sent_back(
    models, server, provider, name, tool, arguments, tokens
):
    server.play(recording := found(provider, name), found(provider, "stream" if recording.events else "text"))
    offered = ToolSpec(tool, "Looks it up.", {"type": "object", "properties": {}})
    turn = ModelTurn(f"Mine:{model_of(recording)}", prompt_of(recording), tools=(offered,), timeout_seconds=20.0)
    came = (lambda text: None) if recording.events else None
    reply = await models.turn(connect(server, provider), turn, on_delta=came)
    assert [(call.name, call.arguments) for call in reply.asked] == [(tool, arguments)]
    assert (reply.input_tokens, reply.output_tokens) == tokens
    result = {"id": reply.asked[0].id, "name": tool, "text": "It is the found answer 4711."}
    told = structs.replace(turn, history=({"message": reply.message}, {"results": [result]}))
    last = await models.turn(connect(server, provider), told, on_delta=came)
    assert last.text
    assert last.asked == ()
    assert "It is the found answer 4711." in str(server.asked[1])
    assert len(server.requests) == 2


def test_every_recording_is_small_and_says_where_it_comes_from():
    files = sorted(FOLDER.glob("*.json"))
    assert [path.stem for path in files] == ["anthropic", "azure_openai", "google", "mistral", "openai", "vllm"]
    for path in files:
        assert path.stat().st_size < 40_000
        for recording in recordings(path.stem).values():
            assert recording.kind in {"recorded", "reported", "documented"}
            assert recording.source
            assert KEY not in str(recording)


def _user(body: dict[str, Any]) -> Any:
    """Returns the last message of the user as it was sent."""
    messages = body.get("messages") or body["contents"]
    last = [message for message in messages if message["role"] == "user"][-1]
    return last.get("content", last.get("parts"))


def _keys(value: Any, at: str = "") -> set[str]:
    """Returns the paths of an object's settings, without the fields of a schema."""
    if not isinstance(value, dict) or at.endswith(("schema", "Schema")):
        return {at}
    return {key for name, inner in value.items() for key in _keys(inner, f"{at}/{name}")}
