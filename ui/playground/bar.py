"""The bar above the canvas: title, state of draft and live version, problems, versions, Save and Deploy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from msgspec import Struct
from nicegui import ui

from engine.actions.flows import UNTITLED, rename_flow
from engine.core.errors import Problem, VersionConflict
from engine.flow.called_flows import called_ids
from engine.flow.document import Document, Node, load_document
from engine.flow.flow_warnings import FlowWarning
from engine.flow.version_comparison import Comparison, draft_changes
from storage.flows import FlowRow, get_flow, get_version
from ui.flow_view.compare_versions import show_difference
from ui.flows.deploy import deploy_flow
from ui.kit import feedback
from ui.kit.ask import ask_text
from ui.kit.long_lists import MAX_LINES, first_lines
from ui.kit.parts import badge, button, drop_menu, icon, icon_button, menu_item, segments, words
from ui.kit.text import _, plural, without_marks
from ui.page_session import PageSession
from ui.parts.mending import with_button
from ui.parts.open_drafts import OpenDraft
from ui.playground.versions.versions_menu import Versions


class BarCalls(Struct, frozen=True):
    """What the bar calls of the page around it.

    `mend` presses the button of a problem or a warning; `put_on_canvas` is False when the edit was refused; `read` is
    called after the stored flow was read again.
    """

    toggle_palette: Callable[[], Any]
    go_to: Callable[[Problem], Awaitable[Any]]
    mend: Callable[[Problem], Awaitable[Any]]
    put_on_canvas: Callable[[Document], Awaitable[bool]]
    retitle: Callable[[str], Any]
    show_as: Callable[[bool], Any]
    read: Callable[[], None]


class PlaygroundBar:
    """The bar of one tab. It keeps the flow's row as last read."""

    def __init__(
        self, page_session: PageSession, draft: OpenDraft, flow: FlowRow, calls: BarCalls, *, as_steps: bool
    ) -> None:
        self.page_session = page_session
        self.may_edit = page_session.may("edit flows")
        self.draft = draft
        self.flow = flow
        self.calls = calls
        self.as_steps = as_steps
        #: The live document that callers use; None while the flow is not deployed.
        self.live: Document | None = None
        self.deploy_button: ui.button | None = None
        self.live_differs = False  #: whether the draft would answer callers differently
        self._compared: tuple[Document, Document | None] | None = None
        #: What is on the canvas when it is the newest version; an edit puts another document there.
        self._saved = self._newest()
        #: The problems and the warnings that the list shows.
        self._listed: tuple[list[FlowWarning], list[FlowWarning]] | None = None

    def draw(self) -> None:
        """Draws the bar into the current container."""
        with ui.element("div").classes("fp-pbar"):
            name, label = ("add", _("Add a node")) if self.may_edit else ("account_tree", _("All flows"))
            icon_button(name, label, self.calls.toggle_palette).classes("fp-more")
            self._draw_title()
            words("", "fp-vl")
            with ui.element("div").classes("fp-live"):
                self.draft_box = ui.element("span").classes("fp-row fp-live-draft")
                self.live_box = ui.element("span").classes("fp-row").props("role=status")
            words("", "fp-sp")
            views = {"canvas": _("Canvas"), "steps": _("Steps")}
            segments(
                views,
                "steps" if self.as_steps else "canvas",
                lambda view: self.calls.show_as(view == "steps"),
                label=_("Show the flow as"),
            ).classes("fp-views")
            self.problems_button = button(_("No problems"), icon="check_circle", kind="quiet", small=True)
            self.problems_button.props("aria-haspopup=menu")
            with self.problems_button, drop_menu(_("Problems")):
                self.problems_menu = ui.context.slot.parent
                self.problems_list = ui.element("div")
            versions_button = button(_("Versions"), icon="history", kind="quiet", small=True).props(
                "aria-haspopup=menu"
            )
            versions_button.classes("fp-versions")
            with versions_button, drop_menu(_("Versions")) as menu:
                entries = ui.element("div")
            versions = Versions(
                self.page_session,
                lambda: self.flow,
                lambda: self.draft.document,
                restore=self._restore,
                make_live=self._make_live,
                save_with_note=self._save_with_note,
            )
            menu.on_value_change(lambda event: versions.fill(entries) if event.value else None)
            self.buttons = ui.element("div").classes("fp-row")
            self._draw_buttons()
        self.draw_sentence()

    def _draw_title(self) -> None:
        self._draw_title_box()
        self.title_box.props["title"] = self.flow.title

    def _draw_title_box(self) -> None:
        if not self.may_edit:
            with ui.element("div").classes("fp-title fp-title--fixed") as self.title_box:
                self.title = words(self.flow.title, "fp-cut", tag="h1")
            with badge(_("View only"), icon="visibility"):
                ui.tooltip(_("You can look at this flow. To change or run flows, ask the owner to make you an editor."))
            return
        with ui.element("button").classes("fp-title").props("type=button") as self.title_box:
            self.title = words(self.flow.title, "fp-cut", tag="h1")
            icon("edit", "fp-t3", size=14)
        self.title_box.on("click", self._rename, [])

    async def read_live(self) -> None:
        """Reads the live version, to compare the draft with it."""
        self.live = None
        if self.flow.live_version is not None:
            version = await self.page_session.query(get_version, self.flow.id, self.flow.live_version)
            if self.buttons.is_deleted:
                return
            self.live = load_document(version.document)
        self.draw_sentence()

    def _draw_buttons(self) -> None:
        self.buttons.clear()
        saved = bool(self.flow.newest_version)
        with self.buttons:
            if saved and self.may_edit:
                button(_("Save"), self._save, small=True)
            if self.may_edit:
                save_as = button(_("Save As"), self._save_as, small=True, kind="normal" if saved else "main")
                save_as.classes("fp-wide" if saved else "")
            if self.page_session.may("deploy"):
                verb = _("Update API") if self.flow.live_version else _("Deploy API")
                kind = "main" if saved else "normal"
                self.deploy_button = button(verb, self._deploy, icon="rocket_launch", kind=kind, small=not saved)

    def _newest(self) -> Document | None:
        """The document of the draft while it is the same as the newest version."""
        return self.draft.document if self.flow.newest_version and not self.flow.draft_differs else None

    def draw_sentence(self) -> None:
        """Shows in words what is a draft and what is live."""
        now = self.page_session.app.database.clock.now()
        age = max(0, now - self.draft.saved_at) // 1000
        when = (
            _("just now")
            if age < 5
            else _("{age} s ago").format(age=age)
            if age < 60
            else _("{min} ago").format(min=plural(age // 60, "min", "min"))
        )
        state = (self.draft.document, self.live)
        if self._compared is None or any(one is not other for one, other in zip(state, self._compared, strict=True)):
            self._compared = state
            self._draw_sentence()
        self.when.text = f" {when}"
        self.draft_box.props["title"] = _("Saved {when}.").format(when=when)

    def _draw_sentence(self) -> None:
        live = self.flow.live_version
        comparison = draft_changes(self.live, self.draft.document) if live and self.live is not None else None
        same = comparison is not None and comparison.same
        self.live_differs = comparison is not None and not same
        self.draft_box.clear()
        with self.draft_box:
            self._draw_saved(same=same)
        self.live_box.clear()
        with self.live_box:
            if same:
                words(_("Same as live version {number}.").format(number=live), "fp-ok fp-b")
            elif live:
                words("", "fp-dot fp-ok")
                words(_("Live: version {number}").format(number=live), "fp-ok fp-b")
            elif not self.flow.newest_version:
                words(_("Not in Saved Flows yet."))
            if comparison is not None:
                self._draw_difference(comparison)
        said = _("Callers get version {number}.").format(number=live) if live else None
        if same:
            said = _("Callers get version {number}. It is the same as what you see here.").format(number=live)
        self.live_box.props.set_optional("title", said)

    def _draw_saved(self, *, same: bool) -> None:
        """Shows that the draft is saved. `same`: callers get what is in it."""
        if same:
            icon("check_circle", "fp-ok", size=16)
            words(_("Saved."))
            self.when = words("", "fp-hide")
            return
        if self.draft.document is self._saved:
            icon("check_circle", "fp-ok", size=16)
            words(_("Version {number} is saved.").format(number=self.flow.newest_version))
            self.when = words("", "fp-hide")
            return
        if self.may_edit:
            icon("edit", "fp-warn", size=16)
        with ui.element("span"):
            words(_("Draft"), "fp-warn fp-b")
            words(f", {_('saved')}")
            self.when = words("", "fp-live-when")

    def _draw_difference(self, comparison: Comparison) -> None:
        # In a flow that calls others an update can change what callers get although the document is the same: it
        # deploys the newer version of a called flow.
        calls = bool(called_ids(self.draft.document))
        self._let_deploy(_("Callers get what you see: nothing to update.") if comparison.same and not calls else "")
        if comparison.same:
            return
        with button(_("Draft differs"), self._show_difference, kind="link", small=True) as differs:
            differs.props["aria-label"] = _("Draft differs: show where")
            ui.tooltip(comparison.sentence).props("delay=400")

    def _let_deploy(self, why_not: str) -> None:
        """Enables the Deploy button, or shows the reason why it is disabled."""
        if self.deploy_button is not None:
            self.deploy_button.set_enabled(not why_not)
            self.deploy_button.props.set_optional("title", why_not or None)

    async def _show_difference(self) -> None:
        if self.live is None:
            return
        live = self.live
        chosen = await show_difference(self.page_session, self.flow, live, self.draft.document)
        if chosen == "deploy":
            await self._deploy()
        elif chosen == "restore":
            await self._restore(live)

    def show_problems(
        self, found: Sequence[Problem], warned: Sequence[FlowWarning] = (), loose: Sequence[Node] = ()
    ) -> None:
        """Shows the number of problems and warnings on the button and the list behind it, and the `loose` steps, which
        are not connected.

        A click on one opens its field; below it stands the button that mends it.
        """
        counted = [plural(len(found), _("problem"), _("problems"))] if found else []
        counted += [plural(len(warned), _("warning"), _("warnings"))] if warned else []
        if loose and not counted:
            counted = [_("{steps} not connected").format(steps=plural(len(loose), _("step"), _("steps")))]
        self.problems_button.text = ", ".join(counted) or _("No problems")
        self.problems_button.props(f"icon=sym_o_{'warning' if found else 'info' if counted else 'check_circle'}")
        listed = ([with_button(problem, self.draft.document) for problem in found], [*warned, *_loose(loose)])
        if listed == self._listed:
            return  # the list may be open
        self._listed = listed
        self.problems_list.clear()
        # without an entry it is no menu
        self.problems_menu.props(f"role={'menu' if counted else 'group'}")
        with self.problems_list:
            if not counted:
                words(_("Nothing stands in the way of a deployment."), "fp-person", tag="p")
            for at, found_problem in enumerate(first_lines(listed[0], tag="p")):
                later = listed[0][at + 1] if at + 1 < min(len(listed[0]), MAX_LINES) else None
                # One press mends all fields of a step: its button stands once, below the last of them.
                more = later is not None and _mended_together(found_problem) == _mended_together(later)
                self._draw_found(replace(found_problem, verb="") if more else found_problem, "warning", "fp-bad")
            if warned:
                words(_("These stop no deployment. Look at them all the same:"), "fp-person fp-t2", tag="p")
            for warning in first_lines(warned, tag="p"):
                self._draw_found(warning, "info", "fp-warn")
            if loose:
                words(_("These stop no deployment, but they do not run:"), "fp-person fp-t2", tag="p")
            for one in _loose(loose):
                self._draw_found(one, "info", "fp-warn")

    def _draw_found(self, found: FlowWarning, symbol: str, kind: str) -> None:
        item = menu_item(without_marks(found.problem.message), lambda: self.calls.go_to(found.problem), icon=symbol)
        item.classes(f"fp-found {kind}-sign")
        if not self.page_session.may("edit flows"):
            return
        for one, sign in ((found, "auto_fix_high"), (found.accept, "check")):
            if one is not None and one.verb:
                fix = menu_item(one.verb, lambda one=one: self.calls.mend(one.problem), icon=sign)
                fix.classes("fp-found-fix").props["aria-label"] = f"{one.verb}: {without_marks(found.problem.message)}"

    async def deploy(self) -> None:
        """Opens the deploy dialog, as the button does."""
        await self._deploy()

    async def _rename(self) -> None:
        title = await ask_text(_("Rename the flow"), _("Title"), self.flow.title, _("Rename"))
        if title and title != self.flow.title:
            await self.page_session.try_execute(rename_flow, self.flow.id, title)
            await self._read_flow()

    async def save(self) -> None:
        """Saves the draft as a new version, or opens Save As when the flow has no version yet (Ctrl+S)."""
        await (self._save() if self.flow.newest_version else self._save_as())

    async def _save(self) -> None:
        await self._save_version("")

    async def _save_with_note(self) -> None:
        if note := await ask_text(_("Save with a note"), _("What is new?"), "", _("Save")):
            await self._save_version(note)

    async def _save_version(self, note: str) -> None:
        version = None
        with feedback.refusals_told():
            try:
                version = await self.draft.save(self.page_session, note, self.flow.newest_version)
            except VersionConflict:
                await self._read_flow()  # from now on saving again puts this draft on top
                raise
        if version is not None and await self._read_flow():
            feedback.told(
                _("Saved as version {version}.").format(version=version), _("Callers get it when you deploy it.")
            )

    async def _deploy(self) -> None:
        await deploy_flow(self.page_session, self.flow, on_live=self._read_flow, on_saved=self._read_flow)
        await self._read_flow()

    async def _restore(self, document: Document) -> None:
        if await self.calls.put_on_canvas(document):
            feedback.told(_("The version is on the canvas."), _("Undo takes it back. Nothing changed for callers."))

    async def _make_live(self, number: int) -> None:
        await deploy_flow(self.page_session, self.flow, number, put_on_canvas=self.calls.put_on_canvas)
        await self._read_flow()

    async def _save_as(self) -> None:
        suggestion = "" if not self.flow.newest_version and self.flow.title == UNTITLED else self.flow.title
        title = await ask_text(_("Save As"), _("Title"), suggestion, _("Save"))
        if not title:
            return
        flow_id = None
        with feedback.refusals_told():
            flow_id = await self.draft.save_as(self.page_session, title)
        if flow_id is None or self.buttons.is_deleted:
            return
        if flow_id != self.flow.id:
            ui.navigate.to(f"/playground/{flow_id}")
        elif await self._read_flow():
            feedback.told(_("Saved as {title}.").format(title=title), _("It is in Saved Flows now."))

    async def _read_flow(self) -> bool:
        """Reads and shows the stored flow. False when the tab was closed meanwhile and its elements no longer exist."""
        flow = await self.page_session.query(get_flow, self.flow.id)
        if self.buttons.is_deleted:
            return False
        self.flow = flow
        self._saved = self._newest()
        self.title.text = self.flow.title
        self.title_box.props["title"] = self.flow.title
        self.calls.retitle(self.flow.title)
        self._draw_buttons()
        self._compared = None
        await self.read_live()
        self.calls.read()
        return True


def _mended_together(found: FlowWarning) -> tuple[str, str | None, str]:
    """Returns what is equal for problems that one press mends: code, step and label of the button."""
    return found.problem.code, found.problem.node_id, found.verb


def _loose(nodes: Sequence[Node]) -> list[FlowWarning]:
    """What the list says about steps that are not connected."""
    said = _("“{name}” is not connected.")
    return [FlowWarning(Problem("not_connected", said.format(name=one.name), one.id, ""), "") for one in nodes]
