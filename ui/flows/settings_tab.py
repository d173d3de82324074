"""The Settings tab of a flow's page: its sections in order. The webhooks are in `settings_webhook.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from nicegui import ui

from engine.actions.flows import rename_flow
from engine.core.clock import SECOND
from engine.core.errors import Refusal
from engine.jobs.submit.accept import (
    FLOW_CONCURRENCY,
    FLOW_CONCURRENCY_RANGE,
    LIMIT_SECONDS,
    flow_concurrency,
    flow_limit_ms,
)
from storage.flows import FlowRow
from storage.retention import KEEP_DAYS
from ui.flows import settings_webhook
from ui.flows.flow_settings import FlowSettings
from ui.forms.form import Field
from ui.kit import feedback
from ui.kit.parts import button, card, copy_button, link, words
from ui.kit.text import _, duration
from ui.page_session import PageSession
from ui.page_shell import base_address
from ui.parts.ask_owners import ask_note

MAX_DAYS = 3_650


def _draw_title(settings: FlowSettings) -> None:
    """Draws title and description of a flow."""
    flow = settings.flow
    with card(_("Title and description")), ui.element("div").classes("fp-form fp-narrow"):
        title = Field(_("Title"))
        with title.place:
            title_box = title.control(settings.box(ui.input(value=flow.title)).props("maxlength=200"))
        about = Field(_("Description"), help_text=_("People read it in Saved Flows, callers in the API's docs."))
        with about.place:
            about_box = about.control(settings.box(ui.textarea(value=flow.description)).props("autogrow"))

        shown = [flow.title, flow.description]

        async def rename() -> None:
            title.error("")
            written = [title_box.value or "", about_box.value or ""]
            # what stays as it was drawn may have been changed by somebody else meanwhile
            changed = [new if new != old else None for new, old in zip(written, shown, strict=True)]
            try:
                await settings.page_session.execute(rename_flow, flow.id, *changed)
            except Refusal as refusal:
                title.error(f"{refusal.detail}. {refusal.remedy}")
                return
            shown[:] = written
            feedback.told(_("Saved."))
            await settings.changed()

        if settings.may_edit:
            with ui.element("div"):
                button(_("Save"), rename)


_NUMBER_OR_NOTHING = _("Write a whole number from {least} to {most}, or nothing.")


def _is_within(text: str, least: int, most: int) -> bool:
    """Whether the text is a whole number within these bounds."""
    return text.isdecimal() and len(text) < 10 and least <= int(text) <= most


def _draw_limit(settings: FlowSettings) -> None:
    """Draws how long a job of a flow may run."""
    least, most = LIMIT_SECONDS
    seconds = flow_limit_ms(settings.flow.settings) // SECOND
    with card(_("Job limit")), ui.element("div").classes("fp-form fp-narrow"):
        limit = Field(
            _("A job may run for"),
            _("seconds"),
            _(
                "A job that takes longer is stopped and fails with `timeout`. The time in which it waits for a person does "
                "not count. From {least} seconds to {most}."
            ).format(least=least, most=duration(most)),
        )
        with limit.place:
            box = limit.control(settings.box(ui.input(value=str(seconds))).props("inputmode=numeric"))

        async def keep() -> None:
            text = (box.value or "").strip()
            if not _is_within(text, least, most):
                limit.error(_("Write a whole number from {least} to {most}.").format(least=least, most=most))
                return
            limit.error("")
            await settings.keep({"limit_seconds": int(text)}, _("It counts for the next job."))

        if settings.may_edit:
            with ui.element("div"):
                button(_("Save the limit"), keep)


def _draw_concurrency(settings: FlowSettings) -> None:
    """Draws how many jobs of a flow run at the same time."""
    least, most = FLOW_CONCURRENCY_RANGE
    number = flow_concurrency(settings.flow.settings)
    with card(_("Jobs at the same time")), ui.element("div").classes("fp-form fp-narrow"):
        field = Field(
            _("How many of its jobs run at the same time"),
            help_text=_(
                "For a flow that calls a slow service, or one that takes only a few calls at once. Further calls are "
                "accepted and wait, in the order in which they came. Leave it empty for no limit of its own. All "
                "environments count together; runs in the Playground do not count and do not wait."
            ),
        )
        with field.place:
            shown = "" if number is None else str(number)
            box = field.control(settings.box(ui.input(value=shown)).props("inputmode=numeric"))

        async def keep() -> None:
            text = (box.value or "").strip()
            if text and not _is_within(text, least, most):
                field.error(_NUMBER_OR_NOTHING.format(least=least, most=most))
                return
            field.error("")
            await settings.keep(
                {FLOW_CONCURRENCY: int(text) if text else None}, _("It counts at once, also for jobs that wait.")
            )

        if settings.may_edit:
            with ui.element("div"):
                button(_("Save the number"), keep)
        with ui.element("p").classes("fp-hint"):
            words(_("Each environment and each key has a limit for all flows together:") + " ")
            link(_("Limits and plan"), "/settings/limits")
            words(", ")
            link(_("API Keys"), "/settings/keys")


def _draw_switch(settings: FlowSettings, setting: str, label: str, hint: str) -> None:
    """Draws a setting that is on or off, and stored at once. It goes back when it is refused."""
    kept = bool(settings.flow.settings.get(setting))
    switch = ui.switch(label, value=kept)
    switch.set_enabled(settings.may_edit)
    switch.props["aria-describedby"] = words(hint, "fp-hint", tag="p").html_id

    async def keep() -> None:
        if not await settings.keep({setting: bool(switch.value) or None}):
            switch.set_value(kept)

    switch.on("update:model-value", keep, [])


def _draw_docs(settings: FlowSettings) -> None:
    """Draws who may read the API docs of a flow."""
    with card(_("API docs")), ui.element("div").classes("fp-form fp-narrow"):
        _draw_switch(
            settings,
            "public_docs",
            _("Anybody may read the API docs"),
            _(
                "Fields, errors and code, without a sign-in. Off: only people who are signed in here. Calling the "
                "API always takes a key."
            ),
        )
        link(_("Open the docs"), f"/docs/flows/{settings.flow.id}", "fp-s13", new_tab=True)


def _draw_kept(settings: FlowSettings) -> None:
    """Draws how long inputs, results and steps of a flow's jobs are kept."""
    kept = settings.flow.settings.get(KEEP_DAYS)
    with card(_("Kept values")), ui.element("div").classes("fp-form fp-narrow"):
        days = Field(
            _("Keep inputs, results and steps for"),
            _("days"),
            _(
                "Leave it empty for the server's own time: 30 days unless its owner changed it. After that the "
                "values are deleted; the line in Jobs stays."
            ),
        )
        with days.place:
            shown = "" if kept is None else str(kept)
            box = days.control(settings.box(ui.input(value=shown)).props("inputmode=numeric"))

        async def keep() -> None:
            text = (box.value or "").strip()
            if text and not _is_within(text, 1, MAX_DAYS):
                days.error(_NUMBER_OR_NOTHING.format(least=1, most=MAX_DAYS))
                return
            days.error("")
            await settings.keep({KEEP_DAYS: int(text) if text else None}, _("It counts from the next clean-up on."))

        if settings.may_edit:
            with ui.element("div"):
                button(_("Save the days"), keep)


