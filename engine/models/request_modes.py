"""Request modes that servers turned out not to take, for a while: the calls after the first go out in the plain mode at
once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable
from typing import Final, Literal

from msgspec import Struct

from engine.core.clock import Clock
from engine.flow.node_context import JsonSchema

#: Request modes that some servers do not support.
Way = Literal["json schema", "stream"]

#: How often a mode fails, while the plain mode works, before it is left out. A proxy may spoil one stream.
_FAILURES: Final[dict[Way, int]] = {"json schema": 1, "stream": 2}
_SECONDS: Final = 600.0
_MOST: Final = 1_000


class _Failed(Struct, frozen=True):
    times: int
    #: When it is forgotten, by the monotonic clock.
    until: float


class ModesNotTaken:
    """What is remembered is about one connection, one model and, for the JSON Schema mode, one schema: servers that have
    the mode refuse schemas. So nobody's schema or proxy changes how others are asked.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        #: The oldest first.
        self._failed: dict[Hashable, _Failed] = {}

    def leaves_out(self, connection: Hashable, model: str, way: Way, schema: JsonSchema | None) -> bool:
        """True when the mode is not to be tried now."""
        failed = self._found(_key(connection, model, way, schema)) if self._failed else None
        return failed is not None and failed.times >= _FAILURES[way]

    def failed(self, connection: Hashable, model: str, way: Way, schema: JsonSchema | None) -> None:
        """Notes that the mode failed where the plain mode worked."""
        key = _key(connection, model, way, schema)
        before = self._found(key)
        self._failed.pop(key, None)
        if len(self._failed) >= _MOST:
            del self._failed[next(iter(self._failed))]
        self._failed[key] = _Failed(before.times + 1 if before else 1, self._clock.monotonic() + _SECONDS)

    def worked(self, connection: Hashable, model: str, way: Way, schema: JsonSchema | None) -> None:
        """Forgets the failures of a mode that works."""
        if self._failed:
            self._failed.pop(_key(connection, model, way, schema), None)

    def _found(self, key: Hashable) -> _Failed | None:
        failed = self._failed.get(key)
        return failed if failed is not None and self._clock.monotonic() < failed.until else None


def _key(connection: Hashable, model: str, way: Way, schema: JsonSchema | None) -> Hashable:
    if way != "json schema":
        return connection, model, way
    return connection, model, way, hashlib.sha256(json.dumps(schema, sort_keys=True).encode()).digest()
