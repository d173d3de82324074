"""Flow files as YAML: the same document as the JSON file, for people who keep flows beside their code.

Written so that it reads the same everywhere: no anchors, texts of several lines as blocks, keys in the order of the document.
Read as the JSON it stands for: aliases (a small file could unfold into a huge one), tags and keys that come twice are refused, dates
stay text, and only `true` and `false` are yes or no.
"""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from engine.core.errors import FlowInvalid, Problem
from engine.flow.document import MAX_BYTES, MAX_DEPTH, FlowFile

_ENDINGS = (".yaml", ".yml")
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


def is_yaml(name: str) -> bool:
    """By the name of a file."""
    return name.casefold().endswith(_ENDINGS)


def as_yaml(file: FlowFile) -> str:
    """The file as YAML text; reading it gives the identical file."""
    return yaml.dump(file.as_json(), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)


def json_of_yaml(data: bytes) -> bytes:
    """The JSON text this YAML stands for. Raises FlowInvalid with the line of what cannot be read."""
    if len(data) > MAX_BYTES:
        raise _refused(f"The file has {len(data):,} bytes; a flow may have {MAX_BYTES:,} (1 MiB).", "too_large")
    try:
        _check(data)
        value = yaml.load(data, Loader=_Reader)  # noqa: S506 - a SafeLoader with less, not more
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise _refused(f"This is not valid YAML: {_sentence(error)}.") from error


def _refused(message: str, code: str = "invalid_yaml") -> FlowInvalid:
    return FlowInvalid([Problem(code, message)])


def _sentence(error: Exception) -> str:
    """PyYAML's words on one line, with the place."""
    mark = getattr(error, "problem_mark", None)
    said = str(getattr(error, "problem", "") or error).strip().rstrip(".")
    return f"{said} (line {mark.line + 1})" if mark is not None else said


def _check(data: bytes) -> None:
    """Reads the events only: nothing is built before it is known to be a plain tree."""
    depth = 0
    for event in yaml.parse(data, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.MarkedYAMLError(problem="anchors and aliases are not taken", problem_mark=event.start_mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH + 5:
            raise yaml.MarkedYAMLError(problem="it nests values too deep", problem_mark=event.start_mark)


class _Reader(yaml.SafeLoader):
    """Values of JSON and nothing else."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML holds them
        first: [(tag, pattern) for tag, pattern in pairs if tag in ("tag:yaml.org,2002:null", *_NUMBER_TAGS)]
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


_Reader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(?:true|false)$"), list("tf"))


class _Writer(yaml.SafeDumper):
    """Without anchors, with blocks for texts of several lines."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


#: YAML takes them for ends of lines and would give them back as plain ones; between double quotes they are escaped.
_OTHER_LINE_ENDS = re.compile("[\\x85\\u2028\\u2029]")


def _text(dumper: _Writer, text: str) -> yaml.ScalarNode:
    style = '"' if _OTHER_LINE_ENDS.search(text) else "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)
