"""The card of a failed job: what happened, why, what to do, and the retry with what it will run; and the note of a
job that went on without a step.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import urlencode

from nicegui import ui

from engine.flow.document import Node
from engine.nodes.http_request import sends_something
from engine.run.steps import INNER
from storage.jobs import JobRow
from ui.jobs.step_list import FailedStep, StepLine, step_link, step_path
from ui.kit import feedback
from ui.kit.parts import button, link_button, note, sentence, words
from ui.kit.text import _


def draw_failure(
    job: JobRow,
    *,
    node: Node | None,
    version: str,
    can_look: bool,
    why_not: str,
    can_retry: bool,
    on_retry: Callable[[str], Awaitable[None]],
) -> None:
    """Draws the card in the current slot.

    `node` is the step that failed, as it ran. `version` names what a retry runs; `on_retry(node id)` starts it. `why_not`
    tells somebody who may not change the flow who may.
    """
    error = job.error or {}
    node_id = str(error.get("node_id") or "")
    label = str(error.get("node_label") or node_id)
    text = json.dumps({"job_id": job.id, **error}, ensure_ascii=False, indent=2)
    box = feedback.error_card(
        _("{label} failed").format(label=label) if label else _("The job failed"),
        happened=str(error.get("message") or _("The job failed.")),
        why=str(error.get("why") or ""),
        todo=str(error.get("remedy") or ""),
        code=str(error.get("code") or ""),
        technical=text,
        copy_label=_("Copy with job id"),
        copy_text=text,
    )
    changes = bool(node_id) and can_look
    with box.actions:
        if changes and why_not:
            link_button(_("See the step"), change_path(job, node_id), icon="visibility")
        elif changes:
            default = change_path(job, node_id, "/policy/default")
            change, change_it = change_path(job, node_id), _("Change {label}").format(label=label)
            if node is not None and _gives_away(node):  # a default text stands in for no mail that was not sent
                link_button(change_it, change, icon="tune", kind="main")
                link_button(_("Go on with a default text"), default, icon="edit")
            else:
                link_button(_("Go on with a default text"), default, icon="edit", kind="main")
                link_button(change_it, change, icon="tune")
    if why_not:
        with box:
            words(why_not, "fp-hint fp-retry-hint", tag="p")
    if can_retry:
        with box, ui.element("div").classes("fp-retry"):
            retry = _("Retry from {label} with {version}").format(label=label, version=version)
            button(retry, lambda: on_retry(node_id), icon="replay", small=True)
            words(_about_retry(job, version), "fp-hint fp-grow", tag="p")


def _gives_away(node: Node) -> bool:
    """Whether a step sends or stores something, rather than reading what later steps need."""
    return sends_something(node) or node.type in {"dataset_sink", "add_to_knowledge"}


def draw_went_on(
    job: JobRow, failed: Sequence[FailedStep], *, can_change: bool, open_step: Callable[[StepLine], Awaitable[None]]
) -> None:
    """Draws which steps of a completed job failed, what they gave instead, and where that is changed."""
    many = job.steps_failed != 1
    strong = _("{count} steps failed, and the job went on.").format(count=job.steps_failed)
    with note(
        _("The result lacks what they would have given.") if many else _("The result lacks what it would have given."),
        kind="warn",
        icon="warning",
        strong=strong if many else _("1 step failed, and the job went on."),
    ) as box:
        box.classes("fp-went-on")
        with ui.element("ul"):
            for one in failed:
                _draw_failed_step(job, one, can_change=can_change, open_step=open_step)


def _draw_failed_step(
    job: JobRow, one: FailedStep, *, can_change: bool, open_step: Callable[[StepLine], Awaitable[None]]
) -> None:
    with ui.element("li"):
        with words("", "fp-grow"):
            step_link(step_path(job.id, one.line), one.label, lambda: open_step(one.line))
            words(f" {one.what} ", "fp-t2")
            sentence(one.message, "fp-t2", tag="span")
        if can_change and INNER not in one.line.node_id:
            link_button(
                _("Change {step}").format(step=one.label), change_path(job, one.line.node_id), icon="tune", small=True
            )


def change_path(job: JobRow, node_id: str, field: str = "/policy/on_error") -> str:
    """The URL of the Playground at what happens when a node fails, with the input of the job."""
    return f"/playground/{job.flow_id}?{urlencode({'node': node_id, 'job': job.id, 'field': field})}"


def _about_retry(job: JobRow, version: str) -> str:
    """Explains what a retry does, before it is started."""
    kept = _("What the steps before it gave is kept; it and the steps after it run again.")
    if job.environment == "playground":
        return _("A retry helps when the fault has passed. It is a new run of the same canvas. {kept}").format(
            kept=kept
        )
    return (
        _(
            "A retry helps when the fault has passed. You see its result here; the caller does not get it. It runs {version} "
            "in the Playground, this job stays failed, and it does not count toward your plan."
        ).format(version=version)
        + f" {kept}"
    )
