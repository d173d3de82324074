"""The page behind the link of a question: somebody without an account approves or refuses, once, and downloads the files
that the question shows.

Opening the page changes nothing, so that programs which look at links in mails answer nothing. It shows the question alone:
no navigation, no other data of the workspace. It works without a script.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from html import escape
from typing import Any

from msgspec import Struct
from sqlalchemy.orm import Session
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from engine.actions.questions import MAX_NOTE, Answer, answer_question_by_link
from engine.actions.sign_in_limits import open_question
from engine.core.errors import PayloadInvalid, QuestionClosed, QuestionLinkNotValid, RateLimited
from engine.core.lone_surrogates import without_lone_surrogates
from engine.files.download import download_headers, held_file
from engine.flow.edited_values import kind_of
from engine.flow.file_values import is_file_value, media_type_in_words
from storage.files import FileRow, find_files, is_named_by_job
from storage.questions import QuestionRow
from ui.access_guard import theme_of
from ui.forms.number_texts import comma_words, numbers_meant
from ui.kit.field_titles import field_title
from ui.kit.plain_pages import alert, card, document, error_page
from ui.kit.text import Reader, _, size
from ui.kit.times import Times
from ui.parts.answer_words import MADE_UP, SAME_TEXTS_ASKED, THEN, may_have_lines, until_words
from ui.parts.same_texts import warned_questions
from ui.parts.value_shapes import in_words, is_small_picture
from ui.sign_in import FormRefused, SignInPages, browser_of, html_answer, refused_form, too_often

#: The largest form in bytes, and the most fields of it.
LARGEST, MAX_FIELDS = 1024 * 1024, 500
_HEADERS = {"x-robots-tag": "noindex, nofollow"}
_DEEPEST = 5


class AnswerPages(SignInPages):
    """The request handlers."""

    async def show(self, request: Request) -> Response:
        question = await self._unanswered(request)
        if isinstance(question, Response):
            return question
        times = Times(self.app.database.clock, Reader.of(request.cookies))
        page = question_page(
            request.path_params["token"],
            question,
            times,
            theme=theme_of(request),
            files=await self.app.database.read(_files_of, question),
            warned=bool(await self.app.database.read(warned_questions, [question])),
        )
        return _page(request, page)

    async def file(self, request: Request) -> Response:
        """Sends a file that an open question shows and its job names; no other one."""
        question = await self._unanswered(request)
        if isinstance(question, Response):
            return question
        row = (await self.app.database.read(_files_of, question)).get(request.path_params["file_id"])
        held = None if row is None else await held_file(self.app.database.file_bytes, row)
        if row is None or held is None:
            return _no_question(request)
        headers = {**_HEADERS, **download_headers(row), "X-Content-Type-Options": "nosniff"}
        after = BackgroundTask(held.give_back) if held.give_back else None
        return FileResponse(held.path, headers=headers, background=after)

    async def answer(self, request: Request) -> Response:
        try:
            form = await self._form(request, LARGEST, MAX_FIELDS)
        except FormRefused as refused:
            return refused_form(request, refused.status)
        question = await self._question(request)
        if isinstance(question, Response):
            return question
        token, times = request.path_params["token"], Times(self.app.database.clock, Reader.of(request.cookies))
        approved = form.get("decision") == "approve"
        values, wrong = _read(question, form) if approved else ({}, {})
        if form.get("decision") not in {"approve", "refuse"}:
            wrong = {"": _("Press Approve or Refuse.")}
        if not wrong:
            said = Answer(approved, values, form.get("note", ""))
            try:
                await self.app.database.write(answer_question_by_link, question, said, browser_of(request).address)
            except QuestionClosed:
                return _closed(request)
            except PayloadInvalid as refusal:
                wrong = {"": f"{refusal.title}."}
            else:
                return _page(request, _thanks(question, approved=approved, theme=theme_of(request)))
        files = await self.app.database.read(_files_of, question)
        page = question_page(
            token,
            question,
            times,
            form=form,
            errors=wrong,
            theme=theme_of(request),
            files=files,
            warned=bool(await self.app.database.read(warned_questions, [question])),
        )
        return _page(request, page, 422)

    async def _unanswered(self, request: Request) -> QuestionRow | Response:
        """Returns the question of the link while its time is not over, or the page that says why there is none."""
        question = await self._question(request)
        if isinstance(question, QuestionRow) and question.expires_at <= self.app.database.clock.now():
            return _closed(request)
        return question

    async def _question(self, request: Request) -> QuestionRow | Response:
        """Returns the question of the link while it has no answer, or the page that says why there is none."""
        address = browser_of(request).address
        try:
            question = await open_question(self.app.database, self.app.vault, request.path_params["token"], address)
        except RateLimited as refusal:
            return too_often(request, refusal)
        except QuestionLinkNotValid:
            return _no_question(request)
        return question if question.open else _closed(request)


def question_page(
    token: str,
    question: QuestionRow,
    times: Times,
    *,
    form: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    theme: str = "",
    files: Collection[str] = (),
    warned: bool = False,
) -> str:
    """Writes the page of an open question. `form`: what was sent before; `errors`: name of a value, or "" -> sentence;
    `files`: the ids of the files that can be downloaded; `warned`: whether its values are one and the same text.
    """
    sent, wrong = form or {}, errors or {}
    fixed = {name: value for name, value in question.values.items() if not _may_change(question, name)}
    body = alert(wrong.get("", ""))
    if question.simulated:
        body += f'<p class="fp-hint">{escape(MADE_UP)}</p>'
    if warned:
        strong, todo = SAME_TEXTS_ASKED
        body += f'<p class="fp-warn"><b>{escape(strong)}</b> {escape(todo)}</p>'
    if fixed:
        body += _value(fixed, 0, _FileLinks(f"/answer/{token}/files/", files))
    if elsewhere := _changed_elsewhere(question):
        said = _(
            "Shown here only: {names}. People with an account can change this in Flowport, under Waiting. This page has"
            " boxes for single values and for lists of texts of one line."
        )
        body += f'<p class="fp-hint">{escape(said.format(names=", ".join(map(field_title, elsewhere))))}</p>'
    body += f'<form method="post" action="/answer/{escape(token)}">'
    for number, name in enumerate(_changing(question)):
        body += _field(number, name, question.values[name], sent.get(f"v{number}"), wrong.get(name, ""))
    body += (
        f'<div class="fp-f"><label for="note">{escape(_("Note"))} <span class="fp-t3">{escape(_("optional"))}</span></label>'
        f'<textarea class="fp-in fp-in--text" id="note" name="note" rows="2" maxlength="{MAX_NOTE}">{escape(sent.get("note", ""))}</textarea></div>'
        '<div class="fp-answers">'
        f'<button class="fp-btn fp-btn--main" type="submit" name="decision" value="approve">{escape(_("Approve"))}</button>'
        f'<button class="fp-btn" type="submit" name="decision" value="refuse">{escape(_("Refuse"))}</button>'
        "</div></form>"
        f"<p class='fp-hint'>{escape(until_words(question, times))} {escape(THEN[question.on_expiry])}</p>"
    )
    title = question.title or _("May it go on?")
    foot = _("This link works once. Whoever has it can answer.")
    return _without_search(document(title, card(title, _("A job waits for your decision."), body), theme, foot))


def _without_search(page: str) -> str:
    return page.replace("<head>", '<head><meta name="robots" content="noindex, nofollow">', 1)


def _may_change(question: QuestionRow, name: str) -> bool:
    """Whether a value has a field here. Groups and lists of groups are changed in Flowport only."""
    value = question.values.get(name)
    plain = kind_of(value) in {"text", "number", "flag", ""} or (
        isinstance(value, list) and bool(value) and all(_is_line(item) for item in value)
    )
    return name in question.editable and plain


def _is_line(item: Any) -> bool:
    """Whether an item of a list comes back from a field with a line for each: a blank one or one of several lines would not."""
    return isinstance(item, str) and bool(item.strip()) and "\n" not in item and "\r" not in item


def _changed_elsewhere(question: QuestionRow) -> list[str]:
    """Returns the names of the values that may be changed and have no field here."""
    return [
        name
        for name, value in question.values.items()
        if name in question.editable and not _may_change(question, name) and not is_file_value(value)
    ]


def _changing(question: QuestionRow) -> list[str]:
    return [name for name in question.values if _may_change(question, name)]


def _field(number: int, name: str, value: Any, sent: str | None, wrong: str) -> str:
    """Writes the field of a value; a list of texts has a line for each."""
    field_id, kind = f"v{number}", kind_of(value)
    text = sent if sent is not None else _shown(value)
    bad = " fp-is-bad" if wrong else ""
    told = f' aria-invalid="true" aria-describedby="{field_id}-error"' if wrong else ""
    if kind == "flag":
        yes = sent == "yes" if sent is not None else value
        options = "".join(
            f'<option value="{key}"{" selected" if chosen else ""}>{escape(word)}</option>'
            for key, word, chosen in (("yes", _("Yes"), yes), ("no", _("No"), not yes))
        )
        control = f'<select class="fp-in" id="{field_id}" name="{field_id}">{options}</select>'
    elif kind == "number":
        control = f'<input class="fp-in{bad}" id="{field_id}" name="{field_id}" inputmode="decimal" value="{escape(text)}"{told}>'
    elif kind == "list" or may_have_lines(text):
        rows = min(12, max(3, text.count("\n") + 1 + len(text) // 70))
        control = f'<textarea class="fp-in fp-in--text{bad}" id="{field_id}" name="{field_id}" rows="{rows}"{told}>\n{escape(text)}</textarea>'
    else:
        control = f'<input class="fp-in{bad}" id="{field_id}" name="{field_id}" value="{escape(text)}"{told}>'
    hint = f'<p class="fp-hint">{escape(_("One in each line."))}</p>' if kind == "list" else ""
    error = f'<p class="fp-hint fp-bad" id="{field_id}-error">{escape(wrong)}</p>' if wrong else ""
    return f'<div class="fp-f"><label for="{field_id}">{escape(field_title(name))}</label>{control}{hint}{error}</div>'


def _shown(value: Any) -> str:
    """Returns a value as the text of its field, in the form in which a browser sends it back: a list as lines."""
    text = "\n".join(value) if isinstance(value, list) else "" if value is None else str(value)
    return without_lone_surrogates(text)


def _one_line_end(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _read(question: QuestionRow, form: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Returns the values that were sent, and what is wrong with them by name."""
    values: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for number, name in enumerate(_changing(question)):
        sent, asked = form.get(f"v{number}"), question.values[name]
        if sent is None:
            continue
        sent = _one_line_end(sent)
        if sent == _one_line_end(_shown(asked)):
            continue  # nobody touched it; read back, it might be another value
        match kind_of(asked):
            case "number":
                read = _number(sent)
                if read is None:
                    wrong[name] = comma_words(sent) or _("Write a number, like 12 or 3.5.")
                else:
                    values[name] = read
            case "flag":
                values[name] = sent == "yes"
            case "list":
                values[name] = [line for line in sent.split("\n") if line.strip()]
            case "":
                values[name] = sent or None
            case _:
                values[name] = sent
    return values, wrong


