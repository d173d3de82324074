"""The tab Refused: calls that did not become jobs, grouped by what was wrong, with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import tzinfo
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct, field
from msgspec.structs import replace
from nicegui import ui
from sqlalchemy.orm import Session

from storage.job_documents import list_flow_titles, list_key_labels
from storage.playground_batches import RefusedRow as RefusedBatchRow
from storage.playground_batches import list_refused_rows
from storage.refusals import (
    KEPT_CALLS,
    RefusalFilters,
    RefusedRow,
    count_refused_calls,
    count_unknown_keys,
    list_refused_calls,
)
from storage.workspaces import is_first_workspace
from ui.jobs.filters import ANY, BUT_PLAYGROUND, REFUSED, environment_words
from ui.jobs.refusal_explained import Explained, Remedy, explain
from ui.kit import feedback
from ui.kit.parts import (
    ENVIRONMENTS,
    Column,
    TableElement,
    badge,
    button,
    card,
    link,
    link_button,
    note,
    sentence,
    table,
    words,
)
from ui.kit.text import Reader, _, number
from ui.page_session import PageSession
from ui.page_shell import every, one_at_a_time, times_of
from ui.parts.accept_field import (
    UnknownField,
    accept_field,
    asked_types,
    draft_fields,
    in_draft,
    take_back,
    unknown_fields_of,
)
from ui.parts.filter_choice import filter_choice
from ui.parts.refusal_words import CODES, refusal_word, what_was_wrong
from ui.parts.time_range import Span, span_choice, span_of

LOOK_SECONDS = 1.0
#: The most rows of batches that are listed.
MAX_ROWS = 50


class RefusedView(Struct, frozen=True):
    """The filters of the tab and the explained call as the URL contains them; empty means no filter."""

    flow: str = ""
    key: str = ""
    code: str = ""
    environment: str = ""
    span: Span = field(default_factory=Span)
    #: The request id of a call whose explanation is open.
    call: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str]) -> RefusedView:
        """Reads the filters from the query of a URL."""
        named = (said.get(name, "") for name in ("flow", "key", "code", "environment"))
        return cls(*named, span=span_of(said), call=said.get("call", ""))

    def filters(self, now: int, zone: tzinfo) -> RefusalFilters:
        """Returns the filters for the database query."""
        since, until = self.span.limits(now, zone)
        environment = self.environment if self.environment in ENVIRONMENTS else None
        return RefusalFilters(self.flow or None, self.key or None, self.code or None, since, until, environment)

    def path(self) -> str:
        """The URL of this view."""
        mine = {
            "tab": "refused",
            "flow": self.flow,
            "key": self.key,
            "code": self.code,
            "environment": self.environment,
        }
        said = {**mine, **self.span.said(), "call": self.call}
        return "/jobs?" + urlencode({name: value for name, value in said.items() if value})


def count_words(count: int, reader: Reader) -> str:
    """Returns how many calls were refused. There were more when as many are found as are kept."""
    said = number(count, reader)
    return _("{count} or more").format(count=said) if count >= KEPT_CALLS else said


class Refused(Struct, frozen=True):
    """A group of equal refusals: the newest, the request ids of all, and the fields that the flow could get."""

    newest: RefusedRow
    first_at: int
    request_ids: frozenset[str]
    times: int
    fields: tuple[UnknownField, ...]


class SeenRefusals(Struct, frozen=True):
    """The data of the tab. `known` are the fields of the drafts to which unknown fields could be added, `types` the
    fields that callers of the live versions send. `count`: refused calls for any reason.
    """

    refused: tuple[Refused, ...]
    titles: Mapping[str, str]
    keys: Mapping[str, str]
    known: Mapping[str, frozenset[str]]
    types: Mapping[str, Mapping[str, str]]
    count: int
    #: Calls of the same period with a key that was never created here. They belong to no workspace and are only
    #: counted.
    unknown_keys: int = 0
    #: Rows of batches in the Playground, which are no calls.
    rows: tuple[RefusedBatchRow, ...] = ()


def load_refused(session: Session, workspace_id: str, filters: RefusalFilters = RefusalFilters()) -> SeenRefusals:
    """Reads the last refused calls of a workspace, grouped, the newest group first."""
    groups: dict[tuple[object, ...], list[RefusedRow]] = {}
    for call in list_refused_calls(session, workspace_id, filters, limit=KEPT_CALLS):
        same = (call.status, call.code, call.flow_id, call.key_id, what_was_wrong(call))
        groups.setdefault(same, []).append(call)
    refused = tuple(
        Refused(
            calls[0],
            calls[-1].at,
            frozenset(call.request_id for call in calls),
            len(calls),
            unknown_fields_of(calls[0]),
        )
        for calls in groups.values()
    )
    flow_ids = {field.flow_id for one in refused for field in one.fields}
    return SeenRefusals(
        refused,
        list_flow_titles(session, workspace_id),
        list_key_labels(session, workspace_id),
        draft_fields(session, workspace_id, flow_ids),
        asked_types(session, workspace_id, {one.newest.flow_id for one in refused if one.newest.fields}),
        count_refused_calls(session, workspace_id, replace(filters, code=None)),
        count_unknown_keys(session, filters) if is_first_workspace(session, workspace_id) else 0,
        _rows_of_batches(session, workspace_id, filters),
    )


def _rows_of_batches(session: Session, workspace_id: str, filters: RefusalFilters) -> tuple[RefusedBatchRow, ...]:
    """Returns rows of batches in the Playground, unless the filters ask for calls: those have a key and a reason."""
    if filters.key_id or filters.code or filters.environment not in {None, "playground"}:
        return ()
    found = list_refused_rows(session, workspace_id, filters.flow_id, filters.since, filters.until, MAX_ROWS)
    return tuple(found)


class RefusedCalls:
    """The content of the tab; `counted` is told how many calls were refused whenever that changes."""

    def __init__(
        self,
        page_session: PageSession,
        view: RefusedView,
        tabs: ui.tabs,
        seen: SeenRefusals,
        counted: Callable[[int], None],
    ) -> None:
        self.page_session = page_session
        self.view = view
        self.tabs = tabs
        self.times = times_of(page_session)
        self.accepted: set[UnknownField] = set()
        self.seen = seen
        self.counted = counted
        self.filters = ui.element("div").classes("fp-filters")
        self._draw_filters()
        words(
            _(
                "Refused calls did not run: they cost nothing and do not count. What they sent is not kept. The newest "
                "{most} are listed, as far back as values are kept; Monitoring counts all. A job in which a person refused "
                "something stands under All jobs."
            ).format(most=number(KEPT_CALLS, self.times.reader)),
            "fp-s13 fp-t2 fp-before",
            tag="p",
        )
        self.body = ui.element("div").classes("fp-col")
        self._draw()
        every(LOOK_SECONDS, self.look)

    def _draw_filters(self) -> None:
        seen, view = self.seen, self.view
        self.filters.clear()
        with self.filters:
            self._select(_("Flow"), {ANY: _("All flows"), **_by_word(seen.titles)}, view.flow, "flow")
            self._select(_("Key"), {ANY: _("All keys"), **_by_word(seen.keys)}, view.key, "key")
            self._select(_("Environment"), environment_words(), view.environment, "environment")
            reasons = {ANY: _("Every reason"), **{code: refusal_word(code) for code in CODES}}
            self._select(_("Reason"), reasons, view.code, "code")
            span_choice(view.span, self._span)

    async def take(self, flow: str, key: str, environment: str, span: Span) -> None:
        """Takes over the filters that the list of jobs has, when this tab is opened."""
        mine = self.view
        if (flow, key, environment, span) != (mine.flow, mine.key, mine.environment, mine.span):
            self.view = replace(mine, flow=flow, key=key, environment=environment, span=span)
            self._draw_filters()
        await self.look()

    def _select(self, label: str, options: dict[str, str], value: str, name: str) -> None:
        filter_choice(label, options, value, lambda chosen: self._narrow(**{name: chosen}))

    async def _span(self, span: Span) -> None:
        await self._narrow(span=span)

    async def _narrow(self, **changes: Any) -> None:
        self.view = replace(self.view, call="", **changes)
        ui.navigate.history.replace(self.view.path())
        await self.look()

    @one_at_a_time
    async def look(self) -> None:
        """Reads the calls again while the tab is open."""
        if self.tabs.value != "refused":
            return
        filters = self.view.filters(self.times.clock.now(), self.times.reader.zone)
        fresh = await self.page_session.query_again(load_refused, filters)
        if fresh != self.seen:
            self.seen = fresh
            self.counted(fresh.count)
            self._draw()

    def _draw(self) -> None:
        self.body.clear()
        with self.body:
            self._draw_unknown_keys()
            self._draw_rows_of_batches(rows := self.seen.rows if self.view.environment != BUT_PLAYGROUND else ())
            if not self.seen.refused:
                if not rows:
                    self._draw_empty()
                return
            columns = [
                Column(_("Answer"), width="92px"),
                Column(_("What was wrong")),
                Column(_("Flow")),
                Column(_("Times"), right=True),
                Column(_("Key")),
                Column(_("Last")),
                Column(_("What to do"), hidden=True, right=True),
            ]
            with ui.element("section").classes("fp-card"):
                rows = table(columns, label=_("Refused calls"), stacks=True)
                for one in self.seen.refused:
                    self._row(rows, one)
            chosen = self._chosen()
            if chosen is not None:
                explain(self._explained(chosen), self.times)

    def _draw_unknown_keys(self) -> None:
        """Draws, for owners of the server, the number of calls to it with unknown keys.

        Somebody may be guessing keys, or a program has the key of another server.
        """
        count = self.seen.unknown_keys
        if not count or not self.page_session.may("change the server"):
            return
        said = _("call had") if count == 1 else _("calls had")
        note(
            _("no key, or one that was never made here, and got 401. They are only counted."),
            strong=f"{number(count, self.times.reader)} {said}",
        )

    def _draw_rows_of_batches(self, refused: Sequence[RefusedBatchRow]) -> None:
        if not refused:
            return
        columns = [Column(_("Batch")), Column(_("Row"), right=True), Column(_("What was wrong")), Column(_("Begun"))]
        with card(_("Rows of batches in the Playground"), padded=False):
            rows = table([*columns, Column(_("File"), hidden=True, right=True)], label=_("Refused rows"), stacks=True)
            for one in refused:
                with rows.row():
                    with rows.cell():
                        link(self.seen.titles.get(one.flow_id) or "–", f"/playground/{one.flow_id}", "fp-b")
                    rows.cell(number(one.row, self.times.reader))
                    with rows.cell("", "fp-wrap-text"):
                        sentence(one.text, tag="div")
                    rows.cell(self.times.moment(one.at), "fp-t2")
                    with rows.cell():
                        path = f"/playground/batches/{one.batch_id}/results.xlsx"
                        link_button(_("Export Excel"), path, icon="download", small=True).props("download")

    def _draw_empty(self) -> None:
        if replace(self.view, call="") != RefusedView():
            with feedback.empty(
                "filter_alt_off", _("No refused call fits these filters"), _("Take one away to see more.")
            ):
                link_button(_("Show all refused calls"), "/jobs?tab=refused")
            return
        with (
            ui.element("section").classes("fp-card"),
            feedback.empty(
                "verified",
                _("Nothing was refused"),
                _(
                    "A call that was turned away before it ran shows up here: it sent something wrong, had no valid key "
                    "or was above a limit. What a person refused stands under All jobs, with the status “Refused by a "
                    "person”."
                ),
            ),
        ):
            link_button(_("Show what a person refused"), f"/jobs?status={REFUSED}")

    def _row(self, rows: TableElement, one: Refused) -> None:
        call = one.newest
        with rows.row(on_open=lambda: self._choose(one)) as row:
            row.classes("fp-on" if one is self._chosen() else "")
            with rows.cell():
                badge(str(call.status), kind="bad", icon="block")
            rows.cell(what_was_wrong(call), "fp-b fp-wrap-text")
            rows.cell(self.seen.titles.get(call.flow_id) or "–")
            rows.cell(number(one.times, self.times.reader), "fp-b")
            rows.cell(self.seen.keys.get(call.key_id) or call.key_prefix or _("unknown"), "fp-t2")
            rows.cell(self.times.moment(call.at), "fp-t2")
            with (
                rows.cell().on("click.stop", js_handler="() => {}"),
                ui.element("span").classes("fp-row fp-right"),
            ):
                self._accepting(one)
                show = button(_("Explain"), lambda: self._choose(one), small=True)
                show.props["aria-label"] = _("Explain: {what_was_wrong}").format(what_was_wrong=what_was_wrong(call))

    def _accepting(self, one: Refused) -> None:
        """Draws the button of a row, or a text when the draft already has the fields.

        A call with several unknown fields is accepted in its explanation, field by field.
        """
        if not one.fields:
            return
        there = [in_draft(field, self.seen.known) for field in one.fields]
        if all(there):
            badge(_("In the draft"), kind="warn", icon="edit")
        elif there == [False] and self.page_session.may("edit flows"):
            accept = button(_("Accept this field"), lambda: self._accept(one, one.fields[0]), icon="add", small=True)
            accept.props["aria-label"] = _("Accept this field: {name}").format(name=one.fields[0].name)

    def _explained(self, one: Refused) -> Explained:
        return Explained(
            call=one.newest,
            first_at=one.first_at,
            times=one.times,
            key=self.seen.keys.get(one.newest.key_id, ""),
            flow=self.seen.titles.get(one.newest.flow_id, ""),
            types=self.seen.types.get(one.newest.flow_id, {}),
            remedies={field: self._remedy(one, field) for field in one.fields},
            close=lambda: self._choose(None),
        )

    def _remedy(self, one: Refused, field: UnknownField) -> Remedy:
        there = in_draft(field, self.seen.known)
        return Remedy(
            in_draft=there,
            accept=(lambda: self._accept(one, field))
            if there is False and self.page_session.may("edit flows")
            else None,
            undo=(lambda: self._take_back(field)) if there and field in self.accepted else None,
        )

    def _chosen(self) -> Refused | None:
        """The explained group: the one with the call that the address names."""
        return next((one for one in self.seen.refused if self.view.call in one.request_ids), None)

    def _choose(self, one: Refused | None) -> None:
        self._name_in_address(one)
        self._draw()

    def _name_in_address(self, one: Refused | None) -> None:
        self.view = replace(self.view, call=one.newest.request_id if one is not None else "")
        ui.navigate.history.replace(self.view.path())

    async def _accept(self, one: Refused, field: UnknownField) -> None:
        self._name_in_address(one)
        if await accept_field(self.page_session, field):
            self.accepted.add(field)
            await self.look()
            self._draw()

    async def _take_back(self, field: UnknownField) -> None:
        if await take_back(self.page_session, field):
            self.accepted.discard(field)
            await self.look()
            self._draw()


def _by_word(options: Mapping[str, str]) -> dict[str, str]:
    return dict(sorted(options.items(), key=lambda one: one[1].casefold()))
