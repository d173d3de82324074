"""The scripts that stand in a page's own HTML carry a mark of this answer, so that the browser runs no others (security.md S28).

`ui/request_router.py` makes the mark and names it in the Content-Security-Policy. Only NiceGUI's template gets it: what pages add to their
head, and everything that comes from people, is outside.
"""

from __future__ import annotations

import jinja2
from jinja2.ext import Extension
from nicegui.client import templates


class _Marked(Extension):
    """Writes the mark into every script element of a template."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("<script", '<script nonce="{{ request.state.script_mark }}"')


def mark_scripts() -> None:
    """Before the first page is made."""
    environment: jinja2.Environment = templates.env
    environment.add_extension(_Marked)
