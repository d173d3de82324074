"""A job in words: its state and time, its environment, its version."""

from __future__ import annotations

from nicegui import ui

from storage.jobs import JobRow
from ui.kit.parts import ENVIRONMENTS, STATES, link, status_badge, status_line
from ui.kit.text import _
from ui.kit.times import Times


def job_state(job: JobRow) -> str:
    """A key of `ui.kit.parts.STATES`. A job whose cancellation was requested is `cancelling` until it has stopped."""
    if job.cancel_requested_at is not None and not job.ended:
        return "cancelling"
    return job.status


def job_badge(job: JobRow) -> ui.element:
    """The state as a badge."""
    return status_badge(job_state(job))


def job_line(job: JobRow, times: Times) -> ui.element:
    """`Failed, 4 min ago`, as a link to the job."""
    state = job_state(job)
    with link("", f"/jobs/{job.id}", "fp-quiet-link") as anchor:
        status_line(state, f"{STATES[state][0]}, {times.ago(job.completed_at or job.created_at)}")
    return anchor


def version_words(job: JobRow) -> str:
    """`Version 4`, or a description of what a Playground run ran."""
    return f"{_('Version')} {job.flow_version}" if job.flow_version is not None else _("What was on the canvas")


def environment_word(environment: str) -> str:
    """The name of an environment on screen: `Production` for `live`."""
    return ENVIRONMENTS[environment][0]


def job_took(job: JobRow, times: Times) -> str:
    """How long the job ran, or has been running; empty while it is queued."""
    return times.spent(job.started_at, job.completed_at)