def _number(text: str) -> int | float | None:
    text = text.strip()
    if len(meant := numbers_meant(text)) == 1:
        text = meant[0]
    if len(text) > 30:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None  # neither infinite nor NaN


class _FileLinks(Struct, frozen=True):
    """Where files are downloaded, and the ids of those that can be."""

    place: str
    ids: Collection[str]


def _files_of(session: Session, question: QuestionRow) -> dict[str, FileRow]:
    """Returns the files that a question shows, by their ids: those that its job names, so that no invented id in a value
    leads to another file of the workspace.
    """
    shown = {one["file_id"] for one in _file_values(question.values)}
    named = [file_id for file_id in shown if is_named_by_job(session, question.job_id, file_id)]
    return find_files(session, question.workspace_id, named)


def _file_values(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if is_file_value(value):
        yield value
    elif depth < _DEEPEST and isinstance(value, Mapping | list):
        for one in value.values() if isinstance(value, Mapping) else value:
            yield from _file_values(one, depth + 1)


def _file(value: Mapping[str, Any], links: _FileLinks) -> str:
    """Writes a file: its name as a link, its kind and size, and a picture small."""
    about = f"{media_type_in_words(value['media_type'])}, {size(value['size'])}"
    name = f"<bdi>{escape(value['name'])}</bdi>"
    if value["file_id"] not in links.ids:
        return f'<div class="fp-said">{name}<br><span class="fp-t3 fp-s12">{escape(about)}</span></div>'
    place = escape(links.place + value["file_id"])
    seen = is_small_picture(value)
    picture = f'<img class="fp-file-picture" src="{place}" alt="{escape(value["name"])}">' if seen else ""
    return (
        f'<div class="fp-said"><a href="{place}" download>{name}</a><br>'
        f'<span class="fp-t3 fp-s12">{escape(about)}</span>{picture}</div>'
    )


def _value(value: Any, depth: int, links: _FileLinks) -> str:
    """Writes a value as people read it."""
    if is_file_value(value):
        return _file(value, links)
    if isinstance(value, str):
        return f'<div class="fp-said">{escape(value) or escape(_("empty"))}</div>'
    if depth >= _DEEPEST:
        return f'<div class="fp-said">{escape(in_words(value)[:2_000])}</div>'
    if isinstance(value, Mapping):
        rows = "".join(
            f"<dt>{escape(field_title(str(name)))}</dt><dd>{_value(item, depth + 1, links)}</dd>"
            for name, item in value.items()
        )
        return (
            f'<dl class="fp-three fp-values">{rows}</dl>'
            if rows
            else f'<div class="fp-said">{escape(_("empty"))}</div>'
        )
    if isinstance(value, list):
        items = "".join(f"<li>{_value(item, depth + 1, links)}</li>" for item in value[:200])
        more = f"<li>{escape(_('There is more than can be shown here.'))}</li>" if len(value) > 200 else ""
        return (
            f'<ol class="fp-items">{items}{more}</ol>' if items else f'<div class="fp-said">{escape(_("empty"))}</div>'
        )
    return f'<div class="fp-said">{escape(_("nothing") if value is None else in_words(value))}</div>'


def _thanks(question: QuestionRow, *, approved: bool, theme: str) -> str:
    title = _("Approved") if approved else _("Refused")
    body = f"<p>{escape(question.title)}</p>" if question.title else ""
    lead = (
        _("Thank you. Your answer is stored, and the job goes on. You can close this page.")
        if approved
        else _("Thank you. Your answer is stored. What needed your approval is not done. You can close this page.")
    )
    return _without_search(document(title, card(title, lead, body), theme))


def _closed(request: Request) -> Response:
    page = error_page(
        _("This question is closed"),
        happened=_("It has an answer already, the time for an answer is over, or its job has ended or was cancelled."),
        why=_("A question takes one answer, from whoever gives it first, while its job waits for it."),
        todo=_("Nothing. If you did not answer it yourself, ask whoever sent you the link."),
        link=False,
        theme=theme_of(request),
    )
    return _page(request, _without_search(page), 410)


def _no_question(request: Request) -> Response:
    page = error_page(
        _("This link leads nowhere"),
        happened=_("There is no question behind it."),
        why=_("The link is not complete, or what it asked about is not kept any more."),
        todo=_("Check that the whole link was copied, or ask whoever sent it for a new one."),
        link=False,
        theme=theme_of(request),
    )
    return _page(request, _without_search(page), 404)


def _page(_request: Request, page: str, status: int = 200) -> Response:
    return html_answer(without_lone_surrogates(page), status, _HEADERS)
