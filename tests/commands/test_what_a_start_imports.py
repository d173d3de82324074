"""What the server and the worker import before they are ready: each library takes time of every start, and memory of every
process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.commands.conftest import APP
from tests.one_command import clean_environment

pytestmark = pytest.mark.process

#: Libraries and parts of Flowport that are loaded when they are first needed.
LATER = {
    "alembic", "anthropic", "google", "huggingface_hub", "lxml", "mammoth", "markdown2", "markdown_it", "numpy", "openai",
    "playwright", "pypdfium2", "python_calamine",
    "plotly", "pydantic_ai", "segno", "selectolax", "trafilatura", "xlsxwriter", "yaml",
    "sqlalchemy.dialects.postgresql",
}  # fmt: skip
ONLY_PAGES_AND_API = {"fastapi", "nicegui", "starlette", "uvicorn", "socketio", "prometheus_client", "ui", "api.app"}
NOT_IN_THE_SERVER = {"aiohttp", "requests", "pydantic.v1", "httpx2", "httpcore2", "engine.jobs.worker.worker"}

_SERVER = """
import asyncio, json, sys
import app
from engine.core.settings import Settings
from engine.secrets.opening import open_all
from engine.secrets.sealing import open_vault
from pathlib import Path
from storage.opening import open_database

settings = Settings(data=Path(sys.argv[1]), local_servers=())

async def build():
    from engine.jobs.server.job_waiters import JobWaiters
    from engine.jobs.server.maintenance import Maintenance
    from engine.models.local_servers import LocalServers
    from engine.jobs.submit.check_threads import CheckThreads
    from engine.playground_batches.registry import PlaygroundBatches
    from api.connection_limits import limits_for
    from engine.actions.server_start import set_up

    database, vault = open_database(settings.data), open_vault(settings.data)
    waiters, batches = JobWaiters(database), None
    set_up(database, settings)
    app._supervisor(settings, database, waiters)
    Maintenance(database, settings, vault)
    public_api, pages = app._faces(settings, database, waiters, vault, limits_for(1000), PlaygroundBatches(database, waiters), LocalServers(()))
    app._server(settings, app._front(settings, database, public_api, pages), limits_for(1000), ready=print)
    database.close()

asyncio.run(build())
print(json.dumps(sorted(sys.modules)))
"""
_API_ALONE = _SERVER.replace(
    "public_api, pages = app._faces(settings, database, waiters, vault, limits_for(1000), PlaygroundBatches(database, waiters), LocalServers(()))",
    "public_api, pages = app._api_face(settings, database, waiters, vault, limits_for(1000), CheckThreads())",
)
_WORKER = "import json, sys, app, engine.jobs.worker.worker; print(json.dumps(sorted(sys.modules)))"


def imported(program: str, data: Path) -> set[str]:
    """Returns the modules that a Python process has imported, with the packages around them."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(data)],
        cwd=APP.parent,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_the_server_imports_no_page_and_no_library_that_it_needs_later(new_data: Path) -> None:
    seen = imported(_SERVER, new_data)
    assert {"nicegui", "fastapi", "api.routes.jobs", "ui.pages"} <= seen
    assert seen & (LATER | NOT_IN_THE_SERVER) == set()
    assert {name for name in seen if name.endswith("_page") and name.startswith("ui.")} == set()
    assert {"ui.playground.page", "ui.monitoring.page", "ui.flows.templates", "ui.settings.keys"} & seen == set()


def test_a_server_without_pages_imports_no_nicegui(new_data: Path) -> None:
    assert _API_ALONE != _SERVER
    seen = imported(_API_ALONE, new_data)
    assert {"fastapi", "api.routes.jobs", "api.docs.pages", "ui.no_pages"} <= seen
    assert seen & (LATER | NOT_IN_THE_SERVER | {"nicegui", "socketio", "ui.pages"}) == set()


def test_the_worker_imports_neither_pages_nor_the_api(tmp_path: Path) -> None:
    seen = imported(_WORKER, tmp_path)
    assert "engine.nodes.prompt" in seen
    assert seen & (LATER | ONLY_PAGES_AND_API) == set()
