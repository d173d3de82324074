"""The box "What should your API do?": what people type in everyday words leads to goals, each a link to its questions."""

from __future__ import annotations

from urllib.parse import quote

from nicegui import ui

from engine.flow.goal_search import Found, find_goals
from engine.flow.goals import Goal, all_goals
from engine.flow.times_asked import time_asked
from ui.flows.templates import find_template
from ui.kit.not_yet import missing_topic
from ui.kit.parts import icon, link, link_button, note, words
from ui.kit.text import _, plural

#: Shown while the box is empty.
_EXAMPLES = (
    "summarise-a-page",
    "page-title-and-summary",
    "sort-reviews",
    "prices-from-a-shop",
    "translate-a-text",
    "check-links",
    "answer-by-word",
    "classify-emails",
)
#: Browser handler: Enter tells what is in the box, since a box tells its value only a moment after the last key.
_ENTER = "(event) => { if (!event.isComposing) emit(event.target.value); }"


#: As many characters are searched; the box takes no more.
_LONGEST = 200


class GoalBox:
    """The box with what it finds below. `asked` is in it at first."""

    def __init__(self, *, heading: str, asked: str = "") -> None:
        with ui.element("section").classes("fp-goals") as self.element:
            title = words(_("What should your API do?"), "fp-goals-title", tag=heading)
            self.element.props["aria-labelledby"] = title.html_id
            self.box = ui.input(
                value=asked, placeholder=_("Say it in your words, like: sort reviews into good and bad")
            )
            self.box.props(f"outlined clearable debounce=200 maxlength={_LONGEST} type=search")
            self.box.props["aria-label"] = _("What should your API do?")
            self.box.classes("fp-goals-box")
            with self.box.add_slot("prepend"):
                icon("search")
            self.said = words("", "fp-hide").props("role=status")
            self.place = ui.element("div")
        self.box.on_value_change(self._show)
        self.box.on("keydown.enter", lambda event: self._open_first(event.args), js_handler=_ENTER)
        self._show()

    @property
    def _asked(self) -> str:
        return str(self.box.value or "").strip()[:_LONGEST]

    def _show(self) -> None:
        asked = self._asked
        self.place.clear()
        with self.place:
            if not asked:
                self._draw_examples()
                self.said.text = ""
                return
            found = find_goals(asked)
            if found.fits:
                self.said.text = _("Found {goals}.").format(goals=plural(len(found.goals), _("goal"), _("goals")))
                if len(found.parts) > 1:
                    words(
                        _("You named several things. Begin with the first one here, then add the others as steps."),
                        "fp-t2 fp-goals-said",
                        tag="p",
                    )
                left_note(found)
            else:
                self._draw_nothing_fits(found)
            if found.time:
                times_note(found.time)
            if not found.fits:
                words(_("These three come nearest:"), "fp-t2", tag="p")
            with ui.element("ul").classes("fp-goals-list"):
                for goal in found.goals:
                    _goal_entry(goal, asked, found.parts.get(goal.name, ""))
            if not found.fits:
                with ui.element("p").classes("fp-t2"):
                    words(_("Or build it step by step:") + " ")
                    link(_("begin with an empty flow"), new_flow_path(asked), "fp-b")
                    words(" " + _("and add a step with +."))

    def _draw_examples(self) -> None:
        with ui.element("ul").classes("fp-goals-examples"):
            for name in _EXAMPLES:
                goal = all_goals().find(name)
                if goal is not None:
                    with ui.element("li"):
                        link(goal.title, goal_path(goal), "fp-chip fp-chip--pick")

    def _draw_nothing_fits(self, found: Found) -> None:
        missing = missing_topic(found.not_yet)
        strong = missing.title if missing else _("Nothing does exactly this yet.")
        instead = missing.instead if missing else ""
        if found.left and not missing:
            instead = _("None of these does “{part}”.").format(part=found.left)
        self.said.text = " ".join(part for part in (strong, instead, _("These three come nearest.")) if part)
        with note(instead, icon="info", strong=strong):
            if missing:
                link(_("Show me how"), missing.path, "fp-b fp-nw")

    def _open_first(self, typed: object) -> None:
        asked = typed.strip()[:_LONGEST] if isinstance(typed, str) else self._asked
        found = find_goals(asked)
        if asked and found.fits:
            ui.navigate.to(goal_path(found.goals[0], asked))


def left_note(found: Found) -> None:
    """Draws which part of a wish the goals that fit leave out, and where it is done; nothing when they do all of it."""
    missing = missing_topic(found.not_yet)
    if not found.fits or missing is None:
        return
    strong = _("“{part}” is not part of it.").format(part=found.left)
    with note(f"{missing.title} {missing.instead}", icon="info", strong=strong).classes("fp-note--act"):
        link(_("Show me how"), missing.path, "fp-b fp-nw")


def times_note(time: str, triggers_path: str = "") -> ui.element:
    """Draws a note that says where the times are chosen. `time`: what was asked for, if anything; `triggers_path`: the
    tab for it, once the flow is deployed.
    """
    strong = f"“{time[0].upper()}{time[1:]}”:" if time else _("By itself, at set times:")
    if triggers_path:
        said = _("add a schedule, and the flow starts by itself.")
    else:
        said = _("once the flow is deployed, you choose the times on its page, under Schedules and webhooks.")
    if time:
        said += " " + _("The form there begins with these times.")
    with note(said, icon="schedule", strong=strong).classes("fp-note--act") as element:
        if triggers_path:
            link_button(_("Choose the times"), triggers_path, icon="schedule", small=True)
        else:
            link(_("How schedules work"), "/docs/guides/schedules", "fp-b fp-nw")
    return element


def goal_path(goal: Goal, asked: str = "") -> str:
    """The address of a goal's questions. `asked` leads back to what was found."""
    return f"/start?goal={quote(goal.name)}" + (f"&asked={quote(asked)}" if asked else "")


def new_flow_path(asked: str) -> str:
    """The address of an empty canvas, whose flow keeps the times of the wish that led there."""
    return f"/playground/new?asked={quote(asked)}" if time_asked(asked)[0] else "/playground/new"


def triggers_path(flow_id: str) -> str:
    """The address of the tab on which the times of a flow are chosen."""
    return f"/flows/{flow_id}?tab=triggers"


def _goal_entry(goal: Goal, asked: str, part: str) -> None:
    with ui.element("li"), link("", goal_path(goal, asked), "fp-goal"):
        with ui.element("span").classes("fp-grow"):
            words(goal.title, "fp-b fp-goal-title")
            words(goal.says, "fp-t2 fp-s13")
            if part and part != asked:
                words(_("For “{part}”").format(part=part), "fp-acc fp-s13")
        if find_template(goal.template).simulated:
            words(_("Asks a model"), "fp-s12 fp-sim fp-nw")
        else:
            words(_("No model needed"), "fp-s12 fp-ok fp-nw")
        icon("arrow_forward", "fp-acc")
