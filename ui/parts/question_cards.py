"""The questions of jobs to people, as cards in which they are answered: on the page Waiting, the page of a job and the Run
panel.

    cards = QuestionCards(page_session, times, on_answered=look, with_job=True)
    cards.show(questions)        adds and removes cards; one in which somebody types stays as it is
    cards.tell_times()           goes on with “asked 5 s ago”
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session

from engine.actions.questions import MAX_NOTE, Answer, answer_question
from engine.core.errors import PayloadInvalid, QuestionClosed, Refusal
from engine.flow.after_answer import AfterAnswer, after_answer
from engine.flow.document import load_document
from engine.flow.edited_values import kind_of
from engine.flow.file_values import is_file_value
from engine.secrets.question_links import question_link_path
from storage.job_documents import get_job_flow
from storage.jobs import find_job
from storage.questions import QuestionRow, count_open_questions
from ui.forms.amounts import count_values
from ui.forms.form import Field, Form
from ui.forms.specs import specs_of_schema
from ui.forms.values import pointer_to
from ui.kit import feedback
from ui.kit.field_titles import field_title
from ui.kit.frame import show_waiting
from ui.kit.parts import button, copy_button, icon, link, note, status_badge, words
from ui.kit.text import _
from ui.kit.times import Times
from ui.kit.value_words import in_short, shortened
from ui.page_session import PageSession
from ui.page_shell import base_address
from ui.parts.answer_words import MADE_UP, SAME_TEXTS_ASKED, THEN, may_have_lines, now_words, until_words
from ui.parts.ask_owners import asking
from ui.parts.same_texts import warned_questions
from ui.parts.value_view import readable

_TYPES = {"text": "string", "number": "number", "flag": "boolean", "list": "array", "group": "object"}
#: How many values all cards together draw as boxes at once, and how many elements they draw for their values. Where there
#: is no room left, a press shows the values or makes boxes of them: twenty questions with a table in each would keep the
#: server busy for half a minute.
MAX_BOXES, MAX_DRAWN = 100, 4_000
#: How long presses are not taken after a card has gone, in seconds: a double press would answer the question below it.
MOVED_SECONDS = 1.0
#: What an emptied box asks for, by the kind of the value.
_WRITE = {
    "number": _("Write a number, like 12 or 3.5."),
    "list": _("Write a list; an empty one is []."),
    "group": _("Write a group; an empty one is {}."),
}
#: How many values of an answered question are named, and how much of each.
_FIRST, _SHORT = 3, 60


class Asked(Struct, frozen=True):
    """A question, and the title of its flow."""

    question: QuestionRow
    flow: str = ""


class QuestionCards:
    """Cards of open questions. `with_job`: each leads to its job. `on_answered` is called after each answer, given here or
    by somebody else.
    """

    def __init__(
        self,
        page_session: PageSession,
        times: Times,
        on_answered: Callable[[], Awaitable[None]],
        *,
        with_job: bool = False,
    ) -> None:
        self.page_session = page_session
        self.times = times
        self.on_answered = on_answered
        self.with_job = with_job
        self.base = base_address(page_session)
        self.box = ui.element("div").classes("fp-col fp-asks")
        self._cards: dict[str, _Card] = {}
        #: How many values the cards drew as boxes at once, and how many elements they drew for their values.
        self.boxes = self.drawn = 0
        #: Until when presses are not taken: the cards have just moved. In seconds of the clock that only goes forward.
        self.moving_until = 0.0
        #: What was said of the last answer that was given here.
        self.said: ui.element | None = None

    def show(self, asked: Sequence[Asked]) -> None:
        """Shows exactly these questions, in this order."""
        wanted = {one.question.id: one for one in asked}
        if wanted.keys() != self._cards.keys():
            with self.box:
                ui.timer(0, self._tell_more, once=True)
        for question_id in [known for known in self._cards if known not in wanted]:
            gone = self._cards.pop(question_id)
            self.boxes -= gone.boxes
            self.drawn -= gone.drawn
            gone.box.delete()
            self.moving_until = self.times.clock.monotonic() + MOVED_SECONDS
        for place, (question_id, one) in enumerate(wanted.items()):
            card = self._cards.get(question_id)
            if card is None:
                with self.box:
                    card = self._cards[question_id] = _Card(self, one)
            if self.box.default_slot.children.index(card.box) != place:
                card.box.move(self.box, place)
        self.tell_times()

    def tell_times(self) -> None:
        """Says how long ago the questions were asked; called again and again while the page is open."""
        for card in self._cards.values():
            card.tell_time()

    def forget_answer(self) -> None:
        """Closes what was said of the last answer: the job that should go on has failed."""
        if self.said is not None and not self.said.is_deleted:
            self.said.delete()

    async def _tell_more(self) -> None:
        """Says beside Waiting how many questions there are now, and at a question that its values are the same text."""
        asked = [card.question for card in self._cards.values()]

        def read(session: Session, workspace_id: str) -> tuple[int, set[str]]:
            return count_open_questions(session, workspace_id), warned_questions(session, asked)

        waiting, warned = await self.page_session.query(read)
        if not self.box.is_deleted:
            with self.box:
                show_waiting(waiting)
            for question_id, card in self._cards.items():
                card.warned.visible = question_id in warned


class _Card:
    """One question."""

    def __init__(self, cards: QuestionCards, asked: Asked) -> None:
        self.cards = cards
        self.question = asked.question
        self.may = cards.page_session.may("answer questions")
        #: What it takes of the boxes and elements of all cards.
        self.boxes = self.drawn = 0
        self._busy = False
        question = self.question
        with ui.element("article").classes("fp-card fp-ask") as self.box:
            self.box.props["aria-label"] = question.title or _("Question")
            with ui.element("div").classes("fp-ask-head"):
                icon("how_to_reg", "fp-acc", size=20)
                with ui.element("div").classes("fp-grow"):
                    words(question.title or _("May it go on?"), "fp-ask-title", tag="h2")
                    with ui.element("div").classes("fp-row fp-wrap-row fp-s13 fp-t2"):
                        if asked.flow:
                            words(asked.flow, "fp-b")
                        self._where()
                        self.time = words("")
                        if question.simulated:
                            status_badge("simulated")
                        if cards.with_job:
                            link(_("See the job"), f"/jobs/{question.job_id}")
            with ui.element("div").classes("fp-cb-body fp-col"):
                if question.simulated:
                    words(MADE_UP, "fp-hint", tag="p")
                strong, todo = SAME_TEXTS_ASKED
                self.warned = note(todo, kind="warn", icon="warning", strong=strong)
                self.warned.visible = False
                self.values = ui.element("div").classes("fp-col")
                self._draw_values()
                self._draw_answer()
        self.tell_time()

    def tell_time(self) -> None:
        """Says when it was asked and until when it can be answered."""
        self.time.text = _("asked {asked_at}").format(asked_at=self.cards.times.ago(self.question.asked_at))
        self.until.text = f"{until_words(self.question, self.cards.times)} {THEN[self.question.on_expiry]}"

    def _where(self) -> None:
        if index := self.question.index:
            words(_("item {index}").format(index=", ".join(str(place + 1) for place in index)))

    def _draw_values(self) -> None:
        question = self.question
        self.changing = {name: value for name, value in question.values.items() if self._may_change(name, value)}
        self.form: Form | None = None
        if question.values and self.cards.drawn >= MAX_DRAWN:
            with self.values:
                show = button(_("Show the values"), self._show_and_focus, icon="visibility", small=True)
                show.classes("fp-self-start")
            return
        first = self.values.client.next_element_id
        self._show()
        self.drawn = self.values.client.next_element_id - first
        self.cards.drawn += self.drawn

    def _show(self) -> None:
        """Shows the values, those that may be changed as boxes while there is room for them."""
        self.values.clear()
        left = MAX_BOXES - self.cards.boxes
        if self.changing and (count := count_values(self.changing, left)) <= left:
            self.boxes = count
            self.cards.boxes += count
            self._draw_form()
            return
        with self.values:
            if values := self.question.values:
                readable(values, label=_("Values"), reader=self.cards.times.reader, pictures=True)
            if self.changing:
                change = button(_("Change the values"), self._change, icon="edit", small=True)
                change.classes("fp-self-start")

    def _show_and_focus(self) -> None:
        """Shows the values, and moves the keyboard to them: the button that had it is gone."""
        self._show()
        self.values.props("tabindex=-1")
        self.values.client.run_javascript(f"document.getElementById('{self.values.html_id}')?.focus()")

    def _change(self) -> None:
        self._draw_form()
        if self.form is not None:
            self.form.focus(pointer_to("", next(iter(self.changing))))

    def _draw_form(self) -> None:
        self.values.clear()
        changing = self.changing
        fixed = {name: value for name, value in self.question.values.items() if name not in changing}
        with self.values:
            if fixed:
                readable(fixed, label=_("Values"), reader=self.cards.times.reader, pictures=True)
            words(_("You may change:") if fixed else _("You may change it:"), "fp-s13 fp-t2", tag="p")
            self.form = Form(specs_of_schema(schema_of(changing)), changing, json_views=True, most=MAX_BOXES)

    def _may_change(self, name: str, value: Any) -> bool:
        """A file is looked at, not changed."""
        return self.may and name in self.question.editable and not is_file_value(value)

    def _draw_answer(self) -> None:
        question, page_session = self.question, self.cards.page_session
        self.until = words("", "fp-s13 fp-t2", tag="p")
        if not self.may:
            note(asking(page_session, _("You can look at this; editors and owners answer it.")), icon="info")
            return
        field = Field(_("Note"), _("optional"), _("Later steps and people who look at the job can read it."))
        with field.place:
            self.note = field.control(ui.textarea()).props(f"outlined dense autogrow maxlength={MAX_NOTE}")
        with ui.element("div").classes("fp-row fp-wrap-row fp-ask-acts"):
            self.yes = button(_("Approve"), lambda: self._answer(approved=True), icon="check", kind="main")
            self.no = button(_("Refuse"), lambda: self._answer(approved=False), icon="block")
            words("", "fp-sp")
            path = question_link_path(page_session.app.vault, question.id)
            copy_button(self.cards.base + path, _("Copy link"), name=_("Copy a link for an answer"), small=False)
        words(
            _(
                "The link is for somebody without an account. Whoever has it can answer this one question, once. Opening it changes nothing."
            ),
            "fp-hint",
            tag="p",
        )

    async def _answer(self, *, approved: bool) -> None:
        if self._busy:
            return
        if self.cards.times.clock.monotonic() < self.cards.moving_until:
            feedback.failed(
                _("Nothing was answered."),
                _("A question above or below has just gone. Look which one this is, then press again."),
            )
            return
        values: Mapping[str, Any] = {}
        if self.form is not None and approved:
            if self.form.problems():
                return
            values, wrong = with_emptied(self.form.value, self.changing)
            if wrong:
                self.form.show_errors(wrong)
                self.form.focus(next(iter(wrong)))
                return
        self._busy = True
        self.yes.disable()
        self.no.disable()
        try:
            answer = Answer(approved, values, self.note.value or "")
            await self.cards.page_session.execute(answer_question, self.question.id, answer)
        except PayloadInvalid as refusal:
            if self.form is not None:
                wrong = {one.pointer.removeprefix("/values"): _sentence(one.detail) for one in refusal.errors}
                self.form.show_errors(wrong)
            feedback.refused(refusal)
        except QuestionClosed as refusal:
            feedback.refused(refusal)
            await self.cards.on_answered()
        except Refusal as refusal:
            feedback.refused(refusal)
        else:
            after = await self.cards.page_session.query(load_after_answer, self.question, approved=approved)
            said = _("Approved.") if approved else _("Refused.")
            self.cards.said = feedback.told(said, now_words(after, approved=approved))
            await self.cards.on_answered()
        finally:
            self._busy = False
            if not self.box.is_deleted:
                self.yes.enable()
                self.no.enable()


def load_after_answer(session: Session, workspace_id: str, question: QuestionRow, *, approved: bool) -> AfterAnswer:
    """Reads what the flow of a question does after this answer, in the version that its job runs."""
    job = find_job(session, workspace_id, question.job_id)
    text = None if job is None else get_job_flow(session, workspace_id, job).document
    return AfterAnswer() if text is None else after_answer(load_document(text), question.node_id, approved=approved)


def schema_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a JSON Schema for a form with these values, each of the type that it has."""
    properties = {}
    for name, value in values.items():
        kind = _TYPES.get(kind_of(value))
        title = field_title(name)
        schema: dict[str, Any] = {"title": title} if kind is None else {"title": title, "type": kind}
        if isinstance(value, str) and may_have_lines(value):
            schema["widget"] = "textarea"
        properties[name] = schema
    return {"type": "object", "properties": properties}


