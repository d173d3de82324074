"""The Simulated model as an agent: it calls a tool that fits, and then answers from what it got.

It lets a flow with an agent be tried before a real model is connected. Which tool fits is decided by the words that the
message and the tool share; each tool is called once at most, with arguments made up from the message. A tool that may
change something outside is never called. Callers must mark its replies as simulated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence

from engine.flow.node_context import Json, ModelTurn, ToolCall, ToolSpec
from engine.models import simulated
from engine.models.structured_output import check_object

#: The largest number of tools that are called for a message.
MOST_CALLS = 2
_WORD = re.compile(r"[^\W\d_]{3,}")
#: Words in messages and in the descriptions of tools that say nothing about what a tool is for.
_EVERYWHERE = frozenset(
    [
        "the",
        "and",
        "for",
        "with",
        "from",
        "that",
        "this",
        "what",
        "which",
        "who",
        "how",
        "many",
        "much",
        "are",
        "was",
        "were",
        "has",
        "have",
        "can",
        "you",
        "your",
        "one",
        "all",
        "any",
        "not",
        "its",
        "use",
        "used",
        "find",
        "finds",
        "get",
        "gets",
        "give",
        "gives",
        "look",
        "looks",
        "up",
        "tool",
        "tools",
        "call",
        "calls",
        "question",
        "answer",
        "please",
        "about",
        "into",
        "our",
        "their",
        "than",
        "then",
        "there",
        "when",
        "where",
        "will",
        "would",
        "could",
        "does",
        "did",
        "tell",
        "show",
    ]
)
_LONGEST_RESULT = 4_000
#: What the list is called in the answers of tools that give one.
_LISTS = ("rows", "pieces", "items", "results", "data")
#: What an answer tells of a tool: the first rows, the first values of each, and the characters of a text and a value.
_MOST_SHOWN = 3
_MOST_VALUES = 8
_LONGEST_TEXT = 300
_LONGEST_VALUE = 120


def reply(turn: ModelTurn) -> tuple[str, tuple[ToolCall, ...]]:
    """Returns the text of the next reply, and the calls that it asks for: one of both is empty."""
    called = [result["name"] for entry in turn.history for result in entry.get("results", ())]
    if (tool := _next_tool(turn, called)) is not None:
        return "", (ToolCall(f"simulated_{len(called) + 1}", tool.name, _made_up(tool, turn.message)),)
    return _answer(turn), ()


def message_of(text: str, asked: Sequence[ToolCall]) -> Json:
    """Returns a reply as it is kept in the conversation."""
    return {"simulated": text, "calls": [{"name": call.name, "arguments": call.arguments} for call in asked]}


def input_tokens(turn: ModelTurn) -> int:
    """Estimates how many tokens the model reads."""
    tools = sum(len(tool.name) + len(tool.description) + len(json.dumps(tool.schema)) for tool in turn.tools)
    history = len(json.dumps(list(turn.history), ensure_ascii=False))
    return simulated.tokens_of(turn.system + turn.message) + (tools + history + 3) // 4


def _next_tool(turn: ModelTurn, called: Sequence[str]) -> ToolSpec | None:
    tools = [tool for tool in turn.tools if not tool.changes]
    if not tools or not turn.may_call or len(called) >= MOST_CALLS:
        return None
    wanted = _words(turn.message)
    scores = {tool.name: len(wanted & _words(f"{tool.name} {tool.description}")) for tool in tools}
    left = [tool for tool in tools if tool.name not in called]
    if called:
        left = [tool for tool in left if scores[tool.name]]
    return max(left, key=lambda tool: scores[tool.name], default=None)


def _words(text: str) -> set[str]:
    return {word.rstrip("s") for word in _WORD.findall(text.lower().replace("_", " "))} - _EVERYWHERE


def _made_up(tool: ToolSpec, message: str) -> dict[str, Json]:
    """Returns arguments for the tool: those that it needs, with words and numbers of the message.

    A single text gets the words of the message that carry its meaning.
    """
    properties: Mapping[str, Json] = tool.schema.get("properties") or {}
    needed = [name for name in tool.schema.get("required") or () if name in properties]
    wanted = {name: properties[name] for name in needed or list(properties)[:1]}
    texts = [name for name, schema in wanted.items() if schema.get("type") == "string" and not schema.get("enum")]
    _, value = simulated.answer(message, output_schema={"type": "object", "properties": wanted})
    found: dict[str, Json] = dict(value or {})
    for name in texts:
        if len(texts) == 1 and not wanted[name].get("format") and not wanted[name].get("pattern"):
            found[name] = _search_words(message, wanted[name].get("maxLength") or 80)
    return {name: one for name, one in found.items() if one is not None}


def _search_words(message: str, longest: int) -> str:
    """Returns the longest word of the message that is not among the common ones: what most searches find."""
    line = message.strip().split("\n")[0]
    words = [word for word in re.findall(r"[\w'’-]{3,}", line) if word.lower() not in _EVERYWHERE]
    capitals = [word for word in words[1:] if word[:1].isupper()]
    return max(capitals or words or [line or "something"], key=len)[:longest]


def _answer(turn: ModelTurn) -> str:
    results = [str(result["text"])[:_LONGEST_RESULT] for entry in turn.history for result in entry.get("results", ())]
    if turn.output_schema is not None:
        material = "\n\n".join([turn.message, *results])
        text, value = simulated.answer(material, output_schema=turn.output_schema)
        return text if value is not None and not check_object(value, turn.output_schema)[1] else "{}"
    if not results:
        return simulated.answer(turn.message, turn.system)[0]
    called = [result for entry in turn.history for result in entry.get("results", ())]
    return "\n\n".join(["Made up by the Simulated model from what the tools found.", *map(_told, called)])


def _told(result: Mapping[str, Json]) -> str:
    """Returns what a tool gave in a sentence: the values of its first rows, or the beginning of its text."""
    said = f"{str(result['name']).replace('_', ' ').capitalize()}: "
    text = str(result["text"])
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return said + _shortened(text)
    return said + _in_sentences(value)


def _in_sentences(value: Json) -> str:
    if isinstance(value, dict):
        for name in _LISTS:
            if isinstance(rows := value.get(name), list):
                return _in_sentences(rows)
        if {"status"} < value.keys() <= {"status", "title", "text", "json"}:  # the answer of a web address
            title = str(value.get("title") or "")
            rest = _in_sentences(value["json"]) if "json" in value else _shortened(str(value.get("text") or ""))
            return f"“{title}”. {rest}" if title else rest
        return _row(value)
    if isinstance(value, list):
        if not value:
            return "nothing was found."
        rows = "; ".join(_row(one) for one in value[:_MOST_SHOWN])
        left = len(value) - _MOST_SHOWN
        return f"{rows}; and {left:,} more." if left > 0 else f"{rows}."
    return _shortened(_one(value))


def _row(row: Json) -> str:
    if not isinstance(row, dict):
        return _shortened(_one(row))
    named = [f"{name}: {_shortened(_one(one), _LONGEST_VALUE)}" for name, one in row.items() if one not in (None, "")]
    return ", ".join(named[:_MOST_VALUES]) or "nothing"


def _one(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        plain = not any(isinstance(one, dict | list) for one in value)
        return ", ".join(map(_one, value[:_MOST_VALUES])) if plain else f"{len(value):,} entries"
    if isinstance(value, dict):
        return ", ".join(value) or "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    line = " ".join(text[: 4 * longest].split())
    if len(line) <= longest:
        return line
    return f"{line[:longest].rpartition(' ')[0] or line[:longest]}…"
