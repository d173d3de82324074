"""The questions of a goal, drawn as a form: which answers stand in it at first, and what a person filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import ui

from engine.flow.file_values import FILE_SCHEMA
from engine.flow.goals import LONGEST, BadAnswer, Question, answers_in, first_answers, read_answer
from engine.flow.node_context import Json
from engine.flow.wish_answers import answers_asked
from engine.nodes.model_answers import model_words
from ui.flows.documents_choice import DocumentsChoice
from ui.flows.goal_flow import SIMULATED, FilledIn, GoalBlanks, GoalChoices, model_of
from ui.flows.made_up_note import choices_not_kept, worth_of_answers
from ui.flows.practice_page import is_practice_page, show_practice_page
from ui.flows.table_choice import COLUMN, NUMBER_COLUMN, WIDGET, TableChoice
from ui.flows.templates import find_template
from ui.forms.form import Form
from ui.forms.specs import specs_of_schema
from ui.kit.parts import button, note, show_in_place, words
from ui.kit.text import _
from ui.page_session import PageSession
from ui.parts.kept_files import file_keeper
from ui.parts.model_wanted import model_button

_MODEL = "fp_model"


class GoalQuestions:
    """The questions, drawn into the current container.

    `asked`: the person's wish. What it says is filled in at first, or what the flow holds once one was made.
    `collection` and `table`: the ids of the documents and of the table that are chosen until then. `on_change()` is called when an answer changes.
    """

    def __init__(
        self,
        page_session: PageSession,
        blanks: GoalBlanks,
        choices: GoalChoices,
        *,
        asked: str,
        collection: str,
        table: str,
        on_change: Callable[[], None],
    ) -> None:
        self.goal, self.template = blanks.goal, blanks.template
        self.on_change = on_change
        asks_model = find_template(self.goal.template).simulated
        models = _models(choices) if asks_model else {}
        if choices.made is not None:
            collection = blanks.searched.that_of(choices.made.document)
        elif all(one.id != collection for one in choices.collections):
            collection = ""
        self.documents = DocumentsChoice(page_session, blanks.searched, choices.collections, collection, self._changed)
        self.tables = TableChoice(page_session, self.template, choices.datasets)
        self.form = Form(
            specs_of_schema(self._schema(models)),
            self._first_answers(choices, asked, models, table),
            lambda pointer, _value: self._changed(pointer),
            keep_file=file_keeper(page_session),
            widgets={
                WIDGET: self.tables.draw,
                COLUMN: self.tables.draw_column,
                NUMBER_COLUMN: self.tables.draw_number_column,
            },
        )
        with ui.element("p").classes("fp-row fp-wrap-row fp-s13 fp-t2") as self.practice_row:
            words(_("The practice page is there for flows only."))
            button(_("Look at the page"), self._look_at_page, icon="visibility", small=True, kind="quiet")
        self.practice_row.visible = False
        self._show_practice_row()
        if asks_model and not models:
            self._draw_model_note(page_session)

    def read(self) -> FilledIn | None:
        """Returns what is filled in; None when an answer cannot be used, which its field says."""
        typed = self.form.value
        found, wrong = {}, self.form.unread
        for one in self.goal.questions:
            try:
                found[one.name] = read_answer(one, typed.get(one.name))
            except BadAnswer as bad:
                wrong.setdefault(f"/{one.name}", str(bad))
        self.form.show_errors(wrong)
        if wrong:
            self.form.focus(next(iter(wrong)))
            return None
        return FilledIn(found, str(typed.get(_MODEL) or SIMULATED), self.documents.chosen)

    def focus_first(self) -> None:
        """Moves the keyboard focus into the first question."""
        self.form.focus(f"/{self.goal.questions[0].name}")

    def _schema(self, models: dict[str, str]) -> dict[str, Any]:
        fields = {one.name: _schema_of(one) for one in self.goal.questions}
        if models:
            fields[_MODEL] = {
                "title": _("Which model should answer?"),
                "enum": list(models),
                "words": models,
                "description": _("The Simulated model costs nothing and makes its answers up."),
            }
        may_be_empty = {one.name for one in self.goal.questions if one.optional}
        required = [name for name in fields if name not in may_be_empty]
        return {"type": "object", "properties": fields, "required": required}

    def _first_answers(self, choices: GoalChoices, asked: str, models: dict[str, str], table: str) -> dict[str, Json]:
        answers = (
            answers_in(self.goal, choices.made.document)
            if choices.made is not None
            else first_answers(self.goal, self.template) | answers_asked(self.goal, asked)
        )
        named = choices.made is None and any(one.id == table for one in choices.datasets)
        if choices.made is None and (self.documents.chosen or named):
            answers |= {one.name: "" for one in self.goal.questions if one.about_sample}
        if named:
            chosen = {"table": table, "column": ""}
            answers |= {one.name: chosen[one.kind] for one in self.goal.questions if one.kind in chosen}
        tables = {one.name for one in self.goal.questions if one.kind == "table"}
        answers |= {name: self.tables.chosen(answers[name]) for name in tables}
        if not models:
            return answers
        # a flow keeps its model, also the Simulated one: another one may cost money
        kept = "" if choices.made is None else model_of(choices.made.document)
        return answers | {_MODEL: kept if kept in models else next(iter(models))}

    def _draw_model_note(self, page_session: PageSession) -> None:
        with note(
            _(
                "until a model is connected. That takes somebody with a key of a provider of models, like OpenAI. Until "
                "then everything else works, and the flow stays the same."
            )
            + f" {choices_not_kept(self.goal)}".rstrip(),
            kind="sim",
            icon="science",
            strong=worth_of_answers(self.template),
        ).classes("fp-note--act"):
            model_button(page_session, self.goal.title)

    def _practice_page(self) -> str:
        """The first practice page that stands in a question; "" without one."""
        typed = self.form.value
        asked = [str(typed.get(one.name) or "") for one in self.goal.questions if one.kind == "address"]
        return next((one for one in asked if is_practice_page(one)), "")

    def _show_practice_row(self) -> None:
        show_in_place(self.practice_row, shown=bool(self._practice_page()))

    async def _look_at_page(self) -> None:
        if page := self._practice_page():
            await show_practice_page(page)

    def _changed(self, pointer: str = "") -> None:
        """`pointer`: the question that has another answer now; "" for the documents to answer from."""
        if not pointer or any(pointer == f"/{one.name}" and one.kind == "table" for one in self.goal.questions):
            self._fit_first_try()
        self._show_practice_row()
        self.on_change()

    def _fit_first_try(self) -> None:
        """Clears the answers about the template's own data, which fit no other table and no other documents, when others are
        chosen; fills them in again when the template's own are. An answer that the person changed stays.
        """
        first = first_answers(self.goal, self.template)
        shown = self.form.value
        tables = [one.name for one in self.goal.questions if one.kind == "table"]
        own = bool(self.documents.chosen) or any(
            self.tables.chosen(shown.get(name)) != self.tables.chosen(first[name]) for name in tables
        )
        for one in self.goal.questions:
            if one.about_sample:
                if own and shown.get(one.name) == first[one.name]:
                    self.form.write(f"/{one.name}", "")
                elif not own and not str(shown.get(one.name) or "").strip():
                    self.form.write(f"/{one.name}", str(first[one.name]))


def _models(choices: GoalChoices) -> dict[str, str]:
    """The models to choose from, the connected ones first, then the one of the flow that was made while its connection is
    there; none when none is connected.
    """
    found = [f"{row.name}:{model}" for row in choices.connections for model in row.offered]
    if not found:
        return {}
    kept = [] if choices.made is None else [model_of(choices.made.document)]
    kept = [model for model in kept if model.partition(":")[0] in {row.name for row in choices.connections}]
    return {model: model_words({"model": model}) for model in [*found, *kept]} | {SIMULATED: _("Simulated model")}


def _schema_of(question: Question) -> dict[str, Any]:
    """How a form asks this question."""
    asked: dict[str, Any] = {"title": question.ask, "description": question.hint}
    match question.kind:
        case "choice":
            return asked | {"enum": list(question.choices)}
        case "number":
            return asked | {"type": "integer", "minimum": question.least, "maximum": question.most}
        case "words":
            return asked | {"type": "array", "items": {"type": "string"}}
        case "addresses":
            return asked | {"type": "array", "items": {"type": "string", "format": "uri"}}
        case "file" | "files":
            return asked | _files_schema(question)
        case "long":
            return asked | {"type": "string", "maxLength": LONGEST}
        case "address":
            asked["format"] = "uri"
        case "table":
            asked["widget"] = WIDGET
        case "column":
            asked["widget"] = NUMBER_COLUMN if question.numbers else COLUMN
    return asked | {"type": "string"}


def _files_schema(question: Question) -> dict[str, Any]:
    rules = {"file_kinds": list(question.takes), "max_file_mb": question.most_mb}
    file = {**FILE_SCHEMA, **{name: value for name, value in rules.items() if value}}
    return file if question.kind == "file" else {"type": "array", "items": file, "maxItems": question.most}
