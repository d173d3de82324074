"""A job in words: its state and time, its environment, its version."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from nicegui import ui

from engine.actions.keys import TRY_LABEL
from storage.jobs import JobRow
from storage.steps import StepRow
from ui.kit.parts import ENVIRONMENTS, STATES, badge, link, status_badge, status_line
from ui.kit.text import Reader, _, plural
from ui.kit.times import Times
from ui.kit.value_words import shortened

#: A reason that begins with an address: "Read the page: `https://a.example/b` answered 404."
_ADDRESS_FIRST = re.compile(r"\A(?P<node>(?:[^`]*: )?)`(?P<address>https?://[^`]+)`")
#: How much of such an address is shown where a reason is cut off.
_MAX_ADDRESS = 40


def job_state(job: JobRow) -> str:
    """A key of `ui.kit.parts.STATES`. A job whose cancellation was requested is `cancelling` until it has stopped."""
    if job.cancel_requested_at is not None and not job.ended:
        return "cancelling"
    return "asks" if job.waits_for_person else job.status


def state_words(job: JobRow, reader: Reader) -> tuple[str, str]:
    """A key of `ui.kit.parts.STATES` and its words: `Completed, 1 step failed` for a job that went on without a step."""
    if job.went_on:
        failed = plural(job.steps_failed, _("step failed"), _("steps failed"), reader)
        return "steps_failed", f"{STATES['completed'][0]}, {failed}"
    state = job_state(job)
    return state, STATES[state][0]


def dollars(job: JobRow) -> Decimal | None:
    """What the job cost, in US dollars, for a table; None when that is not known."""
    return None if job.cost_nanos is None else Decimal(job.cost_nanos).scaleb(-9).normalize()


def step_words(step: StepRow) -> tuple[str, str]:
    """A key of `ui.kit.parts.STATES` and its words; a step that failed and was skipped says both."""
    if step.went_on:
        return "failed", _("Failed, skipped") if step.status == "skipped" else _("Failed, default used")
    state = "reused" if step.reused else "asks" if step.status == "waiting" else step.status
    return state, STATES[state][0]


def row_of_batch(job: JobRow) -> str:
    """`Row 2 of the batch (Ann)` of a row that the Playground ran; "" for any other job."""
    options = job.run_options or {}
    if job.batch_id is None or "row" not in options:
        return ""
    said = _("Row {number} of the batch").format(number=options["row"])
    return f"{said} ({options['title']})" if options.get("title") else said


def way_words(log: Any) -> str:
    """Returns which way a step with several ways went on, from its log: `Went on by yes.`; "" when it does not say."""
    return str(log[-1]) if isinstance(log, list) and log and isinstance(log[-1], str) else ""


def why_failed(job: JobRow) -> str:
    """`Read the page: The server answered 404.`, from a failed job's error; empty when none is kept."""
    error = job.error or {}
    node, message = str(error.get("node_label") or ""), str(error.get("message") or "")
    return f"{node}: {message}" if node and message else message


def short_reason(why: str) -> str:
    """Returns a reason with the beginning of the address that it begins with, for places that cut it off: an address may be
    longer than they are.
    """
    return _ADDRESS_FIRST.sub(lambda found: f"{found['node']}`{shortened(found['address'], _MAX_ADDRESS)}`", why)


def was_tried(job: JobRow, keys: Mapping[str, str]) -> bool:
    """True for a call that somebody made with Try it now. `keys`: key id -> label."""
    return job.environment == "dev" and keys.get(job.key_id or "") == TRY_LABEL


def job_badge(job: JobRow, reader: Reader) -> ui.element:
    """The state as a badge."""
    return status_badge(*state_words(job, reader))


def job_line(job: JobRow, times: Times) -> ui.element:
    """`Failed, 4 min ago`, as a link to the job."""
    state, said = state_words(job, times.reader)
    with link("", f"/jobs/{job.id}", "fp-quiet-link") as anchor:
        status_line(state, f"{said}, {times.ago(job.completed_at or job.created_at)}")
    return anchor


def trigger_word(trigger: str) -> str:
    """What kind of trigger started a job: a schedule, or a webhook of another service."""
    return _("Schedule") if trigger.startswith("schedule:") else _("Webhook")


def trigger_title(job: JobRow, titles: Mapping[str, str], by_hand: Collection[str]) -> str:
    """What started a job without a call: the title of a schedule or a webhook, or its kind when it was removed. Of a job
    that a person started with a schedule it says so. `by_hand`: the ids of such jobs.
    """
    trigger = str(job.trigger)
    title = titles.get(trigger) or trigger_word(trigger)
    return _("By hand: {title}").format(title=title) if job.id in by_hand else title


def trigger_badge(job: JobRow, titles: Mapping[str, str], by_hand: Collection[str]) -> ui.element:
    """The same as a badge; a start by hand has its schedule in the tip only."""
    title = trigger_title(job, titles, by_hand)
    if job.id in by_hand:
        made = badge(_("By hand"), icon="person")
        made.props["title"] = title
        return made
    trigger = str(job.trigger)
    made = badge(title, icon="schedule" if trigger.startswith("schedule:") else "webhook")
    made.props["title"] = trigger_word(trigger)
    return made


def version_that_ran(job: JobRow) -> int | None:
    """The number of the version that a job ran, also of a Playground run that repeats one; None for a canvas."""
    return job.flow_version if job.flow_version is not None else (job.run_options or {}).get("version")


def version_words(job: JobRow) -> str:
    """`Version 4`, or a description of what a Playground run ran."""
    if (number := version_that_ran(job)) is not None:
        return _("Version {flow_version}").format(flow_version=number)
    options = job.run_options or {}
    if "again" in options and not options.get("now"):
        # an older release stored only that a run repeats another one
        is_canvas = "now" in options
        return _("What was on the canvas of an earlier run") if is_canvas else _("The flow of an earlier run")
    return _("What was on the canvas")


def environment_word(environment: str) -> str:
    """The name of an environment on screen: `Production` for `live`."""
    return ENVIRONMENTS[environment][0]


def job_took(job: JobRow, times: Times) -> str:
    """How long the job ran, or has been running, without the time in which it waited for people; empty before its first
    start.
    """
    if job.started_at is None:
        return ""
    return times.spent(job.started_at + job.waited_ms, job.completed_at or job.waiting_since)
