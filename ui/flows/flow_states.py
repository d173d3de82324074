"""The state of a flow as labels and icons: Live v4, Draft differs, Not deployed, Not saved yet, Undeployed."""

from __future__ import annotations

from storage.flows import FlowRow, FlowState
from ui.kit.parts import status_badge, status_line, words
from ui.kit.text import _

#: States in which nobody can call the flow -> badge.
_QUIET = {FlowState.NOT_SAVED: "not_saved", FlowState.DRAFT: "saved", FlowState.UNDEPLOYED: "undeployed"}


def draft_differs(flow: FlowRow) -> bool:
    """True when the content of the draft is not what callers get."""
    return flow.live_version is not None and flow.differs_from_live


def newer_draft(flow: FlowRow) -> bool:
    """True when the draft differs and has something new for callers, not a version that was live and was replaced."""
    return flow.state is FlowState.NEWER_DRAFT


def state_badges(flow: FlowRow) -> None:
    """Draws the badges beside a title."""
    if flow.live_version is not None:
        status_badge("live", _("Live v{live_version}").format(live_version=flow.live_version))
        if draft_differs(flow):
            status_badge("draft_differs")
    else:
        status_badge(_QUIET[flow.state])


def state_lines(flow: FlowRow) -> None:
    """Draws the state without frames, for lists."""
    if flow.live_version is not None:
        status_line("live", _("Live v{live_version}").format(live_version=flow.live_version)).classes("fp-b")
        if draft_differs(flow):
            status_line("draft_differs").classes("fp-b")
    else:
        status_line(_QUIET[flow.state]).classes("fp-b")
        if flow.state is FlowState.NOT_SAVED:
            words(_("Draft, kept by itself"), "fp-s12 fp-t3", tag="div")
