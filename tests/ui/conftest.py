"""Fixtures for pages without a browser: a data folder, a signed-in owner, and the apps composed as in `app.py`."""

from __future__ import annotations

import functools
import gc
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi import FastAPI
from nicegui import Client, ui, ui_run_with
from nicegui import app as nicegui_app
from nicegui.functions.download import download
from nicegui.functions.navigate import Navigate
from nicegui.functions.notify import notify
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals, prepare_simulation

from api.app import create_api
from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, save_as
from engine.actions.members import ensure_owner, password_hash_now, sign_in
from engine.actions.principal import Principal, command_line
from engine.actions.workspaces import ensure_workspace
from engine.core.clock import MovedClock
from engine.core.settings import Settings
from engine.jobs.server.job_waiters import JobWaiters
from engine.models.local_servers import LocalServers
from engine.playground_batches.registry import PlaygroundBatches
from engine.secrets.sealing import open_vault
from storage.database import Database
from storage.members import list_people
from storage.tables import User as UserRow
from tests.databases import open_database
from tests.factories import document, greeting
from tests.logical_time import LogicalClock, loop_factories

if TYPE_CHECKING:
    from ui.page_session import App

EMAIL = "ada@example.com"
PASSWORD = "correct horse battery"


#: How often a page is checked, ten times a second, before a test fails. Test machines are shared, so the limit is high;
#: what is present is found at the first check.
LOOKS = 300


class PatientUser(User):
    """NiceGUI's `User` with a longer wait for content that appears late."""

    async def should_see(self, *args: Any, retries: int = LOOKS, **kwargs: Any) -> None:
        await super().should_see(*args, retries=max(retries, LOOKS), **kwargs)

    async def should_not_see(self, *args: Any, retries: int = LOOKS, **kwargs: Any) -> None:
        await super().should_not_see(*args, retries=max(retries, LOOKS), **kwargs)


class YoungOnly:
    """Replaces `gc` in NiceGUI, which collects completely before and after each test: collects only what is young, and
    only before a test.

    After a test, its pages still exist. Python collects the other generations when enough objects exist.
    """

    def collect(self) -> int:
        return 0 if Client.instances else gc.collect(1)


class NoServers:
    """Replaces `gc` in NiceGUI's search for a uvicorn server, which scans all objects for each test."""

    def get_objects(self) -> list[object]:
        return []


@functools.cache
def hashed() -> str:
    """Hashes the password once per run, because hashing is slow on purpose."""
    return password_hash_now(PASSWORD)


@dataclass
class Site:
    """The pages as they are served, with helpers that create stored data."""

    database: Database
    clock: MovedClock
    workspace_id: str
    root: FastAPI
    settings: Settings
    user: User
    app: App
    printed: list[str] = field(default_factory=list)

    @property
    def owner(self) -> Principal:
        return command_line(self.workspace_id)

    def flow(
        self, title: str = "Greeting", *, saved: bool = True, live: bool = False, file: dict[str, Any] | None = None
    ) -> str:
        """Creates a flow that returns a greeting."""
        flow_id = self.database.write_now(create_flow, self.owner, title, document(file or greeting()), "Says hello")
        if saved or live:
            self.database.write_now(save_as, self.owner, flow_id, title)
        if live:
            self.database.write_now(deploy, self.owner, flow_id)
        return flow_id

    def browser(self) -> httpx.AsyncClient:
        """Returns an HTTP client without a session."""
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.root), base_url="http://test")

    async def sign_in(self, role: str = "owner") -> User:
        """Signs the user in with this role."""
        person = self.database.read_now(list_people, self.workspace_id)[0]
        self.database.write_now(lambda session: setattr(session.get_one(UserRow, person.id), "role", role))
        cookie = await sign_in(self.database, EMAIL, PASSWORD)
        self.user.http_client.cookies.set("flowport_session", cookie)
        return self.user


