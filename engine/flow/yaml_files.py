"""Flow files as YAML: the same document as the JSON file, for people who store flows in a repository.

Written files use no anchors, blocks for texts of several lines, and the document's order of keys, so that every YAML
parser reads the same. Reading accepts only what JSON can express: aliases (a small file could expand to a huge one),
tags and repeated keys are refused, dates stay text, only numbers of JSON are numbers, and only `true` and
`false` are booleans.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from engine.core.errors import FlowInvalid, Invalid, Problem
from engine.flow.flow_file import FlowFile
from engine.flow.storable_values import MAX_DEPTH

#: Reading a MiB takes several seconds.
MAX_YAML_BYTES = 2 << 20
_ENDINGS = (".yaml", ".yml")


class TooLargeForYaml(Invalid):
    """This flow is too large for a YAML file that could be imported again."""

    remedy = "Export it as JSON."


def is_yaml(name: str) -> bool:
    """True when the file's name ends like a YAML file."""
    return name.casefold().endswith(_ENDINGS)


def as_yaml(file: FlowFile) -> str:
    """Returns the file as YAML text; reading it gives an identical file. Takes seconds for a large flow.

    Raises TooLargeForYaml for what the reading would refuse.
    """
    text: str = yaml.dump(file.as_json(), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)
    if len(text.encode(errors="surrogatepass")) > MAX_YAML_BYTES:
        raise TooLargeForYaml
    return text


def json_of_yaml(data: bytes) -> bytes:
    """Returns the JSON text for a YAML file. Raises FlowInvalid with the line that cannot be read."""
    if len(data) > MAX_YAML_BYTES:
        said = f"The file has {len(data):,} bytes; a flow file in YAML may have {MAX_YAML_BYTES:,} (2 MiB), and its flow 1 MiB."
        raise _refused(said, "too_large")
    try:
        _check(data)
        value = yaml.load(data, Loader=_Reader)  # noqa: S506 - a restricted SafeLoader
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode(
            errors="surrogatepass"
        )
    except (yaml.YAMLError, RecursionError, ValueError, TypeError, ArithmeticError, LookupError) as error:
        raise _refused(f"This is not valid YAML: {_sentence(error)}.") from error


def _refused(message: str, code: str = "invalid_yaml") -> FlowInvalid:
    return FlowInvalid([Problem(code, message)])


def _sentence(error: Exception) -> str:
    """Returns PyYAML's message on one line, with the line number."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", "") or error).strip().rstrip(".")
    return f"{said} (line {mark.line + 1})" if mark is not None else said


def _check(data: bytes) -> None:
    """Checks the parser's events, so that no value is built before the file is known to be a plain tree."""
    depth = 0
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not taken", problem_mark=event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.MarkedYAMLError(problem="tags like `!!str` are not taken", problem_mark=event.start_mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH + 5:
            raise yaml.MarkedYAMLError(problem="it nests values too deep", problem_mark=event.start_mark)


class _Reader(yaml.SafeLoader):
    """A loader for the values of JSON only."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML holds them
        first: [(tag, pattern) for tag, pattern in pairs if tag == "tag:yaml.org,2002:null"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        seen: set[str] = set()
        for key, _value in node.value:
            name = key.value
            if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
                raise yaml.MarkedYAMLError(problem="keys are text", problem_mark=key.start_mark)
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"`{name}` stands here twice", problem_mark=key.start_mark)
            seen.add(name)
        return super().construct_mapping(node, deep)


# Of the numbers of YAML 1.1 only those that JSON has, too: `12:30` is a text there, not 750, and `010` not 8. A number
# like `1e5`, which YAML 1.1 takes for a text, stays one: exported files have such texts without quotes.
_DIGITS = list("-0123456789")
_Reader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))
_Reader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^-?(?:0|[1-9][0-9]*)$"), _DIGITS)
_Reader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^-?(?:0|[1-9][0-9]*)\.[0-9]+(?:[eE][-+][0-9]+)?$"), _DIGITS
)


class _Writer(yaml.SafeDumper):
    """A dumper without anchors that writes texts of several lines as blocks."""

    def ignore_aliases(self, data: object) -> bool:
        return True


#: Line separators that YAML would read back as plain line ends; texts with them are written in double quotes, which
#: escape them.
_OTHER_LINE_ENDS = re.compile("[\\x85\\u2028\\u2029]")


def _text(dumper: _Writer, text: str) -> yaml.ScalarNode:
    style = '"' if _OTHER_LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)
