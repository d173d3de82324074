"""The practice site: a small bakery's web pages, answered inside this process for one reserved host.

Samples of the templates use it, so a first run works without a network and tests are fast. The pages are files of
`assets/practice/`; `/menu` is `menu.html`. Nothing is looked up and nothing is dialled for this host.
"""

from __future__ import annotations

from functools import cache

import httpx2

from engine.core.paths import ASSETS

PRACTICE_HOST = "practice.flowport.example"

_FOLDER = ASSETS / "practice"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
    ".xml": "application/xml",
}


def practice_answer(request: httpx2.Request) -> httpx2.Response:
    """The page for a request: 404 for one that is not there, 405 for anything but reading."""
    pages = _pages()
    if request.method not in {"GET", "HEAD"}:
        return httpx2.Response(405, headers={"allow": "GET, HEAD"}, text="The practice site can only be read.\n")
    path = request.url.path
    name = path.rstrip("/") or "/index"
    found = pages.get(name) or pages.get(f"{name}.html") if name != "/404" else None
    status = 200 if found else 404
    kind, body = found or pages["/404.html"]
    headers = {"content-type": kind, "content-length": str(len(body)), "server": "practice"}
    return httpx2.Response(status, headers=headers, content=b"" if request.method == "HEAD" else body)


@cache
def _pages() -> dict[str, tuple[str, bytes]]:
    """Path -> content type and body, read once."""
    return {
        f"/{path.relative_to(_FOLDER).as_posix()}": (_TYPES[path.suffix], path.read_bytes())
        for path in sorted(_FOLDER.rglob("*"))
        if path.suffix in _TYPES
    }
