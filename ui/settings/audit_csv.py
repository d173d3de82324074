"""The filters of the audit log in the page's URL, and the filtered entries as a CSV or Excel file (S30)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import urlencode

from fastapi import FastAPI
from msgspec import Struct, field
from starlette.requests import Request
from starlette.responses import Response

from engine.core.clock import to_rfc3339
from engine.core.roles import Role
from storage.audit import AuditFilters, list_entries
from storage.sessions import find_signed_in
from ui.access_guard import stranger_answer
from ui.file_download import Pieces, Recipient, form_of, named_by_time, sent_table
from ui.kit.text import Reader
from ui.page_session import COOKIE, App
from ui.page_shell import nothing_here
from ui.parts.time_range import Span, span_of
from ui.settings.audit_lines import load_names, more, verbs_of, what

PATH = "/settings/audit"
CSV_PATH = "/settings/audit/export.csv"
EXCEL_PATH = "/settings/audit/export.xlsx"
#: Who may see the audit log.
ROLES = frozenset({Role.OWNER})
PIECE = 500
HEAD = ("at", "who", "actor", "what", "verb", "subject", "detail", "address")


class AuditView(Struct, frozen=True):
    """The filters as the URL contains them; empty means no filter. `before` is the position in the list."""

    who: str = ""
    kind: str = ""
    span: Span = field(default_factory=Span)
    before: int | None = None

    @classmethod
    def of(cls, said: Mapping[str, str]) -> AuditView:
        """Reads the filters from the query of a URL."""
        before = said.get("before", "")
        at = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        return cls(said.get("who", "")[:300], said.get("kind", ""), span_of(said), at)

    def filters(self, now: int, zone: tzinfo) -> AuditFilters:
        """Returns the filters for the database query."""
        since, until = self.span.limits(now, zone)
        return AuditFilters(self.who or None, verbs_of(self.kind), since, until)

    def query(self) -> str:
        """Returns the filters as the query of a URL, without the position in the list."""
        return _query({"who": self.who, "kind": self.kind, **self.span.said()})

    def path(self) -> str:
        """The URL of this view."""
        before = "" if self.before is None else str(self.before)
        return PATH + _query({"who": self.who, "kind": self.kind, **self.span.said(), "before": before})


def _query(said: Mapping[str, str]) -> str:
    kept = {name: value for name, value in said.items() if value}
    return f"?{urlencode(kept)}" if kept else ""


def add_routes(root: FastAPI, app: App) -> None:
    """Registers the routes of the files, for owners like the page."""

    @root.get(CSV_PATH, include_in_schema=False)
    @root.get(EXCEL_PATH, include_in_schema=False)
    async def audit_file(request: Request) -> Response:
        cookie = request.cookies.get(COOKIE, "")
        person = await app.database.read_briefly(find_signed_in, cookie)
        if person is None:
            return await stranger_answer(app, request)
        if person.role not in ROLES:
            return nothing_here(request)
        now = app.database.clock.now()
        filters = AuditView.of(dict(request.query_params)).filters(now, Reader.of(request.cookies).zone)
        recipient = Recipient(app, cookie, person.workspace_id, ROLES)
        return sent_table(recipient, named_by_time("audit", now), form_of(request), _rows(recipient, filters))


async def _rows(recipient: Recipient, filters: AuditFilters) -> Pieces:
    yield [HEAD]
    before: int | None = None
    names: Mapping[str, str] = {}
    while True:
        rows = await recipient.read(list_entries, recipient.workspace_id, PIECE, filters, before)
        if any(row.actor not in names for row in rows):
            names = await recipient.read(load_names, recipient.workspace_id)
        yield [
            (
                to_rfc3339(row.at),
                names.get(row.actor, row.actor),
                row.actor,
                what(row.verb),
                row.verb,
                row.subject,
                more(row),
                row.address,
            )
            for row in rows
        ]
        if len(rows) < PIECE:
            return
        before = rows[-1].id
