"""The tab Refused: calls that became no job, put together by what was wrong, with what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nicegui import ui
from sqlalchemy.orm import Session

from storage.job_documents import list_flow_titles, list_key_labels
from storage.refusals import RefusedRow, list_refused_calls
from ui.jobs.refusal_words import what_was_wrong
from ui.look import feedback
from ui.look.parts import Column, Table, badge, icon_button, link_button, table, words
from ui.look.text import _, number
from ui.opened import every, times_of
from ui.visit import Visit

MOST = 1_000
LOOK_SECONDS = 2.0


@dataclass(frozen=True)
class Refused:
    """Equal refusals: the newest of them, and how many there were."""

    newest: RefusedRow
    first_at: int
    times: int


@dataclass(frozen=True)
class SeenRefusals:
    """What the tab shows."""

    refused: tuple[Refused, ...]
    titles: Mapping[str, str]
    keys: Mapping[str, str]


def look_at_refused(session: Session, workspace_id: str) -> SeenRefusals:
    """The last refused calls of a workspace, equal ones together, the newest first."""
    groups: dict[tuple[object, ...], list[RefusedRow]] = {}
    for call in list_refused_calls(session, workspace_id, limit=MOST):
        same = (call.status, call.code, call.flow_id, call.key_id, what_was_wrong(call))
        groups.setdefault(same, []).append(call)
    return SeenRefusals(
        tuple(Refused(calls[0], calls[-1].at, len(calls)) for calls in groups.values()),
        list_flow_titles(session, workspace_id),
        list_key_labels(session, workspace_id),
    )


class RefusedCalls:
    """The tab's content."""

    def __init__(self, here: Visit, tabs: ui.tabs, seen: SeenRefusals) -> None:
        self.here = here
        self.tabs = tabs
        self.times = times_of(here)
        self.chosen: tuple[str, str, str] | None = None
        self.seen = seen
        words(
            _("Refused calls are no jobs: they cost nothing and do not count. Values are never kept."),
            "fp-s13 fp-t2 fp-before",
            tag="p",
        )
        self.body = ui.element("div").classes("fp-col")
        self._draw()
        every(LOOK_SECONDS, self.look)

    async def look(self) -> None:
        """Reads again while the tab is open."""
        if self.tabs.value != "refused":
            return
        fresh = await self.here.see(look_at_refused)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()

    def _draw(self) -> None:
        self.body.clear()
        with self.body:
            if not self.seen.refused:
                with (
                    ui.element("section").classes("fp-card"),
                    feedback.empty(
                        "verified",
                        _("Nothing was refused"),
                        _("A call with a wrong body, key or over a limit shows up here."),
                    ),
                ):
                    pass
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
                rows = table(columns, label=_("Refused calls"))
                for one in self.seen.refused:
                    self._row(rows, one)
            chosen = next((one for one in self.seen.refused if _same(one) == self.chosen), None)
            if chosen is not None:
                self._explain(chosen)

    def _row(self, rows: Table, one: Refused) -> None:
        call = one.newest
        with rows.row():
            with rows.cell():
                badge(str(call.status), kind="bad", icon="block")
            rows.cell(what_was_wrong(call), "fp-b fp-wrap-text")
            rows.cell(self.seen.titles.get(call.flow_id) or "–")
            rows.cell(number(one.times, self.times.reader), "fp-b")
            rows.cell(self.seen.keys.get(call.key_id) or call.key_prefix or _("unknown"), "fp-t2")
            rows.cell(self.times.moment(call.at), "fp-t2")
            with rows.cell():
                show = ui.button(_("Explain"), on_click=lambda: self._choose(one), color=None)
                show.props("outline dense no-caps :ripple=false")
                show.props["aria-label"] = f"{_('Explain')}: {what_was_wrong(call)}"

    def _choose(self, one: Refused | None) -> None:
        self.chosen = _same(one) if one is not None else None
        self._draw()

    def _explain(self, one: Refused) -> None:
        call = one.newest
        key = self.seen.keys.get(call.key_id) or _("unknown")
        often = f"{one.times} {_('times')}" if one.times > 1 else _("once")
        with ui.element("section").classes("fp-card fp-explain"):
            with ui.element("div").classes("fp-row"):
                words(f"{what_was_wrong(call)}, {often}, {_('key')} {key}", tag="h2")
                words("", "fp-sp")
                icon_button("close", _("Close"), lambda: self._choose(None), tip=False)
            happened = (
                f"{_('Calls were refused with')} {call.status} {_('since')} {self.times.moment(one.first_at)}."
                if one.times > 1
                else f"{_('A call was refused with')} {call.status}, {self.times.moment(call.at)}."
            )
            why, todo, action = _reasons(call)
            with ui.element("div").classes("fp-thirds"):
                for heading, text in ((_("What happened"), happened), (_("Why"), why), (_("What to do"), todo)):
                    with ui.element("div"):
                        words(heading, "fp-s12 fp-t3", tag="h3")
                        words(text, "fp-s13", tag="p")
            if call.fields:
                with ui.element("ul").classes("fp-errlist"):
                    for field in call.fields:
                        with ui.element("li"):
                            words(str(field.get("pointer") or "/"), "fp-mono fp-b")
                            words(f" {field.get('detail', '')}")
            with ui.element("div").classes("fp-row"):
                if action is not None:
                    link_button(*action)
                words(f"{_('Request id')} {call.request_id}", "fp-mono fp-s12 fp-t3")


def _same(one: Refused) -> tuple[str, str, str]:
    return (one.newest.code, one.newest.flow_id + one.newest.key_id, what_was_wrong(one.newest))


def _reasons(call: RefusedRow) -> tuple[str, str, tuple[str, str] | None]:
    """Why, what to do, and a place to do it."""
    match call.code:
        case "validation_failed":
            return (
                _(
                    "The body must have the fields of the API Input, and no others: an unknown field is often a typing mistake."
                ),
                _("Tell the caller, or change the API Input's fields and update the API."),
                (_("Open in Playground"), f"/playground/{call.flow_id}") if call.flow_id else None,
            )
        case "unauthorized":
            return (
                _("The key is unknown, revoked or has expired."),
                _("Check which key the caller sends; create a new one when it is lost."),
                (_("API Keys"), "/settings/keys"),
            )
        case "concurrency_limit_exceeded" | "monthly_quota_exceeded":
            return (
                _("The plan, or a limit of this key, was used up at that moment."),
                _("The caller may try again after the time the answer names. Or raise the limit."),
                (_("Limits and plan"), "/settings/limits"),
            )
        case "flow_not_deployed":
            return (
                _("The flow's API was switched off."),
                _("Deploy it again, or tell the caller to stop."),
                (_("Open the flow"), f"/flows/{call.flow_id}"),
            )
        case _other:
            return _("The answer told the caller the reason."), _("Ask the caller for the answer they got."), None
