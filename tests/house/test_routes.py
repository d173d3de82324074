"""Deny by default (S20): a table lists who may call each route of the server, and the server enforces it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import httpx
import pytest

from tests.api.who_may_call import ANYBODY as EVERYBODY
from tests.api.who_may_call import KEY, METRICS
from tests.api.who_may_call import WHO_MAY_CALL as OF_THE_API
from tests.live.caller import Terminal
from tests.live_server import EMAIL, PASSWORD, TLS, LiveServer

ROOT = Path(__file__).parents[2]
NICEGUI = version("nicegui")

SIGNED_IN = "signed in"
#: As above, but requests without a session get 401 instead of a redirect to the sign-in page.
SIGNED_IN_FORM = "signed in, a form"
#: Members of the flow's workspace, or everybody when the flow's documentation is public.
DOCS_OF_A_FLOW = "signed in, or public docs"
#: NiceGUI's scripts and styles, which public pages do not use.
SCRIPTS = "signed in, scripts"
#: The WebSocket and its HTTP requests, which need a session.
SOCKET = "signed in, socket"

WHO_MAY_CALL = {
    # The public API and its health checks.
    **{f"{method} {path}": EVERYBODY if who == METRICS else who for (method, path), who in OF_THE_API.items()},
    # Pages without NiceGUI, and files.
    "MOUNT /assets": EVERYBODY,
    "GET /llms.txt": EVERYBODY,
    "GET /docs/llms.txt": EVERYBODY,
    "GET /docs": EVERYBODY,
    # Any other method is 405, whoever sends it.
    "? /docs": EVERYBODY,
    "? /docs.md": EVERYBODY,
    "? /docs/{rest:path}": EVERYBODY,
    "? /llms.txt": EVERYBODY,
    "? /openapi.json": EVERYBODY,
    "GET /docs.md": EVERYBODY,
    "GET /docs/openapi.json": EVERYBODY,
    "GET /openapi.json": EVERYBODY,
    "GET /docs/search": EVERYBODY,
    "GET /docs/search.json": EVERYBODY,
    "GET /docs/guides/{name}": EVERYBODY,
    "GET /docs/guides/{name}.md": EVERYBODY,
    "GET /docs/api/{operation_id}": EVERYBODY,
    "GET /docs/api/{operation_id}.md": EVERYBODY,
    "GET /docs/errors/{code}": EVERYBODY,
    "GET /docs/errors/{code}.md": EVERYBODY,
    "GET /docs/nodes": EVERYBODY,
    "GET /docs/nodes.md": EVERYBODY,
    "GET /docs/nodes/{type}": EVERYBODY,
    "GET /docs/nodes/{type}.md": EVERYBODY,
    "GET /docs/changes": EVERYBODY,
    "GET /docs/changes.md": EVERYBODY,
    "GET /docs/flows/{flow_id}": DOCS_OF_A_FLOW,
    "GET /docs/flows/{flow_id}.md": DOCS_OF_A_FLOW,
    "GET /docs/flows/{flow_id}/openapi.json": DOCS_OF_A_FLOW,
    "GET /docs/{rest:path}": EVERYBODY,
    "GET /sign-in": EVERYBODY,
    "POST /sign-in": EVERYBODY,
    "GET /sign-in/code": EVERYBODY,
    "POST /sign-in/code": EVERYBODY,
    "GET /sign-in/second-factor": EVERYBODY,
    "POST /sign-in/second-factor": EVERYBODY,
    "GET /second-factor": SIGNED_IN,
    "POST /second-factor": SIGNED_IN_FORM,
    "GET /second-factor/off": SIGNED_IN,
    "POST /second-factor/off": SIGNED_IN_FORM,
    "POST /sign-out": EVERYBODY,
    "GET /setup/{token}": EVERYBODY,
    "POST /setup/{token}": EVERYBODY,
    "GET /change-password": SIGNED_IN,
    "POST /change-password": SIGNED_IN_FORM,
    "GET /answer/{token}": EVERYBODY,
    "POST /answer/{token}": EVERYBODY,
    "GET /answer/{token}/files/{file_id}": EVERYBODY,
    # Any other method is 405, whoever sends it.
    "? /answer/{token}": EVERYBODY,
    "? /answer/{token}/files/{file_id}": EVERYBODY,
    "GET /invite/{token}": EVERYBODY,
    "POST /invite/{token}": EVERYBODY,
    # NiceGUI's own routes; files that are equal for everybody have NiceGUI's version in the path.
    "MOUNT /_nicegui_ws": SOCKET,
    "MOUNT /_nicegui/VERSION/static": SCRIPTS,
    "GET /_nicegui/VERSION/libraries/{key:path}": SCRIPTS,
    "GET /_nicegui/VERSION/components/{key:path}": SCRIPTS,
    "GET /_nicegui/VERSION/resources/{key}/{path:path}": SCRIPTS,
    "GET /_nicegui/VERSION/dynamic_resources/{name}": SCRIPTS,
    "GET /_nicegui/VERSION/esm/{key}/{path:path}": SCRIPTS,
    # The NiceGUI pages.
    "GET /": SIGNED_IN,
    "GET /start": SIGNED_IN,
    "GET /flows": SIGNED_IN,
    "GET /flows/{flow_id}": SIGNED_IN,
    "GET /playground": SIGNED_IN,
    "GET /playground/new": SIGNED_IN,
    "GET /playground/{flow_id}": SIGNED_IN,
    "GET /playground/batches/{batch_id}/results.csv": SIGNED_IN,
    "GET /playground/batches/{batch_id}/results.xlsx": SIGNED_IN,
    "GET /templates": SIGNED_IN,
    "GET /datasets": SIGNED_IN,
    "GET /datasets/{dataset_id}": SIGNED_IN,
    "GET /datasets/{dataset_id}/export.csv": SIGNED_IN,
    "GET /datasets/{dataset_id}/export.xlsx": SIGNED_IN,
    "GET /datasets/{dataset_id}/export.json": SIGNED_IN,
    "GET /knowledge": SIGNED_IN,
    "GET /knowledge/{collection_id}": SIGNED_IN,
    "GET /jobs": SIGNED_IN,
    "GET /files/{file_id}": SIGNED_IN,
    "GET /jobs/export.csv": SIGNED_IN,
    "GET /jobs/export.xlsx": SIGNED_IN,
    "GET /jobs/{job_id}": SIGNED_IN,
    "GET /waiting": SIGNED_IN,
    "GET /monitoring": SIGNED_IN,
    "GET /settings": SIGNED_IN,
    "GET /settings/keys": SIGNED_IN,
    "GET /settings/models": SIGNED_IN,
    "GET /settings/limits": SIGNED_IN,
    "GET /settings/team": SIGNED_IN,
    "GET /settings/tools": SIGNED_IN,
    "GET /settings/account": SIGNED_IN,
    "GET /settings/audit": SIGNED_IN,
    "GET /settings/audit/export.csv": SIGNED_IN,
    "GET /settings/audit/export.xlsx": SIGNED_IN,
    "GET /settings/data": SIGNED_IN,
    "GET /settings/data/backups/{name}": SIGNED_IN,
    "GET /settings/server": SIGNED_IN,
    "GET /settings/about": SIGNED_IN,
}

#: Builds the apps as `app.py` does and prints every route. A process can have only one NiceGUI app, so this needs its
#: own process.
_LIST = """
import asyncio, json, sys
from dataclasses import replace
from pathlib import Path
import app
from engine.core.settings import Settings

