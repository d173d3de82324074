"""Actions that answer the questions of jobs: for a person, for a program with an API key, for whoever has the link.

Exactly one answer counts, whoever gives it (`engine.jobs.questions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.core.errors import PayloadInvalid
from engine.core.ids import WorkspaceId
from engine.core.roles import Role
from engine.flow.edited_values import changed_values
from engine.jobs.questions import answer, closed
from engine.jobs.submit.accept import Caller, read_key_again
from storage.audit import add_entry
from storage.jobs import get_job
from storage.questions import QuestionRow, get_question, no_such_question

MAX_NOTE = 2_000
#: Who answered, when it was over the link.
BY_LINK = "Somebody with the link"


class Answer(Struct, frozen=True):
    """What somebody decides. `values`: those that they changed, or all of them."""

    approved: bool
    values: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""


def answer_question(session: Session, principal: Principal, question_id: str, said: Answer) -> None:
    """Answers a question for a person of its workspace.

    Raises NotFound, NotAllowed, PayloadInvalid, and QuestionClosed when it has an answer or its time is over.
    """
    require_may(principal, "answer questions")
    question = get_question(session, principal.workspace_id, question_id)
    _answer(session, principal, question, said, principal.name)


def answer_question_by_key(
    session: Session, caller: Caller, job_id: str, question_id: str, said: Answer, address: str = ""
) -> QuestionRow:
    """Answers a question of a job that the key may see, and returns it. Raises as `answer_question`, and
    Unauthorized.
    """
    caller = read_key_again(session, caller)
    get_job(session, caller.workspace_id, job_id, caller.scope)
    question = get_question(session, caller.workspace_id, question_id)
    if question.job_id != job_id:
        raise no_such_question(question_id)
    name = f"API key {caller.label}"
    who = Principal(WorkspaceId(caller.workspace_id), caller.key_id or "", caller.label, Role.EDITOR, address)
    _answer(session, who, question, said, name)
    return get_question(session, caller.workspace_id, question_id)


def answer_question_by_link(session: Session, question: QuestionRow, said: Answer, address: str = "") -> None:
    """Answers the question of a link, which proves the right to. Raises PayloadInvalid and QuestionClosed."""
    who = Principal(WorkspaceId(question.workspace_id), "link", BY_LINK, Role.EDITOR, address)
    _answer(session, who, question, said, BY_LINK)


def _answer(session: Session, who: Principal, question: QuestionRow, said: Answer, by: str) -> None:
    if not question.open:
        raise closed(question)
    changed, errors = changed_values(question.values, question.editable, said.values)
    if errors:
        raise PayloadInvalid("The answer does not fit the question", errors=errors)
    note = said.note.strip()[:MAX_NOTE]
    answer(session, question, "approved" if said.approved else "refused", changed, note, by)
    if said.approved:
        add_entry(session, who, "approve question", question.job_id, "")
    else:
        add_entry(session, who, "refuse question", question.job_id, "")
