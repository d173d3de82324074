"""The deploy dialog in three steps: the checks, limits and keys, and what callers need once the flow is live."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.deployments import Deployed
from engine.actions.flows import UNTITLED, change_flow_settings
from engine.core.errors import VersionConflict
from engine.flow.flow_warnings import FlowWarning
from engine.flow.times_asked import times_of_flow
from engine.flow.version_comparison import draft_changes
from storage.flows import FlowRow, get_flow
from storage.schedules import count_schedules
from ui.flows.api_tab import ApiTab
from ui.flows.canvas_choice import CanvasChoice, PutOnCanvas, load_canvas
from ui.flows.deploy_checks import Checks, look_before_deploy
from ui.flows.deploy_options import CallersAndLimits, DeployOptions, load_callers_and_limits
from ui.flows.flow_actions import save_as
from ui.flows.made_up_note import made_up_note
from ui.flows.practice_note import practice_note
from ui.flows.try_it import try_keys_of
from ui.kit import feedback
from ui.kit.answer import answer_of
from ui.kit.long_lists import first_lines
from ui.kit.parts import button, icon, icon_button, link, link_button, note, sentence, words
from ui.kit.text import _, plural
from ui.page_session import PageSession
from ui.page_shell import base_address
from ui.parts.accept_field import make_optional, mend_draft
from ui.parts.open_drafts import drafts_of

_WEIGHTS = {"breaking": ("warning", "fp-bad"), "careful": ("info", "fp-warn"), "harmless": ("add", "fp-ok")}
OnLive = Callable[[], Awaitable[object]]


async def deploy_flow(
    page_session: PageSession,
    flow: FlowRow,
    version: int | None = None,
    on_live: OnLive | None = None,
    put_on_canvas: PutOnCanvas | None = None,
    on_saved: OnLive | None = None,
) -> Deployed | None:
    """Asks the necessary questions, deploys, and shows the endpoint until the dialog is closed.

    Returns None when nothing was deployed. `version` deploys an older version, which needs one confirmation only.
    `on_live` is called before the dialog is closed. `put_on_canvas` is what a page with a canvas offers for an older
    version; without it the stored draft is changed. `on_saved` is called after a flow that was never saved got its
    title, while the dialog goes on.
    """
    feedback.forget_failures()
    if not flow.newest_version:
        if not await _save_first(page_session, flow):
            return None
        if on_saved is not None:
            await on_saved()
    async with drafts_of(page_session.app).borrowed(page_session, flow.id) as draft:
        await draft.settled()
    checks = await page_session.query(look_before_deploy, flow.id, version, page_session.app.settings)
    if checks.problems:
        await _show_problems(checks)
        return None
    if version is not None:
        return await _roll(page_session, checks, on_live, put_on_canvas)
    return await DeployDialog(
        page_session, checks, await page_session.query(load_callers_and_limits, checks.flow), on_live
    ).ask()


class DeployDialog:
    """The three steps of deploying the draft."""

    def __init__(
        self, page_session: PageSession, checks: Checks, allowed: CallersAndLimits, on_live: OnLive | None
    ) -> None:
        self.page_session = page_session
        self.checks = checks
        self.allowed = allowed
        self.on_live = on_live
        self.done: Deployed | None = None
        self.api: ApiTab | None = None
        self.verb = _("Deploy API") if checks.flow.live_version is None else _("Update API")

    async def ask(self) -> Deployed | None:
        """Opens the dialog at the checks. Returns what was deployed, or None."""
        flow = self.checks.flow
        with (
            ui.context.client.layout,  # the page redraws its buttons while the dialog is open
            ui.dialog() as self.dialog,
            ui.card().classes("fp-dlg fp-dlg--wide") as self.card,
        ):
            title = (_("Deploy {title}") if flow.live_version is None else _("Update {title}")).format(title=flow.title)
            self.dialog.props["aria-label"] = title
            with ui.element("div").classes("fp-row"):
                self.title = words(title, "fp-grow", tag="h2")
                icon_button("close", _("Close"), self._leave, tip=False)
            self.stepper = ui.element("ol").classes("fp-stepper")
            self.body = ui.element("div").classes("fp-deploy-step").props("role=status")
            self.acts = ui.element("div").classes("fp-acts")
            self._check()
        await answer_of(self.dialog)
        return self.done

    def _step(self, at: int) -> None:
        """Highlights the step and clears the area of its content."""
        self.stepper.clear()
        with self.stepper:
            for number, name in enumerate((_("Check"), _("Limits and keys"), _("Done")), start=1):
                with ui.element("li").classes("fp-on" if number == at else "") as item:
                    if number == at:
                        item.props("aria-current=step")
                    with ui.element("span").classes("fp-step-no"):
                        icon("check", size=14) if number < at else words(str(number))
                    words(name)
        self.body.clear()
        self.acts.clear()

    def _check(self, changed: str = "") -> None:
        """Draws the first step. `changed`: what somebody changed after the draft was looked at."""
        flow, number = self.checks.flow, self.checks.number
        self._step(1)
        with self.body:
            if changed:
                said = _("{changes}. Nothing was deployed yet: look at what goes live now, then press Next.")
                strong = _("The flow was changed while you looked at it:")
                note(said.format(changes=changed), kind="warn", icon="group", strong=strong)
            _no_problems(self.checks, self._mend if self.page_session.may("edit flows") else None)
            made_up_note(self.page_session, self.checks.made_up)
            practice_note(self.page_session, self.checks.practice)
            _saves_note(self.checks)
            if flow.live_version is not None:
                _what_changes(self.checks)
                self._way_out()
        with self.acts:
            words(_("It takes a few seconds. You can go back to an older version at any time."), "fp-s13 fp-t2 fp-grow")
            keep = (
                _("Cancel")
                if flow.live_version is None
                else _("Keep version {live_version}").format(live_version=flow.live_version)
            )
            button(keep, self.dialog.close, kind="quiet")
            button(_("Next"), self._options, kind="main").props["aria-label"] = _("Next: version {number}").format(
                number=number
            )

    def _way_out(self) -> None:
        """Offers to make a required field optional that callers do not send."""
        missing = [one.change.field for one in self.checks.changes if one.change.missing_now_refused and one.hits]
        of_draft = self.checks.number > self.checks.flow.newest_version
        if not of_draft or not self.page_session.may("edit flows"):
            return
        for name in missing:
            with note(_("Make `{name}` optional, and nobody is refused.").format(name=name), kind="warn", icon="tune"):
                button(_("Make it optional"), lambda name=name: self._make_optional(str(name)), small=True)

    async def _make_optional(self, name: str) -> None:
        if await make_optional(self.page_session, self.checks.flow.id, name):
            await self._look_again()

    async def _mend(self, warning: FlowWarning) -> None:
        if await mend_draft(self.page_session, self.checks.flow.id, warning.problem):
            await self._look_again()

    async def _look_again(self) -> None:
        self.checks = await self._look()
        await self._show_checks()

    async def _look(self) -> Checks:
        flow_id, settings = self.checks.flow.id, self.page_session.app.settings
        return await self.page_session.query(look_before_deploy, flow_id, None, settings)

    async def _show_checks(self, changed: str = "") -> None:
        if self.card.is_deleted:
            return
        if self.checks.problems:  # what was added still has to be filled in
            self.dialog.close()
            await _show_problems(self.checks)
            return
        self._check(changed)

    async def _changed_meanwhile(self) -> bool:
        """Looks again after somebody changed the draft. Returns whether callers would notice; the checks are shown then."""
        before, self.checks = self.checks, await self._look()
        changes = draft_changes(before.document, self.checks.document)
        if changes.same:
            return False  # a step was moved, for example
        await self._show_checks(changes.sentence)
        return True

    def _options(self) -> None:
        self._step(2)
        with self.body:
            self.options = DeployOptions(self.page_session, self.checks.flow, self.allowed, asks=self.checks.asks)
        with self.acts:
            button(_("Back"), self._check, kind="quiet")
            self.go = button(self.verb, self._deploy, icon="rocket_launch", kind="main")

    async def _deploy(self) -> None:
        flow = self.checks.flow
        self.go.disable()
        try:
            with feedback.refusals_told():
                self.done = await self._deploy_what_was_seen()
                if self.done is None:
                    return
                if changes := self.options.changes():
                    await self.page_session.execute(change_flow_settings, flow.id, changes)
        finally:
            if not self.go.is_deleted:
                self.go.enable()
        if self.done is None:
            return
        if self.on_live is not None:
            await self.on_live()
        if not self.card.is_deleted:  # the tab may be closed
            await self._live(self.done)

    async def _deploy_what_was_seen(self) -> Deployed | None:
        """Deploys the draft; returns None, with the checks shown anew, when it is not the one that was checked."""
        async with drafts_of(self.page_session.app).borrowed(self.page_session, self.checks.flow.id) as draft:
            while True:
                try:
                    return await draft.deploy(self.page_session, revision=self.checks.flow.draft_revision)
                except VersionConflict:
                    if await self._changed_meanwhile():
                        return None

    async def _live(self, done: Deployed) -> None:
        was = self.checks.flow.live_version
        self.dialog.props("persistent")  # a click outside must not close it: the key is shown once
        self.card.classes(add="fp-dlg--live")
        self._step(3)
        self.title.text = _("Version {version} is live.").format(version=done.version)
        flow = await self.page_session.query(get_flow, done.flow_id)
        scheduled = await self.page_session.query(count_schedules, flow.id)
        if self.card.is_deleted:
            return
        with self.body:
            with ui.element("div").classes("fp-col"):
                self.api = api = ApiTab(
                    self.page_session,
                    try_keys_of(self.page_session.app),
                    base_address(self.page_session),
                    lambda: None,
                    try_first=True,
                )
                await api.draw(flow)
            if was and was != done.version:  # below what the person is about to press
                words(
                    _("Runs that have begun finish with version {number}.").format(number=was),
                    "fp-s13 fp-t2 fp-before",
                    tag="p",
                )
        with self.acts:
            words(_("It stays open and shows the first calls as they come."), "fp-s13 fp-t2 fp-grow")
            timed = times_of_flow(flow.title, flow.description) is not None
            by_itself = _("See its schedules") if scheduled else _("Let it run by itself: choose the times")
            link_button(
                by_itself, f"/flows/{flow.id}?tab=triggers", icon="schedule", kind="normal" if timed else "quiet"
            )
            link_button(_("Open the flow's page"), f"/flows/{flow.id}", kind="quiet")
            button(_("Done"), self._leave, kind="main")

    async def _leave(self) -> None:
        """Closes the dialog; asks first when it shows a key that nobody has copied, said to have kept or used."""
        if self.api is not None and await self.api.show_unkept_key():
            sure = await feedback.confirm(
                _("Close without the key?"),
                _("The new key is shown this one time. Go back and copy it if you have not kept it."),
                verb=_("Close all the same"),
                danger=True,
                keep=_("Back to the key"),
            )
            if not sure:
                return
        self.dialog.close()


async def _roll(
    page_session: PageSession, checks: Checks, on_live: OnLive | None, put_on_canvas: PutOnCanvas | None
) -> Deployed | None:
    """Asks for confirmation before a saved version is deployed."""
    flow, live = checks.flow, checks.flow.live_version
    canvas = await page_session.query(load_canvas, flow.id, checks.number)
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = _("Make version {number} of {title} live?").format(number=checks.number, title=flow.title)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_what_happens(checks), tag="p")
        _no_problems(checks)
        made_up_note(page_session, checks.made_up)
        practice_note(page_session, checks.practice)
        _saves_note(checks)
        if live is not None:
            _what_changes(checks)
        choice = CanvasChoice(page_session, checks.number, canvas)
        with ui.element("div").classes("fp-acts"):
            keep = _("Cancel") if live is None else _("Keep version {live}").format(live=live)
            button(keep, lambda: dialog.submit(False), kind="quiet")
            go = _("Make version {number} live").format(number=checks.number)
            button(go, lambda: dialog.submit(True), icon="rocket_launch", kind="main")
    if not await answer_of(dialog):
        return None
    done: Deployed | None = None
    on_canvas = False
    with feedback.refusals_told():
        async with drafts_of(page_session.app).borrowed(page_session, flow.id) as draft:
            await choice.keep_draft(draft)
            done = await draft.deploy(page_session, checks.number)
            on_canvas = await choice.apply(draft, put_on_canvas)
    if done is None:
        return None
    if on_live is not None:
        await on_live()
    said = _("Version {number} is live and on the canvas.") if on_canvas else _("Version {number} is live.")
    feedback.told(
        said.format(number=done.version),
        _("Runs that have begun finish with version {number}.").format(number=live)
        if live and live != done.version
        else "",
    )
    return done


async def _save_first(page_session: PageSession, flow: FlowRow) -> bool:
    """Asks for a title when the flow was never saved."""
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Save the flow first")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        said = _(
            "Give it a title and press Save As: it is then in Saved Flows as version 1. The checks come next, and nothing "
            "is live before you press Deploy API there."
        )
        words(said, tag="p")
        with ui.element("div").classes("fp-f"):
            label = words(_("Title"), tag="label")
            box = ui.input(value="" if flow.title == UNTITLED else flow.title)
            box.props("outlined dense autofocus autocomplete=off maxlength=200")
            box.props["for"] = f"{box.html_id}-in"
            label.props["for"] = f"{box.html_id}-in"
        with ui.element("div").classes("fp-acts"):
            button(_("Cancel"), dialog.close, kind="quiet")
            go = button(_("Save As"), lambda: dialog.submit((box.value or "").strip()), kind="main")
        go.set_enabled(bool((box.value or "").strip()))
        box.on_value_change(lambda event: go.set_enabled(bool((event.value or "").strip())))
        box.on("keydown.enter", lambda: dialog.submit((box.value or "").strip()) if (box.value or "").strip() else None)
    chosen = await answer_of(dialog)
    return bool(chosen) and await save_as(page_session, flow.id, chosen) is not None


async def _show_problems(checks: Checks) -> None:
    flow = checks.flow
    count = plural(len(checks.problems), _("problem"), _("problems"))
    with feedback.open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = _("{title} cannot be deployed yet").format(title=flow.title)
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            _("{count}. Click one to open the step that has it. Nothing has changed for callers.").format(count=count),
            tag="p",
        )
        with ui.element("ul").classes("fp-problems fp-problems--scroll"):
            for problem in first_lines(checks.problems):
                place = f"/playground/{flow.id}" + (f"?node={problem.node_id}" if problem.node_id else "")
                with ui.element("li"), link("", place, "fp-problem"):
                    icon("warning", "fp-warn", size=16)
                    with ui.element("span").classes("fp-grow"):
                        if problem.node_id:
                            words(f"{checks.labels.get(problem.node_id, problem.node_id)}: ", "fp-b")
                        sentence(problem.message, tag="span")
                    icon("arrow_forward", "fp-t3", size=16)
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), dialog.close, kind="quiet")
            link_button(_("Open in Playground"), f"/playground/{flow.id}", icon="schema", kind="main")
    await answer_of(dialog)


def _no_problems(checks: Checks, mend: Callable[[FlowWarning], Awaitable[None]] | None = None) -> None:
    """Draws one heading that sums up what the checks found, then the warnings, each with the button that mends it."""
    flow, number = checks.flow, checks.number
    if flow.live_version is None:
        said = _(
            "It has an API Input and a step that works on the data. Version {number} goes live at an address that never changes; only programs with a key can call it."
        ).format(number=number)
    elif number > flow.newest_version:
        said = _("Your draft becomes version {number} and goes live under the same address.").format(number=number)
    else:
        said = _("Version {number} goes live under the same address.").format(number=number)
    strong, kind = checks.heading
    if kind == "ok":
        note(said, kind="ok", icon="check_circle", strong=strong)
    else:
        note(said, kind="warn", icon="warning", strong=strong)
    if said := checks.to_look_at:
        words(said, "fp-s13 fp-b fp-look-at", tag="h3")
    for warning in first_lines(checks.warnings, tag="p"):
        with note(warning.problem.message, kind="warn", icon="warning").classes("fp-note--act"):
            if warning.mend is not None and mend is not None:
                button(warning.verb, lambda warning=warning: mend(warning), icon="auto_fix_high", small=True)
                if (accept := warning.accept) is not None:
                    button(accept.verb, lambda accept=accept: mend(accept), icon="check", small=True)
            elif warning.problem.node_id:
                place = f"/playground/{flow.id}?node={warning.problem.node_id}"
                to_fill_in = warning.verb if warning.mend is None else ""
                link_button(to_fill_in or _("Open this step"), place, kind="quiet")


def _saves_note(checks: Checks) -> None:
    """Says that calls write into tables into which the live version does not write."""
    if checks.saves:
        tables = ", ".join(f"“{name}”" for name in checks.saves)
        said = _("A call that only tries it writes like any other.")
        if checks.asks:
            said = _("What a person has to approve is saved only after that.") + " " + said
        strong = _("From now on, calls that get there save rows in {tables}.")
        note(said, icon="table_rows", strong=strong.format(tables=tables))


def _what_changes(checks: Checks) -> None:
    if not checks.changes:
        if checks.answers_may_differ:
            said = _("Every call that works goes on working, and what the flow does with it has changed.")
            note(said, icon="info", strong=_("Same fields; answers may differ."))
        else:
            note(_("They send and get what they did before."), icon="check", strong=_("Nothing changes for callers."))
        return
    words(_("What changes for callers"), "fp-s13 fp-b fp-over", tag="h3")
    with ui.element("ul").classes("fp-problems"):
        for noticed in first_lines(checks.changes):
            symbol, kind = _WEIGHTS[noticed.change.weight]
            with ui.element("li"):
                icon(symbol, kind)
                with ui.element("div").classes("fp-grow"):
                    sentence(noticed.change.sentence, "fp-b" if noticed.hits else "")
                    if noticed.keys:
                        sentence(noticed.keys, "fp-bad fp-s13" if noticed.hits else "fp-t2 fp-s13")


def _what_happens(checks: Checks) -> str:
    live = checks.flow.live_version
    if live is None:
        return _("Callers get version {number}.").format(number=checks.number)
    said = [_("Callers get version {number} instead of version {live}.").format(number=checks.number, live=live)]
    if checks.number < live:
        said.append(_("This goes back to an older version."))
    said.append(_("The address stays the same, and runs that have begun finish with the version they began with."))
    return " ".join(said)
