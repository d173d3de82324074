"""The entry point of Flowport: reads the environment, builds and connects the components, starts and stops them.

app.py                       start the server (`serve`), with a worker process of its own
app.py worker                start an additional worker on the same data folder or PostgreSQL database
app.py flows import FILE     and all other commands: see `app.py --help`
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import importlib
import logging
import math
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

try:
    from api.commands.parser import ServeOptions, main
    from engine.core.garbage import collect_garbage_seldom
    from engine.core.hidden_modules import hidden
    from engine.core.malloc import share_among_threads
    from engine.core.settings import BadSetting, Settings, misspelt_variables
    from engine.core.standard_streams import open_standard_streams
    from engine.diagnostics.start import require_usable
except KeyboardInterrupt:
    sys.exit(130)
except ModuleNotFoundError as missing:
    sys.exit(
        f"Flowport is not set up completely: the package {missing.name} is missing. Run `make setup` in "
        f"{Path(__file__).resolve().parent}, and start with `.venv/bin/python app.py` there."
    )

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import ASGIApp

    from api.app import PublicApi
    from api.connection_limits import ConnectionLimits
    from api.uvicorn_server import Server
    from engine.jobs.server.copied_worker import CopiedProcess, Copy
    from engine.jobs.server.job_waiters import JobWaiters
    from engine.jobs.server.maintenance import Maintenance
    from engine.jobs.server.supervisor import Supervisor
    from engine.jobs.submit.check_threads import CheckThreads
    from engine.jobs.worker_locks import NoLock, ServeLock
    from engine.models.local_servers import LocalServers
    from engine.outbound.client import OutboundClient
    from engine.playground_batches.registry import PlaygroundBatches
    from engine.secrets.sealing import Vault
    from storage.database import Database
    from storage.postgres.process_link import Link

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent
#: Environment variable of one of several processes: the descriptor of the listening socket that its parent opened.
_LISTENER = "FLOWPORT_LISTENER"
#: What libraries import if it is there and this server never uses: HTTP clients of NiceGUI's socket library, and the old
#: Pydantic, for whose models FastAPI looks. They would take a tenth of the time and of the memory of a start.
_NOT_USED = ("aiohttp", "requests", "pydantic.v1")


def serve(settings: Settings, options: ServeOptions = ServeOptions()) -> int:
    """Runs the server until SIGTERM or Ctrl+C; returns the exit code. Raises BadSetting."""
    os.umask(0o077)
    open_standard_streams()
    require_usable(settings, serves=True)
    if options.processes > 1:
        return _serve_with_processes(settings, options)
    gc.disable()  # imported modules are never garbage: collecting during the start would only cost time
    share_among_threads()
    from engine.jobs.server.copied_worker import Copy

    first_worker = _copy_for_worker() if options.worker else None
    if isinstance(first_worker, Copy):
        return _work_as_copy(first_worker, settings)
    from api.connection_limits import limits_for
    from api.event_loop import loop_factory
    from api.listen_socket import listen
    from engine.core.file_descriptors import raise_limit
    from engine.jobs.worker_locks import AlreadyServing

    try:
        lock = _lock_folder(settings)
    except AlreadyServing as error:
        raise BadSetting(str(error)) from error
    from engine.actions.server_start import set_up

    limits = limits_for(raise_limit())
    listener = _inherited_listener() or listen(settings, limits.backlog)
    with contextlib.closing(listener), _opened(settings) as (database, vault):
        lock.note_running()
        settings = _with_stored_address(settings, database)
        _tell_misspelt(settings)
        if settings.database_url is not None:
            _tell_unused_file(settings)
        if link := set_up(database, settings, owns_pages=options.pages):
            print(f"Set-up link: {settings.base_url}{link}", flush=True)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            fell = runner.run(_run(settings, options, database, vault, listener, limits, lock, first_worker))
    lock.release()
    _note(settings, "Flowport has stopped.")
    return int(lock.damaged or fell)


def _tell_misspelt(settings: Settings) -> None:
    """Logs the variables that look like settings and are none, as a server that passes over them seems to be set."""
    found = [f"{name} (did you mean {known}?)" if known else name for name, known in misspelt_variables(os.environ)]
    if found and _LISTENER not in os.environ:
        log.warning("Nothing reads these variables: %s. /docs/guides/settings lists those there are.", ", ".join(found))
    if settings.database_direct_url is not None and settings.database_url is None and _LISTENER not in os.environ:
        log.warning(
            "FLOWPORT_DATABASE_DIRECT_URL is not used, as FLOWPORT_DATABASE_URL is not set: everything is kept in SQLite, in %s.",
            settings.data.resolve(),
        )


def _tell_unused_file(settings: Settings) -> None:
    from storage.database_note import unused_file

    if _LISTENER not in os.environ and (said := unused_file(settings.data)):
        log.warning("%s", said)


def _copy_for_worker() -> CopiedProcess | Copy | None:
    """Copies this process once it has imported what server and worker both use; None where processes are not copied."""
    from engine.jobs.server.copied_worker import can_copy, copy_process

    if not can_copy():
        return None
    from storage.opening import prepare_tables

    for name in ("engine.actions.server_start", "engine.jobs.worker.worker", "engine.secrets.opening", "uvloop"):
        importlib.import_module(name)
    prepare_tables()
    return copy_process()


def _work_as_copy(copy: Copy, settings: Settings) -> int:
    """Runs the worker in a copy of the server's process; returns the exit code."""
    from setproctitle import setproctitle

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the server, too, which stops its worker
    command = _command("worker", settings)
    setproctitle(" ".join(command))
    added = copy.environment()
    if added is None:
        return 0
    os.environ.update(added)
    return main(command[2:], os.environ, serve=serve, worker=worker)


def _lock_folder(settings: Settings) -> ServeLock | NoLock:
    """Makes this the only server of the data folder, and checks its database. With PostgreSQL there may be several.

    Raises AlreadyServing and DatabaseDamaged.
    """
    from engine.jobs.worker_locks import NoLock, serve_lock
    from storage.backup import is_small, require_sound

    if settings.database_url is not None:
        return NoLock()
    lock = serve_lock(settings.data)
    if lock.damaged or is_small(settings.data):
        # a large database is checked in the background (`engine.jobs.server.maintenance`) unless it was found damaged
        require_sound(settings.data, seconds=math.inf)
    return lock


def _serve_with_processes(settings: Settings, options: ServeOptions) -> int:
    """Runs several processes that answer at one port, of which the first has the worker; returns the exit code."""
    from api.connection_limits import limits_for
    from api.listen_socket import listen
    from api.server_processes import ServerProcesses, figures_folder
    from engine.core.file_descriptors import raise_limit

    if settings.database_url is None:
        raise BadSetting(
            f"--processes {options.processes} needs PostgreSQL: with SQLite one process serves a data folder. "
            "Set FLOWPORT_DATABASE_URL, or leave --processes out."
        )
    if options.pages:
        raise BadSetting(
            f"--processes {options.processes} needs --no-pages: an open page lives in the memory of one process. "
            "Start servers with pages beside it, each with one process."
        )

    def command_of(number: int) -> list[str]:
        has_worker = options.worker and number == 0
        address = ["--host", settings.host, "--port", str(settings.port)]  # which is told, and not listened on again
        flags = [*([] if has_worker else ["--no-worker"]), *(["--paused"] if options.paused else [])]
        return [*_command("serve", settings), *address, "--no-pages", *flags]

    say = functools.partial(_note, settings)
    with contextlib.closing(listen(settings, limits_for(raise_limit()).backlog)) as listener:
        # nobody else may use a folder of this name: the data folder may be one that several machines share
        name = "-".join(map(str, ("figures", socket.gethostname(), *listener.getsockname()[:2])))
        with figures_folder(settings.data / "run" / name, options.processes, say) as figures:
            environment = {**os.environ, _LISTENER: str(listener.fileno()), **figures}
            return ServerProcesses(command_of, environment, listener, options.processes, say).run()


