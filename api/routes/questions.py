"""Routes of the questions that jobs ask people: list those of a job, and answer one."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jsonpointer
from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
from starlette.requests import Request
from starlette.responses import Response

from api.http import parameters, schemas
from api.http.context import Context, context_of
from api.http.cursors import cursor_of, place_of
from api.http.job_answers import dump
from api.http.large_bodies import json_answer
from api.http.parameters import JobId
from api.http.problem_json import UnsupportedMediaType
from api.http.route_classes import BASE, ByKey, FromApp, PublicRoute, RawRoute, refusals
from engine.actions.questions import MAX_NOTE, Answer, answer_question_by_key
from engine.core import errors
from engine.core.errors import FieldError, WrongFields, wrong_fields
from engine.jobs.job_views import question_view
from engine.jobs.submit.accept import Caller
from engine.secrets.question_links import question_link_path
from storage.jobs import get_job
from storage.questions import QuestionRow, page_of_questions

router = APIRouter(prefix=BASE, route_class=PublicRoute, tags=["jobs"])
raw = APIRouter(prefix=BASE, route_class=RawRoute, tags=["jobs"])

_FIELDS = {"approved", "values", "note"}


async def one_answer(answer: schemas.QuestionAnswer) -> None:
    """Declares the body of an answer for the OpenAPI document."""


@router.get(
    "/jobs/{job_id}/questions",
    operation_id="list_job_questions",
    summary="List the questions of a job to people",
    response_model=schemas.QuestionList,
    response_description="A page of questions, in the order in which they were asked",
    responses=refusals(errors.NotFound),
)
async def list_questions(
    caller: ByKey,
    context: FromApp,
    request: Request,
    job_id: JobId,
    limit: parameters.Limit = 50,
    cursor: parameters.Cursor = None,
) -> Response:
    """A flow may ask a person and wait for the answer. Questions that have an answer are listed too, until the data of the job are erased."""
    place = place_of(cursor, "questions", job_id)
    view = functools.partial(_view, context, request)
    content = await context.database.read_in_turn(caller.workspace_id, _read_page, caller, job_id, limit, place, view)
    return json_answer(context.large, caller.workspace_id, content)


@raw.post(
    "/jobs/{job_id}/questions/{question_id}/answer",
    operation_id="answer_question",
    summary="Answer a question of a job",
    dependencies=[Depends(one_answer)],
    response_model=schemas.Question,
    response_description="The question with its answer",
    responses=refusals(
        errors.PayloadInvalid,
        errors.InvalidJson,
        errors.NotFound,
        errors.QuestionClosed,
        errors.TooLarge,
        UnsupportedMediaType,
    ),
)
async def answer(request: Request, job_id: JobId, question_id: parameters.QuestionId) -> Response:
    """The job goes on by itself. A question takes one answer, from whomever it comes first: a person, the link, or this \
call; after that it is 409 `question_closed`, also for the same answer again: after a lost response, list the questions to see if it counted. When \
the data of the job were erased it is 404.
    """
    context = await context_of(request)
    caller = await context.caller(request, lately=True)
    context.refuse_when_stopping()
    parameters.query(request)
    body, _ = await context.bodies.read_json(request, caller.workspace_id)
    said = _answer_of(body)
    address = request.client.host if request.client else ""
    question = await context.database.write(answer_question_by_key, caller, job_id, question_id, said, address)
    shown = dump(_view(context, request, question))
    return Response(shown, headers={"Cache-Control": "no-store"}, media_type="application/json")


def _answer_of(body: dict[str, Any]) -> Answer:
    """Returns the answer in a body. Raises PayloadInvalid with every wrong field."""
    wrong = WrongFields(
        FieldError(f"/{jsonpointer.escape(name)}", "unknown_field", "is not a field of an answer")
        for name in body
        if name not in _FIELDS
    )
    approved, values, note = body.get("approved"), body.get("values"), body.get("note")
    if "approved" not in body:
        wrong.append(FieldError("/approved", "required", "missing"))
    elif not isinstance(approved, bool):
        wrong.append(FieldError("/approved", "type_error", "must be true or false"))
    if values is not None and not isinstance(values, dict):
        wrong.append(FieldError("/values", "type_error", "must be an object with the values that you change"))
    if note is not None and not isinstance(note, str):
        wrong.append(FieldError("/note", "type_error", "must be a text"))
    elif note is not None and len(note) > MAX_NOTE:
        wrong.append(FieldError("/note", "max_length", f"must have at most {MAX_NOTE:,} characters"))
    if wrong:
        raise wrong_fields(wrong)
    return Answer(bool(approved), values or {}, note or "")


def _read_page(
    session: Session,
    caller: Caller,
    job_id: str,
    limit: int,
    place: str | None,
    view: Callable[[QuestionRow], dict[str, Any]],
) -> bytes:
    """Returns the page as JSON. A question may have 256 KiB, so it is encoded in a reader thread."""
    get_job(session, caller.workspace_id, job_id, caller.scope)
    questions, next_place = page_of_questions(session, caller.workspace_id, job_id, limit, place)
    return dump({"data": [*map(view, questions)], "next_cursor": cursor_of(next_place, "questions", job_id)})


def _view(context: Context, request: Request, question: QuestionRow) -> dict[str, Any]:
    return question_view(question, context.base_url(request) + question_link_path(context.vault, question.id))
