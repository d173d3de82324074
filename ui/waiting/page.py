"""Waiting: what jobs ask people, with the answers that were given last. Updated while the page is open."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct
from nicegui import ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from storage.job_documents import list_flow_titles
from storage.questions import QuestionRow, count_open_questions, list_answered_questions, list_open_questions
from ui.kit import feedback
from ui.kit.frame import show_waiting
from ui.kit.parts import Column, Words, card, link, link_button, note, status_line, table, words
from ui.kit.text import _, number, plural
from ui.page_session import App, PageSession, open_page_session, page_at
from ui.page_shell import every, one_at_a_time, opened, times_of
from ui.parts.question_cards import Asked, QuestionCards, first_values, outcome_words

LOOK_SECONDS = 2.0
#: How many open questions, and how many answers, are shown.
MAX_OPEN, MAX_ANSWERED = 20, 20


class WaitingContents(Struct, frozen=True):
    """The data that the page shows; `count`: how many questions are open."""

    open: tuple[QuestionRow, ...]
    answered: tuple[QuestionRow, ...]
    count: int
    titles: Mapping[str, str]


def load_waiting(session: Session, workspace_id: str) -> WaitingContents:
    """Reads the questions that waited longest, and the last answers."""
    return WaitingContents(
        tuple(list_open_questions(session, workspace_id, MAX_OPEN)),
        tuple(list_answered_questions(session, workspace_id, MAX_ANSWERED)),
        count_open_questions(session, workspace_id),
        list_flow_titles(session, workspace_id),
    )


def register(app: App) -> None:
    """Registers `/waiting`."""

    @page_at("/waiting")
    async def open_waiting(request: Request) -> None:
        page_session = await open_page_session(app, request)
        seen = await page_session.query(load_waiting)
        WaitingPage(page_session, seen).build()


class WaitingPage:
    """One open page with the questions."""

    def __init__(self, page_session: PageSession, seen: WaitingContents) -> None:
        self.page_session = page_session
        self.seen = seen
        self.times = times_of(page_session)
        #: The cells that say how long ago an answer was given, and when that was.
        self.agos: list[tuple[Words, int]] = []

    def build(self) -> None:
        """Draws the page."""
        with opened(self.page_session, _("Waiting"), active="waiting"):
            self.sub = words("", "fp-sub fp-under", tag="p").props("role=status")
            self.empty = ui.element("div")
            self.cards = QuestionCards(self.page_session, self.times, self._look, with_job=True)
            self.more = ui.element("div")
            self.answered = ui.element("div").classes("fp-asks-answered")
            self._draw()
        every(LOOK_SECONDS, self._look)

    @one_at_a_time
    async def _look(self) -> None:
        fresh = await self.page_session.query_again(load_waiting)
        if fresh != self.seen:
            self.seen = fresh
            self._draw()
        else:
            self.cards.tell_times()
            self._tell_times()

    def _draw(self) -> None:
        seen = self.seen
        waiting = plural(seen.count, _("question waits for somebody"), _("questions wait for somebody"))
        self.sub.text = f"{waiting}." if seen.count else _("Jobs that need a decision of a person ask here.")
        show_waiting(seen.count)
        self.cards.show([Asked(one, self._flow(one)) for one in seen.open])
        self.empty.clear()
        if not seen.open:
            with self.empty, ui.element("section").classes("fp-card"):
                said = _("A flow with the step Approval asks here before it goes on, and waits for the answer.")
                with feedback.empty("how_to_reg", _("Nobody is asked anything now"), said):
                    link_button(_("Templates with an approval"), "/templates?q=approval", icon="dashboard")
        self.more.clear()
        if (rest := seen.count - len(seen.open)) > 0:
            with self.more:
                note(
                    _("{rest} more come when these are answered.").format(rest=number(rest, self.times.reader)),
                    icon="more_horiz",
                )
        self.answered.clear()
        if seen.answered:
            with self.answered:
                self._draw_answered()

    def _flow(self, question: QuestionRow) -> str:
        return self.seen.titles.get(question.flow_id, _("Deleted flow"))

    def _draw_answered(self) -> None:
        self.agos = []
        columns = [_("Question"), _("Answer"), _("By"), _("When"), _("Note"), Column(_("Job"), right=True, hidden=True)]
        with card(_("Answered"), _("the last ones"), padded=False):
            rows = table(columns, label=_("Answered questions"), stacks=True)
            for one in self.seen.answered:
                with rows.row():
                    with rows.cell(classes="fp-wrap-text"):
                        words(one.title or _("May it go on?"), "fp-b fp-cut2")
                        if said := first_values(one):
                            words(said, "fp-s13 fp-cut2", tag="div")
                        words(self._flow(one), "fp-t3 fp-s12", tag="div")
                    with rows.cell():
                        status_line(*outcome_words(one))
                    rows.cell(one.answered_by or _("nobody"))
                    self.agos.append((rows.cell(), one.closed_at or one.asked_at))
                    rows.cell(one.note, "fp-wrap-text")
                    with rows.cell():
                        link(_("See the job"), f"/jobs/{one.job_id}")
        self._tell_times()

    def _tell_times(self) -> None:
        """Says how long ago the answers were given."""
        for cell, at in self.agos:
            cell.text = self.times.ago(at)