def walk(routes, before=""):
    for route in routes:
        path = before + route.path
        inner = getattr(route, "routes", None)
        if type(route).__name__ != "Mount":
            found.extend(f"{method} {path}" for method in getattr(route, "methods", None) or ["?"] if method != "HEAD")
        elif inner:
            walk(inner, path)
        else:
            found.append(f"MOUNT {path}")

async def main(settings, database, vault):
    from api.app import create_api
    from engine.jobs.server.job_waiters import JobWaiters
    from engine.models.local_servers import LocalServers
    from engine.playground_batches.registry import PlaygroundBatches
    waiters = JobWaiters(database)
    batches = PlaygroundBatches(database, waiters)
    public = create_api(database, waiters, settings, vault)
    walk(public.routes)
    pages = app._pages(settings, database, waiters, vault, public, batches, LocalServers())
    from ui.page_session import App
    from ui.pages_on_demand import MODULES, import_pages
    for place in MODULES:
        for module in import_pages(place):
            module.register(App(database, waiters, settings, vault, public, batches))
    walk(pages.routes)

found = []
settings = replace(Settings(), data=Path(sys.argv[1]))
with app._opened(settings) as (database, vault):
    asyncio.run(main(settings, database, vault))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def server(shared_server: LiveServer) -> LiveServer:
    return shared_server


@pytest.fixture
def stranger(server: LiveServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60, verify=TLS) as client:
        yield client


@pytest.fixture(scope="module")
def owner(server: LiveServer) -> Iterator[httpx.Client]:
    """A client that is signed in as the owner."""
    with httpx.Client(base_url=server.url, timeout=20, headers={"Origin": server.url}) as client:
        answer = client.post("/sign-in", data={"email": EMAIL, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield client


def routes(*who: str) -> list[str]:
    return [route for route, allowed in WHO_MAY_CALL.items() if allowed in who]


def address(route: str) -> tuple[str, str]:
    """Returns the method and an address of the route, with ids that do not exist."""
    method, path = route.replace("VERSION", NICEGUI).split(" ")
    for name in ("flow_id", "job_id", "batch_id"):
        path = path.replace(f"{{{name}}}", f"{name.removesuffix('_id')}_0000000000000000000000")
    return method, path


@pytest.mark.process
def test_every_route_is_in_the_table_of_who_may_call_it(tmp_path: Path):
    answer = subprocess.run(
        [sys.executable, "-c", _LIST, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    found = [route.replace(NICEGUI, "VERSION") for route in json.loads(answer.stdout.splitlines()[-1])]

    assert (sorted(set(found) - set(WHO_MAY_CALL)), sorted(set(WHO_MAY_CALL) - set(found))) == ([], []), (
        "routes without a row in `WHO_MAY_CALL` (of the API: tests/api/who_may_call.py, else tests/house/test_routes.py), and"
        " rows without a route"
    )
    assert len(found) == len(set(found)), sorted(one for one in set(found) if found.count(one) > 1)


@pytest.mark.parametrize("route", routes(SIGNED_IN, DOCS_OF_A_FLOW))
def test_a_stranger_is_sent_to_sign_in(stranger: httpx.Client, route: str):
    method, path = address(route)

    answer = stranger.request(method, path)

    assert answer.status_code == 303
    assert answer.headers["location"].split("?")[0] == "/sign-in"
    assert "set-cookie" not in answer.headers
    assert answer.text == ""


@pytest.mark.parametrize("route", routes(SIGNED_IN_FORM))
def test_a_strangers_form_is_refused(stranger: httpx.Client, route: str):
    method, path = address(route)

    assert stranger.request(method, path).status_code == 401


@pytest.mark.parametrize("route", routes(SIGNED_IN))
def test_what_is_not_reading_a_page_is_refused(stranger: httpx.Client, route: str):
    _, path = address(route)

    assert stranger.post(path).status_code == 401


@pytest.mark.parametrize("route", routes(SCRIPTS))
def test_the_scripts_of_pages_are_closed_for_strangers(stranger: httpx.Client, route: str):
    assert stranger.get(address(route.replace("MOUNT", "GET"))[1]).status_code == 401


@pytest.mark.parametrize("path", ["/_nicegui_ws/socket.io/?EIO=4&transport=polling", "/_nicegui/client/x/upload/1"])
def test_the_socket_and_uploads_are_closed_for_strangers(stranger: httpx.Client, path: str):
    assert stranger.get(path).status_code == 401
    assert stranger.post(path).status_code == 401


@pytest.mark.parametrize("path", ["/nothing", "/settings/nothing", "/docs/flows", "/api", "/admin"])
def test_a_stranger_does_not_learn_which_pages_there_are(stranger: httpx.Client, path: str):
    answer = stranger.get(path)

    assert (answer.status_code, answer.headers["location"].split("?")[0]) == (303, "/sign-in")


@pytest.mark.parametrize("route", routes(KEY))
def test_only_a_key_opens_the_public_api(stranger: httpx.Client, owner: httpx.Client, route: str):
    method, path = address(route)
    streams = {"events": "text/event-stream", "results": "application/x-ndjson"}
    accept = {"Accept": streams.get(path.rpartition("/")[2], "application/json")}

    for client in (stranger, owner):
        answer = client.request(method, path, headers=accept)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthorized")
        assert "set-cookie" not in answer.headers


def test_a_key_opens_no_page(server: LiveServer, stranger: httpx.Client):
    key = Terminal.new(server).caller().key
    assert stranger.get("/public/v1/flows", headers={"Authorization": f"Bearer {key}"}).status_code == 200

    for route in routes(SIGNED_IN, DOCS_OF_A_FLOW):
        method, path = address(route)
        for headers in ({"Authorization": f"Bearer {key}"}, {"X-API-Key": key}, {"Cookie": f"flowport_session={key}"}):
            answer = stranger.request(method, path, headers=headers)
            of_the_api = "Cookie" not in headers and not path.startswith("/docs")
            assert answer.status_code in ({404, 429} if of_the_api else {303})
            assert answer.headers.get("content-type", "").startswith("application/problem+json") == of_the_api


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/docs/openapi.json",
        "/docs/guides/authentication",
        "/docs/api/run_flow",
        "/docs/errors/unauthorized.md",
        "/docs/search?q=key",
        "/llms.txt",
        "/sign-in",
    ],
)
def test_everybody_reads_the_open_pages_and_nothing_is_kept_of_it(stranger: httpx.Client, path: str):
    answer = stranger.get(path)

    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("route", routes(DOCS_OF_A_FLOW))
def test_what_nobody_has_is_not_found_for_somebody_signed_in(owner: httpx.Client, route: str):
    method, path = address(route)

    assert owner.request(method, path).status_code == 404
