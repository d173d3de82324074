"""compose.scale.yaml is run service by service: migrate, servers with pages, servers for calls, and a worker."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.factories import greeting
from tests.hosting.compose_scale import Replay
from tests.live.caller import Caller

pytestmark = pytest.mark.process


@pytest.fixture
def replay(tmp_path: Path, new_database: Callable[[], str]) -> Iterator[Replay]:
    one = Replay(tmp_path, new_database())
    try:
        yield one
    finally:
        one.end()


def test_the_services_do_a_job_together_and_end_in_order(replay: Replay):
    assert replay.run("migrate") == replay.run("migrate"), "once more it does nothing"
    old = replay.folder / "data" / "flowport.db"
    old.touch()  # as a move leaves it
    for name in ("pages-1", "api-1"):
        replay.start(name)
    replay.start("worker")
    pages, api = (f"http://127.0.0.1:{replay.ports[name]}" for name in ("pages-1", "api-1"))
    assert f"Set-up link: http://127.0.0.1:{replay.port}/setup/" in replay.log("pages-1")
    assert "Set-up link" not in replay.log("api-1")
    assert f"{old} is not used, as FLOWPORT_DATABASE_URL is set" in replay.log("pages-1")
    assert "the database t_" in (replay.folder / "data" / "database.txt").read_text()

    flow_id = replay.run("pages-1", "flows", "import", "-", stdin=json.dumps(greeting()).encode())
    replay.run("pages-1", "flows", "deploy", flow_id)
    key = replay.run("pages-1", "keys", "create", "--label", "Shop", "--environment", "live")
    for url in (api, pages):
        ended = Caller(url, key).run(flow_id, {"name": "Ada"})
        assert (ended["status"], ended["result"]) == ("completed", {"output": "Hello Ada"})

    said = httpx.get(f"{api}/flows")
    assert said.status_code == 404
    assert said.text.startswith("There are no pages on this server.")
    assert f"Open the pages at http://127.0.0.1:{replay.port}." in said.text
    assert httpx.get(f"{api}/docs").status_code == 200
    with psycopg.connect(replay.url) as connection:
        kinds = [kind for (kind,) in connection.execute("select kind from workers order by kind").fetchall()]
    assert kinds == ["api", "server", "worker"]

    assert replay.end() == {"pages-1": [0], "api-1": [0], "worker": [0]}
    with psycopg.connect(replay.url) as connection:
        assert connection.execute("select count(*) from workers").fetchone() == (0,)
    for name in ("pages-1", "api-1", "worker"):
        assert "Traceback" not in replay.log(name)


def test_a_user_who_may_not_make_tables_runs_everything_after_migrate(replay: Replay):
    owned = replay.url
    replay.run("migrate")
    with psycopg.connect(owned, autocommit=True) as connection:
        for statement in GRANTS:
            connection.execute(statement)
        connection.execute("alter user scale_app login")
    try:
        replay.url = replay.url.replace("//postgres:@", "//scale_app@").replace("//postgres@", "//scale_app@")
        replay.start("api-1")
        replay.start("worker")
        flow_id = replay.run("api-1", "flows", "import", "-", stdin=json.dumps(greeting()).encode())
        replay.run("api-1", "flows", "deploy", flow_id)
        key = replay.run("api-1", "keys", "create", "--label", "Shop", "--environment", "live")
        ended = Caller(f"http://127.0.0.1:{replay.ports['api-1']}", key).run(flow_id, {"name": "Ada"})
        assert ended["status"] == "completed"
        replay.end()
    finally:
        with psycopg.connect(owned, autocommit=True) as connection:
            connection.execute("drop owned by scale_app")
            connection.execute("drop user scale_app")


#: As the guide says, with other names.
GRANTS = (
    "create user scale_app",
    "grant select, insert, update, delete on all tables in schema public to scale_app",
    "grant usage, select on all sequences in schema public to scale_app",
)
