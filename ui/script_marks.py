"""Adds a nonce to the inline scripts of NiceGUI's page template, so that the browser runs no other inline script (S28).

`ui/request_router.py` creates the nonce of each response and names it in the Content-Security-Policy. Only the template
gets it; what pages add to their head and all text from people do not.
"""

from __future__ import annotations

import jinja2
from jinja2.ext import Extension
from nicegui.client import templates


class _Marked(Extension):
    """A Jinja extension that writes the nonce attribute into every script element of a template."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return source.replace("<script", '<script nonce="{{ request.state.script_mark }}"')


def mark_scripts() -> None:
    """Installs the extension. Must be called before the first page is rendered."""
    environment: jinja2.Environment = templates.env
    environment.add_extension(_Marked)