def _draw_mcp(settings: FlowSettings) -> None:
    """Draws whether AI assistants may use the flow as a tool."""
    address = f"{base_address(settings.page_session)}/mcp"
    with card(_("AI assistants (MCP)")), ui.element("div").classes("fp-form fp-narrow"):
        _draw_switch(
            settings,
            "mcp",
            _("Offer this flow as a tool"),
            _(
                "AI assistants, like Claude, can find this flow by its title and description and use it with an "
                "API key (MCP). Each use counts toward the limits."
            ),
        )
        with ui.element("div").classes("fp-row"):
            words(address, "fp-mono fp-cut")
            copy_button(address, _("Copy address"))


#: The sections of the tab in order.
SECTIONS: tuple[Callable[[FlowSettings], None], ...] = (
    _draw_title,
    _draw_limit,
    _draw_concurrency,
    _draw_docs,
    _draw_kept,
    _draw_mcp,
    settings_webhook.draw,
)


def draw_settings(page_session: PageSession, flow: FlowRow, changed: Callable[[], Awaitable[None]]) -> None:
    """Draws every section in the current slot."""
    settings = FlowSettings(page_session, flow, page_session.may("edit flows"), changed)
    if not settings.may_edit:
        ask_note(page_session, _("Editors and owners can change this."))
    for section in SECTIONS:
        section(settings)