def _inherited_listener() -> socket.socket | None:
    """Returns the listening socket that the parent of several processes opened; None in a process without one."""
    said = os.environ.get(_LISTENER)
    return socket.socket(fileno=int(said)) if said else None


def _note(settings: Settings, line: str) -> None:
    """Writes a line to stderr, in the form of the log."""
    from engine.core.logging_setup import line_of, write_to_stderr

    write_to_stderr(line_of(line, settings.log))


def worker(settings: Settings) -> int:
    """Runs jobs of the data folder until SIGTERM or Ctrl+C; returns the exit code. Raises BadSetting."""
    from engine.core.file_descriptors import raise_limit
    from engine.core.logging_setup import log_to_stderr
    from engine.jobs.server.supervisor import ALONE, PIPES
    from engine.jobs.worker.worker import SLOTS, WorkerOptions, run_worker, slots_within

    os.umask(0o077)
    if os.environ.get(PIPES) == "1":
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C reaches the server, too, which stops its worker
    open_standard_streams()
    require_usable(settings, serves=False)
    _require_started(settings)
    share_among_threads()
    limit = raise_limit()
    log_to_stderr(style=settings.log)
    flags = {name: os.environ.get(name) == "1" for name in (PIPES, ALONE)}
    beside = None if any(flags.values()) else functools.partial(_beside_worker, settings)
    slots = slots_within(limit)
    if slots < SLOTS:
        _note(settings, f"This worker may have {limit} open files, and takes {slots} jobs at a time.")
    options = WorkerOptions(pipes=flags[PIPES], alone=flags[ALONE], beside=beside, slots=slots, environment=os.environ)
    return run_worker(settings, options)


def _require_started(settings: Settings) -> None:
    """Raises NotFound when no server has started on the data folder: a worker there would wait for jobs for ever."""
    from storage.backup import require_database

    if settings.database_url is None:
        remedy = "Name the server's folder with --data or FLOWPORT_DATA. In a new folder start the server first."
        require_database(settings.data, remedy=remedy)


def _beside_worker(settings: Settings, database: Database) -> Supervisor:
    """Builds what starts the worker for jobs that must run alone, in a worker that no server started. That one stops when
    the other cannot be started any more.
    """
    from engine.jobs.server.job_waiters import JobWaiters

    beside = _supervisor(settings, database, JobWaiters(database), only_alone=True)
    beside.when_lost(lambda: os.kill(os.getpid(), signal.SIGTERM))
    return beside


@contextlib.contextmanager
def _opened(settings: Settings) -> Iterator[tuple[Database, Vault]]:
    from engine.core.logging_setup import log_to_stderr
    from engine.jobs.worker_locks import ready_for_upgrade
    from engine.secrets.opening import open_all, open_vault_of
    from storage.database_note import put_note
    from storage.opening import open_database

    log_to_stderr(style=settings.log)  # an upgrade is told
    keep_out = functools.partial(ready_for_upgrade, settings, serves=True)
    database = open_database(settings.data, url=settings.database_url, keep_out=keep_out)
    try:
        vault = open_vault_of(settings, database)
        if settings.database_url is not None:
            put_note(settings.data, settings.database_url)
        log_to_stderr(database.read_now(open_all, vault), settings.log)
        yield database, vault
    finally:
        database.close()


def _with_stored_address(settings: Settings, database: Database) -> Settings:
    """Returns the settings with the public URL from Settings → Server, unless FLOWPORT_PUBLIC_URL sets one."""
    from storage.settings import find_public_url

    stored = database.read_now(find_public_url)
    return settings if settings.public_url or not stored else dataclasses.replace(settings, public_url=stored)


