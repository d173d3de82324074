"""Settings, API Keys: create, view, change, rotate and revoke them."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.keys import find_try_key, revoke_key, rotate_key
from engine.core.environments import Environment
from storage.flows import list_flows
from storage.job_documents import list_flow_titles
from storage.keys import KeyRow, list_keys
from storage.monitoring.overview import count_calls_by_key
from storage.workspaces import Limits, get_limits
from ui.kit import feedback
from ui.kit.parts import (
    Column,
    badge,
    button,
    card,
    environment_badge,
    link,
    menu_button,
    menu_item,
    note,
    table,
    words,
)
from ui.kit.scroll import into_view
from ui.kit.text import _, number, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, times_of
from ui.parts.ask_owners import ask_note
from ui.parts.key_form import KeyForm
from ui.parts.key_limits import own_limits, shared_limits
from ui.parts.key_parts import MadeKey, ask_overlap, reveal
from ui.settings.navigation import settings_page

LOOK_SECONDS = 5.0
#: How old the numbers of calls may be, which take longer to read than the keys.
_CALLS_MS = 60_000


class SeenKeys(Struct, frozen=True):
    """The data that the page shows. `of_button`: the id of the key that only the button Try it now uses."""

    keys: tuple[KeyRow, ...]
    of_button: str | None
    titles: Mapping[str, str]
    flows: Mapping[str, str]
    limits: Limits


def load_keys(session: Session, workspace_id: str) -> SeenKeys:
    """Reads every key, the revoked ones last."""
    keys = sorted(list_keys(session, workspace_id), key=lambda key: key.revoked_at is not None)
    flows = {flow.id: flow.title for flow in list_flows(session, workspace_id)}
    titles, limits = list_flow_titles(session, workspace_id), get_limits(session, workspace_id)
    return SeenKeys(tuple(keys), find_try_key(session, workspace_id), titles, flows, limits)


def register(app: App) -> None:
    """Registers `/settings/keys`."""

    @page_at("/settings/keys")
    async def open_keys(request: Request) -> None:
        page_session = await open_page_session(app, request)
        await KeysPage(page_session, request.query_params.get("key", "")).build()


class KeysPage:
    """One open page of keys. `marked`: the id of the key that a link led to."""

    def __init__(self, page_session: PageSession, marked: str = "") -> None:
        self.page_session = page_session
        self.marked = marked
        #: Key id -> calls of the last 30 days, and when they were counted.
        self.calls: Mapping[str, int] = {}
        self.counted_at = 0
        self.times = times_of(page_session)
        self.new_id: str | None = None
        self.may = page_session.may("manage keys")

    async def build(self) -> None:
        """Draws the page."""
        self.seen = await self.page_session.query(load_keys)
        await self._count_calls()
        sub = _("A key lets a program call your flows. One key per program makes it easy to stop just that one.")
        with settings_page(self.page_session, "keys", sub) as page:
            if self.may:
                with page.actions:
                    self.create = button(_("Create a key"), self._begin, icon="add")
            else:
                ask_note(self.page_session, _("Editors and owners make, change and revoke keys."))
            self.making = ui.element("div")
            self.list = ui.element("div")
            self._draw()
            said = _(
                "Never put a key into a web page, an app or a shared folder. A revoked key is refused within "
                "one second. For a web page the key stays on the web site's server, which passes on what visitors enter: "
                "the page of each live flow has a text for whoever makes the web page."
            )
            with note(said):
                link(_("Why"), "/docs/authentication#not-from-a-page-in-a-browser", new_tab=True)
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_keys)
        if await self._count_calls() or fresh != self.seen:
            self.seen = fresh
            self._draw()

    async def _count_calls(self) -> bool:
        """Counts the calls of each key, once a minute. Returns whether they changed."""
        at = self.page_session.app.database.clock.now()
        if self.counted_at and at < self.counted_at + _CALLS_MS:
            return False
        before, self.counted_at = self.calls, at
        self.calls = await self.page_session.query(count_calls_by_key)
        return self.calls != before

    def _begin(self) -> None:
        self.create.visible = False
        self.making.clear()
        with self.making, card(_("A new key")):
            KeyForm(self.page_session, self._made, self._stop, flows=self.seen.flows, limits=self.seen.limits)

    def _stop(self) -> None:
        self.making.clear()
        self.create.visible = True

    async def _made(self, made: MadeKey) -> None:
        self.new_id = made.new.id
        self.making.clear()
        with self.making:
            reveal(made, self._stop)
        await self._look()

    def _draw(self) -> None:
        self.list.clear()
        with self.list, ui.element("section").classes("fp-card"):
            if not self.seen.keys:
                with feedback.empty("key", _("No key yet"), _("A program needs one to call a flow.")):
                    if self.may:
                        button(_("Create the first one"), self._begin)
                return
            used = [key.environment for key in self.seen.keys if key.revoked_at is None]
            words(shared_limits(self.seen.limits, used, self.times.reader), "fp-hint fp-above-table", tag="p")
            columns = [
                Column(_("Label")),
                Column(_("Environment")),
                Column(_("May call")),
                Column(_("Last used")),
                Column(_("Calls, 30 days"), right=True),
                Column(_("Ends")),
                Column(_("What to do"), hidden=True, right=True, width="60px"),
            ]
            rows = table(columns, label=_("API keys"), tall=True, stacks=True)
            rows.classes("fp-keys")
            at = self.page_session.app.database.clock.now()
            for key in self.seen.keys:
                status = key.status(at)
                with rows.row() as row:
                    if key.id == self.marked:
                        row.classes("fp-on")
                        into_view(row)
                    with rows.cell():
                        self._draw_label(key, status, at)
                    with rows.cell():
                        environment_badge(key.environment)
                    rows.cell(self._may_call(key), "fp-t2")
                    rows.cell(self.times.ago(key.last_used_at) if key.last_used_at else _("not yet"), "fp-t2")
                    with rows.cell():
                        self._draw_calls(key)
                    rows.cell(self._ends(key), "fp-t2")
                    with rows.cell():
                        if self.may and status == "active":
                            self._draw_menu(key)

    def _draw_label(self, key: KeyRow, status: str, at: int) -> None:
        with ui.element("span").classes("fp-row"):
            words(key.label, "fp-b" if status == "active" else "fp-b fp-t3")
            if key.id == self.new_id:
                badge(_("new"), kind="ok")
            if status != "active":
                badge(_("Revoked") if status == "revoked" else _("Expired"), icon="block")
            if key.older_valid_until is not None and status == "active":
                left = self.times.spent(at, key.older_valid_until)
                badge(_("rotating, the old one works {left} more").format(left=left), kind="warn", icon="sync")
        with ui.element("div").classes("fp-s12 fp-t3"):
            words(key.masked, "fp-mono")
            if key.id != self.seen.of_button:
                words(" · " + _("by {created_by}").format(created_by=key.created_by))
            for own in own_limits(key, self.times.reader):
                words(f" · {own}")
        if key.id == self.seen.of_button:
            words(_("made by Flowport for this button"), "fp-s12 fp-t3", tag="div")

    def _draw_menu(self, key: KeyRow) -> None:
        with menu_button(_("More for {label}").format(label=key.label)):
            menu_item(_("Change..."), lambda: self._change(key), icon="edit")
            with menu_item(_("Rotate..."), lambda: self._rotate(key), icon="sync"):
                ui.tooltip(_("Gives the key a new text, for example when somebody saw the old one."))
            ui.separator()
            menu_item(_("Revoke..."), lambda: self._revoke(key), icon="block", danger=True)

    def _draw_calls(self, key: KeyRow) -> None:
        count = self.calls.get(key.id, 0)
        if not count:
            words("0", "fp-num fp-t3")
            return
        shown = link(number(count, self.times.reader), f"/jobs?key={key.id}&range=30d", "fp-num")
        shown.props["title"] = _("The jobs of {label}").format(label=key.label)

    def _may_call(self, key: KeyRow) -> str:
        if key.flow_ids is None:
            return _("all flows")
        if len(key.flow_ids) == 1:
            return self.seen.titles.get(next(iter(key.flow_ids)), _("1 flow"))
        return plural(len(key.flow_ids), _("flow"), _("flows"))

    def _ends(self, key: KeyRow) -> str:
        """Returns when the key expires or has expired."""
        if key.revoked_at is not None:
            return _("revoked {day}").format(day=self.times.day(key.revoked_at))
        return self.times.last_day(key.expires_at) if key.expires_at else _("never")

    def _change(self, key: KeyRow) -> None:
        self.create.visible = False
        self.making.clear()
        with self.making, card(_("Change {label}").format(label=key.label)):
            KeyForm(
                self.page_session, self._changed, self._stop, flows=self.seen.flows, limits=self.seen.limits, key=key
            )

    async def _changed(self, made: MadeKey) -> None:
        feedback.told(_("{label} is changed.").format(label=made.label), _("It counts for the next call."))
        self._stop()
        await self._look()

    async def _rotate(self, key: KeyRow) -> None:
        hours = await ask_overlap(key.label)
        if hours is None:
            return
        made = await self.page_session.try_execute(rotate_key, key.id, hours)
        if made is not None:
            environment = Environment(key.environment)
            await self._made(MadeKey(key.label, environment, made))

    async def _revoke(self, key: KeyRow) -> None:
        used = (
            _("It was used {last_used_at}.").format(last_used_at=self.times.ago(key.last_used_at))
            if key.last_used_at
            else ""
        )
        sure = await feedback.confirm(
            _("Revoke {label}?").format(label=key.label),
            _("Calls with this key are refused from the next one on. This cannot be taken back."),
            verb=_("Revoke"),
            danger=True,
            keep=_("Keep it"),
            note_text=used,
        )
        if not sure:
            return
        with feedback.refusals_told() as outcome:
            await self.page_session.execute(revoke_key, key.id)
        if not outcome.refused:
            feedback.told(_("{label} is revoked.").format(label=key.label))
            await self._look()
