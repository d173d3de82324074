"""The practice site: web pages of a small bakery, served inside this process for one reserved host name.

Template samples use it, so that a first run needs no network and tests are fast. The pages are files in
`assets/practice/`; the path `/menu` is served from `menu.html`. `files/` holds documents that Read Document reads. Requests to this host cause no DNS query and no
connection.
"""

from __future__ import annotations

from functools import cache

import httpcore2

from engine.core.paths import ASSETS

PRACTICE_HOST = "practice.flowport.example"

_FOLDER = ASSETS / "practice"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".pdf": "application/pdf",
    ".txt": "text/plain; charset=utf-8",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xml": "application/xml",
}


def practice_answer(method: str, path: str) -> httpcore2.Response:
    """Returns the page for a request: 404 for an unknown path, 405 for methods other than GET and HEAD."""
    if method not in {"GET", "HEAD"}:
        refusal = b"The practice site can only be read.\n"
        headers = [
            ("allow", "GET, HEAD"),
            ("content-type", "text/plain; charset=utf-8"),
            ("content-length", str(len(refusal))),
        ]
        return httpcore2.Response(405, headers=headers, content=refusal)
    found = _found(path)
    status = 200 if found else 404
    kind, body = found or _pages()["/404.html"]
    headers = [("content-type", kind), ("content-length", str(len(body))), ("server", "practice")]
    return httpcore2.Response(status, headers=headers, content=b"" if method == "HEAD" else body)


def practice_page(path: str) -> str | None:
    """Returns the HTML of a page; None for an unknown path and for what is no page."""
    kind, body = _found(path) or ("", b"")
    return body.decode() if kind.startswith("text/html") else None


def _found(path: str) -> tuple[str, bytes] | None:
    name = path.rstrip("/") or "/index"
    return _pages().get(name) or _pages().get(f"{name}.html") if name != "/404" else None


@cache
def _pages() -> dict[str, tuple[str, bytes]]:
    """Maps paths to content type and body; the files are read once per process."""
    return {
        f"/{path.relative_to(_FOLDER).as_posix()}": (_TYPES[path.suffix], path.read_bytes())
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }
