"""Step 2 of deploying: which limits apply, which keys may call, and who may read the docs.

The choices are stored in the flow's settings when it is deployed. A further option needs a row in `DeployOptions` and
its change in `changes()`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.keys import find_try_key
from engine.core.clock import SECOND
from engine.jobs.submit.accept import flow_limit_ms
from storage.database import now
from storage.environments import EnvironmentUse, read_environments
from storage.flows import FlowRow
from storage.keys import KeyRow, list_keys
from storage.workspaces import get_limits
from ui.kit.parts import ENVIRONMENTS, environment_badge, link_button, words
from ui.kit.text import Reader, _, duration, number, plural
from ui.page_session import PageSession
from ui.page_shell import times_of

MAX_KEYS = 6


class CallersAndLimits(Struct, frozen=True):
    """Who may call the flow, and how often. `other_keys`: how many keys may call other flows only."""

    plan: str
    environments: tuple[EnvironmentUse, ...]
    keys: tuple[KeyRow, ...]
    other_keys: int


def load_callers_and_limits(session: Session, workspace_id: str, flow: FlowRow) -> CallersAndLimits:
    """Reads limits, use and the active keys that may call this flow."""
    at = now(session)
    own = find_try_key(session, workspace_id)
    active = [key for key in list_keys(session, workspace_id) if key.status(at) == "active" and key.id != own]
    keys = tuple(key for key in active if key.flow_ids is None or flow.id in key.flow_ids)
    limits = get_limits(session, workspace_id)
    return CallersAndLimits(
        limits.title, read_environments(session, workspace_id, limits), keys, len(active) - len(keys)
    )


class DeployOptions:
    """Draws the rows in the current slot. `asks`: whether a step of the flow asks a person."""

    def __init__(self, page_session: PageSession, flow: FlowRow, allowed: CallersAndLimits, *, asks: bool) -> None:
        self.flow = flow
        reader = times_of(page_session).reader
        with ui.element("dl").classes("fp-options"):
            with _row(_("Limits")):
                words(
                    _("{plan} plan. Calls above a limit are refused until there is room again.").format(
                        plan=allowed.plan
                    ),
                    tag="p",
                )
                with ui.element("ul").classes("fp-lines fp-s13"):
                    for use in allowed.environments:
                        words(_allowed_words(use, reader), tag="li")
                words(
                    _(
                        "Each key is of one of these three: Production for programs in daily use, Staging and Development "
                        "for trying. “At once” is how many runs may be under way at the same time."
                    ),
                    "fp-hint",
                    tag="p",
                )
                seconds = flow_limit_ms(flow.settings) // SECOND
                took = _("One run may take {seconds}.").format(seconds=duration(seconds, reader))
                if asks:
                    took += " " + _("The time in which it waits for a person does not count.")
                words(took, "fp-t2 fp-s13", tag="p")
                link_button(_("Limits and plan"), "/settings/limits", kind="link", small=True)
            with _row(_("Keys")):
                self._keys(allowed.keys, allowed.other_keys)
            with _row(_("API docs")):
                self.public_docs = ui.switch(
                    _("Anybody may read the API docs"), value=bool(flow.settings.get("public_docs"))
                )
                words(
                    _(
                        "A page for people who program: what the flow takes and answers. Off: only people who are signed in "
                        "here can read it. Calling the flow needs a key in any case."
                    ),
                    "fp-hint",
                    tag="p",
                )

    def _keys(self, keys: tuple[KeyRow, ...], other_keys: int) -> None:
        if not keys:
            words(
                _("The keys that you have are for other flows. You create one for this flow in the next step.")
                if other_keys
                else _(
                    "No key yet. A key is what a program shows to be let in. You create the first one in the next step."
                ),
                tag="p",
            )
            return
        words(_("{keys} may call it.").format(keys=plural(len(keys), _("key"), _("keys"))), tag="p")
        with ui.element("ul").classes("fp-lines fp-s13"):
            for key in keys[:MAX_KEYS]:
                with ui.element("li").classes("fp-key-line"):
                    words(key.label, "fp-b fp-cut")
                    words(key.masked, "fp-mono fp-t3 fp-s12 fp-cut")
                    words("", "fp-sp")
                    environment_badge(key.environment)
        if len(keys) > MAX_KEYS:
            words(_("and {count} more").format(count=len(keys) - MAX_KEYS), "fp-t2 fp-s13", tag="p")

    def changes(self) -> dict[str, Any]:
        """Returns the choices as changes of the flow's settings."""
        wanted = bool(self.public_docs.value)
        return {} if wanted == bool(self.flow.settings.get("public_docs")) else {"public_docs": wanted or None}


def _allowed_words(use: EnvironmentUse, reader: Reader) -> str:
    """Returns `Production: 4 at once, 12 of 1,000 requests this month`."""
    at_once = _("any number") if use.caps.concurrency is None else number(use.caps.concurrency, reader)
    used = number(use.used.month_count, reader)
    month = (
        used
        if use.caps.monthly is None
        else _("{used} of {monthly}").format(used=used, monthly=number(use.caps.monthly, reader))
    )
    return _("{environments}: {at_once} at once, {month} requests this month").format(
        environments=ENVIRONMENTS[use.environment][0], at_once=at_once, month=month
    )


@contextmanager
def _row(name: str) -> Iterator[None]:
    """Draws a name and enters the slot of its content."""
    with ui.element("div").classes("fp-option"):
        words(name, "fp-b", tag="dt")
        with ui.element("dd"):
            yield
