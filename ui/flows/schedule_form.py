"""The form of a schedule: when it starts, in words or as a cron expression, and with which input."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from nicegui import ui

from engine.actions.schedules import MAX_TITLE, add_schedule, change_schedule
from engine.core.environments import Environment
from engine.core.errors import Invalid, PayloadInvalid, Refusal
from engine.core.json_text import json_text
from engine.flow.contract import input_fields, made_up_names, payload_schema, samples_of
from engine.flow.dataset_payloads import match_columns
from engine.flow.document import Document
from engine.flow.times_asked import TimesAsked
from engine.flow.validation import without_parked
from engine.jobs.submit.batches import MAX_ITEMS
from engine.outbound.practice_site import PRACTICE_HOST
from engine.triggers.timing import DAYS, HOURS, LAST_DAY, MINUTES, MONTH_DAYS, cron_of, in_words, next_slots, zone_names
from engine.triggers.zones import find_zones, zone_choices
from storage.datasets import DatasetLine
from storage.schedules import TRIGGER, ScheduleRow
from ui.flows.try_it import roomy
from ui.forms.form import Field, Form
from ui.forms.specs import FieldSpec, specs_of_schema, tell_made_up
from ui.forms.values import error_words
from ui.kit import feedback
from ui.kit.parts import button, link, note, sentence, words
from ui.kit.text import Reader, _, number, plural, type_word
from ui.page_session import PageSession
from ui.page_shell import not_twice, times_of
from ui.parts.kept_files import file_keeper
from ui.parts.start_words import slot_words
from ui.parts.written_rows import tables_of

#: How many of the next starts are shown.
NEXT = 5
#: The longest description, in characters, that stands in place of the name of a field.
_SHORT = 60
INPUT = ""
#: Browser handler: tells the typed text, unless the arrow keys have chosen an option, which the list then takes itself.
_TYPED = """(event) => {
  const chosen = event.target.getAttribute?.("aria-activedescendant") || "-1";
  if (chosen.endsWith("-1")) emit(event.target.value ?? "");
}"""
_WEEKDAYS = [1, 2, 3, 4, 5]
_UTC = frozenset({"UTC", "Etc/UTC"})
_OFTEN = {
    "weekdays": _("Every weekday (Monday to Friday)"),
    "daily": _("Every day"),
    "weekly": _("On chosen days of the week"),
    "monthly": _("Once a month"),
    "hours": _("Every few hours"),
    "minutes": _("Every few minutes"),
}


class ScheduleForm:
    """Draws the form in the current slot. `on_done` is called after it was saved or left. `asked`: the times that the
    maker of the flow wished for, with which a new schedule begins.
    """

    def __init__(
        self,
        page_session: PageSession,
        flow_id: str,
        document: Document,
        payload: Mapping[str, Any],
        datasets: Sequence[DatasetLine],
        *,
        schedule: ScheduleRow | None,
        asked: TimesAsked | None,
        on_done: Callable[[], Awaitable[None]],
    ) -> None:
        self.page_session = page_session
        self.flow_id = flow_id
        self.document = document
        self.fields = input_fields(document)
        self.datasets = {one.id: one for one in datasets}
        self.schedule = schedule
        self.on_done = on_done
        reader = times_of(page_session).reader
        self.reader: Reader = reader
        self.zone = schedule.time_zone if schedule else _zone_of(reader)
        self.asked = asked if schedule is None else None
        first = self.asked.timing if self.asked else {"kind": "weekly", "days": [1], "time": "09:00"}
        self.timing = _parts_of(schedule.timing if schedule else first)
        source = schedule.source if schedule else {"kind": "input", "payload": dict(payload)}
        self.dataset_id = source["dataset_id"] if source["kind"] == "dataset" else INPUT
        self.mapping: dict[str, str] = dict(source.get("mapping") or {})
        self.payload = dict(source.get("payload") or payload)
        self.form: Form | None = None
        self._draw()

    def _draw(self) -> None:
        with ui.element("div").classes("fp-form fp-trigger-form"):
            title = Field(_("Name"), _("optional"), _("Shown in the list of jobs. Without one the time is the name."))
            with title.place:
                named = ui.input(value=self.schedule.title if self.schedule else "")
                self.title = title.control(named.props(f"outlined dense maxlength={MAX_TITLE} autocomplete=off"))
            words(_("When"), "fp-b", tag="h3")
            if self.asked is not None and not self.asked.exact:
                note(
                    _(
                        "was asked for. A schedule cannot start like that; this is the nearest. Change it as you need it."
                    ),
                    icon="info",
                    strong=f"“{self.asked.said}”",
                )
            self.when = ui.element("div").classes("fp-form")
            zone = Field(
                _("Time zone"), help_text=_("When clocks change there, it still starts at the time you chose.")
            )
            with zone.place:
                self.zone_choices = zone_choices(_zone_of(self.reader))
                self.zones = ui.select(self.zone_choices, value=self.zone, with_input=True)
                self.zone_field = zone
                self._connect_zones(zone.control(self.zones.props("outlined dense options-dense").classes("w-full")))
            self.in_utc = note(
                _("Is that not your time? Choose your city above."), icon="info", strong=_("Times are in UTC.")
            )
            switch = ui.switch(_("Write a cron expression instead"), value=self.timing["kind"] == "cron")
            switch.props("dense").on_value_change(lambda event: self._by_cron(bool(event.value)))
            self.next = ui.element("div").props("role=status")
            self._draw_when()
            words(_("With which input"), "fp-b", tag="h3")
            self.source_place = ui.element("div").classes("fp-form")
            self._draw_source()
            results_note(self.document, list(self.datasets.values()), self.schedule.id if self.schedule else "")
            self.wrong = ui.element("div").props("role=alert")
            with ui.element("div").classes("fp-row fp-wrap-row"):
                button(_("Save the schedule"), not_twice(self._save), kind="main", icon="check")
                button(_("Cancel"), self.on_done, kind="quiet")

    # When it starts.

    def _draw_when(self) -> None:
        self.when.clear()
        with self.when:
            if self.timing["kind"] == "cron":
                self._draw_cron()
            else:
                self._draw_often()
        self._tell_next()

    def _draw_cron(self) -> None:
        field = Field(
            _("Cron expression"),
            help_text=_(
                "Five fields: minute, hour, day of the month, month, day of the week. `0 9 * * 1-5` is every weekday at 9:00."
            ),
        )
        with field.place:
            box = ui.input(value=self.timing["expression"]).props("outlined dense maxlength=100 autocomplete=off")
            field.control(box.classes("fp-mono"))
        box.on_value_change(lambda event: self._set(expression=str(event.value or "")))

    def _draw_often(self) -> None:
        kind = self.timing["kind"]
        self._choice(_("How often"), _OFTEN, kind, self._set_kind)
        if kind == "weekly":
            days = Field(_("Days"), group=True)
            with days.place, ui.element("div").classes("fp-row fp-wrap-row"):
                for number_, name in enumerate(DAYS, 1):
                    box = ui.checkbox(_(name), value=number_ in self.timing["days"]).props("dense")
                    box.on_value_change(lambda event, day=number_: self._toggle(day, on=bool(event.value)))
        if kind == "monthly":
            options = {day: f"{day}." for day in MONTH_DAYS} | {LAST_DAY: _("The last day")}
            self._choice(_("Day of the month"), options, self.timing["day"], lambda day: self._set(day=day))
        if kind == "hours":
            options = {hours: plural(hours, _("hour"), _("hours"), self.reader) for hours in HOURS}
            self._choice(_("Every"), options, self.timing["hours"], lambda hours: self._set(hours=hours))
            options = {minute: f":{minute:02}" for minute in range(60)}
            self._choice(_("At this minute"), options, self.timing["minute"], lambda minute: self._set(minute=minute))
        elif kind == "minutes":
            options = {minutes: plural(minutes, _("minute"), _("minutes"), self.reader) for minutes in MINUTES}
            self._choice(_("Every"), options, self.timing["minutes"], lambda minutes: self._set(minutes=minutes))
        else:
            time = Field(_("At"))
            with time.place:
                box = ui.input(value=self.timing["time"]).props("type=time outlined dense").classes("fp-short")
                time.control(box)
            box.on_value_change(lambda event: self._set(time=str(event.value or "")[:5]))

    def _choice(self, label: str, options: Mapping[Any, str], value: Any, on_change: Callable[[Any], None]) -> None:
        field = Field(label)
        with field.place:
            box = ui.select(dict(options), value=value if value in options else next(iter(options)))
            field.control(box.props("outlined dense options-dense").classes("w-full"))
        box.on_value_change(lambda event: on_change(event.value))

    def _set_kind(self, kind: str) -> None:
        self.timing["kind"] = kind
        self._draw_when()

    def _by_cron(self, wanted: bool) -> None:  # noqa: FBT001 - what the switch says
        if wanted:
            with contextlib.suppress(Invalid):
                self.timing["expression"] = cron_of(self._timing())
        self._set_kind("cron" if wanted else "weekly")

    def _set(self, **parts: Any) -> None:
        self.timing |= parts
        self._tell_next()

    def _toggle(self, day: int, *, on: bool) -> None:
        days = {*self.timing["days"], day} if on else {*self.timing["days"]} - {day}
        self._set(days=sorted(days))

    def _connect_zones(self, box: ui.select) -> None:
        with box.add_slot("no-option"), ui.item():
            words(_("No time zone has this name. Try a country or a large city."), "fp-t2")
        box.on_value_change(lambda event: self._set_zone(event.value))
        box.on("keydown.enter", lambda event: self._take_zone(event.args, only=False), js_handler=_TYPED)
        box.on("keydown.tab", lambda event: self._take_zone(event.args, only=True), js_handler=_TYPED)
        box.on("blur", lambda event: self._take_zone(event.args, only=True), js_handler=_TYPED)

    def _set_zone(self, zone: str | None) -> None:
        if zone:
            self.zone = zone
            self.zone_field.error("")
            self._tell_next()

    def _take_zone(self, typed: object, *, only: bool) -> None:
        """Chooses the zone that the typed text names. `only`: where it names several, none of them."""
        text, choices = str(typed or "").strip(), self.zone_choices
        if not text or text == choices.get(self.zone):
            return
        found = find_zones(text, choices)
        if len(found) == 1 or (found and not only):
            self.zones.value = found[0]
            self.zones.run_method("updateInputValue", choices[found[0]], True)
            self.zones.run_method("hidePopup")
            return
        said = _("several time zones fit “{text}”.") if found else _("no time zone is called “{text}”.")
        stays = _("It stays at {zone}:").format(zone=self.zone)
        self.zone_field.error(
            _("{stays} {said} Choose one from the list.").format(stays=stays, said=said.format(text=text[:60]))
        )

    def _timing(self) -> dict[str, Any]:
        parts = self.timing
        match parts["kind"]:
            case "weekdays":
                return {"kind": "weekly", "days": _WEEKDAYS, "time": parts["time"]}
            case "daily":
                return {"kind": "weekly", "days": list(range(1, 8)), "time": parts["time"]}
            case "weekly":
                return {"kind": "weekly", "days": parts["days"], "time": parts["time"]}
            case "monthly":
                return {"kind": "monthly", "day": parts["day"], "time": parts["time"]}
            case "hours":
                return {"kind": "hours", "every": parts["hours"], "minute": parts["minute"]}
            case "minutes":
                return {"kind": "minutes", "every": parts["minutes"]}
        return {"kind": "cron", "expression": parts["expression"]}

    def _tell_next(self) -> None:
        """Says in words when it starts, and the next times."""
        self.next.clear()
        self.in_utc.visible = self.zone in _UTC
        timing, at = self._timing(), self.page_session.app.database.clock.now()
        with self.next:
            try:
                said = in_words(timing, self.zone)
                slots = next_slots(timing, self.zone, at, NEXT)
            except Invalid as refusal:
                note(refusal.remedy, kind="bad", icon="error")
                return
            with ui.element("div").classes("fp-next"):
                words(said, "fp-b", tag="div")
                words(_("The next starts:"), "fp-t2 fp-s13", tag="div")
                with ui.element("ol"):
                    for slot in slots:
                        words(slot_words(slot, self.zone), "fp-num", tag="li")

    # What it starts with.

    def _draw_source(self) -> None:
        self.source_place.clear()
        self.form = None
        with self.source_place:
            choices = {INPUT: _("The input below, the same each time")} | {
                one.id: _("Each row of the dataset {name} ({rows})").format(
                    name=one.name, rows=plural(one.rows, _("row"), _("rows"), self.reader)
                )
                for one in self.datasets.values()
            }
            if self.dataset_id not in choices:
                self.dataset_id = INPUT
            if self.datasets and self.fields:
                self._choice(_("It starts with"), choices, self.dataset_id, self._set_dataset)
            dataset = self.datasets.get(self.dataset_id)
            if dataset is not None:
                self._draw_mapping(dataset)
            elif not self.fields:
                words(_("This flow takes no input."), "fp-t2", tag="p")
            else:
                self._draw_input()

    def _draw_input(self) -> None:
        samples = {index: str(one.get("title") or index + 1) for index, one in enumerate(samples_of(self.document))}
        if samples:
            self._choice(_("Fill in a saved sample"), {-1: _("Choose one")} | samples, -1, self._take_sample)
        specs = tuple(_in_words(one) for one in specs_of_schema(payload_schema(self.fields)))
        specs = tell_made_up(specs, made_up_names(self.document, self.payload))
        self.form = Form(
            roomy(specs, self.payload),
            self.payload,
            lambda *_given: self._tell_practice(),
            types=True,
            keep_file=file_keeper(self.page_session, Environment.LIVE),
        )
        self.practice = note(
            _("It shows how the flow works and never changes. Put the address of your own page in its place."),
            kind="warn",
            icon="warning",
            strong=_("This is a practice page."),
        )
        self._tell_practice()

    def _tell_practice(self) -> None:
        """Warns of a start that reads a page of the practice site."""
        self.practice.visible = self.form is not None and f"//{PRACTICE_HOST}/" in json_text(self.form.value)

    def _take_sample(self, index: int) -> None:
        samples = samples_of(self.document)
        if 0 <= index < len(samples):
            self.payload = dict(samples[index].get("payload") or {})
            self._draw_source()

    def _set_dataset(self, dataset_id: str) -> None:
        self.dataset_id = dataset_id
        dataset = self.datasets.get(dataset_id)
        self.mapping = match_columns(self.fields, dataset.column_names) if dataset else {}
        self._draw_source()

    def _draw_mapping(self, dataset: DatasetLine) -> None:
        words(
            _("Each start runs the flow once for each row, at most {most} rows.").format(
                most=number(MAX_ITEMS, self.reader)
            ),
            "fp-hint",
            tag="p",
        )
        columns = {"": _("not sent")} | {name: name for name in dataset.column_names}
        for one in self.fields:
            name = str(one.get("name"))
            need = f", {_('required')}" if one.get("required") else ""
            field = Field(field_words(name, one.get("description")), f"{type_word(one)}{need}")
            with field.place:
                box = ui.select(
                    columns, value=self.mapping.get(name, "") if self.mapping.get(name, "") in columns else ""
                )
                field.control(box.props("outlined dense options-dense").classes("w-full"))
            box.on_value_change(lambda event, name=name: self.mapping.__setitem__(name, event.value or ""))

    # Saving.

    async def _save(self) -> None:
        self.wrong.clear()
        if self.form is not None and (wrong := self.form.problems()):
            self.form.focus(next(iter(wrong)))
            return
        source: dict[str, Any]
        if self.dataset_id:
            mapping = {name: column for name, column in self.mapping.items() if column}
            source = {"kind": "dataset", "dataset_id": self.dataset_id, "mapping": mapping}
        else:
            source = {"kind": "input", "payload": self.form.value if self.form is not None else {}}
        given = (self.title.value or "", self._timing(), self.zone, source)
        try:
            if self.schedule is None:
                await self.page_session.execute(add_schedule, self.flow_id, *given)
            else:
                await self.page_session.execute(change_schedule, self.schedule.id, *given, began=self.schedule)
        except PayloadInvalid as refusal:
            if self.form is None:
                feedback.refused(refusal)
                return
            self.form.show_errors(error_words((one.pointer, one.code, one.detail) for one in refusal.errors))
            return
        except Refusal as refusal:
            with self.wrong:
                feedback.refusal_card(refusal)
            return
        feedback.told(_("The schedule is saved."), _("It starts by itself from now on."))
        await self.on_done()


def results_note(document: Document, datasets: Sequence[DatasetLine], schedule_id: str = "") -> None:
    """Says where the results of a schedule are found, with links to its tables, and to its runs once it is saved."""
    if tables := tables_of(without_parked(document), datasets):
        with ui.element("p").classes("fp-hint"):
            words(_("Each start saves rows in") + " ")
            for at, one in enumerate(tables):
                words(", " if at else "")
                link(one.name, f"/datasets/{one.dataset_id}")
            words(".")
    else:
        sentence(
            _(
                "To keep the results in a table, add the step Save rows to the flow in the Playground and press Update API. "
                "It offers what callers get as the columns, with the date of the start."
            ),
            "fp-hint",
        )
    with ui.element("p").classes("fp-hint"):
        words(
            _("The result of each start is found here, under Last starts, and on the page Jobs. No e-mail is sent.")
            + " "
        )
        if schedule_id:
            link(_("All runs of this schedule"), f"/jobs?trigger={TRIGGER}{schedule_id}")


def _in_words(spec: FieldSpec) -> FieldSpec:
    """Asks for a field by what its author says of it, where that is short."""
    said = field_words(spec.name, spec.help)
    return spec if said == spec.name or spec.title != spec.name else replace(spec, title=said, help="")


def field_words(name: str, description: object) -> str:
    """Returns what a schedule calls a field: its description where that is short, else its name."""
    said = " ".join(str(description or "").split()).removesuffix(".")
    return said if 0 < len(said) <= _SHORT else name


def _zone_of(reader: Reader) -> str:
    name = str(getattr(reader.zone, "key", "UTC"))
    return name if name in zone_names() else "UTC"


def _parts_of(timing: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what the form holds of a timing: a value for each of its boxes."""
    parts: dict[str, Any] = {
        "days": [1], "time": "09:00", "day": 1, "hours": 1, "minutes": 15, "minute": 0, "expression": "0 9 * * 1-5",
    }  # fmt: skip
    kind = timing.get("kind")
    if kind in ("hours", "minutes"):
        return {**parts, "kind": kind, kind: timing["every"], "minute": timing.get("minute", 0)}
    if kind == "weekly":
        days = sorted(timing["days"])
        kind = "daily" if len(days) == len(DAYS) else "weekdays" if days == _WEEKDAYS else "weekly"
    return {**parts, **timing, "kind": kind}
