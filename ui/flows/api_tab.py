"""The API tab of a flow's page: endpoint, code samples, keys, Try it now and the first calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.called_flows import asks_person_anywhere
from engine.actions.deployments import endpoint_path
from engine.actions.keys import TRY_LABEL, find_try_key
from engine.actions.samples import example_payload
from engine.code_samples import YOUR_KEY, ask_for_job, code_examples, files_to_send, first_call, one_call_examples
from engine.flow.contract import input_fields
from engine.flow.document import Document, load_document
from engine.flow.version_comparison import draft_changes
from storage.flows import FlowRow, get_draft, get_version
from storage.keys import KeyRow, list_keys
from storage.monitoring.overview import count_calls_by_key
from storage.workspaces import Limits, get_limits
from ui.flows.flow_states import draft_differs, newer_draft
from ui.flows.hand_over import HandOver
from ui.flows.made_up_note import MadeUp, load_made_up
from ui.flows.recent_calls import FirstCalls
from ui.flows.try_it import TryItNow, TryKeys
from ui.kit.code_view import code
from ui.kit.feedback import empty, fold
from ui.kit.parts import ENVIRONMENTS, button, card, copy_button, icon, link, link_button, note, words
from ui.kit.scroll import into_view
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.page_shell import times_of
from ui.parts.ask_owners import asking
from ui.parts.key_form import KeyForm
from ui.parts.key_limits import ends, own_limits, shared_limits
from ui.parts.key_parts import MadeKey, reveal
from ui.parts.this_computer import this_computer_line

MAX_KEYS = 8


class ApiTabContents(Struct, frozen=True):
    """The data of the tab: the document that callers reach (or would reach), and the keys that may call it.

    `other_keys`: how many keys may call other flows only. `ended`: whether a key for it was revoked or has expired.
    `asks`: whether a run may wait for a person. `calls`: key id -> calls of this flow in the last 30 days.
    """

    flow: FlowRow
    document: Document
    keys: tuple[KeyRow, ...]
    other_keys: int
    changes: str
    payload: dict[str, Any]
    made_up: MadeUp
    limits: Limits
    ended: bool
    calls: Mapping[str, int]
    asks: bool


def load_api_tab(session: Session, workspace_id: str, flow: FlowRow, at: int) -> ApiTabContents:
    """Reads the live version, else the newest version, else the draft, and the active keys that may call this flow."""
    number = flow.live_version or flow.newest_version
    text = (
        get_version(session, workspace_id, flow.id, number).document
        if number
        else get_draft(session, workspace_id, flow.id).document
    )
    own = find_try_key(session, workspace_id)
    every = [key for key in list_keys(session, workspace_id) if key.id != own]
    active = [key for key in every if key.status(at) == "active"]
    ended = any(
        key not in active and key.label != TRY_LABEL and (key.flow_ids is None or flow.id in key.flow_ids)
        for key in every
    )
    calls = count_calls_by_key(session, workspace_id, flow_id=flow.id)
    others = [key for key in active if key.flow_ids is not None and flow.id not in key.flow_ids]
    keys = [key for key in active if key.flow_ids is None or flow.id in key.flow_ids]
    document = load_document(text)
    payload = example_payload(session, workspace_id, flow.id, document)
    changes = _changes(session, workspace_id, flow, document)
    made_up = load_made_up(session, workspace_id, flow.id, document)
    limits = get_limits(session, workspace_id)
    asks = asks_person_anywhere(session, workspace_id, document)
    return ApiTabContents(
        flow, document, tuple(keys), len(others), changes, payload, made_up, limits, ended, calls, asks
    )


def _changes(session: Session, workspace_id: str, flow: FlowRow, live: Document) -> str:
    """Summarises in one line what the draft changes against the live version; "" when it changes nothing."""
    if not draft_differs(flow):
        return ""
    return draft_changes(live, load_document(get_draft(session, workspace_id, flow.id).document)).sentence


class ApiTab:
    """Draws the tab, again whenever the flow's state or its keys change."""

    def __init__(
        self,
        page_session: PageSession,
        keys: TryKeys,
        base: str,
        on_compare: Callable[[], object],
        on_restore: Callable[[], object] | None = None,
        *,
        try_first: bool = False,
    ) -> None:
        self.page_session = page_session
        self.try_keys = keys
        self.base = base
        self.on_compare = on_compare
        self.on_restore = on_restore
        self.try_first = try_first
        self.made: MadeKey | None = None
        #: Whether the key of `made` was copied, or somebody said to have kept it.
        self.kept = False
        self.chosen: str | None = None
        self.making = False

    async def draw(self, flow: FlowRow) -> None:
        """Draws the tab in the current slot."""
        place = ui.context.slot.parent
        self.seen = await self.page_session.query(load_api_tab, flow, self.page_session.app.database.clock.now())
        if place.is_deleted:  # the person has opened another page meanwhile
            return
        if flow.live_version is None:
            self._draw_not_live(flow)
            return
        with ui.element("div").classes("fp-cols"):
            with ui.element("div").classes("fp-col"):
                self._draw_notes(flow)
                if self.try_first:
                    self._draw_try(flow)
                elif self.page_session.may("manage keys"):  # others cannot try it
                    self._draw_who_uses_it()
                self.reveal_place = ui.element("div")
                self.code_place = ui.element("div")
                self._draw_code()
                if not self.try_first:
                    with ui.element("div") as self.try_place:
                        self._draw_try(flow)
            with ui.element("div").classes("fp-col"):
                if not self.try_first:
                    FirstCalls(self.page_session, flow)
                self.keys_place = ui.element("div")
                self._draw_keys()
                if self.try_first:  # below the keys: each call makes it longer
                    FirstCalls(self.page_session, flow)
                seen = self.seen
                HandOver(
                    self.page_session, flow, seen.document, self.base, self._endpoint(), self._labels, asks=seen.asks
                )
                self._draw_docs()

    def _draw_who_uses_it(self) -> None:
        """Says above the code how somebody uses the flow who writes no program."""
        said = _("Whoever signs in here, by hand; programs, at the address below.")
        with note(said, icon="group", strong=_("Who uses it?")).classes("fp-note--act"):
            button(_("Try it here"), lambda: into_view(self.try_place), icon="play_arrow", small=True)

    def _draw_try(self, flow: FlowRow) -> None:
        host = self.base.split("://", 1)[-1]
        TryItNow(
            self.page_session,
            self.try_keys,
            flow.id,
            self.seen.document,
            self.seen.payload,
            host,
            made_up=self.seen.made_up,
            asks=self.seen.asks,
        )

    def _endpoint(self) -> str:
        return self.base + endpoint_path(self.seen.flow.id)

    def _draw_not_live(self, flow: FlowRow) -> None:
        if flow.ever_deployed:
            title = _("The API is switched off")
            said = _("Calls are refused. You can deploy it again at any time; the address stays the same:")
        else:
            title = _("Not an API yet")
            said = _("Deploy API turns this flow into an address that programs can call. It takes a few seconds.")
        with (
            ui.element("section").classes("fp-card"),
            empty("cloud_off" if flow.ever_deployed else "rocket_launch", title, said),
        ):
            if flow.ever_deployed:
                words(self._endpoint(), "fp-mono fp-s13", tag="code")
            if not flow.newest_version:
                words(_("It was never saved: Deploy API asks for a title first."), "fp-s13 fp-t3", tag="div")

    def _draw_notes(self, flow: FlowRow) -> None:
        if not draft_differs(flow):
            return
        if newer_draft(flow):
            strong = _("The draft differs from version {number}, which is live:").format(number=flow.live_version)
            changes = f"{self.seen.changes}. " if self.seen.changes else ""
            said = _("{changes}Nothing changes for callers before you press Update API.").format(changes=changes)
        else:
            strong = _("Callers get version {number} again.").format(number=flow.live_version)
            said = _("Version {number}, which was live before, is still on the canvas.").format(
                number=flow.newest_version
            )
        with note(said, kind="warn", icon="edit", strong=strong).classes("fp-note--act"):
            button(_("Compare"), self.on_compare, small=True)
            if self.on_restore is not None and not newer_draft(flow) and self.page_session.may("edit flows"):
                back = _("Put version {number} on the canvas").format(number=flow.live_version)
                button(back, self.on_restore, small=True)

    def _draw_code(self) -> None:
        endpoint = self._endpoint()
        payload = files_to_send(input_fields(self.seen.document), self.seen.payload)
        key = self.made.new.key if self.made is not None and self.chosen == self.made.new.id else YOUR_KEY
        short = one_call_examples(endpoint, payload, key=key)
        ready = code_examples(endpoint, payload, key=key)
        self.code_place.clear()
        with self.code_place, ui.element("section").classes("fp-card fp-endpoint") as box:
            box.props["aria-label"] = _("Endpoint")
            with ui.element("div").classes("fp-ch"):
                words("POST", "fp-verb")
                words(endpoint, "fp-mono fp-b fp-endpoint-url")
                words("", "fp-sp")
                copy_button(endpoint, name=_("Copy the endpoint"))
            this_computer_line(self.page_session, self.base)
            with ui.element("div").classes("fp-code-head"):
                with ui.tabs().props("no-caps dense align=left :ripple=false") as tabs:
                    shell = ui.tab("curl")
                    python = ui.tab("Python")
                    javascript = ui.tab("JavaScript")
                words("", "fp-sp")
                self._draw_chooser()
            self._draw_where_key_goes(key)
            with ui.tab_panels(tabs, value=shell, animated=False).classes("fp-code-panels"):
                with ui.tab_panel(shell):
                    code(short.curl, "shell", name="curl")
                    with _longer_runs():
                        words(_("First send the input; the answer comes at once and has a job_id:"), tag="p")
                        code(first_call(endpoint, payload, key=key, wait=0), "shell", inside=True, name=_("sending"))
                        words(_("Then ask for the result, with this job_id in place of JOB_ID:"), tag="p")
                        code(ask_for_job(endpoint), "shell", inside=True, name=_("asking for the job"))
                        words(_("Both as a script that tries again when the server is busy:"), tag="p")
                        code(ready.curl, "shell", inside=True, name=_("curl script"))
                with ui.tab_panel(python):
                    code(short.python, "python", name="Python")
                    with _longer_runs():
                        words(
                            _("It sends, asks until the run has ended, and tries again when the server is busy:"),
                            tag="p",
                        )
                        code(ready.python, "python", inside=True, name=_("Python in two calls"))
                with ui.tab_panel(javascript):
                    code(short.javascript, "javascript", name="JavaScript")
                    with _longer_runs():
                        words(
                            _("It sends, asks until the run has ended, and tries again when the server is busy:"),
                            tag="p",
                        )
                        code(ready.javascript, "javascript", inside=True, name=_("JavaScript in two calls"))

    def _draw_where_key_goes(self, key: str) -> None:
        """Says above the code whether a key is in it, and where the key comes from that has to be put there."""
        with ui.element("p").classes("fp-code-says fp-s13"):
            icon("key", "fp-t2", size=16)
            if key != YOUR_KEY:
                words(_("Your new key is in this code. Keep the code like a password."))
                return
            chosen = next((one for one in self.seen.keys if one.id == self.chosen), None)
            with ui.element("span").classes("fp-wrap-text"):
                words(_("No key is in this code yet.") + " ", "fp-b")
                words(
                    _(
                        "In place of {place}, put the key called {label} ({masked}). Whoever made it has kept it; "
                        "Flowport cannot show it again."
                    ).format(label=chosen.label, masked=chosen.masked, place=YOUR_KEY)
                    if chosen
                    else _("Press Create a key: the key is then put in place of {place}.").format(place=YOUR_KEY)
                    if self.page_session.may("manage keys")
                    else asking(
                        self.page_session,
                        _("In place of {place} belongs a key, which editors and owners make.").format(place=YOUR_KEY),
                    )
                )

    def _draw_chooser(self) -> None:
        options = {key.id: key.label for key in self.seen.keys}
        if self.made is not None:
            options = {self.made.new.id: self.made.label, **options}
        if not options:
            if self.page_session.may("manage keys"):
                button(_("Create a key"), self._begin_key, icon="add", small=True).classes("fp-code-key")
            return
        if self.chosen not in options:
            self.chosen = next(iter(options))
        words(_("Key"), "fp-s12 fp-t3 fp-desk")
        choice = ui.select(options, value=self.chosen, on_change=lambda event: self._choose(event.value))
        choice.props("outlined dense options-dense").classes("fp-code-key")
        choice.props["aria-label"] = _("Key in the code")

    def _choose(self, key_id: str) -> None:
        self.chosen = key_id
        self._draw_code()

    def _draw_keys(self) -> None:
        self.keys_place.clear()
        shown = self.seen.keys
        with self.keys_place, card(_("Keys that may call it")) as box:
            with box.head:
                if self.page_session.may("manage keys") and not self.making:
                    button(_("Create a key"), self._begin_key, icon="add", small=True)
            if self.making:
                KeyForm(
                    self.page_session,
                    self._key_made,
                    self._stop_making,
                    flows={self.seen.flow.id: self.seen.flow.title},
                    limits=self.seen.limits,
                    flow_ids=[self.seen.flow.id],
                    label=_("First key") if not shown and not self.seen.other_keys else "",
                )
            elif not shown:
                words(
                    _("The keys that you have are for other flows. Create one for this flow.")
                    if self.seen.other_keys
                    else _("No key works now: each was revoked or has ended. Create one for the next caller.")
                    if self.seen.ended
                    else _("No key yet. Every call names one, so that you can stop just that caller."),
                    "fp-s13 fp-t2",
                    tag="p",
                )
            times = times_of(self.page_session)
            for key in shown[:MAX_KEYS]:
                with ui.element("div").classes("fp-key-line"):
                    with ui.element("div").classes("fp-key-what"):
                        with ui.element("div").classes("fp-row"):
                            link(key.label, f"/settings/keys?key={key.id}", "fp-s13 fp-b fp-cut")
                            words(key.masked, "fp-mono fp-t3 fp-s12 fp-nw")
                        said = [
                            _("all flows") if key.flow_ids is None else _("some flows"),
                            ends(key, times),
                            *own_limits(key, times.reader),
                        ]
                        if key.flow_ids is not None and len(key.flow_ids) == 1:
                            said[0] = _("only this flow")
                        words(" · ".join(said), "fp-s12 fp-t2", tag="div")
                        calls = plural(self.seen.calls.get(key.id, 0), _("call"), _("calls"), times.reader)
                        words(_("{calls} in 30 days").format(calls=calls), "fp-s12 fp-t2", tag="div")
                    words("", "fp-sp")
                    words(ENVIRONMENTS[key.environment][0], "fp-s12 fp-t2 fp-nw")
            if shown:
                used = [key.environment for key in shown]
                words(shared_limits(self.seen.limits, used, times.reader), "fp-hint", tag="p")
            if len(shown) > MAX_KEYS:
                link_button(_("All keys"), "/settings/keys", kind="link", small=True)

    def _draw_docs(self) -> None:
        path = f"/docs/flows/{self.seen.flow.id}"
        with ui.element("section").classes("fp-card fp-lines"):
            with link("", f"/flows/{self.seen.flow.id}?tab=triggers", "fp-docs-link"):
                icon("schedule")
                words(_("Schedules and webhooks"), "fp-b")
                words(_("let it start by itself"), "fp-t3 fp-s13")
            for name, said, symbol, place in (
                (_("API docs"), _("schema, errors, code"), "description", path),
                ("OpenAPI 3.1", _("of this one flow"), "data_object", f"{path}/openapi.json"),
            ):
                with link("", place, "fp-docs-link", new_tab=True):
                    icon(symbol)
                    words(name, "fp-b")
                    words(said, "fp-t3 fp-s13")
                    words("", "fp-sp")
                    icon("open_in_new", "fp-t3", size=16)

    def _labels(self) -> list[str]:
        return [key.label for key in self.seen.keys]

    def _begin_key(self) -> None:
        self.making = True
        self._draw_keys()
        into_view(self.keys_place)  # the button beside the code is far from here

    def _stop_making(self) -> None:
        self.making = False
        self._draw_keys()

    async def _key_made(self, made: MadeKey) -> None:
        self.making = False
        self.made, self.chosen, self.kept = made, made.new.id, False
        self.seen = await self.page_session.query(
            load_api_tab, self.seen.flow, self.page_session.app.database.clock.now()
        )
        self._draw_code()
        self._draw_keys()
        self.reveal_place.clear()
        with self.reveal_place:
            reveal(made, self._key_is_safe, self._key_kept)

    async def show_unkept_key(self) -> bool:
        """Scrolls to the new key when nobody has copied it, said to have kept it or called with it. False when there is
        none.
        """
        if self.made is None or self.kept:
            return False
        calls = await self.page_session.query(count_calls_by_key, flow_id=self.seen.flow.id)
        if self.made.new.id in calls:
            return False
        into_view(self.reveal_place, "center")
        return True

    def _key_kept(self, kept: bool) -> None:  # noqa: FBT001 - it is told by a tick
        self.kept = kept

    def _key_is_safe(self) -> None:
        self.made = None
        self.reveal_place.clear()
        self._draw_code()


@contextmanager
def _longer_runs() -> Iterator[None]:
    """Draws what the one call does, and enters a fold for the two calls of runs that take longer."""
    with ui.element("div").classes("fp-code-more fp-col"):
        words(_("One call: it waits up to 60 seconds and answers with the result."), "fp-s13 fp-t2", tag="p")
        with fold(_("When a run takes longer than a minute: two calls")), ui.element("div").classes("fp-col fp-s13"):
            yield
