"""What a node has of the web: requests with secrets, answers, pages as a browser draws them, and robots.txt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class SecretValue:
    """A secret for a request. `hosts`: the hosts it may be sent to; None allows every host."""

    name: str
    value: str = field(repr=False)
    hosts: tuple[str, ...] | None


#: Which addresses a request may reach: also those the owner allows for flows, or the public web only.
Reach = Literal["flows", "public"]


class HttpAnswer(Protocol):
    """The answer to an outbound request. `redirects`: the addresses before `url`; `listed`: the owner's allow-list names
    its host.
    """

    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def redirects(self) -> tuple[str, ...]: ...
    @property
    def listed(self) -> bool: ...
    def text(self) -> str: ...


class DrawnPage(Protocol):
    """A page after its scripts have run (`engine.browser.browser`).

    `refused`: how many of its requests were blocked or failed.
    """

    @property
    def url(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def refused(self) -> int: ...


class SiteRules(Protocol):
    """The rules in a site's robots.txt (`engine.outbound.robots`). `failed_status`: the HTTP status when it could not
    be read.

    `listed`: it came from a host that the owner's allow-list names.
    """

    @property
    def failed_status(self) -> int | None: ...
    @property
    def answer_headers(self) -> Mapping[str, str]: ...
    @property
    def crawl_delay(self) -> float: ...
    @property
    def sitemaps(self) -> Sequence[str]: ...
    @property
    def listed(self) -> bool: ...
    def may_read(self, url: str) -> bool:
        """Tells whether programs may read a URL. It may take tens of milliseconds."""
        ...


class Http(Protocol):
    """The outbound client as nodes see it (`engine.outbound.client.OutboundClient`).

    Refusals and faults are raised as NodeFailed.
    """

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, SecretValue] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float = 30.0,
        max_bytes: int = 10 << 20,
        reach: Reach = "flows",
    ) -> HttpAnswer: ...

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> SiteRules:
        """Returns the robots.txt of a page's site, which is cached. Raises NodeFailed."""
        ...

    async def draw(self, answer: Any, *, timeout_seconds: float = 30.0) -> DrawnPage:  # noqa: ANN401 - its own answers
        """Renders the page of an answer in a browser.

        Raises NodeFailed, also when there is no browser (`page_needs_browser`).
        """
        ...

    def turn(self, url: str, *, delay_seconds: float = 0.0, at_once: int = 10) -> AbstractAsyncContextManager[None]:
        """A context manager around a request that waits until the host may be asked again."""
        ...
