from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import AnyStr, Generic

class error(Exception): ...  # noqa: N801 - the library's name

class Options:
    class Encoding(Enum):
        UTF8 = 1
        LATIN1 = 2

    encoding: Encoding
    log_errors: bool
    max_mem: int
    never_capture: bool

class Match(Generic[AnyStr]):
    def __getitem__(self, group: int | str) -> AnyStr: ...
    def group(self, group: int | str = 0) -> AnyStr: ...
    def groups(self) -> tuple[AnyStr | None, ...]: ...

class Pattern(Generic[AnyStr]):
    @property
    def groups(self) -> int: ...
    @property
    def groupindex(self) -> Mapping[str, int]: ...
    @property
    def programsize(self) -> int: ...
    def search(self, text: AnyStr) -> Match[AnyStr] | None: ...
    def finditer(self, text: AnyStr) -> Iterator[Match[AnyStr]]: ...
    def sub(self, repl: AnyStr | Callable[[Match[AnyStr]], AnyStr], text: AnyStr) -> AnyStr: ...

def compile(pattern: AnyStr, options: Options | None = None) -> Pattern[AnyStr]: ...  # noqa: A001 - the library's name
def purge() -> None: ...
