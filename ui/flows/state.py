"""The state of a flow in words and icons: Live v4, newer draft, Draft, Not saved yet, Undeployed."""

from __future__ import annotations

from storage.flows import FlowRow
from ui.kit.parts import status_badge, status_line
from ui.kit.text import _


def newer_draft(flow: FlowRow) -> bool:
    """True when callers get something else than what is on the canvas or in the newest version."""
    return flow.state == "Live with newer draft"


def state_badges(flow: FlowRow) -> None:
    """Badges beside a title."""
    if flow.live_version is not None:
        status_badge("live", f"{_('Live')} v{flow.live_version}")
        if newer_draft(flow):
            status_badge("newer_draft")
    else:
        status_badge(_quiet_state(flow))


def state_lines(flow: FlowRow) -> None:
    """The same without frames, for lists."""
    if flow.live_version is not None:
        status_line("live", f"{_('Live')} v{flow.live_version}").classes("fp-b")
        if newer_draft(flow):
            status_line("newer_draft", _("newer draft")).classes("fp-b")
    else:
        status_line(_quiet_state(flow)).classes("fp-b")


def _quiet_state(flow: FlowRow) -> str:
    if not flow.newest_version:
        return "not_saved"
    return "undeployed" if flow.ever_deployed else "draft"
