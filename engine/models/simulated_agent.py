"""The Simulated model as an agent: it calls a tool that fits, and then answers from what it got.

It lets a flow with an agent be tried before a real model is connected. Which tool fits is decided by the words that the
message and the tool share, with arguments made up from the message. Where a search gives nothing it looks for fewer
words, and then in the next tool; otherwise each tool is called once at most. A tool that may change something outside is
never called. Callers must mark its replies as simulated.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from engine.flow.node_context import Json
from engine.flow.node_models import ModelTurn, ToolCall, ToolSpec
from engine.flow.payload_check import PayloadCheck
from engine.models import simulated, structured_output
from engine.models.structured_output import check_object

#: The largest number of tools that are called for a message once one of them gave something, and of calls in all.
MAX_TOOLS, MAX_CALLS = 2, 6
#: How often a tool that searches by words is called: with all of them, and then with single ones.
_MAX_SEARCHES = 3
#: What the words of a search are called in the tools that search.
_SEARCHED = ("text", "query", "search")
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
_SEARCH_WORD = re.compile(r"[\w'’-]{3,}")
_OF_A_ROW = "cost price stock available sell buy kostet kosten preis lager"
_OF_A_PAGE = "open opening hour close closed closing addres phone telephone visit contact"
#: Words for what somebody wants to know of a row, as `_words` gives them, and for what stands on a page and not in a row:
#: a question with one of these is not looked for word by word.
_ASKED_OF_A_ROW, _ASKED_OF_A_PAGE = frozenset(_OF_A_ROW.split()), frozenset(_OF_A_PAGE.split())
_LONGEST_RESULT = 4_000
#: What the list is called in the answers of tools that give one.
_LISTS = ("rows", "pieces", "items", "results", "data")
#: What an answer tells of a tool: the first rows, the first values of each, and the characters of a text and a value.
_MAX_SHOWN = 3
_MAX_VALUES = 8
_LONGEST_TEXT = 300
_LONGEST_VALUE = 120


def takes_long(turn: ModelTurn) -> bool:
    """Tells whether `reply` may take longer than a moment, so that it has to run in a thread."""
    schemas = [tool.schema for tool in turn.tools]
    return any(structured_output.takes_long(schema) for schema in (*schemas, turn.output_schema) if schema)


def reply(turn: ModelTurn, check: PayloadCheck | None = None) -> tuple[str, tuple[ToolCall, ...]]:
    """Returns the text of the next reply, and the calls that it asks for: one of both is empty. `check`: with what is left
    of the job's budget.
    """
    results = _results(turn)
    made = Counter(str(result["name"]) for result in results)
    tool = _tool_again(turn, results, made) or _next_tool(turn, results, made)
    if tool is None or not turn.may_call or len(results) >= MAX_CALLS:
        return _answer(turn, check), ()
    arguments = _made_up(tool, turn.message, made[tool.name], check)
    return "", (ToolCall(f"simulated_{len(results) + 1}", tool.name, arguments),)


def message_of(text: str, asked: Sequence[ToolCall]) -> Json:
    """Returns a reply as it is kept in the conversation."""
    return {"simulated": text, "calls": [{"name": call.name, "arguments": call.arguments} for call in asked]}


def input_tokens(turn: ModelTurn) -> int:
    """Estimates how many tokens the model reads."""
    tools = sum(len(tool.name) + len(tool.description) + len(json.dumps(tool.schema)) for tool in turn.tools)
    history = len(json.dumps(list(turn.history), ensure_ascii=False))
    return simulated.tokens_of(turn.system + turn.message) + (tools + history + 3) // 4


def _results(turn: ModelTurn) -> list[Mapping[str, Json]]:
    return [result for entry in turn.history for result in entry.get("results", ())]


def _tool_again(turn: ModelTurn, results: Sequence[Mapping[str, Json]], made: Mapping[str, int]) -> ToolSpec | None:
    """Returns the tool that was called last, when it searched, found nothing, and there are words that it was not called
    with yet; None otherwise.
    """
    if not results or not _is_nothing(str(results[-1]["text"])):
        return None
    tool = next((one for one in turn.tools if one.name == results[-1]["name"]), None)
    if tool is None or tool.changes or not (name := _searched(tool)):
        return None
    return tool if made[tool.name] < len(_searches(tool, name, turn.message)) else None


def _next_tool(turn: ModelTurn, results: Sequence[Mapping[str, Json]], made: Mapping[str, int]) -> ToolSpec | None:
    """Returns the tool that shares most words with the message; once one gave something, only one that shares any."""
    wanted = _words(turn.message)
    left = [tool for tool in turn.tools if not tool.changes and tool.name not in made]
    scores = {tool.name: len(wanted & _words(f"{tool.name} {tool.description}")) for tool in left}
    if any(not _is_nothing(str(result["text"])) for result in results):
        left = [tool for tool in left if scores[tool.name]] if len(made) < MAX_TOOLS else []
    elif results:  # one that needs values of a kind of its own is not called at random
        left = [tool for tool in left if scores[tool.name] or not tool.schema.get("required") or _searched(tool)]
    return max(left, key=lambda tool: scores[tool.name], default=None)


def _is_nothing(text: str) -> bool:
    """True for the result of a search that found nothing."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return False
    if isinstance(value, dict):
        lists = [value[name] for name in _LISTS if isinstance(value.get(name), list)]
        return not value or (bool(lists) and not any(lists))
    return value in (None, "", [])


