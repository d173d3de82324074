"""A scripted model server: OpenAI's chat completions, and the needed parts of the APIs of Anthropic, Google and Azure.

    with OpenAIServer(key="sk-test") as server:
        server.say("Paris", Said("Lyon", delay=1), Said(status=429, headers={"retry-after": "7"}))
        ...  # ask server.url
        server.last.json["model"]

Answers are used in order; after the last one, `default` is returned. `answer_with` sets a function of the request body
instead.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.stand_ins.local_server import LocalServer, Reply, Seen

#: The request fields that Mistral accepts; it answers 422 to others.
MISTRAL_FIELDS = frozenset(
    {
        "frequency_penalty",
        "guardrails",
        "max_tokens",
        "messages",
        "metadata",
        "model",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_mode",
        "random_seed",
        "reasoning_effort",
        "response_format",
        "safe_prompt",
        "stop",
        "stream",
        "temperature",
        "tool_choice",
        "tools",
        "top_p",
    }
)


@dataclass(frozen=True)
class Said:
    """One scripted answer.

    `calls` are (tool, arguments), where arguments that are text are sent as they are. `raw` replaces the whole body; `usage` False omits the token counts; `message` is the text of an error.
    """

    text: str = ""
    input_tokens: int = 12
    output_tokens: int = 7
    cached_tokens: int = 0
    usage: bool = True
    finish_reason: str = "stop"
    status: int = 200
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    pause: float = 0.0
    between: Callable[[], object] | None = None
    drop: bool = False
    raw: bytes | None = None
    calls: tuple[tuple[str, Any], ...] = ()

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The calls in the form of OpenAI's API."""
        return [
            {
                "id": f"call_{number}",
                "type": "function",
                "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
            }
            for number, (name, given) in enumerate(self.calls)
        ]

    @property
    def reason(self) -> str:
        """Why the answer ends."""
        return "tool_calls" if self.calls else self.finish_reason


