"""The form of an API key: label, environment, callable flows, expiry, and its own limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, time, timedelta, tzinfo

from msgspec.structs import asdict, replace
from nicegui import ui

from engine.actions.keys import NewKey, change_key, create_key
from engine.core.clock import DAY
from engine.core.environments import Environment
from engine.core.errors import Refusal
from engine.core.ids import KeyId
from storage.keys import KeyProperties, KeyRow
from storage.workspaces import Limits
from ui.forms.form import Field
from ui.forms.values import read_count
from ui.kit.feedback import fold
from ui.kit.parts import ENVIRONMENTS, button, words
from ui.kit.text import _
from ui.kit.times import when
from ui.page_session import PageSession
from ui.page_shell import not_twice, times_of
from ui.parts.key_limits import shared_limits
from ui.parts.key_parts import MadeKey

#: Label on screen -> environment.
WORDS: dict[str, Environment] = {
    ENVIRONMENTS["live"][0]: Environment.LIVE,
    ENVIRONMENTS["test"][0]: Environment.TEST,
    ENVIRONMENTS["dev"][0]: Environment.DEV,
}
ALL, SOME = "all", "some"
NEVER, ON_A_DAY = "never", "day"
#: Choice -> (label, days from now).
ENDS: dict[str, tuple[str, int]] = {
    NEVER: (_("Never"), 0),
    "30": (_("In 30 days"), 30),
    "90": (_("In 90 days"), 90),
    "365": (_("In a year"), 365),
    ON_A_DAY: (_("On a day"), 0),
}
Told = Callable[[MadeKey], Awaitable[None] | None]


class KeyForm:
    """Creates a key, or changes `key`.

    `flows` are the flows to choose from (id -> title), `flow_ids` those chosen at first. `limits`: those of the
    workspace.
    """

    def __init__(
        self,
        page_session: PageSession,
        on_made: Told,
        on_cancel: Callable[[], None],
        *,
        flows: Mapping[str, str],
        limits: Limits,
        flow_ids: Sequence[str] | None = None,
        label: str = "",
        key: KeyRow | None = None,
    ) -> None:
        self.page_session = page_session
        self.on_made = on_made
        self.send = not_twice(self._send)
        self.key = key
        self.flows = flows
        self.limits = limits
        self.times = times_of(page_session)
        if key is not None:
            label = key.label
            flow_ids = None if key.flow_ids is None else sorted(key.flow_ids)
        with ui.element("div").classes("fp-form fp-key-form"):
            self._draw_who(label)
            self._draw_flows(flow_ids)
            self.may_send = words("", "fp-hint fp-may-send", tag="p")
            self._say_how_often()
            more = key is not None and (key.expires_at, key.concurrency, key.monthly) != (None, None, None)
            with fold(_("Expiry and own limits"), open_at_first=more), ui.element("div").classes("fp-form"):
                self._draw_end()
                self._draw_limits()
            self._opened = self._read()
            with ui.element("div").classes("fp-row"):
                button(_("Save") if key else _("Create a key"), self.send, icon=None if key else "key", kind="main")
                button(_("Cancel"), on_cancel, kind="quiet")

    def _draw_who(self, label: str) -> None:
        self.label = Field(_("Label"), help_text=_("Which program uses it, like Web shop."))
        with self.label.place:
            box = ui.input(value=label).props("outlined dense autofocus maxlength=100 autocomplete=off")
            self.label_box = self.label.control(box)
            self.label_box.on("keydown.enter", self.send)
        if self.key is not None:
            return
        kind = Field(
            _("Environment"),
            help_text=_(
                "Production is for programs in daily use, Staging and Development are for trying: they have limits of their own "
                "and cannot see the jobs of Production."
            ),
        )
        with kind.place:
            choice = ui.select(list(WORDS), value=next(iter(WORDS))).props("outlined dense options-dense")
            self.environment = kind.control(choice)
        choice.on_value_change(self._say_how_often)

    def _say_how_often(self) -> None:
        """Says how often a key of the chosen environment may call."""
        environment = self.key.environment if self.key is not None else str(WORDS[str(self.environment.value)])
        self.may_send.text = shared_limits(self.limits, [environment], self.times.reader)

    def _draw_flows(self, flow_ids: Sequence[str] | None) -> None:
        field = Field(_("May call"), help_text=_("A key for one program needs the flows of that program only."))
        # the only flow that is left is chosen by itself, unless the key is for others that were deleted
        self._one = list(self.flows) if len(self.flows) == 1 and not set(flow_ids or ()) - set(self.flows) else None
        one = self._one is not None
        choices = {ALL: _("All flows"), SOME: _("Only this flow") if one else _("Only these flows")}
        with field.place:
            self.which = field.control(
                ui.select(choices, value=ALL if flow_ids is None else SOME).props("outlined dense options-dense")
            )
        self.chosen = Field(_("Flows"))
        with self.chosen.place:
            known = [flow_id for flow_id in flow_ids or () if flow_id in self.flows]
            box = ui.select(dict(self.flows), value=known, multiple=True)
            self.chosen_box = self.chosen.control(box.props("outlined dense options-dense use-chips"))
        self.chosen.visible = flow_ids is not None and not one
        self.which.on_value_change(lambda event: self.chosen.set_visibility(event.value == SOME and not one))

    def _draw_end(self) -> None:
        at = self.key.expires_at if self.key is not None else None
        field = Field(_("Ends"), help_text=_("From then on calls with it are refused."))
        with field.place:
            choice = ui.select(
                {name: word for name, (word, _days) in ENDS.items()}, value=NEVER if at is None else ON_A_DAY
            )
            self.ends = field.control(choice.props("outlined dense options-dense"))
        zone = str(self.times.reader.zone)
        self.day = Field(
            _("Last day"), help_text=_("The key works all of this day, until midnight in {zone}.").format(zone=zone)
        )
        with self.day.place:
            shown = "" if at is None else f"{when(at).astimezone(self.times.reader.zone):%Y-%m-%d}"
            self.day_box = self.day.control(ui.input(value=shown).props("outlined dense type=date"))
        self.day.visible = at is not None
        self.ends.on_value_change(lambda event: self.day.set_visibility(event.value == ON_A_DAY))

    def _draw_limits(self) -> None:
        hint = _("Empty: only its environment's limit counts. A key can have less than its environment, never more.")
        self.concurrency = Field(_("Jobs at once"), _("own limit"), hint)
        with self.concurrency.place:
            self.concurrency_box = self.concurrency.control(_number_box(self.key.concurrency if self.key else None))
        self.monthly = Field(_("Requests a month"), _("own limit"), hint)
        with self.monthly.place:
            self.monthly_box = self.monthly.control(_number_box(self.key.monthly if self.key else None))

    async def _send(self) -> None:
        """Validates what only this form knows; the action validates the rest."""
        fields = {
            "/label": self.label,
            "/expires_at": self.day,
            "/concurrency": self.concurrency,
            "/monthly": self.monthly,
            "/flow_ids": self.chosen,
        }
        for field in fields.values():
            field.error("")
        wrong, _concurrency = _limit(self.concurrency_box.value)
        self.concurrency.error(wrong)
        also_wrong, _monthly = _limit(self.monthly_box.value)
        self.monthly.error(also_wrong)
        properties = self._properties()
        if properties.flow_ids == []:
            self.chosen.error(_("Choose at least one flow, or all flows."))
        no_day = self.ends.value == ON_A_DAY and not self.day_box.value
        if no_day:
            self.day.error(_("Choose the last day on which the key works."))
        if wrong or also_wrong or no_day or properties.flow_ids == []:
            return
        try:
            made = await self._store(properties)
        except Refusal as refusal:
            for error in refusal.errors:
                fields.get(error.pointer, self.label).error(error.detail)
            if not refusal.errors:
                self.label.error(f"{refusal.detail or refusal.title}. {refusal.remedy}")
            self.label.focus()
            return
        told = self.on_made(made)
        if told is not None:
            await told

    async def _store(self, properties: KeyProperties) -> MadeKey:
        if self.key is not None:
            await self.page_session.execute(change_key, self.key.id, self.key.properties, properties)
            environment = Environment(self.key.environment)
            return MadeKey(
                properties.label, environment, NewKey(KeyId(self.key.id), "", self.key.prefix, self.key.last4)
            )
        environment = WORDS[str(self.environment.value)]
        new = await self.page_session.execute(create_key, environment=environment, **asdict(properties))
        return MadeKey(properties.label, environment, new)

    def _properties(self) -> KeyProperties:
        """Returns what the form says. What was not touched since it was opened is the key's own, which the form may show
        less exactly: a moment as its day, and no flows that were deleted.
        """
        read = self._read()
        if self.key is None:
            return read
        own = asdict(self.key.properties)
        untouched = {name: own[name] for name, value in asdict(self._opened).items() if getattr(read, name) == value}
        return replace(read, **untouched)

    def _read(self) -> KeyProperties:
        return KeyProperties(
            label=(self.label_box.value or "").strip(),
            flow_ids=self._flow_ids(),
            expires_at=self._expires_at(),
            concurrency=_limit(self.concurrency_box.value)[1],
            monthly=_limit(self.monthly_box.value)[1],
        )

    def _flow_ids(self) -> list[str] | None:
        if self.which.value == ALL:
            return None
        return sorted(self._one or self.chosen_box.value or ())

    def _expires_at(self) -> int | None:
        now = self.times.clock.now()
        chosen = str(self.ends.value)
        if chosen == ON_A_DAY:
            return end_of_day(str(self.day_box.value or ""), self.times.reader.zone)
        days = ENDS[chosen][1]
        return now + days * DAY if days else None


def end_of_day(text: str, zone: tzinfo) -> int | None:
    """The last millisecond of a day like `2026-12-31` in the reader's time zone; None when the text is not a date."""
    try:
        day = datetime.fromisoformat(text).date()
        after = datetime.combine(day + timedelta(days=1), time(), zone)
        return int(after.timestamp() * 1000) - 1
    except (ValueError, OverflowError):
        return None


def _number_box(value: int | None) -> ui.input:
    return ui.input(value="" if value is None else str(value)).props(
        "outlined dense inputmode=numeric autocomplete=off"
    )


def _limit(text: str | None) -> tuple[str, int | None]:
    """Returns (what is wrong, the limit)."""
    text = (text or "").strip()
    if not text:
        return "", None
    if limit := read_count(text):
        return "", limit
    return _("Write a whole number of 1 or more, or nothing."), None
