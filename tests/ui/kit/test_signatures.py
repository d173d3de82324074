"""The cached answers about method signatures equal those of NiceGUI's own function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import pytest
from nicegui import ui
from nicegui.helpers import functions
from nicegui.testing import User

from ui.kit.signatures import expects_arguments


class Thing:
    def nothing(self) -> None: ...
    def one(self, event: Any) -> None: ...
    def maybe(self, event: Any = None) -> None: ...
    def any_number(self, *events: Any, **more: Any) -> None: ...
    def by_name(self, *, event: Any) -> None: ...
    async def later(self, event: Any) -> None: ...
    @classmethod
    def of_class(cls, event: Any) -> None: ...
    @staticmethod
    def static(event: Any) -> None: ...
    def __call__(self, event: Any) -> None: ...


METHODS = sorted(name for name, _ in inspect.getmembers(Thing, callable) if not name.startswith("_"))


@pytest.mark.parametrize(
    "func",
    [
        *(pytest.param(getattr(Thing(), name), id=name) for name in METHODS),
        pytest.param(Thing(), id="what can be called"),
        pytest.param(lambda: None, id="lambda without parameters"),
        pytest.param(lambda event: event, id="lambda with one"),
        pytest.param(functools.partial(Thing().one, 1), id="partial that is full"),
        pytest.param(functools.partial(Thing().one), id="partial with room"),
        pytest.param([].append, id="of C, with one"),
        pytest.param([].clear, id="of C, without"),
    ],
)
def test_the_answer_is_niceguis_own(func: Callable[..., Any]) -> None:
    for _ in range(2):
        assert expects_arguments(func) is functions.expects_arguments(func)


async def test_elements_of_a_page_use_it(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    await user.open("/flows")
    asked: list[Any] = []
    monkeypatch.setattr(functions, "signature", lambda func: (asked.append(func), inspect.signature(func))[1])

    with user:
        ui.label("One more").classes("fp-b")

    assert asked == []
