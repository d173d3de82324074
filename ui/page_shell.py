"""What all pages share: the frame with person and search, and updates while the page is open.

page_session = await open_page_session(app, request)
with opened(page_session, "Saved Flows", active="flows") as page:
    ...
every(1.0, look_again)                     calls it until the page is closed or the person is signed out
@one_at_a_time                             serialises a page's method that reads and draws
send = not_twice(self._send)               a form's handler for its button and Enter, deaf while it runs
times_of(page_session)                     formats times, durations and costs
return nothing_here(request)               the 404 page, for unknown, deleted and foreign ids alike
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from nicegui import Client, ui
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, Response

from engine.core.errors import Unavailable
from engine.diagnostics.disk import read_disk
from engine.jobs.notifier import PAUSED
from ui.access_guard import NO_STORE, theme_of
from ui.kit.assets import asset_url
from ui.kit.frame import Area, PageFrame, frame, reader
from ui.kit.parts import link, note
from ui.kit.plain_pages import not_found_page
from ui.kit.text import _, size
from ui.kit.times import Times
from ui.page_session import PageSession, SignedOut
from ui.pulse import RepeatedCall

P = ParamSpec("P")
T = TypeVar("T")


@contextlib.contextmanager
def opened(
    page_session: PageSession,
    title: str,
    *,
    active: Area,
    crumbs: Sequence[tuple[str, str | None]] = (),
    sub: str | None = None,
    h1: bool = True,
) -> Iterator[PageFrame]:
    """Draws the frame around a page and enters the slot of its content."""
    with frame(
        title,
        active=active,
        person=page_session.frame_person,
        crumbs=crumbs,
        sub=sub,
        h1=h1,
        search=page_session.findable,
    ) as page:
        ui.add_head_html(f'<link rel="stylesheet" href="{asset_url("pages.css")}">')  # overrides theme.css
        tell_paused(page_session)
        warn_of_low_disk(page_session)
        yield page


def base_address(page_session: PageSession) -> str:
    """Returns the base URL for callers: the configured public URL, else the address at which this page was opened."""
    request = ui.context.client.request
    if page_session.app.settings.public_url or request is None:
        return page_session.app.settings.public_url or page_session.app.settings.base_url
    return f"{request.url.scheme}://{request.headers.get('host', request.url.netloc)}"


def tell_paused(page_session: PageSession) -> None:
    """Tells on every page of a server that was started paused that nothing runs."""
    if page_session.app.database.info.get(PAUSED):
        text = _("No jobs, schedules, webhooks or nightly work run until it is started without `--paused`.")
        note(text, kind="warn", icon="pause", strong=_("This server was started to look at it only."))


def warn_of_low_disk(page_session: PageSession) -> None:
    """Warns owners on every page when the disk is nearly full, because a full disk stops every call."""
    if not page_session.may("change the server"):
        return
    try:
        disk = read_disk(page_session.app.settings.data)
    except OSError:
        return
    if disk.state != "ok":
        strong = _("The disk is nearly full: {free} are free.").format(free=size(disk.free, reader()))
        with note(_("When it is full, Flowport can take no more calls."), kind="warn", icon="warning", strong=strong):
            link(_("See Data"), "/settings/data")


def times_of(page_session: PageSession) -> Times:
    """Returns the time formatter of this page."""
    return Times(page_session.app.database.clock, reader())


def every(seconds: float, look: Callable[[], Awaitable[None]]) -> RepeatedCall:
    """Calls `look` at an interval, at the beat that all open pages share (`ui/pulse.py`).

    A call that takes longer is not started twice; when the database is busy it is retried.

    No call is made while a menu is open, because drawing would close the menu. Start it after the last `await` of a page:
    NiceGUI delivers a page early when something waits for its browser.
    """
    menus = _Menus(ui.context.client)

    async def once_more() -> None:
        try:
            with contextlib.suppress(Unavailable):
                await look()
        except SignedOut:
            repeated.deactivate()

    repeated = RepeatedCall(seconds, once_more, is_due=lambda: not menus.one_is_open)
    return repeated


class _Menus:
    """The menus of a page. Its elements are searched only when some were added: a page has thousands of them."""

    def __init__(self, page: Client) -> None:
        self._page = page
        self._found: list[ui.menu] = []
        self._next_id = -1

    @property
    def one_is_open(self) -> bool:
        """True while a menu is open."""
        if self._page.next_element_id != self._next_id:
            self._next_id = self._page.next_element_id
            self._found = [part for part in self._page.elements.values() if isinstance(part, ui.menu)]
        return any(menu.value for menu in self._found if not menu.is_deleted)


def one_at_a_time(look: Callable[[T], Coroutine[Any, Any, None]]) -> Callable[[T], Coroutine[Any, Any, None]]:
    """Serialises a page's method that reads and draws, called by its timer and after an action.

    Without the lock a timer's read could begin before a change and end after it, and the page would show outdated data
    for seconds.
    """
    turns: WeakKeyDictionary[T, asyncio.Lock] = WeakKeyDictionary()

    @functools.wraps(look)
    async def in_turn(page: T) -> None:
        async with turns.setdefault(page, asyncio.Lock()):
            await look(page)

    return in_turn


def not_twice(work: Callable[P, Awaitable[object]]) -> Callable[P, Coroutine[Any, Any, None]]:
    """Returns a handler that does nothing while an earlier call of it runs, nor after one that returned True, which says
    that the page is being left.

    For what a form makes: a double click, or Enter and a click, would make it twice, and one of two keys would be shown
    to nobody. A form goes, or is drawn anew, before its handler ends; a page stays until the next one has come.
    """
    is_running = False

    @functools.wraps(work)
    async def once(*args: P.args, **kwargs: P.kwargs) -> None:
        nonlocal is_running
        if is_running:
            return
        is_running = True
        left: object = False
        try:
            left = await work(*args, **kwargs)
        finally:
            is_running = left is True

    return once


def nothing_here(request: HTTPConnection) -> Response:
    """Returns the 404 page. It is the same for unknown and deleted ids and for ids of other workspaces."""
    return HTMLResponse(not_found_page(theme=theme_of(request)), 404, headers=NO_STORE)
