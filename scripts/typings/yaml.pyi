import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Self, TypeVar

_Value = TypeVar("_Value")

class Mark:
    line: int
    column: int

class YAMLError(Exception): ...

class MarkedYAMLError(YAMLError):
    problem: str | None
    problem_mark: Mark | None
    def __init__(self, *, problem: str | None = None, problem_mark: Mark | None = None) -> None: ...

class Event:
    start_mark: Mark
    end_mark: Mark

class AliasEvent(Event): ...
class CollectionStartEvent(Event): ...
class CollectionEndEvent(Event): ...

class Node:
    tag: str
    value: Any
    start_mark: Mark
    end_mark: Mark

class ScalarNode(Node):
    value: str

class SequenceNode(Node):
    value: list[Node]

class MappingNode(Node):
    value: list[tuple[Node, Node]]

class SafeLoader:
    yaml_implicit_resolvers: ClassVar[dict[str, list[tuple[str, re.Pattern[str]]]]]
    @classmethod
    def add_implicit_resolver(cls, tag: str, regexp: re.Pattern[str], first: Sequence[str] | None) -> None: ...
    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]: ...

class SafeDumper:
    @classmethod
    def add_representer(cls, data_type: type[_Value], representer: Callable[[Self, _Value], Node]) -> None: ...
    def ignore_aliases(self, data: object) -> bool: ...
    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> ScalarNode: ...

def parse(stream: str | bytes, Loader: type[SafeLoader]) -> Iterator[Event]: ...  # noqa: N803 - PyYAML's name
def load(stream: str | bytes, Loader: type[SafeLoader]) -> object: ...  # noqa: N803 - PyYAML's name
def safe_load(stream: str | bytes) -> Any: ...  # noqa: ANN401 - what the file holds
def dump(
    data: Mapping[str, Any],
    *,
    Dumper: type[SafeDumper],  # noqa: N803 - PyYAML's name
    sort_keys: bool,
    allow_unicode: bool,
    width: int,
) -> str: ...
