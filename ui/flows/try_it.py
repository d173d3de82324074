"""Try it now: a real call of the public endpoint, with both responses and their times.

The key for it is named "Try it now" and is created on first use. Only the memory of this process has its secret, so the
key gets a new secret after a restart.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from nicegui import ui

from engine.actions.deployments import endpoint_path
from engine.actions.keys import TRY_LABEL, create_key, rotate_key
from engine.core.environments import Environment
from engine.core.errors import Refusal
from engine.flow.contract import input_fields, payload_schema
from engine.flow.document import Document
from storage.keys import list_keys
from ui.flows.internal_api_client import OwnAnswer, call_public
from ui.flows.made_up_note import MadeUp, made_up_badge
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.kit import feedback
from ui.kit.code_view import code
from ui.kit.parts import badge, button, card, icon, words
from ui.kit.text import _, duration
from ui.page_session import App, PageSession
from ui.page_shell import times_of
from ui.parts.ask_owners import asking
from ui.parts.value_view import readable

LABEL = TRY_LABEL
#: How long one poll waits for the end of the job, in seconds.
WAIT_SECONDS = 20
_ENDED = ("completed", "failed", "cancelled")


class TryKeys:
    """The "Try it now" key of each workspace whose secret this process has."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._lock = asyncio.Lock()

    async def key_for(self, page_session: PageSession) -> str:
        """Returns a secret that is valid now. Raises NotAllowed for people who may not create keys."""
        workspace_id = page_session.person.workspace_id
        async with self._lock:
            at = page_session.app.database.clock.now()
            mine = [
                key
                for key in await page_session.query(list_keys)
                if key.label == LABEL and key.environment == Environment.DEV and key.status(at) == "active"
            ]
            known = self._known.get(workspace_id)
            if known is not None and any(key.id == known[0] and key.last4 == known[1][-4:] for key in mine):
                return known[1]
            made = await (
                page_session.execute(rotate_key, mine[0].id, 0)
                if mine
                else page_session.execute(create_key, LABEL, Environment.DEV)
            )
            self._known[workspace_id] = (made.id, made.key)
            return made.key


def try_keys_of(app: App) -> TryKeys:
    """Returns the keys that all pages of this server share."""
    return app.shared(TryKeys)


class TryItNow:
    """The card with the form and the two responses."""

    def __init__(
        self,
        page_session: PageSession,
        keys: TryKeys,
        flow_id: str,
        document: Document,
        payload: dict[str, Any],
        host: str,
        *,
        made_up: MadeUp,
    ) -> None:
        self.page_session = page_session
        self.keys = keys
        self.flow_id = flow_id
        self.host = host
        self.reader = times_of(page_session).reader
        fields = input_fields(document)
        with card(
            _("Try it now"), _("This is a real call, as a program would make it. It counts as one request.")
        ) as box:
            with box.head:
                made_up_badge(made_up)
            may = page_session.may("manage keys")
            self.form = Form(
                specs_of_schema(payload_schema(fields)), payload, types=True, row=len(fields) <= 3, read_only=not may
            )
            with self.form.element if len(fields) <= 3 else ui.element("div").classes("fp-row fp-send"):
                self.send_button = button(_("Send"), self.send, icon="send")
            self.send_button.visible = may
            if not may:
                said = asking(page_session, _("Editors and owners can send calls from here."))
                words(said, "fp-hint", tag="p")
            self.answers = ui.element("div").classes("fp-answers").props("role=status")
            self.answers.visible = False
        #: Where the result of the last call stands; made anew for each call.
        self.result: ui.element = self.answers

    async def send(self) -> None:
        """Sends the content of the form and polls the job until it ends."""
        if self.form.problems():
            return
        self.send_button.disable()
        self.answers.visible = True
        self.answers.clear()
        with self.answers:
            self.result = ui.element("div").classes("fp-answer-result")
            first, second = ui.element("div"), ui.element("div")
        try:
            key = await self.keys.key_for(self.page_session)
            accepted = await self._call("POST", endpoint_path(self.flow_id), key, self.form.value)
            self._show(first, accepted)
            if accepted.status == 202:
                await self._follow(second, accepted, key)
            else:
                self._show_wrong_fields(accepted.body)
        except Refusal as refusal:
            self.answers.visible = False
            feedback.refused(refusal)
        finally:
            self.send_button.enable()

    async def _call(self, method: str, path: str, key: str, payload: Any = None) -> OwnAnswer:
        return await call_public(
            self.page_session.app.public_api, method, path, key=key, host=self.host, payload=payload
        )

    async def _follow(self, place: ui.element, accepted: OwnAnswer, key: str) -> None:
        path = str(accepted.body["url"])
        with place, ui.element("div").classes("fp-row fp-answer-head"):
            icon("progress_activity", "fp-acc", size=16)
            words(_("Running"), "fp-acc fp-b fp-s13")
        spent = accepted.seconds
        while not place.is_deleted:
            answer = await self._call("GET", f"{path}?wait={WAIT_SECONDS}", key)
            spent += answer.seconds
            if answer.status != 200 or answer.body["status"] in _ENDED:
                self._show(place, answer, spent)
                return

    def _show(self, place: ui.element, answer: OwnAnswer, seconds: float | None = None) -> None:
        if place.is_deleted:
            return
        self._show_result(answer)
        place.clear()
        state = answer.body.get("status") if isinstance(answer.body, dict) else None
        good = answer.status < 300 and state != "failed"
        word = {202: _("Accepted"), 200: str(state or "").capitalize()}.get(answer.status, _("Refused"))
        with place:
            with ui.element("div").classes("fp-row fp-answer-head"):
                badge(f"{answer.status} {word}", kind="ok" if good else "bad", icon="check" if good else "error")
                words("", "fp-sp")
                took = answer.seconds if seconds is None else seconds
                words(f"{_('after')} {duration(took, self.reader)}", "fp-s12 fp-t2 fp-num")
            text = json.dumps(answer.body, ensure_ascii=False, indent=2)
            code(text[:20_000], "json", inside=True, copy=False, name=f"{_('Answer')} {answer.status}").classes(
                "fp-answer"
            )

    def _show_result(self, answer: OwnAnswer) -> None:
        """Shows the result above both answers as people read it."""
        result = answer.body.get("result") if isinstance(answer.body, dict) else None
        if result is not None:
            with self.result:
                words(_("Result"), "fp-b fp-s13")
                readable(result, label=_("Result"), reader=self.reader)

    def _show_wrong_fields(self, body: Any) -> None:
        errors = body.get("errors") if isinstance(body, dict) else None
        if isinstance(errors, list):
            self.form.show_errors(
                {
                    str(error.get("pointer", "")): str(error.get("detail", ""))
                    for error in errors
                    if isinstance(error, dict)
                }
            )
