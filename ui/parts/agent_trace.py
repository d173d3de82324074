"""What an agent did, as a conversation: what it was asked, each reply of its model, and each call of a tool with what it
filled in and what came back. It grows while the step runs.

Everything in it may be hostile: models, pages and services wrote it. It is drawn with text elements and `answer_view`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from nicegui import ui

from storage.steps import PartRow
from ui.kit.feedback import fold
from ui.kit.markdown import foreign_markdown
from ui.kit.parts import icon, sentence, status_badge, words
from ui.kit.text import Reader, _, cost, duration, plural, tokens
from ui.parts.value_view import answer_view

#: State of a call -> icon, colour, and what is said about it.
_STATES = {
    "done": ("check_circle", "fp-ok", _("answered")),
    "failed": ("error", "fp-bad", _("failed")),
    "bad_arguments": ("error", "fp-bad", _("was called with wrong values")),
    "unknown_tool": ("error", "fp-bad", _("does not exist")),
    "refused": ("block", "fp-warn", _("was refused by a person")),
}
_LONGEST_MESSAGE = 4_000
_LONGEST_SUMMARY = 80
#: The most tools that are named in a line.
_MAX_NAMED = 6
#: How the title of a tool that looks into a dataset begins (`engine/nodes/agent_tools.py`).
_ROWS_OF = "Rows of "


class AgentTrace:
    """The conversation of one step. `show` draws what is new, so that what a person unfolded stays unfolded."""

    def __init__(self, reader: Reader, *, asked: str = "") -> None:
        self.reader = reader
        self._drawn: dict[str, tuple[PartRow, bool, ui.element]] = {}
        self.box = ui.element("div").classes("fp-talk").props("role=log")
        self.box.props["aria-label"] = _("What the agent did")
        if asked.strip():
            with self.box, ui.element("div").classes("fp-talk-turn fp-talk-asked"):
                _head("person", _("Asked"), "")
                words(_short(asked, _LONGEST_MESSAGE), "fp-talk-text", tag="p")

    def show(self, parts: Sequence[PartRow], *, running: bool) -> None:
        """Shows the parts of the step; `running`: it has not ended."""
        for part in parts:
            before = self._drawn.get(part.name)
            if before is not None and before[:2] == (part, running):
                continue
            place = before[2] if before is not None else self._place()
            place.clear()
            with place:
                self._draw(part, running=running)
            self._drawn[part.name] = (part, running, place)

    def _place(self) -> ui.element:
        with self.box:
            return ui.element("div")

    def _draw(self, part: PartRow, *, running: bool) -> None:
        value = part.value if isinstance(part.value, dict) else {}
        if value.get("kind") == "turn":
            self._draw_reply(part, value, running=running)
        elif value.get("kind") == "call":
            self._draw_call(part, value, running=running)

    def _draw_reply(self, part: PartRow, value: dict[str, Any], *, running: bool) -> None:
        with ui.element("div").classes("fp-talk-turn"):
            title = _("Reply {number} of the model").format(number=value.get("number") or 1)
            if part.ended_at is None:
                _head(
                    "progress_activity" if running else "block",
                    title,
                    _("is on its way") if running else _("did not come"),
                )
                return
            spent = [
                tokens((value.get("input_tokens") or 0) + (value.get("output_tokens") or 0), self.reader),
                _money(value, self.reader),
                self._took(part),
            ]
            _head("smart_toy", title, " · ".join(spent), simulated=bool(value.get("simulated")))
            if text := str(value.get("text") or "").strip():
                _draw_text(text)
            asked = value.get("asked") or []
            if asked:
                count = plural(len(asked), _("tool"), _("tools"), self.reader)
                words(_("It wants to use {count}:").format(count=count), "fp-s12 fp-t2", tag="p")

    def _draw_call(self, part: PartRow, value: dict[str, Any], *, running: bool) -> None:
        name, colour, said = _STATES.get(str(value.get("state")), ("block", "fp-t3", _("did not end")))
        if part.ended_at is None and running:
            name, colour, said = "progress_activity", "", _("is at work")
        if part.ended_at is None and value.get("state") == "waiting":
            name, colour, said = "person", "fp-warn", _("waits for a person to approve it")
        with ui.element("details").classes("fp-talk-call") as details:
            if part.ended_at is not None and value.get("state") != "done":
                details.props("open")
            with ui.element("summary"):
                icon("chevron_right", "fp-t3 fp-talk-turns", size=16)
                icon(name, colour, size=16)
                words(_short(_tool_name(value), _LONGEST_SUMMARY), "fp-b fp-s13 fp-talk-tool")
                words(said, "fp-s12 fp-t2 fp-nw")
                words(_summary(value.get("arguments")), "fp-s12 fp-t3 fp-cut fp-grow")
                if part.ended_at is not None:
                    words(self._took(part), "fp-s12 fp-t3 fp-num fp-nw")
            with ui.element("div").classes("fp-talk-in"):
                self._draw_values(part, value)

    def _draw_values(self, part: PartRow, value: dict[str, Any]) -> None:
        title, tool = str(value.get("title") or ""), str(value.get("tool") or "")
        with ui.element("p").classes("fp-row fp-wrap-row fp-s12 fp-t2"):
            if title and title != tool:
                words(title)
            words(_("The model calls it"))
            words(tool, "fp-mono fp-talk-tool")
        words(_("The model filled in"), "fp-s12 fp-b", tag="p")
        arguments = value.get("arguments")
        if arguments in ({}, None, ""):
            words(_("Nothing: it takes no values."), "fp-s12 fp-t3", tag="p")
        else:
            answer_view(arguments, label=_("What the model filled in"), reader=self.reader)
        if value.get("by") or value.get("note") or value.get("expired"):
            words(_person(value), "fp-s12 fp-t2", tag="p")
        if part.ended_at is None:
            return
        failed = value.get("state") != "done"
        words(_("The model was told") if failed else _("What came back"), "fp-s12 fp-b", tag="p")
        result = value.get("result")
        if isinstance(result, str) and (failed or len(result) < _LONGEST_SUMMARY):
            sentence(_short(result, _LONGEST_MESSAGE) or _("Nothing."), "fp-s13 fp-talk-text")
        else:
            answer_view(result, label=_("What came back"), reader=self.reader)

    def _took(self, part: PartRow) -> str:
        return duration(max(0, (part.ended_at or part.begun_at) - part.begun_at) / 1000, self.reader)


def looked_up(parts: Sequence[PartRow], reader: Reader) -> str:
    """Returns in a line what the tools of an agent gave: `Looked up: Shop products (1 row), “Visit us” (shop.example)`."""
    found: dict[str, str] = {}
    for part in parts:
        value = part.value if isinstance(part.value, dict) else {}
        if value.get("kind") != "call" or part.ended_at is None:
            continue
        state = str(value.get("state"))
        note = _found(value, reader) if state == "done" else _STATES.get(state, ("", "", ""))[2]
        found[_short(_tool_name(value), _LONGEST_SUMMARY)] = _short(note, _LONGEST_SUMMARY)
    if not found:
        return _("No tool was used.")
    named = [f"{name} ({note})" if note else name for name, note in found.items()]
    return _("Looked up: {named}{value}").format(
        named=", ".join(named[:_MAX_NAMED]), value="…" if len(named) > _MAX_NAMED else ""
    )


def draw_looked_up(parts: Sequence[PartRow], reader: Reader, step: str) -> None:
    """Draws what an agent looked up in a line; a click on it shows its conversation. `step`: the label of the step."""
    with fold(looked_up(parts, reader)) as box:
        box.classes("fp-looked-up")
        words(_("What “{step}” did").format(step=step), "fp-s12 fp-b", tag="p")
        AgentTrace(reader).show(parts, running=False)


def _tool_name(value: dict[str, Any]) -> str:
    """Returns how people call a tool: a flow, a dataset and a page by their title, others by the name in words."""
    title = str(value.get("title") or "")
    if title.startswith(_ROWS_OF):
        return title.removeprefix(_ROWS_OF)
    if title.startswith("“"):
        return title.strip("“”")
    if page := _page_title(value):
        return f"“{page}”"
    name = str(value.get("tool") or title)
    return " ".join(name.removeprefix("read_").replace("_", " ").split()) or title


def _page_title(value: dict[str, Any]) -> str:
    """Returns the title of a page that was read; "" when it has none, and for everything else."""
    result = value.get("result")
    if not isinstance(result, dict) or value.get("state") != "done" or "status" not in result:
        return ""
    return " ".join(str(result.get("title") or "").split())


def _found(value: dict[str, Any], reader: Reader) -> str:
    """Returns how much a tool gave, or where it looked."""
    result = value.get("result")
    if not isinstance(result, dict):
        return ""
    rows, pieces = result.get("matching_rows"), result.get("pieces")
    if isinstance(rows, int):
        return plural(rows, _("row"), _("rows"), reader)
    if isinstance(pieces, list):
        return plural(len(pieces), _("piece"), _("pieces"), reader)
    return str(value.get("title") or "") if isinstance(result.get("status"), int) else ""


def _head(name: str, title: str, note: str, *, simulated: bool = False) -> None:
    with ui.element("div").classes("fp-row fp-wrap-row fp-s12"):
        icon(name, "fp-t2", size=16)
        words(title, "fp-b")
        if simulated:
            status_badge("simulated")
        words(note, "fp-t3 fp-num")


def _draw_text(text: str) -> None:
    try:
        foreign_markdown(_short(text, _LONGEST_MESSAGE)).classes("fp-talk-text fp-s13")
    except ValueError:
        words(_short(text, _LONGEST_MESSAGE), "fp-talk-text fp-s13", tag="p")


def _money(value: dict[str, Any], reader: Reader) -> str:
    nanos = value.get("cost_nanos")
    return cost(None if nanos is None else nanos / 1e9, reader)


def _person(value: dict[str, Any]) -> str:
    if value.get("expired"):
        return _("Nobody decided in time.")
    said = _("Refused by {name}") if value.get("state") == "refused" else _("Approved by {name}")
    line = said.format(name=value.get("by") or _("a person"))
    return f"{line}: {value['note']}" if value.get("note") else f"{line}."


def _summary(arguments: Any) -> str:
    """Returns the values of a call in a line."""
    if isinstance(arguments, dict):
        shown = [
            f"{name}: {one if isinstance(one, str) else json.dumps(one, ensure_ascii=False)}"
            for name, one in arguments.items()
            if one not in (None, "", [], {})
        ]
        return _short(", ".join(shown), _LONGEST_SUMMARY)
    return _short(str(arguments or ""), _LONGEST_SUMMARY)


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
