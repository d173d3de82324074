"""The dialog of a source: what it is, what could not be read, and its pieces, a page at a time."""

from __future__ import annotations

from nicegui import ui

from storage.knowledge import SourceLine, page_of_pieces
from ui.kit.answer import answer_of
from ui.kit.feedback import open_page
from ui.kit.parts import button, icon, key_values, link, note, words
from ui.kit.text import _, number, plural
from ui.kit.times import Times
from ui.knowledge.found_pieces import draw_marked
from ui.knowledge.words import AGAIN, KINDS, pieces_word
from ui.page_session import PageSession

PAGE = 20
#: The documents that could not be read which are named.
MAX_NAMED = 20
SHOWN = 2_000


async def show_source(page_session: PageSession, source: SourceLine, times: Times) -> None:
    """Shows a source until the dialog is closed."""
    with open_page().layout, ui.dialog() as dialog, ui.card().classes("fp-dlg fp-dlg--source"):
        shown = SourceDialog(page_session, dialog, source, times)
        shown.draw()
    await shown.load(0)
    await answer_of(dialog)


class SourceDialog:
    """One open dialog."""

    def __init__(self, page_session: PageSession, dialog: ui.dialog, source: SourceLine, times: Times) -> None:
        self.page_session = page_session
        self.dialog = dialog
        self.source = source
        self.times = times
        self.reader = times.reader

    def draw(self) -> None:
        """Draws everything but the pieces."""
        source = self.source
        self.dialog.props["aria-label"] = source.name
        words(source.name, tag="h2")
        with ui.element("div").classes("fp-dlg-body fp-col"):
            if source.message and not source.busy:
                failed = source.state == "failed"
                note(source.message, kind="bad" if failed else "", icon="error" if failed else "info")
            key_values(self._facts())
            if source.problems:
                with ui.expansion(
                    plural(len(source.problems), _("thing to know"), _("things to know"), self.reader)
                ).classes("fp-more w-full"):
                    for one in source.problems[:MAX_NAMED]:
                        with ui.element("div").classes("fp-trouble"):
                            words(one.get("name", ""), "fp-s13 fp-b")
                            words(one.get("message", ""), "fp-s13 fp-t2", tag="p")
            words(_("Pieces"), tag="h3")
            self.pieces = ui.element("ol").classes("fp-hits")
            self.pages = ui.element("nav").classes("fp-row fp-pages")
            self.pages.props["aria-label"] = _("Pages of pieces")
        with ui.element("div").classes("fp-acts"):
            button(_("Close"), self.dialog.close, kind="quiet")

    def _facts(self) -> list[tuple[str, str]]:
        source = self.source
        facts = [
            (_("Kind"), KINDS[source.kind][0]),
            (
                _("Holds"),
                (
                    f"{plural(source.documents, _('document'), _('documents'), self.reader)},"
                    f" {pieces_word(source.pieces, self.reader)},"
                    f" {plural(source.chars, _('character'), _('characters'), self.reader)}"
                ),
            ),
        ]
        if source.settings.get("url"):
            facts.append((_("Address"), str(source.settings["url"])))
        if source.vectors or source.input_tokens:
            sent = plural(source.input_tokens, _("token"), _("tokens"), self.reader)
            cost = self.times.cost(source.cost_nanos)
            facts.append(
                (
                    _("By meaning"),
                    (
                        _("{vectors} of {pieces}; {sent}, {cost} so far").format(
                            vectors=number(source.vectors, self.reader),
                            pieces=pieces_word(source.pieces, self.reader),
                            sent=sent,
                            cost=cost,
                        )
                    ),
                )
            )
        if source.indexed_at:
            facts.append((_("Last read"), self.times.moment(source.indexed_at)))
        if source.kind in {"site", "dataset"}:
            due = ", " + _("next {next_at}").format(next_at=self.times.moment(source.next_at)) if source.next_at else ""
            facts.append((_("Read again"), AGAIN.get(source.again, "") + due))
        return facts

    async def load(self, offset: int) -> None:
        """Reads and draws a page of pieces."""
        pieces, total = await self.page_session.query(page_of_pieces, self.source.id, offset=offset, limit=PAGE)
        if self.pieces.is_deleted:
            return
        self.pieces.clear()
        self.pages.clear()
        with self.pieces:
            if not pieces:
                words(_("There are none yet."), "fp-t2", tag="li")
            for one in pieces:
                with ui.element("li").classes("fp-hit"):
                    with ui.element("div").classes("fp-row fp-wrap-row fp-hit-head"):
                        if one.address.startswith(("http://", "https://")):
                            link(one.document, one.address, "fp-b", new_tab=True)
                        else:
                            words(one.document, "fp-b")
                        words(
                            ", ".join(filter(None, (one.place, _("piece {number}").format(number=one.number + 1)))),
                            "fp-t3 fp-s13",
                        )
                        if one.heading:
                            icon("chevron_right", "fp-t3", size=14)
                            words(one.heading, "fp-t2 fp-s13")
                    draw_marked(one.text[:SHOWN] + ("…" if len(one.text) > SHOWN else ""), ())
        with self.pages:
            if total > PAGE:
                earlier = button(_("Earlier"), lambda: self.load(max(0, offset - PAGE)), small=True)
                earlier.set_enabled(offset > 0)
                until = min(total, offset + PAGE)
                words(
                    _("{offset}-{until} of {total}").format(
                        offset=number(offset + 1, self.reader),
                        until=number(until, self.reader),
                        total=number(total, self.reader),
                    ),
                    "fp-s13 fp-t2",
                )
                later = button(_("Later"), lambda: self.load(offset + PAGE), small=True)
                later.set_enabled(until < total)