def with_emptied(sent: Mapping[str, Any], asked: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns what a form sends with the boxes that were emptied, and what is wrong by pointer.

    A form leaves an empty box out, and in an answer what is left out is unchanged: the person would approve a value that
    they have removed.
    """
    values, wrong = dict(sent), {}
    for name, value in asked.items():
        if name in sent:
            continue
        kind = kind_of(value)
        if kind == "text":
            values[name] = ""
        elif kind in _WRITE:
            wrong[pointer_to("", name)] = _WRITE[kind]
    return values, wrong


def _sentence(detail: str) -> str:
    return f"{detail[:1].upper()}{detail[1:]}."


def outcome_words(question: QuestionRow) -> tuple[str, str]:
    """A key of `ui.kit.parts.STATES` and its words: `Approved`, `Refused, nobody answered`."""
    said = _("Approved") if question.approved else _("Refused")
    state = "completed" if question.approved else "cancelled"
    return state, _("{said}, nobody answered").format(said=said) if question.expired else said


def first_values(question: QuestionRow) -> str:
    """The first short values that a question showed, as they were approved, so that questions of one title can be told
    apart: `Mill & Sons, 612, GBP`.
    """
    values = {**question.values, **question.answer}
    short = [shortened(in_short(one), _SHORT) for one in values.values() if isinstance(one, str | int | float)]
    return ", ".join([one for one in short if one][:_FIRST])
