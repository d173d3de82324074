"""Warns that a flow answers with made-up text, with the button that leads to a model."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.actions.called_flows import read_library
from engine.flow.called_flows import AGENT
from engine.flow.document import Document
from engine.flow.goals import Goal
from engine.flow.made_up_answers import MadeUpStep, made_up_steps
from storage.connections import list_connections
from ui.kit.parts import button, link_button, note, status_badge
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.model_wanted import ask_for_model

#: Most steps that are named.
MAX_NAMED = 3


class MadeUp(Struct, frozen=True):
    """The steps whose answers are made up; `connected`: there is a connection to a model that they can use."""

    flow_id: str
    steps: tuple[MadeUpStep, ...]
    connected: bool


def load_made_up(session: Session, workspace_id: str, flow_id: str, document: Document) -> MadeUp:
    """Looks for the steps in a document and in the flows that it calls."""
    steps = made_up_steps(document, read_library(session, workspace_id, document))
    return MadeUp(flow_id, steps, bool(list_connections(session, workspace_id)))


def made_up_note(page_session: PageSession, made_up: MadeUp) -> None:
    """Draws the warning; nothing when no answer is made up."""
    if not made_up.steps:
        return
    with note(
        _sentence(made_up),
        kind="warn",
        icon="science",
        strong=_("Callers will get made-up answers: connect a model."),
    ).classes("fp-note--act"):
        if made_up.connected and page_session.may("edit flows"):
            place = f"/playground/{made_up.flow_id}?node={made_up.steps[0].node_id}"
            link_button(_("Choose a model"), place, icon="auto_awesome", small=True)
        elif page_session.may("manage connections"):
            link_button(_("Connect a model"), "/settings/models", icon="auto_awesome", small=True)
        elif page_session.may("edit flows"):
            button(_("Ask the owner"), lambda: _ask(page_session, made_up), icon="mail", small=True)


def made_up_badge(made_up: MadeUp) -> None:
    """Draws the badge; nothing when no answer is made up."""
    if made_up.steps:
        status_badge("simulated", _("Made-up answers"))


async def _ask(page_session: PageSession, made_up: MadeUp) -> None:
    await ask_for_model(page_session, _sentence(made_up).rstrip("."), made_up.flow_id)


def _sentence(made_up: MadeUp) -> str:
    first, *others = made_up.steps
    names = ", ".join(f"“{step.name}”" for step in made_up.steps[:MAX_NAMED])
    if len(made_up.steps) > MAX_NAMED:
        more = len(made_up.steps) - MAX_NAMED
        return _("{names} and {more} more use the Simulated model, which only pretends to answer.").format(
            names=names, more=more
        )
    if others:
        return _("{names} use the Simulated model, which only pretends to answer.").format(names=names)
    if first.called:
        return _("{names} calls a flow with the Simulated model, which only pretends to answer.").format(names=names)
    return _("{names} uses the Simulated model, which only pretends to answer.").format(names=names)


def worth_of_answers(document: Document) -> str:
    """What the answers of the Simulated model are, as the begin of a sentence."""
    types = {node.type for node in document.nodes}
    if AGENT in types:
        return _("The answers only list what was found")
    return _("The answers are copied, not written") if "search_knowledge" in types else _("The answers are made up")


def how_made_up(document: Document) -> str:
    """Says what an answer of the Simulated model is worth: it copies from documents and tools, and guesses elsewhere."""
    types = {node.type for node in document.nodes}
    if AGENT in types:
        return _(
            "The Simulated model only lists what it found where it looked. A connected model answers the question in "
            "sentences of its own."
        )
    if "search_knowledge" in types:
        return _(
            "The Simulated model copied these sentences from the documents, word for word. A connected model answers the "
            "question in sentences of its own."
        )
    return _(
        "This answer is made up: the Simulated model guesses it from the words of your input, to show how "
        "the flow works. Real answers need a connected model."
    )


def choices_not_kept(goal: Goal) -> str:
    """Says that what was chosen of the answer's form is for a connected model; "" where a goal asks for nothing of it."""
    asked = [one for one in goal.questions if one.kind in {"choice", "number"}]
    if not any(f"<{one.name}>" in goal.instruction for one in asked):
        return ""
    return _("The Simulated model keeps to no language, number or style that you choose; a connected model does.")
