"""The memory of closed pages is freed when no more pages are closed."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from ui.page_memory import MANY, ClosedPages


class Held:
    """Part of a reference cycle, like the elements of a page: only the garbage collector frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def searched_by_nobody_else() -> Iterator[None]:
    """Excludes garbage of earlier tests from collection: collecting all of it takes a second."""
    was_on = gc.isenabled()
    gc.disable()
    gc.freeze()
    yield
    if was_on:
        gc.enable()


@pytest.mark.usefixtures("searched_by_nobody_else")
async def test_garbage_is_let_go_in_the_first_quiet_time_after_pages_were_closed() -> None:
    pages = ClosedPages()
    held = weakref.ref(Held())
    await pages.look()
    assert held() is not None, "nothing was closed"
    pages.note()
    await pages.look()
    pages.note()
    await pages.look()
    assert held() is not None, "pages are still being closed"
    await pages.look()
    assert held() is None


@pytest.mark.usefixtures("searched_by_nobody_else")
async def test_garbage_of_many_pages_is_let_go_while_more_are_closed() -> None:
    pages = ClosedPages()
    held = weakref.ref(Held())
    for _ in range(MANY - 1):
        pages.note()
    await pages.look()
    assert held() is not None
    pages.note()
    await pages.look()
    assert held() is None
