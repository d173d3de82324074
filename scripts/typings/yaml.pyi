from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self, TypeVar

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
class SequenceStartEvent(CollectionStartEvent): ...
class SequenceEndEvent(CollectionEndEvent): ...
class MappingStartEvent(CollectionStartEvent): ...
class MappingEndEvent(CollectionEndEvent): ...
class StreamEndEvent(Event): ...

class ScalarEvent(Event):
    implicit: tuple[bool, bool]
    value: str

class Node:
    tag: str
    value: Any
    start_mark: Mark
    end_mark: Mark

class ScalarNode(Node):
    value: str

class SafeLoader: ...

class SafeDumper:
    @classmethod
    def add_representer(cls, data_type: type[_Value], representer: Callable[[Self, _Value], Node]) -> None: ...
    def ignore_aliases(self, data: object) -> bool: ...
    def represent_scalar(self, tag: str, value: str, style: str | None = None) -> ScalarNode: ...

CSafeLoader = SafeLoader
CSafeDumper = SafeDumper

def parse(stream: str | bytes, Loader: type[SafeLoader]) -> Iterator[Event]: ...  # noqa: N803 - PyYAML's name
def safe_load(stream: str | bytes) -> Any: ...  # noqa: ANN401 - what the file holds
def dump(
    data: Mapping[str, Any],
    *,
    Dumper: type[SafeDumper],  # noqa: N803 - PyYAML's name
    sort_keys: bool,
    allow_unicode: bool,
    width: int,
) -> str: ...