class OpenAIServer(LocalServer):
    """The scripted server.

    `key`: calls without it get 401. `json_mode` False: requests with `response_format` get 400, as on servers without
    structured output. `streams` False: a requested stream is answered as a whole. `known_fields`: requests with other
    fields get 422, as at Mistral, which also reports the tokens of a stream without being asked. `base` is the path
    prefix of OpenAI's API; `owner` is the `owned_by` of the models.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        models: tuple[str, ...] = ("small-model", "large-model"),
        default: str | Said = "Hello.",
        json_mode: bool = True,
        streams: bool = True,
        known_fields: frozenset[str] | None = None,
        base: str = "/v1",
        owner: str | None = None,
    ) -> None:
        super().__init__()
        self.known_fields = known_fields
        self.base = base
        self.owner = owner
        self.key = key
        self.models = models
        self.default = default
        self.json_mode = json_mode
        self.streams = streams
        self.answer_with: Callable[[dict[str, Any]], str | Said] | None = None
        self._script: deque[Said] = deque()

    @property
    def url(self) -> str:
        """The base URL for a connection: `http://127.0.0.1:PORT/v1`."""
        return f"{self.origin}{self.base}"

    @property
    def asked(self) -> list[dict[str, Any]]:
        """The bodies of the POST requests, in order."""
        return [seen.json for seen in self.requests if seen.method == "POST"]

    def say(self, *answers: str | Said) -> None:
        """Appends answers to the script."""
        self._script.extend(_said(answer) for answer in answers)

    def reply(self, seen: Seen) -> Reply:
        if self.key is not None and self.key not in {
            seen.headers.get("authorization", "").removeprefix("Bearer "),
            seen.headers.get("x-api-key"),
            seen.headers.get("x-goog-api-key"),
            seen.headers.get("api-key"),
        }:
            given = seen.headers.get("authorization", "")
            return _error(401, f"Incorrect API key provided: {given}", {}, "invalid_api_key")
        path = self._plain(seen)
        if path in {f"{self.base}/models", "/v1/models"}:
            owned = {} if self.owner is None else {"owned_by": self.owner}
            rows = [{"id": name, "object": "model", **owned} for name in self.models]
            return Reply.of_json({"object": "list", "data": rows})
        if path == "/v1beta/models":
            return Reply.of_json({"models": [{"name": f"models/{name}"} for name in self.models]})
        if path in {f"{self.base}/chat/completions", "/v1/messages"}:
            return self._answer(seen)
        if path.startswith("/v1beta/models/") and path.endswith((":generateContent", ":streamGenerateContent")):
            return self._answer(seen)
        return _error(404, "There is nothing here.", {}, None)

    def _plain(self, seen: Seen) -> str:
        """Converts Azure's paths to OpenAI's: with an API version in the query, or below `/openai/v1` without one."""
        path = seen.path
        if path.startswith("/openai/v1/"):
            return path if "api-version" in seen.query else path.replace("/openai/v1", self.base)
        if path.startswith("/openai/") and "api-version" in seen.query:
            return self.base + re.sub(r"^/openai(/deployments/[^/]+)?", "", path)
        return path

    def _answer(self, seen: Seen) -> Reply:
        body = seen.json
        if self.known_fields is not None and (unknown := sorted(set(body) - self.known_fields)):
            extra = [{"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs"} for name in unknown]
            return Reply.of_json({"object": "error", "message": {"detail": extra}}, 422)
        if "response_format" in body and not self.json_mode:
            return _error(400, "response_format is not supported", {}, None)
        if self._script:
            said = self._script.popleft()
        else:
            said = _said(self.answer_with(body) if self.answer_with else self.default)
        if said.drop and not body.get("stream"):
            return Reply(drop=True, delay=said.delay)
        if said.status != 200:
            return _error(said.status, said.message or "No.", said.headers, None, said.delay)
        if said.raw is not None:
            return Reply(200, said.raw, {"content-type": "application/json", **said.headers}, said.delay)
        if seen.path == "/v1/messages":
            return (
                _anthropic_streamed(body, said)
                if body.get("stream")
                else Reply.of_json(_anthropic(body, said), delay=said.delay)
            )
        if seen.path.startswith("/v1beta/"):
            streamed = seen.path.endswith(":streamGenerateContent")
            return _google_streamed(said) if streamed else Reply.of_json(_google(said), delay=said.delay)
        if body.get("stream") and self.streams:
            counted = self.known_fields is not None or bool((body.get("stream_options") or {}).get("include_usage"))
            return _streamed(body, said, counted=counted)
        return Reply.of_json(_completion(body, said), headers=said.headers, delay=said.delay)


def _said(answer: str | Said) -> Said:
    return Said(answer) if isinstance(answer, str) else answer


def _usage(said: Said) -> dict[str, Any]:
    return {
        "prompt_tokens": said.input_tokens,
        "completion_tokens": said.output_tokens,
        "total_tokens": said.input_tokens + said.output_tokens,
        "prompt_tokens_details": {"cached_tokens": said.cached_tokens},
    }


def _completion(body: dict[str, Any], said: Said) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": said.text}
    if said.calls:
        message["tool_calls"] = said.tool_calls
    choice = {"index": 0, "finish_reason": said.reason, "message": message}
    answer = {"id": "c-1", "object": "chat.completion", "created": 1, "model": body["model"], "choices": [choice]}
    return {**answer, "usage": _usage(said)} if said.usage else answer


def _pieces(text: str) -> list[str]:
    """Splits a text into words, each with the blank that follows."""
    words = text.split(" ")
    return [word + (" " if place + 1 < len(words) else "") for place, word in enumerate(words)]


def _streamed(body: dict[str, Any], said: Said, *, counted: bool) -> Reply:
    """Builds a response of server-sent events."""

    def event(choices: list[dict[str, Any]], **rest: Any) -> bytes:
        chunk = {
            "id": "c-1",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": body["model"],
            "choices": choices,
        }
        return f"data: {json.dumps({**chunk, **rest})}\n\n".encode()

    events = [event([{"index": 0, "delta": {"role": "assistant", "content": piece}}]) for piece in _pieces(said.text)]
    events += [
        event([{"index": 0, "delta": {"tool_calls": [{"index": number, **call}]}}])
        for number, call in enumerate(said.tool_calls)
    ]
    if not said.drop:
        events.append(event([{"index": 0, "delta": {}, "finish_reason": said.reason}]))
        if said.usage and counted:
            events.append(event([], usage=_usage(said)))
        events.append(b"data: [DONE]\n\n")
    return Reply(
        200,
        headers={"content-type": "text/event-stream", **said.headers},
        chunks=tuple(events),
        delay=said.delay,
        pause=said.pause,
        between=said.between,
        drop=said.drop,
    )


def _anthropic(body: dict[str, Any], said: Said) -> dict[str, Any]:
    return {
        "id": "m-1",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [{"type": "text", "text": said.text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": said.input_tokens, "output_tokens": said.output_tokens},
    }


def _anthropic_streamed(body: dict[str, Any], said: Said) -> Reply:
    whole = _anthropic(body, said)
    begun = {**whole, "content": [], "stop_reason": None, "usage": {**whole["usage"], "output_tokens": 0}}
    events = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": piece}}
            for piece in _pieces(said.text)
        ),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": whole["usage"]},
        {"type": "message_stop"},
    ]
    chunks = tuple(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)
    headers = {"content-type": "text/event-stream"}
    return Reply(200, headers=headers, chunks=chunks, delay=said.delay, pause=said.pause)


def _google_streamed(said: Said) -> Reply:
    parts = [_google(replace(said, text=piece)) for piece in _pieces(said.text)]
    for part in parts[:-1]:
        del part["candidates"][0]["finishReason"]
    chunks = tuple(f"data: {json.dumps(part)}\n\n".encode() for part in parts)
    headers = {"content-type": "text/event-stream"}
    return Reply(200, headers=headers, chunks=chunks, delay=said.delay, pause=said.pause)


def _google(said: Said) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": said.text}]}
    usage = {
        "promptTokenCount": said.input_tokens,
        "candidatesTokenCount": said.output_tokens,
        "totalTokenCount": said.input_tokens + said.output_tokens,
    }
    return {"candidates": [{"content": content, "finishReason": "STOP", "index": 0}], "usageMetadata": usage}


def _error(status: int, message: str, headers: Mapping[str, str], code: str | None, delay: float = 0.0) -> Reply:
    body = {"error": {"message": message, "type": "error", "param": None, "code": code}}
    return Reply.of_json(body, status, headers=dict(headers), delay=delay)
