"""The first-run page: "What should your API do?" with its goals, the flows that were changed last, cards to begin with and
a checklist of the first steps.
"""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui
from starlette.requests import Request

from engine.flow.goals import all_goals
from storage.first_steps import FirstSteps, read_first_steps
from storage.flows import FlowRow, list_flows
from ui.flows.flow_states import state_lines
from ui.flows.goal_box import GoalBox, new_flow_path
from ui.flows.goal_flow import load_choices
from ui.flows.goal_page import blanks_of, draw_goal
from ui.flows.import_file import import_button
from ui.flows.templates import all_templates, simulated_note, template_card
from ui.kit.parts import icon, link, link_button, words
from ui.kit.text import _
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, opened
from ui.parts.ask_owners import asking

LOOK_SECONDS = 5.0
MAX_CARDS = 4
#: How many flows of one's own are shown.
MAX_OWN = 3


def register(app: App) -> None:
    """Registers `/start`."""

    @page_at("/start")
    async def open_start(
        request: Request,
        goal: str = "",
        asked: str = "",
        flow: str = "",
        change: str = "",
        collection: str = "",
        table: str = "",
    ) -> None:
        page_session = await open_page_session(app, request)
        if (wanted := all_goals().find(goal)) is not None:
            blanks = blanks_of(wanted)
            mine = flow if page_session.may("edit flows") else ""
            choices = await page_session.query(load_choices, blanks, mine)
            with opened(page_session, wanted.title, active="start", h1=False):
                draw_goal(
                    page_session,
                    blanks,
                    choices,
                    asked=asked,
                    change=bool(change),
                    collection=collection,
                    table=table,
                )
            return
        steps = await page_session.query(read_first_steps)
        flows = await page_session.query(list_flows, MAX_OWN)
        with opened(page_session, _("Make your first API in a minute"), active="start", h1=False):
            place = cards(page_session, steps, asked=asked, flows=flows)

        async def look() -> None:
            nonlocal steps
            fresh = await page_session.query_again(read_first_steps)
            if fresh != steps and page_session.may("edit flows"):
                steps = fresh
                place.clear()
                with place:
                    checklist(steps)

        every(LOOK_SECONDS, look)


def cards(
    page_session: PageSession,
    steps: FirstSteps,
    *,
    beside: bool = False,
    asked: str = "",
    flows: Sequence[FlowRow] = (),
) -> ui.element:
    """Draws headline, the box for goals, cards, other ways to begin, the checklist and a note about the Simulated model.

    `beside`: the page has a title of its own; `asked`: what is in the box at first; `flows`: those that are there, the
    one changed last first. Returns the place of the checklist.
    """
    heading, below = ("h2", "h3") if beside else ("h1", "h2")
    with ui.element("div").classes("fp-first"):
        may_edit = page_session.may("edit flows")
        first = _("Make another API in a minute") if steps.deployed else _("Make your first API in a minute")
        headline = first if may_edit else _("What flows can do")
        words(headline, "fp-headline", tag=heading)
        wish: GoalBox | None = None
        if may_edit:
            words(
                _(
                    "An API does one job whenever it is asked: by you, by a program, or at set times. You do not have to "
                    "program."
                ),
                "fp-lead",
                tag="p",
            )
            wish = GoalBox(heading=below, asked=asked)
        if flows:
            _own_flows(flows, heading=below)
        if may_edit:
            words(_("Or take a ready-made flow"), "fp-shelf", tag=below)
        words(
            _("Pick one. A sample is filled in and nothing has to be set up: you only press Run.")
            if may_edit
            else asking(page_session, _("Editors and owners make flows, from these or from nothing.")),
            "fp-lead",
            tag="p",
        )
        with ui.element("div").classes("fp-cards"):
            for template in all_templates()[:MAX_CARDS]:
                template_card(page_session, template, heading="h3" if may_edit else below)
        if wish is not None:
            with ui.element("div").classes("fp-row fp-or"):
                words(_("Or"), "fp-t2")
                empty = link_button(_("start with an empty canvas"), new_flow_path(asked), icon="add", kind="link")
                wish.box.on_value_change(lambda event: empty.props.update(href=new_flow_path(str(event.value or ""))))
                import_button(page_session, quiet=True)
                link_button(_("see all templates"), "/templates", icon="dashboard", kind="link")
        place = ui.element("div").classes("fp-col")
        if may_edit:
            with place:
                checklist(steps)
        simulated_note(page_session)
    return place


def _own_flows(flows: Sequence[FlowRow], *, heading: str) -> None:
    """Draws the flows that were changed last, each with its state, and the way to all of them."""
    with ui.element("section").classes("fp-goals fp-own") as section:
        with ui.element("div").classes("fp-row"):
            title = words(_("Your flows"), "fp-goals-title", tag=heading)
            words("", "fp-sp")
            link(_("See all under Saved Flows"), "/flows", "fp-b fp-s13")
        section.props["aria-labelledby"] = title.html_id
        with ui.element("ul").classes("fp-goals-list"):
            for flow in flows:
                with ui.element("li"), link("", f"/flows/{flow.id}", "fp-goal"):
                    words(flow.title, "fp-b fp-grow fp-two-lines")
                    with ui.element("span"):
                        state_lines(flow)
                    icon("arrow_forward", "fp-acc")


def checklist(steps: FirstSteps) -> None:
    """Draws the steps Run, Change, Deploy, Call; completed ones are checked and the next one is highlighted."""
    entries = (
        (_("Run"), _("Press Run. The sample is filled in."), steps.run),
        (_("Change"), _("Change one setting and run again."), steps.changed),
        (_("Deploy"), _("Press Deploy API. Ready in seconds."), steps.deployed),
        (_("Call"), _("Press Try it now, or copy the code into a program."), steps.called),
    )
    following = next((number for number, entry in enumerate(entries) if not entry[2]), None)
    words(_("Four steps. They tick themselves."), "fp-over", tag="h2")
    with ui.element("ol").classes("fp-card fp-checks"):
        for number, (name, sentence, done) in enumerate(entries):
            with ui.element("li"):
                with ui.element("span").classes("fp-check") as mark:
                    mark.classes("fp-check--done" if done else "fp-check--next" if number == following else "")
                    if done:
                        icon("check", size=16)
                        words(_("Done:"), "fp-hide")
                    else:
                        words(str(number + 1))
                with ui.element("div"):
                    words(name, "fp-b", tag="div")
                    words(sentence, "fp-s13 fp-t2", tag="div")
