"""The card of a model connection: address, result of the last test, flows that use it, models and prices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from msgspec import Struct
from nicegui import ui

from engine.actions.connections import remove_price
from engine.core.clock import Millis
from engine.models.connection_test import TestResult
from engine.models.connections import ModelConnection, Provider
from engine.models.price import Price
from engine.models.price_lookup import find_price
from engine.models.provider_catalog import PROVIDERS
from storage.connections import ConnectionRow, FlowUse, PriceRow
from ui.kit import feedback
from ui.kit.parts import badge, button, card, icon, link, link_button, note, unreadable_badge, words
from ui.kit.text import Reader, _, duration, number, plural
from ui.page_session import PageSession
from ui.settings.price_dialog import ask_price, price_words

#: Models and flows that are shown before the person expands the list.
SHOWN_MODELS = 8
SHOWN_FLOWS = 4

Prices = Mapping[tuple[str, str], Price | None]


class CardActions(Struct, frozen=True):
    """The page's handlers of the buttons of a card."""

    test: Callable[[str], Awaitable[None]]
    change: Callable[[ConnectionRow], None]
    remove: Callable[[ConnectionRow], Awaitable[None]]
    look: Callable[[], Awaitable[None]]


class ConnectionCard:
    """One connection. Viewers and editors see it; the owner may change it (`verbs` is None for all others)."""

    def __init__(  # noqa: PLR0913 - all that the card shows
        self,
        page_session: PageSession,
        row: ConnectionRow,
        prices: Prices,
        *,
        uses: Sequence[FlowUse],
        simulating: Sequence[FlowUse],
        reader: Reader,
        tested: TestResult | None = None,
        verbs: CardActions | None = None,
        all_models: bool = False,
        readable: bool = True,
    ) -> None:
        self.page_session = page_session
        self.row = row
        self.readable = readable
        self.prices = prices
        self.reader = reader
        self.verbs = verbs
        self.all_models = all_models
        with card(row.name, PROVIDERS[row.provider].title) as box:
            if verbs is not None:
                with box.head:
                    self._draw_verbs(verbs)
            with ui.element("div").classes("fp-col"):
                self._draw_facts()
                self._draw_uses(uses, simulating)
                self.result = ui.element("div").classes("fp-col").props("role=status")
                with self.result:
                    self._draw_result(tested)
                self.models = ui.element("div").classes("fp-col")
                with self.models:
                    self._draw_models()

    def show_testing(self) -> None:
        """Shows that the test of the connection is running."""
        self.result.clear()
        with self.result, ui.element("div").classes("fp-row fp-s13 fp-t2"):
            icon("progress_activity", size=16)
            words(_("Asking for its models, up to 15 seconds..."))

    def _draw_verbs(self, verbs: CardActions) -> None:
        row = self.row
        test = button(_("Test"), lambda: verbs.test(row.name), icon="network_check", small=True)
        change = button(_("Change"), lambda: verbs.change(row), small=True, kind="quiet")
        remove = button(_("Remove"), lambda: verbs.remove(row), small=True, kind="quiet")
        for element, verb in ((test, _("Test")), (change, _("Change")), (remove, _("Remove"))):
            element.props["aria-label"] = f"{verb} {row.name}"

    def _draw_facts(self) -> None:
        row = self.row
        with ui.element("div").classes("fp-row fp-wrap-row fp-s13"):
            words(row.base_url or PROVIDERS[row.provider].address, "fp-mono fp-t2")
            if not self.readable:
                unreadable_badge()
            elif row.has_key or PROVIDERS[row.provider].needs_key:
                badge(_("Key stored") if row.has_key else _("No key"), icon="key" if row.has_key else "key_off")
            if row.local:
                badge(_("Local, free"), kind="ok", icon="dns")
            if row.api_version:
                badge(_("API version {api_version}").format(api_version=row.api_version))
            if row.max_concurrency:
                calls = plural(row.max_concurrency, _("call"), _("calls"), self.reader)
                badge(_("{calls} at once").format(calls=calls))

    def _draw_uses(self, uses: Sequence[FlowUse], simulating: Sequence[FlowUse]) -> None:
        with ui.element("div").classes("fp-row fp-wrap-row fp-s13 fp-t2"):
            if not uses:
                words(_("No flow uses it yet."))
                if self.page_session.may("edit flows"):
                    # their Playground offers the model in place of the Simulated one
                    for use in simulating[:SHOWN_FLOWS]:
                        said = _("Use it in “{title}”").format(title=use.title)
                        link_button(said, f"/playground/{use.flow_id}", icon="auto_awesome", small=True)
                return
            words(_("Used by {flows}:").format(flows=plural(len(uses), _("flow"), _("flows"))))
            for use in uses[:SHOWN_FLOWS]:
                link(use.title, f"/flows/{use.flow_id}")
            if len(uses) > SHOWN_FLOWS:
                words(_("and {count} more").format(count=number(len(uses) - SHOWN_FLOWS, self.reader)))

    def _draw_result(self, tested: TestResult | None) -> None:
        if tested is not None:
            took = f" ({duration(tested.seconds, self.reader)})" if tested.seconds else ""
            note(
                tested.sentence + took,
                kind="ok" if tested.ok else "bad",
                icon="check_circle" if tested.ok else "error",
            )

    def _draw_models(self) -> None:
        offered = self.row.offered
        if not offered:
            azure = PROVIDERS[self.row.provider].wire == "azure"
            told = _("Change it to name your deployments.") if azure else _("Test it to see its models.")
            words(told, "fp-s13 fp-t3", tag="p")
            return
        own_first = sorted(offered, key=lambda model: not self._is_own(self.prices.get((self.row.name, model))))
        shown = own_first if self.all_models else own_first[:SHOWN_MODELS]
        with ui.element("ul").classes("fp-models"):
            for model in shown:
                with ui.element("li"):
                    self._draw_model(model, self.prices.get((self.row.name, model)))
        if len(shown) < len(offered):
            everything = _("Show all {models}").format(models=plural(len(offered), _("model"), _("models")))
            button(everything, self._show_all, kind="link", small=True)

    def _draw_model(self, model: str, price: Price | None) -> None:
        words(f"{self.row.name}:{model}", "fp-mono fp-s13 fp-cut")
        words("", "fp-sp")
        if price is None:
            badge(_("Price unknown"), kind="warn", icon="help")
        else:
            words(price_words(price, self.reader), "fp-s12 fp-t2 fp-num fp-nw")
        if self.verbs is None:
            return
        own = self._is_own(price)
        verb = _("Change price") if own else _("Set a price")
        change = button(verb, lambda: self._set_price(model, price), kind="link", small=True)
        change.props["aria-label"] = f"{verb}: {model}"
        if own:
            remove = button(_("Remove price"), lambda: self._remove_price(model), kind="link", small=True)
            remove.props["aria-label"] = _("Remove price: {model}").format(model=model)

    def _show_all(self) -> None:
        self.all_models = True
        self.models.clear()
        with self.models:
            self._draw_models()

    async def _set_price(self, model: str, price: Price | None) -> None:
        if self.verbs and await ask_price(self.page_session, self.row.name, model, price):
            await self.verbs.look()

    async def _remove_price(self, model: str) -> None:
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(remove_price, self.row.name, model)
        if self.verbs and not outcome.refused:
            feedback.told(_("Your price of {model} is removed.").format(model=model))
            await self.verbs.look()

    @staticmethod
    def _is_own(price: Price | None) -> bool:
        return price is not None and price.source == "own"


def prices_of(rows: Sequence[ConnectionRow], own_prices: Sequence[PriceRow], at: Millis) -> Prices:
    """Returns the price of every model on offer. It loads the price table, so it runs in a thread."""
    found: dict[tuple[str, str], Price | None] = {}
    for row in rows:
        own = {one.model: Price(one.input_nanos, one.output_nanos) for one in own_prices if one.connection == row.name}
        provider: Provider = row.provider  # type: ignore[assignment] - checked when it was stored
        connection = ModelConnection(row.name, provider, row.base_url, None, row.local, own)
        for model in row.offered:
            found[row.name, model] = find_price(connection, model, at=at)
    return found