async def _run(
    settings: Settings,
    options: ServeOptions,
    database: Database,
    vault: Vault,
    listener: socket.socket,
    limits: ConnectionLimits,
    lock: ServeLock | NoLock,
    first_worker: CopiedProcess | None,
) -> bool:
    """Runs all components that live on the event loop until the server stops. Returns True when it stopped because it can
    keep no worker any more.
    """
    from engine.jobs.notifier import NOTIFIER
    from engine.jobs.server.job_waiters import JobWaiters

    async with contextlib.AsyncExitStack() as ends:  # what is made here ends in the reverse order
        waiters = JobWaiters(database)
        supervisor = database.info[NOTIFIER] = _supervisor(settings, database, waiters, first=first_worker)
        link = _join_others(settings, database, supervisor, waiters) if database.is_postgres else None
        if link is not None:
            ends.push_async_callback(asyncio.to_thread, link.close)
        # once, by a signal or at the end: a second stop gives jobs no time to end
        stop_workers = functools.cache(lambda: asyncio.create_task(asyncio.to_thread(supervisor.stop)))
        ends.push_async_callback(stop_workers)
        if options.worker:
            supervisor.start()  # the worker process starts in parallel with the imports below

        from engine.jobs.server.maintenance import Maintenance
        from engine.jobs.server.scheduler import Scheduler
        from engine.jobs.submit.check_threads import CheckThreads
        from engine.models.local_servers import LocalServers
        from engine.playground_batches.registry import PlaygroundBatches
        from storage.checkpoints import Checkpoints

        checkpoints = Checkpoints(database.url)
        ends.push_async_callback(asyncio.to_thread, checkpoints.stop)
        checkpoints.start()
        maintenance = Maintenance(
            database, settings, vault, after_crash=lock.after_crash, leads=lambda: link is None or link.leads
        )
        ends.push_async_callback(asyncio.to_thread, maintenance.stop)
        threads = CheckThreads()  # one for all, so that a workspace has one turn wherever its checks come from
        batches = PlaygroundBatches(database, waiters, link, threads)
        ends.push_async_callback(batches.close)
        scheduler = Scheduler(database, threads)
        ends.push_async_callback(scheduler.stop)
        local_servers = LocalServers(settings.local_servers if options.pages and not options.paused else ())
        is_ready = asyncio.Event()
        looking = _look_for_servers(local_servers, settings, database, is_ready)
        ends.push_async_callback(_cancel, asyncio.create_task(looking))

        if options.pages:
            if not options.paused:
                await batches.resume()
            public_api, pages = _faces(settings, database, waiters, vault, limits, batches, local_servers)
        else:
            public_api, pages = _api_face(settings, database, waiters, vault, limits, threads)
        server = _server(settings, _front(settings, database, public_api, pages), limits, ready=is_ready.set)
        on_damage = _stop_on_signals(settings, server, public_api, maintenance, supervisor, stop_workers, lock)
        if options.paused:
            _note_paused(settings, database)
        else:
            maintenance.start(on_damage=on_damage)
            scheduler.start()
        collect_garbage_seldom()
        async with _known_to_others(database, options, link):
            await server.serve(sockets=[listener])
        await public_api.close()
    return supervisor.is_lost


def _note_paused(settings: Settings, database: Database) -> None:
    from engine.jobs.notifier import PAUSED

    database.info[PAUSED] = True
    _note(settings, "Flowport is paused (--paused): no job, schedule, webhook or nightly work runs by itself.")


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _stop_on_signals(
    settings: Settings,
    server: Server,
    public_api: PublicApi,
    maintenance: Maintenance,
    supervisor: Supervisor,
    stop_workers: Callable[[], object],
    lock: ServeLock | NoLock,
) -> Callable[[], object]:
    """Stops the server on SIGTERM, on Ctrl+C, when it cannot keep a worker any more and, when it is one of several
    processes, at the end of their parent.

    `stop_workers` begins to stop the workers and does not wait for it. Returns what any thread calls when the database is
    damaged.
    """
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if server.should_exit:
            server.force_exit = True
            supervisor.terminate()  # a second signal: jobs get no more time to end
            return
        server.should_exit = True
        _note(settings, "Flowport stops, and takes no new calls.")
        public_api.stop()
        maintenance.end()
        stop_workers()

    def stop_unless_stopping() -> None:
        if not server.should_exit:
            stop()

    def stop_damaged() -> None:
        lock.note_damaged()
        stop_unless_stopping()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    supervisor.when_lost(lambda: loop.call_soon_threadsafe(stop_unless_stopping))
    if _LISTENER in os.environ:
        from api.server_processes import when_parent_ends

        when_parent_ends(stop)
    return lambda: loop.call_soon_threadsafe(stop_damaged)


