"""A web site defined by a dict of paths to text, bytes or Page.

    with WebSite({"/": "<h1>Hello</h1>", "/old": Page.redirect("/"), "/slow": Page("...", delay=2)}) as site:
        ...  # fetch site.at("/")
        site.hits("/")

Pages can be changed while it runs: `site.pages["/new"] = "..."`. Unknown paths get 404.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.stand_ins.local_server import LocalServer, Reply, Seen


@dataclass(frozen=True)
class Page:
    """One page. `chunks` are sent with `pause` seconds in between; `drop` closes the connection early."""

    body: str | bytes = ""
    status: int = 200
    content_type: str = "text/html; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    chunks: tuple[bytes, ...] | None = None
    pause: float = 0.0
    drop: bool = False

    @classmethod
    def redirect(cls, location: str, status: int = 302) -> Page:
        return cls(status=status, headers={"location": location})


class WebSite(LocalServer):
    """Serves `pages` by path and query, otherwise by the path alone."""

    def __init__(self, pages: Mapping[str, str | bytes | Page] | None = None) -> None:
        super().__init__()
        self.pages: dict[str, str | bytes | Page] = dict(pages or {})

    def at(self, path: str) -> str:
        """Returns the full URL of a page."""
        return self.origin + path

    def reply(self, seen: Seen) -> Reply:
        found = self.pages.get(seen.target, self.pages.get(seen.path, Page("<h1>Not found</h1>", 404)))
        page = found if isinstance(found, Page) else Page(found)
        body = page.body.encode() if isinstance(page.body, str) else page.body
        headers = {"content-type": page.content_type, **page.headers}
        return Reply(page.status, body, headers, page.delay, page.drop, page.chunks, page.pause)
