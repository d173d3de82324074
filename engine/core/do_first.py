"""Work that may take long and whose result a transaction needs: it is done beside the transaction, which then begins
again.

    _KNOWN: DoneFirst[Answer] = DoneFirst(100)

    def action(session):
        answer = _KNOWN.get(key, lambda: takes_long(...))  # raises DoFirst until the answer is known

`PageSession` and `Database.write_now` do the work and begin the transaction again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Any, Final, Generic, TypeVar

from cachetools import LRUCache

T = TypeVar("T")

#: How often work is done for one transaction, which may ask for the work of several steps or find that something has
#: changed meanwhile.
MAX_WORK: Final = 5
TOO_MUCH_FIRST: Final = "It changed again and again while it was checked"


class DoFirst(Exception):  # an expected event: whoever began the transaction does the work and begins it again
    """A transaction needs the result of `work`, which takes too long to be done in it."""

    def __init__(self, work: Callable[[], object]) -> None:
        super().__init__("work has to be done before this transaction")
        self.work = work


class DoneFirst(Generic[T]):
    """Results of such work, the last ones that were needed. Threads share it."""

    def __init__(self, most: int) -> None:
        self._kept: LRUCache[Hashable, T] = LRUCache(most)
        self._lock = threading.Lock()

    def get(self, key: Hashable, work: Callable[[], T]) -> T:
        """Returns the result of `work` that was kept under this key. Raises DoFirst when it is not there."""
        absent: Any = self
        with self._lock:
            found = self._kept.get(key, absent)
        if found is absent:
            raise DoFirst(lambda: self._keep(key, work()))
        return found

    def _keep(self, key: Hashable, result: T) -> None:
        with self._lock:
            self._kept[key] = result