def _join_others(settings: Settings, database: Database, supervisor: Supervisor, waiters: JobWaiters) -> Link:
    """Connects this server with the servers and workers that share its PostgreSQL."""
    from engine.core.ids import new_id
    from engine.jobs.shared_notices import FAMILY, join_as_server

    server_id = new_id("server")
    supervisor.tell_workers(FAMILY, server_id)
    return join_as_server(database, server_id, supervisor, waiters, settings.database_direct_url)


def _supervisor(
    settings: Settings,
    database: Database,
    waiters: JobWaiters,
    *,
    only_alone: bool = False,
    first: CopiedProcess | None = None,
) -> Supervisor:
    """Builds what keeps a worker process running. `only_alone`: it starts workers for jobs that must run alone, and no
    others. `first`: the copy of this process that becomes the first worker.
    """
    from engine.core.logging_setup import worker_line
    from engine.jobs.notifier import WORKER_AWAY
    from engine.jobs.server.supervisor import Supervisor
    from storage.job_changes import next_alone

    supervisor = Supervisor(
        _command("worker", settings),
        os.environ,
        waiters,
        waits_alone=lambda: database.look_up(next_alone) is not None,
        only_alone=only_alone,
        first=first,
        worker_line=worker_line(settings.log),
    )
    database.info[WORKER_AWAY] = lambda: supervisor.away_seconds
    return supervisor


def _faces(
    settings: Settings,
    database: Database,
    waiters: JobWaiters,
    vault: Vault,
    limits: ConnectionLimits,
    batches: PlaygroundBatches,
    local_servers: LocalServers,
) -> tuple[PublicApi, FastAPI]:
    """Builds the public API and the pages."""
    with hidden(*_NOT_USED):
        from api.app import create_api

        public_api = create_api(database, waiters, settings, vault, connections=limits.most, threads=batches.threads)
        return public_api, _pages(settings, database, waiters, vault, public_api, batches, local_servers)


def _api_face(
    settings: Settings,
    database: Database,
    waiters: JobWaiters,
    vault: Vault,
    limits: ConnectionLimits,
    threads: CheckThreads,
) -> tuple[PublicApi, FastAPI]:
    """Builds the public API, and what a server without pages answers at all other addresses. Loads no NiceGUI."""
    with hidden(*_NOT_USED):
        from api.app import create_api
        from api.http.call_figures import CallFigures
        from api.server_processes import FIGURES, NUMBER
        from ui.no_pages import register

        root = _root(settings, database, threads, with_pages=False)
        register(root, settings.public_url)
        folder, number = os.environ.get(FIGURES), os.environ.get(NUMBER)
        calls = CallFigures(Path(folder), number) if folder and number else None
        public_api = create_api(
            database, waiters, settings, vault, connections=limits.most, threads=threads, calls=calls
        )
        return public_api, root


@contextlib.asynccontextmanager
async def _known_to_others(database: Database, options: ServeOptions, link: Link | None) -> AsyncIterator[None]:
    """Makes this server known to the others. With SQLite there are none."""
    if link is None:
        yield
        return
    from engine.jobs.server.presence import Presence

    presence = Presence(database, "server" if options.pages else "api", link.name)
    presence.start()
    try:
        yield
    finally:
        await presence.stop()


