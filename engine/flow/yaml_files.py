"""Flow files as YAML: the same document as the JSON file, for people who store flows in a repository.

Written files use no anchors, blocks for texts of several lines, and the document's order of keys, so that every YAML
parser reads the same. Reading accepts only what JSON can express: aliases (a small file could expand to a huge one),
tags and repeated keys are refused, dates stay text, only numbers of JSON are numbers, and only `true` and
`false` are booleans.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final

import yaml
from pydantic import JsonValue

from engine.core.errors import FlowInvalid, Invalid, Problem
from engine.flow.flow_file import FlowFile
from engine.flow.storable_values import MAX_DEPTH

try:
    from yaml import CSafeDumper, CSafeLoader
except ImportError:  # PyYAML was built without libyaml, which takes a tenth of the time
    from yaml import SafeDumper as CSafeDumper
    from yaml import SafeLoader as CSafeLoader

MAX_YAML_BYTES = 2 << 20
#: The most events of the parser: one for each value and each name, and one for each end of a list or group. A flow of 500
#: steps has some 20,000. So many take a quarter of a second to read and one to write.
MAX_EVENTS = 50_000
#: Of a larger file, in characters as JSON, characters beyond U+FFFF are written as escapes: the fast writer knows no others, and
#: the other one takes ten seconds for a MiB.
_LARGE = 128 << 10
_TOO_DEEP: Final = "it nests values too deep"
_ENDINGS = (".yaml", ".yml")
#: The parser compares each directive with all before it. Tags are not taken, so nothing needs one.
_TAG_DIRECTIVE: Final = re.compile("(?:^|[\\n\\r\\x85\\u2028\\u2029])%TAG")
_ASTRAL: Final = re.compile("[\U00010000-\U0010ffff]")


class TooLargeForYaml(Invalid):
    """This flow is too large for a YAML file that could be imported again."""

    remedy = "Export it as JSON."


def is_yaml(name: str) -> bool:
    """True when the file's name ends like a YAML file."""
    return name.casefold().endswith(_ENDINGS)


def as_yaml(file: FlowFile) -> str:
    """Returns the file as YAML text; reading it gives an identical file. Takes a second or so for a large flow.

    Raises TooLargeForYaml for what the reading would refuse.
    """
    value, as_json = file.as_json(), file.dumps()
    if _count(value) > MAX_EVENTS:
        raise TooLargeForYaml
    writer = _Writer if len(as_json) <= _LARGE and _ASTRAL.search(as_json) else _FastWriter
    text: str = yaml.dump(value, Dumper=writer, sort_keys=False, allow_unicode=True, width=110)
    if len(text.encode(errors="surrogatepass")) > MAX_YAML_BYTES:
        raise TooLargeForYaml
    return text


def json_of_yaml(data: bytes) -> bytes:
    """Returns the JSON text for a YAML file. Raises FlowInvalid with the line that cannot be read."""
    if len(data) > MAX_YAML_BYTES:
        said = f"The file has {len(data):,} bytes; a flow file in YAML may have {MAX_YAML_BYTES:,} (2 MiB), and its flow 1 MiB."
        raise _refused(said, "too_large")
    try:
        value = _read(_text_of(data))
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            errors="surrogatepass"
        )
    except (yaml.YAMLError, ValueError, ArithmeticError) as error:
        raise _refused(f"This is not valid YAML: {_sentence(error)}.") from error


def _refused(message: str, code: str = "invalid_yaml") -> FlowInvalid:
    return FlowInvalid([Problem(code, message)])


def _sentence(error: Exception) -> str:
    """Returns PyYAML's message on one line, with the line number."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", "") or error).strip().rstrip(".")
    if said == "exceeded maximum nesting depth":
        said = _TOO_DEEP
    return f"{said} (line {mark.line + 1})" if mark is not None else said


def _text_of(data: bytes) -> str:
    """Returns the text of a file. Raises ValueError."""
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"it is no text in UTF-8 (line {line})") from error
    if found := _TAG_DIRECTIVE.search(text):
        raise ValueError(f"tags like `!!str` are not taken (line {text.count(chr(10), 0, found.end()) + 1})")
    return text


def _wrong(problem: str, event: yaml.Event) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=event.start_mark)


def _events(text: str) -> Iterator[yaml.Event]:
    """Parses the text, up to the first event that is not one of a plain tree."""
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=CSafeLoader)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise _wrong("anchors and aliases are not taken", event)
        if getattr(event, "tag", None) is not None:
            raise _wrong("tags like `!!str` are not taken", event)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH + 5:
            raise _wrong(_TOO_DEEP, event)
        if number > MAX_EVENTS + 4:  # four begin and end the file
            raise _wrong(f"it has more than {MAX_EVENTS:,} values and names; as JSON a flow may have more", event)
        yield event


def _read(text: str) -> JsonValue:
    """Returns the value of the only document of a file."""
    events = _events(text)
    next(events)  # of the file
    if isinstance(next(events), yaml.StreamEndEvent):
        return None
    value = _value(next(events), events)
    next(events)  # the end of the document
    if not isinstance(after := next(events), yaml.StreamEndEvent):
        raise _wrong("another document begins; a flow file has one", after)
    return value


def _value(event: yaml.Event, events: Iterator[yaml.Event]) -> JsonValue:
    """Returns the value that begins with this event."""
    if isinstance(event, yaml.SequenceStartEvent):
        items: list[JsonValue] = []
        while not isinstance(event := next(events), yaml.SequenceEndEvent):
            items.append(_value(event, events))
        return items
    if isinstance(event, yaml.MappingStartEvent):
        return _group(events)
    assert isinstance(event, yaml.ScalarEvent)
    return _plain(event.value) if event.implicit[0] else event.value


def _group(events: Iterator[yaml.Event]) -> dict[str, JsonValue]:
    group: dict[str, JsonValue] = {}
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        name = _value(event, events) if isinstance(event, yaml.ScalarEvent) else None
        if not isinstance(name, str):
            raise _wrong("keys are text", event)
        if name in group:
            raise _wrong(f"`{name}` stands here twice", event)
        group[name] = _value(next(events), events)
    return group


#: What texts without quotes mean that are no texts. Of the numbers of YAML 1.1 only those that JSON has, too: `12:30` is a
#: text there, not 750, and `010` not 8. A number like `1e5`, which YAML 1.1 takes for a text, stays one: exported files have
#: such texts without quotes.
_WORDS: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None, "true": True, "false": False}
_WHOLE: Final = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?")


def _plain(text: str) -> JsonValue:
    """Returns what a text without quotes means. Raises ValueError."""
    if text in _WORDS:
        return _WORDS[text]
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


def _count(value: JsonValue) -> int:
    """Returns how many events the value has."""
    if isinstance(value, dict):
        return 2 + len(value) + sum(map(_count, value.values()))
    return 2 + sum(map(_count, value)) if isinstance(value, list) else 1


class _Style:
    """Writes no anchors, and texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True


class _Writer(_Style, yaml.SafeDumper):
    """Writes every character as it is."""


class _FastWriter(_Style, CSafeDumper):
    """Writes characters beyond U+FFFF as escapes."""


#: Line separators that YAML would read back as plain line ends; texts with them are written in double quotes, which
#: escape them.
_OTHER_LINE_ENDS = re.compile("[\\x85\\u2028\\u2029]")


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = '"' if _OTHER_LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


for _one in (_Writer, _FastWriter):
    _one.add_representer(str, _text)
