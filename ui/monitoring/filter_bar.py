"""The filters of Monitoring: a range of time, a flow, a key or an environment. The page's URL contains them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlencode

from msgspec import Struct, field
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session

from storage.flows import FlowRow, list_flows
from storage.keys import KeyRow, list_keys
from storage.monitoring.period import RANGES, Filters
from ui.kit.parts import ENVIRONMENTS, Words, button, drop_menu, icon, menu_item, segments, words
from ui.kit.text import _
from ui.monitoring.words import FIRST_RANGE, RANGE_WORDS


class Choices(Struct, frozen=True):
    """The flows and keys to choose from."""

    flows: tuple[FlowRow, ...]
    keys: tuple[KeyRow, ...]


def load_choices(session: Session, workspace_id: str) -> Choices:
    """Reads the workspace's flows and keys."""
    return Choices(tuple(list_flows(session, workspace_id)), tuple(list_keys(session, workspace_id)))


class View(Struct, frozen=True):
    """The range and filters of the page."""

    range_name: str = FIRST_RANGE
    filters: Filters = field(default_factory=Filters)

    @classmethod
    def of(cls, said: Mapping[str, str], choices: Choices) -> View:
        """Reads range and filters from the query of a URL. Values that do not exist are ignored."""
        range_name, environment = said.get("range", ""), said.get("environment", "")
        flow_id, key_id = said.get("flow"), said.get("key")
        return cls(
            range_name if range_name in RANGES else FIRST_RANGE,
            Filters(
                flow_id if flow_id in {flow.id for flow in choices.flows} else None,
                key_id if key_id in {key.id for key in choices.keys} else None,
                environment if environment in ENVIRONMENTS else None,
            ),
        )

    def path(self) -> str:
        """The URL of this view."""
        said = {
            "range": "" if self.range_name == FIRST_RANGE else self.range_name,
            "flow": self.filters.flow_id,
            "key": self.filters.key_id,
            "environment": self.filters.environment,
        }
        query = urlencode({name: value for name, value in said.items() if value})
        return f"/monitoring?{query}" if query else "/monitoring"


Turn = Callable[[View], Awaitable[None]]


class FilterBar:
    """Flow, key and range at the top of the page."""

    def __init__(self, view: View, choices: Choices, turn: Turn) -> None:
        self.view = view
        self._turn = turn
        self._flows = {None: _("All flows"), **{flow.id: flow.title for flow in choices.flows}}
        self._keys: dict[tuple[str | None, str | None], tuple[str, str]] = {
            (None, None): (_("All keys"), ""),
            **{
                (None, name): (
                    _("All of {environments}").format(environments=ENVIRONMENTS[name][0]),
                    ENVIRONMENTS[name][1],
                )
                for name in ("live", "test", "dev")
            },
            **{(key.id, None): (f"{key.label}, {ENVIRONMENTS[key.environment][0]}", "key") for key in choices.keys},
            (None, "playground"): (_("Playground runs"), "schema"),
        }

    def build(self) -> None:
        """Draws the controls in the current slot."""
        with _pick("schema", _("Flow")) as self._flow_words:
            for flow_id, title in self._flows.items():
                menu_item(title, lambda flow_id=flow_id: self._narrow(flow_id=flow_id))
        with _pick("key", _("Key")) as self._key_words:
            for (key_id, environment), (text, symbol) in self._keys.items():
                menu_item(
                    text,
                    lambda key_id=key_id, environment=environment: self._narrow(key_id=key_id, environment=environment),
                    icon=symbol or None,
                )
        range_choice(self.view, self._span)
        self._write()

    def _write(self) -> None:
        filters = self.view.filters
        self._flow_words.text = self._flows.get(filters.flow_id, "")
        key = self._keys.get((filters.key_id, None if filters.key_id else filters.environment))
        self._key_words.text = key[0] if key else ""

    async def _narrow(self, **changes: str | None) -> None:
        await self._show(replace(self.view, filters=replace(self.view.filters, **changes)))

    async def _span(self, range_name: str) -> None:
        await self._show(replace(self.view, range_name=range_name))

    async def _show(self, view: View) -> None:
        self.view = view
        self._write()
        ui.navigate.history.replace(view.path())
        await self._turn(view)


@contextmanager
def _pick(symbol: str, name: str) -> Iterator[Words]:
    """Draws a button with the chosen value and enters the slot of its menu."""
    with button("").classes("fp-pick").props("aria-haspopup=menu"):
        icon(symbol)
        words(f"{name}: ", "fp-hide")
        chosen = words("", "fp-cut")
        icon("expand_more", "fp-t3")
        with drop_menu(name, "max-height=60vh"):
            yield chosen


def range_choice(view: View, turn: Callable[[str], Awaitable[None]]) -> None:
    """Draws the choice 1 h, 24 h, 7 d, 30 d."""
    options = {name: said[0] for name, said in RANGE_WORDS.items()}
    segments(options, view.range_name, turn, label=_("Range of time"))
