"""A signed-in person on one open page. Every event checks the session again before it reads or changes data (S18).

rows = await page.query(list_flows)                       # a query; the workspace is passed first
rows = await page.query_again(list_flows)                  # the same for what looks again and again
done = await page.execute(deploy, flow_id)                   # an action; the principal is passed first
done = await page.try_execute(deploy, flow_id)               # the same, but a refusal is shown and gives None

An open page also checks its session every few seconds. When its person was signed out, disabled or given another role,
the page is emptied and redirected to the sign-in page, which says what happened.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

from msgspec.structs import replace
from nicegui import Client, ui
from sqlalchemy.orm import Session
from starlette.requests import Request

from engine.actions.jobs import CheckedInput, check_beside
from engine.actions.members import note_jobs_seen
from engine.actions.principal import Permission, Principal, may, require_may
from engine.core.clock import MINUTE
from engine.core.do_first import MAX_WORK, TOO_MUCH_FIRST, DoFirst
from engine.core.errors import Refusal, Unavailable
from engine.core.ids import WorkspaceId
from engine.core.job_status import MAX_TOLD
from engine.core.roles import Role
from engine.jobs.submit.check_threads import CheckThreads
from engine.jobs.submit.scheduled import CheckedStart, check_inputs, find_costly_inputs
from engine.models.local_servers import LocalServers
from engine.sandbox.pool import Sandbox
from storage.database import Database
from storage.flows import list_flows
from storage.jobs import count_failed_runs, list_failed_runs
from storage.members import Person, list_people
from storage.owner_notes import count_open_notes
from storage.questions import count_open_questions
from storage.schedules import list_schedules
from storage.sessions import find_signed_in, hash_token, note_seen
from storage.workspaces import get_limits
from ui.kit import feedback, frame
from ui.kit.search import Hit
from ui.kit.text import _
from ui.pulse import RepeatedCall
from ui.shared_reads import Answer, Answers, Committed, Moment, SessionChecks, SharedReads

if TYPE_CHECKING:
    from engine.core.settings import Settings
    from engine.flow.document import Document
    from engine.jobs.server.job_waiters import JobWaiters
    from engine.playground_batches.registry import PlaygroundBatches
    from engine.secrets.sealing import Vault

P = ParamSpec("P")
T = TypeVar("T")

COOKIE = "flowport_session"
#: The cookie of a person whose password was accepted and whose second factor is not yet.
STEP_COOKIE = "flowport_step"
#: Interval at which an open page checks whether its person is still signed in, and whether runs failed.
WATCH_SECONDS = 3.0
#: NiceGUI answers 500 when a page is not drawn within its default of 3 seconds. On a busy machine a late page is better
#: than an error.
PAGE_SECONDS = 30.0


def page_at(path: str, **options: Any) -> ui.page:
    """The decorator of every page: `ui.page` with the options that all pages share."""
    return ui.page(path, language="en-US", response_timeout=PAGE_SECONDS, **options)


@dataclass(frozen=True)
class App:
    """What all pages need from the server; `app.py` creates it once.

    `vault` encrypts and decrypts secrets; `public_api` is the app behind `/public`, with which a page can really call
    an endpoint. `batches` runs the batches of the Playground. `local_servers` caches the model servers found on this
    machine.
    """

    database: Database
    waiters: JobWaiters
    settings: Settings
    vault: Vault
    public_api: Any
    batches: PlaygroundBatches
    local_servers: LocalServers = field(default_factory=LocalServers)
    #: The evaluator processes of the pages, which read the large files that people import.
    sandbox: Sandbox = field(default_factory=Sandbox)
    #: When the server started, in milliseconds.
    started_at: int = field(init=False, compare=False)
    _shared: dict[type, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "started_at", self.database.clock.now())

    def shared(self, kind: type[T]) -> T:
        """Returns the object of this class that all pages of this server share; the first call creates it."""
        found = self._shared.get(kind)
        return self._shared.setdefault(kind, kind()) if found is None else found


class Offered:
    """What pages add to the search of the frame: the templates. `find` is called at each search, in a thread."""

    def __init__(self) -> None:
        self.find: Callable[[], tuple[Hit, ...]] = tuple


class PageThreads(CheckThreads):
    """The threads for what pages work on, like an import, an export or a large paste. No submit waits for them, as it does
    for `App.batches.threads`.
    """

    def __init__(self) -> None:
        super().__init__("page")


class SignedOut(Exception):  # an expected event, not an error
    """Raised when the session ended or the person was disabled while the page was open."""


class PageSession:
    """One person on one open page."""

    def __init__(self, app: App, cookie: str, address: str, person: Person) -> None:
        self.app = app
        self.person = person
        self._cookie = cookie
        self._address = address
        self._noted = 0
        self._path = ""
        self._frame_person: frame.FramePerson

    @property
    def principal(self) -> Principal:
        """The principal of the person, as of the last check of the session."""
        person = self.person
        return Principal(WorkspaceId(person.workspace_id), person.id, person.name, person.role, self._address)

    @property
    def frame_person(self) -> frame.FramePerson:
        """The person as the frame shows them, as of the opening of the page."""
        return self._frame_person

    def read_frame(self, session: Session) -> None:
        """SharedReads what the frame shows."""
        workspace_id = self.person.workspace_id
        limits = get_limits(session, workspace_id)
        owner = self.may("manage connections")
        asked = count_open_notes(session, workspace_id) if owner else 0
        # whom to ask: an owner may do everything, so that nobody reads it
        owners = "" if owner else ", ".join(one.name or one.email for one in _owners(session, workspace_id))
        waiting = count_open_questions(session, workspace_id)
        person = self.person
        failed = count_failed_runs(session, workspace_id, person.id)
        self._frame_person = frame.FramePerson(
            person.name, person.email, person.role, limits.title, asked, owners, waiting, failed
        )

    async def see_failed_runs(self, shown: Mapping[str, int]) -> None:
        """Notes that the person has seen the failed runs, so that they are not marked as news, once all of them, or of more
        than MAX_TOLD the last one, are among these: job id -> when it ended.
        """
        news = await self.query_again(list_failed_runs, self.person.id)
        if news and shown.keys() >= set(news[:1] if len(news) > MAX_TOLD else news):
            await self.execute(note_jobs_seen, shown[news[0]])
            await self._show_failed()

    @property
    def owners(self) -> list[Person]:
        """The owners who can sign in: whom to ask for what the person may not do."""
        return self.app.database.read_now(_owners, self.person.workspace_id)

    @property
    def session_hash(self) -> str:
        """The hash under which the database stores this browser's session."""
        return hash_token(self._cookie)

    def may(self, permission: Permission) -> bool:
        """Whether to offer a control. The action checks the permission again."""
        return may(self.principal, permission)

    async def findable(self, text: str) -> list[Hit]:
        """Returns the flows, and with a text also what the pages offer to be found, for the search of the frame."""
        flows = await self.query(list_flows)
        hits = [Hit(flow.title, f"/flows/{flow.id}", flow.state, symbol="schema") for flow in flows]
        if text:
            titles = {flow.id: flow.title for flow in flows}
            hits += [
                Hit(one.title, f"/flows/{one.flow_id}?tab=triggers", titles.get(one.flow_id, ""), symbol="schedule")
                for one in await self.query(list_schedules)
            ]
        return [*hits, *await asyncio.to_thread(self.app.shared(Offered).find)] if text else hits

    async def query(self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a query on the person's own workspace."""

        def work(session: Session) -> T:
            self._check(session)
            return query(session, self.person.workspace_id, *args, **kwargs)

        return await self._guarded(lambda: self.app.database.read_in_turn(self.person.workspace_id, work))

    async def query_again(
        self, query: Callable[Concatenate[Session, str, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a query that an open page repeats. While nothing was committed since a page of this workspace asked it
        with the same arguments, the same answer is given without a query, but not for longer than SAME_SECONDS.
        """
        now, asked = self._moment(), (args, kwargs)
        answers, workspace_id = self.app.shared(Answers), self.person.workspace_id
        checked = False

        async def read() -> Answer:
            nonlocal checked
            answer = Answer(asked, now, await self.query(query, *args, **kwargs))
            answers.note(workspace_id, query, answer)
            self.app.shared(SessionChecks).note(self._cookie, now)
            checked = True
            return answer

        known = answers.find(workspace_id, query, asked, now)
        if known is None:
            known = await self.app.shared(SharedReads).share((workspace_id, query), asked, now.version, read)
        if not checked and not self.app.shared(SessionChecks).holds(self._cookie, now):
            await self._check_again(now)
        return known.value

    async def execute(
        self, action: Callable[Concatenate[Session, Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs an action as this person, in one transaction. Raises the refusal of the action."""

        def work(session: Session) -> T:
            self._check(session)
            self._note(session)
            return action(session, self.principal, *args, **kwargs)

        try:
            return await self._guarded(lambda: self.app.database.write(work))
        finally:
            self.app.shared(Committed).forget()  # so that the page sees its own change at once

    async def beside(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Does work that may take long in a thread of pages, in which the workspace waits only for itself."""
        threads, person = self.app.shared(PageThreads), self.person
        return await threads.run(person.workspace_id, person.id, work, *args, **kwargs)

    async def checked(
        self, document: Document, payload: Mapping[str, Any], until: str | None = None, *, kept: bool = False
    ) -> CheckedInput | None:
        """Checks the payload of a Playground run before its transaction. `kept`: whether it is that of an earlier job.
        Raises Refusal.
        """
        require_may(self.principal, "run flows")
        threads, person = self.app.batches.threads, self.person
        return await check_beside(threads, person.workspace_id, person.id, document, payload, until, kept=kept)

    async def checked_start(self, schedule_id: str) -> CheckedStart | None:
        """Checks the inputs of a schedule before the transaction that starts it. None when that costs nothing. Raises
        Refusal.
        """
        require_may(self.principal, "deploy")
        inputs = await self.query(find_costly_inputs, schedule_id)
        if inputs is None:
            return None
        return await self.beside(check_inputs, inputs)

    async def try_execute(
        self, action: Callable[Concatenate[Session, Principal, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T | None:
        """Runs an action like `execute`, but shows a refusal to the person and returns None. An action that itself returns
        None cannot be told from a refused one: run it with `execute` in `feedback.refusals_told()`.
        """
        try:
            return await self.execute(action, *args, **kwargs)
        except Refusal as refusal:
            feedback.refused(refusal)
            return None

    def watch(self, client: Client, path: str) -> None:
        """Empties the page when the session ends; `path` is the page to return to after a new sign-in. Also tells the
        person of errors in the page's events.

        The check starts when the browser has connected: NiceGUI delivers a page early when a timer waits for its
        browser.
        """
        self._path = path
        client.on_exception(_tell)
        watching = False

        def begin() -> None:
            nonlocal watching
            if not watching:
                watching = True
                with client.layout:
                    check = RepeatedCall(WATCH_SECONDS, lambda: self._look(check), at_once=False)

        client.on_connect(begin)

    async def _look(self, check: RepeatedCall) -> None:
        """Checks the session, and marks the entry Jobs when runs failed that the person has not seen there."""
        try:
            await self._show_failed()
        except SignedOut:
            check.deactivate()
        except Unavailable:
            pass  # the database is busy; the next check reads it again

    async def _show_failed(self) -> None:
        failed = await self.query_again(count_failed_runs, self.person.id)
        if failed != self._frame_person.failed:
            self._frame_person = replace(self._frame_person, failed=failed)
            frame.show_failed(failed)

    def _moment(self) -> Moment:
        return self.app.shared(Committed).moment(self.app.database)

    async def _check_again(self, now: Moment) -> None:
        async def check() -> None:
            await self.query(_nothing)
            self.app.shared(SessionChecks).note(self._cookie, now)

        await self.app.shared(SharedReads).share(self._cookie, (), now.version, check)

    def leave(self) -> None:
        """Empties the page after an action by which the person ended the session."""
        self._end_tab(ui.context.client)

    def _check(self, session: Session) -> None:
        person = find_signed_in(session, self._cookie)
        if person is None:
            raise SignedOut
        self.person = person

    def _note(self, session: Session) -> None:
        """Records activity of the session, so that it does not expire while somebody uses an open page."""
        at = self.app.database.clock.now()
        if at - self._noted >= MINUTE:
            self._noted = at
            note_seen(session, self._cookie)

    async def _after_work(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Returns the answer of a transaction, which begins again after the work that it needs."""
        for _attempt in range(MAX_WORK):
            try:
                return await ask()
            except DoFirst as first:
                await self.beside(first.work)
        raise Unavailable(TOO_MUCH_FIRST)

    async def _guarded(self, ask: Callable[[], Awaitable[T]]) -> T:
        try:
            return await self._after_work(ask)
        except SignedOut:
            with contextlib.suppress(RuntimeError):  # a background task of the page has no current client
                self._end_tab(ui.context.client)
            raise

    def _end_tab(self, client: Client) -> None:
        """Redirects to the sign-in page and removes all elements, so that later events find no handler."""
        if client.elements:
            ui.navigate.to(f"/sign-in?ended=1&next={quote(self._path)}")
            client.remove_all_elements()


def _tell(error: Exception) -> None:
    """Tells the person why a press did nothing; called for what an event of the page raises and nobody has handled."""
    if isinstance(error, Refusal):
        feedback.refused(error)
    elif not isinstance(error, SignedOut):
        feedback.failed(
            _("That did not work."), _("Something in Flowport failed. Load the page again and try once more.")
        )


def _nothing(_session: Session, _workspace_id: str) -> None:
    """A query that reads nothing. Running it only checks the session."""


def _owners(session: Session, workspace_id: str) -> list[Person]:
    return [one for one in list_people(session, workspace_id) if one.role == Role.OWNER and not one.disabled]


async def open_page_session(app: App, request: Request) -> PageSession:
    """Creates the page session of a request. `AccessGuard` has already checked that somebody is signed in."""
    app.shared(Committed).forget()  # a page that opens shows everything that was committed before
    page_session = await app.database.read_briefly(_open, app, request)
    page_session.watch(ui.context.client, request.url.path + (f"?{request.url.query}" if request.url.query else ""))
    return page_session


def _open(session: Session, app: App, request: Request) -> PageSession:
    cookie = request.cookies.get(COOKIE, "")
    person = find_signed_in(session, cookie)
    if person is None:
        raise SignedOut
    page_session = PageSession(app, cookie, request.client.host if request.client else "", person)
    page_session.read_frame(session)
    return page_session
