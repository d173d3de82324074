"""Deploying from a page: a title for a flow that was never saved, the checks, what changes for callers, and the switch itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.deployments import Deployed, deploy
from engine.actions.flows import save_as
from engine.errors import Problem
from engine.flow.compare import CallerChange, caller_changes
from engine.flow.document import Document, load_document
from engine.flow.validation import deploy_problems
from engine.nodes import CATALOG
from storage.flows import FlowRow, get_draft, get_flow, get_version
from ui.look import feedback
from ui.look.answer import answer_of
from ui.look.parts import button, icon, link, link_button, note, sentence, words
from ui.look.text import _, plural
from ui.visit import Visit


@dataclass(frozen=True)
class Checks:
    """What is known before a version goes live. `number` is the version callers will get."""

    flow: FlowRow
    number: int
    problems: tuple[Problem, ...]
    changes: tuple[CallerChange, ...]
    labels: Mapping[str, str]


def look_before_deploy(session: Session, workspace_id: str, flow_id: str, version: int | None = None) -> Checks:
    """Checks what is on the canvas, or a saved version. Raises NotFound."""
    flow = get_flow(session, workspace_id, flow_id)
    if version is None and (flow.draft_differs or not flow.newest_version):
        number = flow.newest_version + 1
        document = load_document(get_draft(session, workspace_id, flow_id).document)
    else:
        number = version or flow.newest_version
        document = load_document(get_version(session, workspace_id, flow_id, number).document)
    changes: tuple[CallerChange, ...] = ()
    if flow.live_version is not None:
        live = load_document(get_version(session, workspace_id, flow_id, flow.live_version).document)
        changes = caller_changes(live, document, CATALOG)
    return Checks(flow, number, tuple(deploy_problems(document, CATALOG)), changes, _labels(document))


async def deploy_flow(here: Visit, flow: FlowRow, version: int | None = None) -> Deployed | None:
    """Asks what must be asked, deploys, and says so. None when nothing went live."""
    if not flow.newest_version and not await _save_first(here, flow):
        return None
    checks = await here.see(look_before_deploy, flow.id, version)
    if checks.problems:
        await _show_problems(checks)
        return None
    if not await _is_wanted(checks):
        return None
    done = await here.try_do(deploy, flow.id, version=version)
    if done is not None:
        was = checks.flow.live_version
        feedback.told(
            f"{_('Version')} {done.version} {_('is live.')}",
            f"{_('Jobs in flight finish on version')} {was}." if was and was != done.version else "",
        )
    return done


async def _save_first(here: Visit, flow: FlowRow) -> bool:
    """A flow that was never saved gets its title here."""
    with ui.dialog() as dialog, ui.card().classes("fp-dlg"):
        title = _("Save the flow first")
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_("An API stands on a saved version. With a title the flow goes into Saved Flows as version 1."), tag="p")
        with ui.element("div").classes("fp-f"):
            label = words(_("Title"), tag="label")
            box = ui.input(value="" if flow.title == "Untitled flow" else flow.title)
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
    return bool(chosen) and await here.try_do(save_as, flow.id, chosen) is not None


async def _show_problems(checks: Checks) -> None:
    flow = checks.flow
    count = plural(len(checks.problems), _("problem"), _("problems"))
    with ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = f"{flow.title} {_('cannot be deployed yet')}"
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(
            f"{count}. {_('A press on one opens its place in the Playground. Nothing changed for callers.')}", tag="p"
        )
        with ui.element("ul").classes("fp-problems fp-problems--scroll"):
            for problem in checks.problems:
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


async def _is_wanted(checks: Checks) -> bool:
    """Shows what happens, and asks."""
    flow = checks.flow
    live = flow.live_version
    verb = _("Deploy API") if live is None else _("Update API")
    with ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--wide"):
        title = f"{_('Deploy') if live is None else _('Update')} {flow.title}?"
        dialog.props["aria-label"] = title
        words(title, tag="h2")
        words(_what_happens(checks), tag="p")
        if live is None:
            with ui.element("ul").classes("fp-problems"):
                for said in (
                    _("It has an API Input and a step that works on the data."),
                    _("No problem was found."),
                ):
                    with ui.element("li"):
                        icon("check_circle", "fp-ok")
                        words(said)
        elif checks.changes:
            words(_("What changes for callers"), "fp-s13 fp-t3", tag="h3")
            with ui.element("ul").classes("fp-problems"):
                for change in checks.changes:
                    symbol, kind = _WEIGHTS[change.weight]
                    with ui.element("li"):
                        icon(symbol, kind)
                        sentence(change.sentence, "fp-grow", tag="span")
        else:
            note(_("Request and result keep their shape: every call that works goes on working."), icon="check")
        with ui.element("div").classes("fp-acts"):
            keep = _("Cancel") if live is None else f"{_('Keep version')} {live}"
            button(keep, lambda: dialog.submit(False), kind="quiet")
            button(verb, lambda: dialog.submit(True), icon="rocket_launch", kind="main")
    wanted = await answer_of(dialog)
    return bool(wanted)


_WEIGHTS = {"breaking": ("warning", "fp-bad"), "careful": ("info", "fp-warn"), "harmless": ("add", "fp-ok")}


def _what_happens(checks: Checks) -> str:
    live = checks.flow.live_version
    if live is None:
        return f"{_('Version')} {checks.number} {_('goes live in a few seconds, at an address that never changes. Only programs with a key can call it.')}"
    back = _("This goes back to an older version. ") if checks.number < live else ""
    return f"{_('Callers get version')} {checks.number} {_('instead of version')} {live}. {back}" + _(
        "The address stays, and running jobs finish on the version they began with."
    )


def _labels(document: Document) -> dict[str, str]:
    return {node.id: node.name for node in document.nodes}