@pytest.fixture(scope="session", autouse=True)
def what_stays() -> Iterator[None]:
    """Imports every page once, and excludes what was imported from garbage collection.

    FastAPI makes a validator for each parameter of each page when the pages are registered, in each test: these stay, too.
    """
    import fastapi.dependencies.utils as dependencies
    import nicegui.testing.general as general

    from ui.pages_on_demand import MODULES, import_pages

    for place in MODULES:
        import_pages(place)

    make_field = dependencies.create_model_field
    made: dict[str, Any] = {}

    def kept_field(name: str, type_: Any, **options: Any) -> Any:
        key = f"{name} {type_!r} {options!r}"
        if name == "body":  # models of bodies that have the same name are not the same
            return make_field(name, type_, **options)
        if key not in made:
            made[key] = make_field(name, type_, **options)
        return made[key]

    dependencies.create_model_field = kept_field  # type: ignore[assignment]

    gc.collect()
    gc.freeze()
    general.gc = YoungOnly()  # type: ignore[assignment]
    ui_run_with.gc = NoServers()  # type: ignore[assignment]
    yield
    general.gc = ui_run_with.gc = gc
    dependencies.create_model_field = make_field


@pytest.fixture
def clock() -> MovedClock:
    return LogicalClock()


@pytest.fixture
def database(new_data: Path, clock: MovedClock) -> Iterator[Database]:
    opened = open_database(new_data, clock=clock)
    yield opened
    opened.close()


@pytest.fixture
def workspace(database: Database) -> str:
    return database.write_now(ensure_workspace, "free")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """The settings of the server: no port is searched for local model servers. A test module that needs others overrides
    the fixture: `return replace(settings, ...)`.
    """
    return Settings(data=tmp_path / "data", port=8080, local_servers=())


@pytest.fixture
async def empty_site(database: Database, clock: MovedClock, workspace: str, settings: Settings) -> AsyncIterator[Site]:
    """The pages of a server without an owner."""
    waiters = JobWaiters(database)
    public_api = create_api(database, waiters, settings, open_vault(settings.data))
    handlers = dict(nicegui_app.exception_handlers)
    with nicegui_reset_globals():
        os.environ["NICEGUI_USER_SIMULATION"] = "true"
        from ui.page_session import App
        from ui.pages import register

        root = FastAPI()
        batches = PlaygroundBatches(database, waiters)
        app = App(
            database,
            waiters,
            settings,
            open_vault(settings.data),
            public_api,
            batches,
            LocalServers(settings.local_servers),
        )
        register(app, root)
        prepare_simulation()
        ui.run_with(
            root, title="Flowport", dark=None, tailwind=False, binding_refresh_interval=None, show_welcome_message=False
        )
        try:
            async with (
                root.router.lifespan_context(root),
                httpx.AsyncClient(transport=httpx.ASGITransport(root), base_url="http://test") as client,
            ):
                yield Site(database, clock, workspace, root, settings, PatientUser(client), app)
        finally:
            Client.page_routes.clear()  # otherwise NiceGUI imports every module with a page anew for the next test
            await batches.close()
            await public_api.close()
            os.environ.pop("NICEGUI_USER_SIMULATION", None)
            nicegui_app.exception_handlers = handlers
            ui.navigate = Navigate()
            ui.notify = notify
            ui.download = download


@pytest.fixture
async def site(empty_site: Site) -> Site:
    """The pages of a server with an owner, Ada, who is not signed in yet."""
    empty_site.database.write_now(ensure_owner, empty_site.workspace_id, EMAIL, hashed())
    return empty_site


@pytest.fixture
async def user(site: Site) -> User:
    """Ada, signed in."""
    return await site.sign_in()


def count_clients() -> int:
    """Counts the NiceGUI clients."""
    return len(Client.instances)


def pytest_asyncio_loop_factories(config: Any, item: Any) -> Any:
    """Runs tests in an event loop with simulated time (`tests/logical_time.py`)."""
    return loop_factories(item)
