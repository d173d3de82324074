"""Try it now: a real call of the public endpoint, with its result in plain words and both responses as code.

The key for it is named "Try it now" and is created on first use. Only the memory of this process has its secret, so the
key gets a new secret after a restart. Servers that share a PostgreSQL share the secret, too (`try_key`).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from nicegui import ui

from engine.actions.deployments import endpoint_path
from engine.actions.keys import TRY_LABEL, NewKey, try_key
from engine.core.environments import Environment
from engine.core.errors import Refusal
from engine.core.ids import JobId
from engine.flow.contract import input_fields, made_up_names, payload_schema
from engine.flow.document import Document
from engine.flow.node_context import Json
from storage.jobs import find_job
from storage.keys import list_keys
from storage.questions import list_questions_of_job
from ui.flows.internal_api_client import OwnAnswer, call_public
from ui.flows.made_up_note import MadeUp, made_up_badge
from ui.forms.form import Form
from ui.forms.specs import FieldSpec, specs_of_schema, tell_made_up
from ui.forms.values import error_words, same
from ui.kit import feedback
from ui.kit.code_view import code
from ui.kit.feedback import error_card, fold
from ui.kit.parts import badge, button, card, icon, link_button, note, words
from ui.kit.scroll import into_view
from ui.kit.text import _, duration
from ui.page_session import App, PageSession
from ui.page_shell import times_of
from ui.parts.ask_owners import asking
from ui.parts.kept_files import file_keeper
from ui.parts.question_cards import Asked, QuestionCards
from ui.parts.value_shapes import names_of_groups
from ui.parts.value_view import readable
from ui.parts.written_rows import WrittenRows

#: How long one poll waits for the end of the job, in seconds.
WAIT_SECONDS = 20
#: The same for a job that may begin to wait for a person, which ends no poll.
ASKING_SECONDS = 2
#: The most questions that are shown.
_MAX_QUESTIONS = 5
_ENDED = ("completed", "failed", "cancelled")


class TryKeys:
    """The "Try it now" key of each workspace whose secret this process has."""

    def __init__(self) -> None:
        self._known: dict[str, NewKey] = {}
        self._lock = asyncio.Lock()

    async def key_for(self, page_session: PageSession) -> str:
        """Returns a secret that is valid now. Raises NotAllowed for people who may not create keys."""
        workspace_id = page_session.person.workspace_id
        app = page_session.app
        async with self._lock:
            at = app.database.clock.now()
            known = self._known.get(workspace_id)
            if known is not None and any(
                (key.id, key.label, key.last4) == (known.id, TRY_LABEL, known.last4) and key.status(at) == "active"
                for key in await page_session.query(list_keys)
            ):
                return known.key
            made = await page_session.execute(try_key, app.vault if app.database.is_postgres else None)
            self._known[workspace_id] = made
            return made.key


def try_keys_of(app: App) -> TryKeys:
    """Returns the keys that all pages of this server share."""
    return app.shared(TryKeys)


#: Browser handler: Enter in a field of one line sends. The box is left first, so that it tells what was typed.
_ENTER = """(event) => {
  const box = event.target;
  if (event.key !== "Enter" || event.isComposing || !box.matches("input") || box.getAttribute("role") === "combobox") return;
  event.preventDefault();
  box.blur();
  box.focus();
  setTimeout(() => emit());
}"""
#: A sample longer than this is a text of several lines.
_ONE_LINE = 60


def roomy(specs: Sequence[FieldSpec], payload: Mapping[str, Any]) -> tuple[FieldSpec, ...]:
    """The fields with a box of several lines where the text that is in it at first is long."""
    return tuple(_roomy(spec, payload.get(spec.name)) for spec in specs)


def _roomy(spec: FieldSpec, value: Any) -> FieldSpec:
    if spec.kind == "text" and isinstance(value, str) and not spec.is_address:
        return replace(spec, kind="textarea") if len(value) > _ONE_LINE or "\n" in value else spec
    if spec.kind == "list" and spec.item is not None and isinstance(value, list):
        longest = max((one for one in value if isinstance(one, str)), key=len, default="")
        return replace(spec, item=_roomy(spec.item, longest))
    if spec.kind == "group" and isinstance(value, Mapping):
        return replace(spec, fields=roomy(spec.fields, value))
    return spec


class _Call(Struct, frozen=True):
    """A finished call: what was sent, the answers as programs get them, and the error of a job that failed."""

    sent: Json
    answers: tuple[tuple[OwnAnswer, float], ...]
    error: Mapping[str, Any] | None = None

    @property
    def last(self) -> Any:
        """The body of the last answer; an empty one when it is no JSON object."""
        body = self.answers[-1][0].body
        return body if isinstance(body, dict) else {}

    @property
    def refused(self) -> bool:
        """True when a call got no job or no look at it."""
        return self.answers[-1][0].status >= 300


class TryItNow:
    """The card with the form, the result in plain words and both responses as code.

    The last result stays until a new one is there; it is marked while the form holds another input. What a call asks a
    person can be answered in the card, and the next call can be sent while it waits. `asks`: whether a run may wait for a
    person.
    """

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
        asks: bool,
    ) -> None:
        self.page_session = page_session
        self.keys = keys
        self.flow_id = flow_id
        self.host = host
        self.heads = names_of_groups(document)
        self.reader = times_of(page_session).reader
        self.sent: Json = None
        #: Whether the job that is polled waits for a person; None while there is none.
        self._asks: bool | None = None
        #: How often Send was pressed: the answer of the last call is shown. What calls before it ask stays.
        self._sent = 0
        self._old_said = ""
        self._asking: list[str] = []
        self._poll_seconds = ASKING_SECONDS if asks else WAIT_SECONDS
        specs = specs_of_schema(payload_schema(input_fields(document)))
        specs = tell_made_up(specs, made_up_names(document, payload))
        with card(_("Try it now")) as box:
            with box.head:
                made_up_badge(made_up)
            may = page_session.may("manage keys")
            words(
                _("This is a real call, as a program would make it. It counts as one request of Development."),
                "fp-hint fp-try-says",
                tag="p",
            )
            with ui.element("div").classes("fp-try"):
                self.form = Form(
                    roomy(specs, payload),
                    payload,
                    self._typed,
                    types=True,
                    read_only=not may,
                    keep_file=file_keeper(page_session, Environment.DEV),
                )
                with ui.element("div").classes("fp-row fp-try-send"):
                    self.send_button = button(_("Send"), self.send, icon="send", kind="main")
                    self.running = ui.element("div").classes("fp-row fp-wrap-row").props("role=status")
            if may:
                self.form.element.on("keydown", self.send, js_handler=_ENTER)
            else:
                self.send_button.visible = False
                words(asking(page_session, _("Editors and owners can send calls from here.")), "fp-hint", tag="p")
            self.asks = QuestionCards(page_session, times_of(page_session), self._look_at_questions)
            self.asks.box.classes("fp-try-asks")
            self.old = ui.element("div").classes("fp-try-old").props("role=status")
            self.answers = ui.element("div").classes("fp-answers").props("role=status")
            self.answers.visible = False

    # The last result.

    def _typed(self, _pointer: str, _value: Json) -> None:
        self._mark()

    def _mark(self) -> None:
        """Marks the result when the form holds another input than the one it came from."""
        old = self.answers.visible and (bool(self.form.unread) or not same(self.form.value, self.sent))
        running = self._asks is not None
        said = (
            ""
            if not old
            else _("The call that was sent last has no answer yet.")
            if running
            else _("You have changed the input. Press Send for a new answer.")
        )
        if said == self._old_said:
            return
        self._old_said = said
        self.answers.classes(**{"add" if old else "remove": "fp-answers--old"})
        self.old.clear()
        if old:
            with self.old:
                note(said, icon="history", strong=_("This is the answer to the input before."))

    # The call.

    async def send(self) -> None:
        """Sends the content of the form, polls the job until it ends, and shows the result."""
        if not self.send_button.enabled:
            return
        if wrong := self.form.problems():
            self._mark()
            self.form.focus(next(iter(wrong)))
            return
        self._sent += 1
        turn = self._sent
        self._asks = None
        self._tell_running()
        try:
            call = await self._call(self.form.value, turn)
        except Refusal as refusal:
            feedback.refused(refusal)
            return
        finally:
            if turn == self._sent:
                self._stop_running()
        if call is None or self.answers.is_deleted:
            return
        self._show(call)
        if job_id := call.last.get("job_id"):
            job = await self.page_session.query(find_job, JobId(str(job_id)))
            if job is not None:
                await self.written.show(job)

    def _tell_running(self, *, asks: bool = False) -> None:
        if self.running.is_deleted or (self._asks is asks):
            return
        self._asks = asks
        self.send_button.set_enabled(asks)
        self._mark()
        self.running.clear()
        with self.running:
            if asks:
                icon("how_to_reg", "fp-warn", size=16)
                words(_("Waits for a person"), "fp-warn fp-b fp-s13 fp-nw")
                words(_("Answer it below, or send the next one."), "fp-s13")
                return
            icon("progress_activity", "fp-acc", size=16)
            words(_("Running"), "fp-acc fp-b fp-s13")

    def _stop_running(self) -> None:
        self._asks = None
        if not self.running.is_deleted:
            self.running.clear()
            self.send_button.enable()
            self._mark()

    async def _look_at_questions(self) -> None:
        """Shows what the calls of this card ask, those that were sent first at the top."""
        asked: list[Asked] = []
        for job_id in tuple(self._asking):
            questions = await self.page_session.query(list_questions_of_job, job_id)
            asked += [Asked(one) for one in questions if one.open]
        if self.answers.is_deleted:
            return
        first = asked and not self.asks.box.default_slot.children
        self._asking = [job_id for job_id in self._asking if any(one.question.job_id == job_id for one in asked)]
        self.asks.show(asked[:_MAX_QUESTIONS])
        if first:
            into_view(self.asks.box)

    async def _call(self, payload: dict[str, Json], turn: int) -> _Call | None:
        """Returns None when another call was sent while this one waited for a person."""
        key = await self.keys.key_for(self.page_session)
        accepted = await self._request("POST", endpoint_path(self.flow_id), key, payload)
        first = (accepted, accepted.seconds)
        if accepted.status != 202:
            return _Call(payload, (first,))
        spent = accepted.seconds
        while True:
            answer = await self._request("GET", f"{accepted.body['url']}?wait={self._poll_seconds}", key)
            spent += answer.seconds
            if turn != self._sent:
                return None
            if answer.status == 200:
                await self._tell_job(answer.body)
            if answer.status != 200 or answer.body["status"] in _ENDED or self.answers.is_deleted:
                break
        error = None
        if answer.status == 200 and answer.body["status"] == "failed":
            job = await self.page_session.query(find_job, JobId(str(answer.body["job_id"])))
            error = (job.error if job else None) or answer.body.get("error") or {}
        return _Call(payload, (first, (answer, spent)), error)

    async def _tell_job(self, job: Mapping[str, Any]) -> None:
        """Says whether the job runs or waits for a person, with what it asks."""
        job_id, asks = str(job.get("job_id")), job.get("waiting_for") == "person"
        self._tell_running(asks=asks)
        self.asks.tell_times()
        if asks and job_id not in self._asking:
            self._asking.append(job_id)
        if self._asking:
            await self._look_at_questions()

    async def _request(self, method: str, path: str, key: str, payload: Any = None) -> OwnAnswer:
        return await call_public(
            self.page_session.app.public_api, method, path, key=key, host=self.host, payload=payload
        )

    # What came of it.

    def _show(self, call: _Call) -> None:
        self.sent = call.sent
        self.answers.visible = True
        self.answers.clear()
        with self.answers:
            with ui.element("div").classes("fp-answer-result") as result:
                self._draw_outcome(call)
                self.written = WrittenRows(self.page_session, new_tab=True)
            with fold(_("What a program gets, as code")), ui.element("div").classes("fp-answer-codes"):
                for answer, seconds in call.answers:
                    self._draw_code(answer, seconds)
        self._show_wrong_fields(call.last)
        self._mark()
        into_view(result)

    def _draw_outcome(self, call: _Call) -> None:
        """Draws the result, or what happened, why and what to do, as people read it."""
        body = call.last
        if call.refused:
            error_card(
                _("The call was refused"),
                happened=str(body.get("detail") or body.get("title") or _("It was not accepted.")),
                todo=_("Change what is marked above and send it again.")
                if body.get("errors")
                else _("Send it again in a moment. When it stays like this, look at the flow in the Playground."),
            )
        elif call.error is not None:
            card_ = error_card(
                _("The flow could not answer"),
                happened=str(call.error.get("message") or _("A step failed.")),
                why=str(call.error.get("why") or ""),
                todo=str(call.error.get("remedy") or _("Change the input above and send it again.")),
            )
            with card_.actions:
                link_button(_("See the job"), f"/jobs/{body.get('job_id')}", small=True).props("target=_blank")
        elif body.get("status") == "cancelled":
            words(_("The run was cancelled before it had an answer."), "fp-b")
        else:
            with ui.element("div").classes("fp-row fp-answer-head"):
                words(_("Result"), "fp-b fp-s13")
                words("", "fp-sp")
                took = duration(call.answers[-1][1], self.reader)
                words(_("after {took}").format(took=took), "fp-s12 fp-t2 fp-num")
            readable(body.get("result"), label=_("Result"), reader=self.reader, heads=self.heads)

    def _draw_code(self, answer: OwnAnswer, seconds: float) -> None:
        state = answer.body.get("status") if isinstance(answer.body, dict) else None
        good = answer.status < 300 and state != "failed"
        word = {202: _("Accepted"), 200: str(state or "").capitalize()}.get(answer.status, _("Refused"))
        with ui.element("div"):
            with ui.element("div").classes("fp-row fp-answer-head"):
                badge(f"{answer.status} {word}", kind="ok" if good else "bad", icon="check" if good else "error")
                words("", "fp-sp")
                words(_("after {seconds}").format(seconds=duration(seconds, self.reader)), "fp-s12 fp-t2 fp-num")
            text = json.dumps(answer.body, ensure_ascii=False, indent=2)
            code(
                text[:20_000], "json", inside=True, copy=False, name=_("Answer {status}").format(status=answer.status)
            ).classes("fp-answer")

    def _show_wrong_fields(self, body: Mapping[str, Any]) -> None:
        errors = body.get("errors")
        if isinstance(errors, list):
            self.form.show_errors(
                error_words(
                    (str(error.get("pointer", "")), str(error.get("code", "")), str(error.get("detail", "")))
                    for error in errors
                    if isinstance(error, dict)
                )
            )
