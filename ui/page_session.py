"""A signed-in person on one page: every event asks again who they are before it reads or changes anything (security.md S18).

rows = await page.query(list_flows)                       # a query: the workspace comes first, by itself
done = await page.execute(deploy, flow_id)                   # a verb: the principal comes first
done = await page.try_execute(deploy, flow_id)               # the same; a refusal is shown, and None comes back

An open page also asks by itself every few seconds: the tab of somebody who was signed out, shut out or given another role is emptied
and led to the sign-in page, which says what happened.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from nicegui import Client, ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.principal import Permission, Principal, may
from engine.core.clock import MINUTE
from engine.core.errors import Refusal, Unavailable
from engine.core.ids import WorkspaceId
from engine.models.local_servers import LocalServers
from storage.database import Database
from storage.flows import list_flows
from storage.members import Person
from storage.owner_notes import count_open_notes
from storage.sessions import find_signed_in, hash_token, note_seen
from storage.workspaces import get_limits
from ui.kit import feedback, frame
from ui.kit.search import Hit

if TYPE_CHECKING:
    from engine.core.settings import Settings
    from engine.jobs.server.job_waiters import JobWaiters
    from engine.secrets.sealing import Vault

P = ParamSpec("P")
T = TypeVar("T")

COOKIE = "flowport_session"
#: Of somebody whose password was right and who is not signed in yet.
STEP_COOKIE = "flowport_step"
#: How often an open page asks whether its person is still signed in.
WATCH_SECONDS = 3.0
#: NiceGUI answers 500 when a page is not drawn within 3 seconds. On a machine with all hands full a page comes late rather than not.
PAGE_SECONDS = 30.0


def page_at(path: str, **options: Any) -> ui.page:
    """The decorator of every page: what `ui.page` takes, with what holds for all of them."""
    return ui.page(path, language="en-US", response_timeout=PAGE_SECONDS, **options)


@dataclass(frozen=True)
class App:
    """What the pages stand on; built once by `app.py`.

    `vault` seals what must not be read back; `public_api` is the app behind `/public`, so that a page can make a real call
    of an endpoint. `local_servers` remembers the model servers found on this machine.
    """

    database: Database
    waiters: JobWaiters
    settings: Settings
    vault: Vault
    public_api: Any
    local_servers: LocalServers = field(default_factory=LocalServers)
    _shared: dict[type, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def shared(self, kind: type[T]) -> T:
        """The one object of this class that all pages of this server share, made when it is first asked for."""
        return self._shared.setdefault(kind, kind())


class SignedOut(Exception):  # noqa: N818 - a fact, not a fault
    """The session ended, or the person was disabled, while the page was open."""


class PageSession:
    """One person on one open page."""

    def __init__(self, app: App, cookie: str, address: str, person: Person) -> None:
        self.app = app
        self.person = person
        self._cookie = cookie
        self._address = address
        self._noted = 0
        self._path = ""

    @property
    def principal(self) -> Principal:
        """Who acts, as last checked."""
        person = self.person
        return Principal(WorkspaceId(person.workspace_id), person.id, person.name, person.role, self._address)

    @property
    def frame_person(self) -> frame.FramePerson:
        """The person as the frame shows them."""
        workspace_id = self.person.workspace_id
        limits = self.app.database.read_now(get_limits, workspace_id)
        owner = self.may("manage connections")
        asked = self.app.database.read_now(count_open_notes, workspace_id) if owner else 0
        return frame.FramePerson(self.person.name, self.person.email, self.person.role, limits.title, asked)

    @property
    def session_hash(self) -> str:
        """By what the database knows this browser's session."""
        return hash_token(self._cookie)

    def may(self, permission: Permission) -> bool:
        """Tells whether to offer a control; the action itself checks the permission again."""
        return may(self.principal, permission)

    async def find_flows(self, text: str) -> list[Hit]:
        """Flows by title, for the search of the frame."""
        flows = await self.query(list_flows)
        return [
            Hit(flow.title, f"/flows/{flow.id}", flow.state)
            for flow in flows
            if text.casefold() in flow.title.casefold()
        ]

    async def query(self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query on the person's own workspace."""

        def work(session: Session) -> T:
            self._check(session)
            return query(session, self.person.workspace_id, *args, **kwargs)

        return await self._guarded(self.app.database.read(work))

    async def execute(
        self, verb: Callable[Concatenate[Session, Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a verb as this person, in one transaction. Raises its refusal."""

        def work(session: Session) -> T:
            self._check(session)
            self._note(session)
            return verb(session, self.principal, *args, **kwargs)

        return await self._guarded(self.app.database.write(work))

    async def try_execute(
        self, verb: Callable[Concatenate[Session, Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """As `do`; a refusal is shown to the person and gives None."""
        try:
            return await self.execute(verb, *args, **kwargs)
        except Refusal as refusal:
            feedback.refused(refusal)
            return None

    def watch(self, client: Client, path: str) -> None:
        """Ends the tab when the session does; `path` is where to come back to.

        It begins when the browser is there: NiceGUI delivers a page as soon as a timer waits for its browser.
        """
        self._path = path
        watching = False

        def begin() -> None:
            nonlocal watching
            if not watching:
                watching = True
                with client.layout:
                    timer = ui.timer(WATCH_SECONDS, lambda: self._look(timer), immediate=False)

        client.on_connect(begin)

    async def _look(self, timer: ui.timer) -> None:
        try:
            await self.query(_nothing)
        except SignedOut:
            timer.deactivate()
        except Unavailable:
            pass  # a store that is busy is asked next time

    def leave(self) -> None:
        """Ends this tab; the session has ended by a verb of the person."""
        self._end_tab(ui.context.client)

    def _check(self, session: Session) -> None:
        person = find_signed_in(session, self._cookie)
        if person is None:
            raise SignedOut
        self.person = person

    def _note(self, session: Session) -> None:
        """Somebody who works on an open page does not go idle."""
        at = self.app.database.clock.now()
        if at - self._noted >= MINUTE:
            self._noted = at
            note_seen(session, self._cookie)

    async def _guarded(self, answer: Any) -> Any:
        try:
            return await answer
        except SignedOut:
            with contextlib.suppress(RuntimeError):  # work that goes on behind a page has no page to turn
                self._end_tab(ui.context.client)
            raise

    def _end_tab(self, client: Client) -> None:
        """Leads to the sign-in page and takes everything off the page, so that no event finds what it was meant for."""
        if client.elements:
            ui.navigate.to(f"/sign-in?ended=1&next={quote(self._path)}")
            client.remove_all_elements()


def _nothing(_session: Session, _workspace_id: str) -> None:
    """Only asks who is there."""


def open_page_session(app: App, request: Request) -> PageSession:
    """The visit of a page that is being opened; the guard in front has checked that somebody is signed in."""
    cookie = request.cookies.get(COOKIE, "")
    person = app.database.read_now(find_signed_in, cookie)
    if person is None:
        raise SignedOut
    page_session = PageSession(app, cookie, request.client.host if request.client else "", person)
    page_session.watch(ui.context.client, request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    return page_session