def _words(text: str) -> set[str]:
    found = set(_WORD.findall(text.lower().replace("_", " "))) - _EVERYWHERE
    return {word.rstrip("s") for word in found} - _EVERYWHERE


def _made_up(tool: ToolSpec, message: str, before: int, check: PayloadCheck | None) -> dict[str, Json]:
    """Returns arguments for the tool: those that it needs, with words and numbers of the message.

    A single text gets the words of the message that carry its meaning. `before`: how often it was called already.
    """
    properties: Mapping[str, Json] = tool.schema.get("properties") or {}
    needed = [name for name in tool.schema.get("required") or () if name in properties]
    wanted = {name: properties[name] for name in needed or list(properties)[:1]}
    texts = [name for name, schema in wanted.items() if schema.get("type") == "string" and not schema.get("enum")]
    _, value = simulated.answer(message, output_schema={"type": "object", "properties": wanted}, check=check)
    found: dict[str, Json] = dict(value or {})
    for name in texts:
        if len(texts) == 1 and not wanted[name].get("format") and not wanted[name].get("pattern"):
            searches = _searches(tool, name, message)
            found[name] = searches[min(before, len(searches) - 1)][: wanted[name].get("maxLength") or 80]
    return {name: one for name, one in found.items() if one is not None}


def _searched(tool: ToolSpec) -> str:
    """Returns the name of the text by which a tool searches; "" for every other tool."""
    properties: Mapping[str, Json] = tool.schema.get("properties") or {}
    needed = set(tool.schema.get("required") or ())
    return next((name for name in _SEARCHED if name in properties and needed <= {name}), "")


def _searches(tool: ToolSpec, name: str, message: str) -> list[str]:
    """Returns what to look for, in the order in which it is tried: all words that carry the meaning of the message, then
    the likeliest single ones. A tool that does not search gets a single one.

    Of single words those that begin with a capital inside a sentence are names, and the only ones when there are any.
    What the columns of a table are called, and words like "price", say what somebody wants to know of a row and do not
    stand in it.
    """
    line = message.strip().split("\n")[0]
    found = [(match.start(), match[0]) for match in _SEARCH_WORD.finditer(line)]
    words = [(at, word) for at, word in found if word.lower() not in _EVERYWHERE]
    columns = _words(" ".join(_columns(tool)))
    asked = _ASKED_OF_A_ROW | columns
    told = [(at, word) for at, word in words if (at and word[0].isupper()) or not _words(word) & asked] or words
    if not told:
        return [line or "something"]
    names = [word for at, word in told if at and word[0].isupper()]
    singles = sorted(names or [word for _, word in told], key=len, reverse=True)
    if name != _searched(tool):
        return singles[:1]
    if columns and _words(line) & _ASKED_OF_A_PAGE:
        singles = []
    return list(dict.fromkeys([" ".join(word for _, word in told), *singles]))[:_MAX_SEARCHES]


def _columns(tool: ToolSpec) -> Sequence[str]:
    """Returns the columns of the table that a tool looks into."""
    where: Json = (tool.schema.get("properties") or {}).get("where") or {}
    return (((where.get("items") or {}).get("properties") or {}).get("column") or {}).get("enum") or ()


def _answer(turn: ModelTurn, check: PayloadCheck | None) -> str:
    called = _results(turn)
    told = [one for one in called if not _is_nothing(str(one["text"]))] or list(
        {one["name"]: one for one in called}.values()
    )
    results = [str(result["text"])[:_LONGEST_RESULT] for result in told]
    if turn.output_schema is not None:
        material = "\n\n".join([turn.message, *results])
        text, value = simulated.answer(material, output_schema=turn.output_schema, check=check)
        return text if value is not None and not check_object(value, turn.output_schema, check)[1] else "{}"
    if not results:
        return simulated.answer(turn.message, turn.system)[0]
    return "\n\n".join(["Made up by the Simulated model from what the tools found.", *map(_told, told)])


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
        rows = "; ".join(_row(one) for one in value[:_MAX_SHOWN])
        left = len(value) - _MAX_SHOWN
        return f"{rows}; and {left:,} more." if left > 0 else f"{rows}."
    return _shortened(_one(value))


def _row(row: Json) -> str:
    if not isinstance(row, dict):
        return _shortened(_one(row))
    named = [f"{name}: {_shortened(_one(one), _LONGEST_VALUE)}" for name, one in row.items() if one not in (None, "")]
    return ", ".join(named[:_MAX_VALUES]) or "nothing"


def _one(value: Json) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        plain = not any(isinstance(one, dict | list) for one in value)
        return ", ".join(map(_one, value[:_MAX_VALUES])) if plain else f"{len(value):,} entries"
    if isinstance(value, dict):
        return ", ".join(value) or "nothing"
    return value if isinstance(value, str) else json.dumps(value)


def _shortened(text: str, longest: int = _LONGEST_TEXT) -> str:
    line = " ".join(text[: 4 * longest].split())
    if len(line) <= longest:
        return line
    return f"{line[:longest].rpartition(' ')[0] or line[:longest]}…"