async def _look_for_servers(
    local_servers: LocalServers, settings: Settings, database: Database, is_ready: asyncio.Event
) -> None:
    """Finds model servers on this machine, once the server is ready."""
    if not local_servers.ports:
        return
    await is_ready.wait()
    outbound = await asyncio.to_thread(_outbound_client, settings, database)
    try:
        await local_servers.look(outbound)
    finally:
        await outbound.aclose()


def _outbound_client(settings: Settings, database: Database) -> OutboundClient:
    from engine.jobs.outbound_rules import outbound_rules
    from engine.outbound.client import OutboundClient

    return OutboundClient(outbound_rules(settings, database))


def _server(settings: Settings, front: ASGIApp, limits: ConnectionLimits, ready: Callable[[], None]) -> Server:
    """Builds the HTTP server, which says when it is ready: to people, to `ready`, and to its parent if it has one."""
    from api.http_server import http_server
    from engine.core.logging_setup import line_of

    def tell_ready() -> None:
        print(line_of(f"Flowport is ready on {settings.base_url}", settings.log), flush=True)
        ready()
        if _LISTENER in os.environ:
            from api.server_processes import tell_parent_ready

            tell_parent_ready()

    return http_server(settings, front, limits, tell_ready)


def _front(settings: Settings, database: Database, public_api: PublicApi, pages: FastAPI) -> ASGIApp:
    """Builds the top-level ASGI app: routes requests to the public API or the pages, and admits WebSockets only from
    its own pages.
    """
    from api.docs.pages import COOKIE
    from api.http.addresses import is_for_api
    from storage.settings import known_names
    from ui.allowed_origins import Origins
    from ui.kit.plain_pages import socket_refused_page
    from ui.request_router import RequestRouter

    async def known_hosts() -> tuple[str, ...]:
        return await database.read(known_names)

    return RequestRouter(
        pages,
        public_api,
        is_for_api,
        Origins(settings),
        known_hosts,
        refused_page=socket_refused_page,
        known_url=settings.base_url,
        cookie=COOKIE,
    )


def _root(settings: Settings, database: Database, threads: CheckThreads, *, with_pages: bool) -> FastAPI:
    """Builds the app that serves assets and documentation."""
    from fastapi import FastAPI

    from api.app import api_document
    from api.docs.pages import docs_router
    from ui.request_router import Assets

    root = FastAPI(title="Flowport", docs_url=None, redoc_url=None, openapi_url=None)
    root.mount("/assets", Assets(ROOT / "assets"))
    root.router.routes.extend(docs_router(database, settings, api_document, threads, with_pages=with_pages).routes)
    return root


def _pages(
    settings: Settings,
    database: Database,
    waiters: JobWaiters,
    vault: Vault,
    public_api: PublicApi,
    batches: PlaygroundBatches,
    local_servers: LocalServers,
) -> FastAPI:
    """Builds the app of the pages: NiceGUI runs on a FastAPI app, which also serves assets and documentation."""
    os.environ["NICEGUI_STORAGE_PATH"] = str(settings.data / "pages")  # NiceGUI reads it when it is imported

    from nicegui import ui

    from ui.page_session import App
    from ui.pages import register

    root = _root(settings, database, batches.threads, with_pages=True)
    register(App(database, waiters, settings, vault, public_api, batches, local_servers), root)
    ui.run_with(
        root,
        title="Flowport",
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=30.0,
        binding_refresh_interval=None,
        show_welcome_message=False,
        # no session storage: visitors without an account get no cookie and leave no data behind (S29)
        storage_secret=None,
    )
    return root


def _command(name: str, settings: Settings) -> list[str]:
    """Returns the command of another process with these settings; the rest of them is in the environment."""
    return [sys.executable, str(ROOT / "app.py"), name, "--data", str(settings.data.resolve())]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ, serve=serve, worker=worker))
