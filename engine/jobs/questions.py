"""The questions that jobs ask people: a step asks, the job is set aside, somebody answers or the time is over, and the job
goes on.

Each function is one transaction together with its event and webhook. A question has exactly one outcome, which one
conditional statement of `storage.questions` gives it. Asking, answering and setting a job aside change the job's row
first, so that no answer is missed by a job that is being set aside at the same time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from msgspec import Struct
from sqlalchemy.orm import Session

from engine.core.errors import LimitReached, QuestionClosed
from engine.core.ids import new_id
from engine.core.json_text import json_text
from engine.flow.node_context import PersonQuestion
from engine.jobs.huey_queue import send_ahead
from engine.jobs.notifier import job_changed
from engine.jobs.transitions import finish, free_places
from engine.jobs.waiting_items import admit_waiting
from storage.database import now
from storage.events import add_events
from storage.job_changes import Lease, resume_job, set_job_aside
from storage.questions import (
    NewQuestion,
    QuestionRow,
    any_answered,
    close_question,
    count_open_questions,
    due_questions,
    find_current_question,
    find_question,
    insert_question,
    note_question,
    tell_of_answer,
)
from storage.usage import release_slot, usage_subject
from storage.webhooks import insert_delivery

#: How many questions of a workspace may be open at once.
MAX_OPEN = 5_000
#: How many expired questions one transaction closes.
_AT_ONCE = 100

Outcome = Literal["approved", "refused"]


class TooManyQuestions(LimitReached):
    """Too many questions wait for people."""

    remedy = "Answer some of them on the page Waiting, then send the request again."


class Place(Struct, frozen=True):
    """The step that asks: its node, and its place in the lists around it."""

    node_id: str
    index_path: str


def ask(
    session: Session, job_id: str, lease: Lease, place: Place, question: PersonQuestion, content: str, title: str
) -> QuestionRow | None:
    """Stores a question of a running job, unless it was asked before, and tells of it. Returns it with its answer, if
    there is one; None when the job does not belong to the lease any more.

    `content`, `title`: what is stored of it, without secrets. Raises TooManyQuestions.
    """
    mark = _mark(question)
    found = find_current_question(session, job_id, place.node_id, place.index_path, question.key, mark)
    if found is not None:
        return found
    asked = note_question(session, job_id, lease.owner, lease.attempt)
    if asked is None:
        return None
    if count_open_questions(session, asked.workspace_id) >= MAX_OPEN:
        raise TooManyQuestions(f"{MAX_OPEN:,} questions of this workspace are open")
    at = now(session)
    new = NewQuestion(
        id=new_id("ask"),
        node_id=place.node_id,
        index_path=place.index_path,
        key=question.key,
        mark=mark,
        title=title,
        content=content,
        on_expiry=question.on_expiry,
        expires_at=at + round(question.expires_after_seconds * 1000),
    )
    insert_question(session, job_id, asked, new)
    index = [int(part) for part in place.index_path.split("/")] if place.index_path else []
    data = {"node_id": place.node_id, "index": index, "question_id": new.id}
    add_events(session, job_id, asked.last_seq, [("step.waiting", at, data)])
    if asked.webhook_url:
        insert_delivery(
            session,
            asked.workspace_id,
            asked.flow_id,
            job_id,
            asked.webhook_url,
            "step.waiting",
            question_id=new.id,
            by_caller=asked.webhook_by_caller,
        )
    job_changed(session, job_id)
    return find_question(session, new.id)


def set_aside(session: Session, job_id: str, lease: Lease, question_ids: Sequence[str]) -> bool:
    """Takes a job from its worker until one of these questions has an answer, and gives back its slot; queues it at once
    when there is one already, and cancels it when that was requested meanwhile.

    Returns False when the job does not belong to the lease any more.
    """
    job = set_job_aside(session, job_id, lease)
    if job is None:
        return finish(session, job_id, "cancelled", lease=lease)
    if job.counted:
        release_slot(session, usage_subject(job.workspace_id, job.environment), job.key_id)
    if any_answered(session, question_ids):
        _resume(session, job_id)
    free_places(session, job.workspace_id, job.environment, job.flow_id if job.flow_limited else None)
    job_changed(session, job_id)
    return True


def answer(
    session: Session, question: QuestionRow, outcome: Outcome, changed: Mapping[str, Any], note: str, by: str
) -> None:
    """Gives a question its answer, and lets its job go on. `changed`: the values that the person changed, checked.

    Raises QuestionClosed when it has an outcome already, or its time is over.
    """
    last_seq = tell_of_answer(session, question.job_id)
    text = json_text(dict(changed)) if changed else None
    if close_question(session, question.id, outcome, answer=text, note=note, by=by) is None:
        raise closed(find_question(session, question.id) or question)
    _tell(session, question.job_id, last_seq, question, outcome)


def expire_due(session: Session) -> int:
    """Gives open questions whose time is over the outcome that was chosen for that; returns how many."""
    due = due_questions(session, _AT_ONCE)
    for question_id, on_expiry in due:
        question = find_question(session, question_id)
        outcome = "approved" if on_expiry == "approve" else "refused"
        if question is None:
            close_question(session, question_id, outcome, expired=True)
            continue
        last_seq = tell_of_answer(session, question.job_id)
        close_question(session, question_id, outcome, expired=True)
        _tell(session, question.job_id, last_seq, question, outcome, expired=True)
    return len(due)


def closed(question: QuestionRow) -> QuestionClosed:
    """Returns the refusal of an answer to a question that has an outcome."""
    if question.outcome == "withdrawn":
        return QuestionClosed("The job does not wait for it any more")
    if question.outcome is None or question.expired:
        return QuestionClosed("The time for an answer is over")
    said = "approved" if question.approved else "refused"
    return QuestionClosed(f"{question.answered_by or 'Somebody'} {said} it")


def _tell(
    session: Session, job_id: str, last_seq: int, question: QuestionRow, outcome: str, *, expired: bool = False
) -> None:
    """Stores the event of an answer and lets the job go on."""
    where = {"node_id": question.node_id, "index": list(question.index), "question_id": question.id}
    data = {**where, "approved": outcome == "approved", "expired": expired}
    add_events(session, job_id, last_seq, [("step.answered", now(session), data)])
    _resume(session, job_id)
    job_changed(session, job_id)


def _resume(session: Session, job_id: str) -> None:
    """Queues a job that is set aside; one that runs, because other steps of it go on, is queued when it is set aside."""
    resumed = resume_job(session, job_id)
    if resumed is None:
        return
    workspace_id, environment = resumed
    if environment == "playground":
        send_ahead(session, job_id)
    else:
        admit_waiting(session, workspace_id, environment)


def _mark(question: PersonQuestion) -> str:
    asked = json_text([question.title, dict(question.values), list(question.editable)])
    return hashlib.sha256(asked.encode(errors="surrogatepass")).hexdigest()
