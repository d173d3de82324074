"""The table of jobs, shown on the Jobs page and on a flow's page."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nicegui import ui

from storage.jobs import JobRow
from ui.kit.parts import Column, badge, environment_badge, link, sentence, status_badge, status_line, table, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.kit.value_words import in_short_of_json
from ui.parts.answer_words import NOBODY_ANSWERED
from ui.parts.job_words import (
    job_took,
    row_of_batch,
    short_reason,
    state_words,
    trigger_badge,
    version_that_ran,
    was_tried,
    why_failed,
)

#: The largest input in bytes of which the beginning is shown, and how many characters of it.
LARGEST_INPUT, _LONGEST_INPUT = 8_000, 60


def job_table(
    jobs: Sequence[JobRow],
    times: Times,
    *,
    titles: Mapping[str, str] | None,
    keys: Mapping[str, str],
    by_hand: Collection[str],
    refusers: Mapping[str, str],
    inputs: Mapping[str, str],
    label: str,
) -> None:
    """Draws rows of jobs. Without `titles` the column of the flow is left out. `keys`: labels of keys, and titles of
    schedules and webhooks by what jobs name as their trigger. `by_hand`: ids of jobs that a person started with a
    schedule. `refusers`: who refused what a job asked, "" for nobody, by the ids of jobs. `inputs`: the beginnings
    of inputs as JSON text, by the ids of jobs.
    """
    columns = [
        Column(_("Status"), width="132px"),
        *([Column(_("Flow and version"))] if titles is not None else [Column(_("Version"))]),
        Column(_("Environment")),
        Column(_("Called by")),
        Column(_("Started")),
        Column(_("Duration"), right=True),
        Column(_("Cost"), right=True),
    ]
    rows = table(columns, label=label, stacks=True).classes("fp-jobs")
    for job in jobs:
        with rows.row(on_open=lambda job=job: ui.navigate.to(f"/jobs/{job.id}")):
            with rows.cell():
                with link("", f"/jobs/{job.id}", "fp-quiet-link"):
                    status_line(*state_words(job, times.reader)).classes("fp-b fp-wrap-text")
                if job.status == "completed" and (by := refusers.get(job.id)) is not None:
                    said = _("Refused by a person") if by else NOBODY_ANSWERED
                    refused = words(said, "fp-s12 fp-warn fp-wrap-text", tag="div")
                    refused.props["title"] = by
            with rows.cell(classes="fp-wrap-text"):
                if titles is not None:
                    words(titles.get(job.flow_id) or _("Deleted flow"), "fp-b")
                    words(" ")
                number = version_that_ran(job)
                words(f"v{number}" if number is not None else _("draft"), "fp-t3")
                if said := in_short_of_json(inputs.get(job.id, ""), _LONGEST_INPUT):
                    words(said, "fp-job-why fp-s12 fp-t3", tag="div").props["title"] = said
                if row := row_of_batch(job):
                    words(row, "fp-job-why fp-s12 fp-t2", tag="div").props["title"] = row
                if job.status == "failed" and (why := why_failed(job)):
                    said = sentence(short_reason(why), "fp-job-why fp-s12 fp-bad", tag="div")
                    said.props["title"] = why.replace("`", '"')
            with rows.cell(), ui.element("span").classes("fp-row fp-wrap-row"):
                environment_badge(job.environment)
                if job.simulated:
                    status_badge("simulated")
            with rows.cell(classes="fp-t2"):
                _draw_caller(job, keys, by_hand)
            rows.cell(times.moment(job.started_at or job.created_at), "fp-t2")
            rows.cell(job_took(job, times), "fp-num")
            rows.cell(times.cost(job.cost_nanos) if job.ended or job.model_calls else "", "fp-t2")


def _draw_caller(job: JobRow, keys: Mapping[str, str], by_hand: Collection[str]) -> None:
    """Draws who or what called the flow."""
    if job.trigger:
        trigger_badge(job, keys, by_hand)
    elif was_tried(job, keys):
        badge(_("Try it now"), icon="play_arrow").props["title"] = _("Sent by a person of the team, on the flow's page")
    elif job.environment == "playground":
        words(_("The team")).props["title"] = _("A run of the draft, by a person of the team")
    else:
        words(keys.get(job.key_id or "") or _("A program"))
