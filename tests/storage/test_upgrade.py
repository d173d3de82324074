"""Opening a data folder: an older one is upgraded with its unfinished jobs; a newer or damaged one is refused."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, func, select, text
from sqlalchemy.orm import Session

from engine.core.clock import MovedClock, SystemClock
from engine.core.environments import ENVIRONMENTS
from engine.flow.node_http import SecretValue
from engine.jobs.submit.accept import flow_webhook
from engine.jobs.transitions import change_flow_concurrency, claim_many, finish, reclaim_all
from engine.outbound.addresses import read_url
from engine.outbound.secret_hosts import check_send
from engine.secrets.sealing import open_vault
from storage.backup import DatabaseDamaged, find_fault, require_sound, schema_of
from storage.batches import get_batch
from storage.job_changes import Claimed
from storage.migrations import upgrade as migrations
from storage.migrations.schema import VERSIONS, NewerData, newest_schema
from storage.opening import open_database
from storage.settings import SECRET_HOSTS_FOUND, SERVER, WEBHOOK_ALLOW, WEBHOOK_HOSTS_LEFT, find_setting, put_setting
from storage.sqlite_file import checkpoint, file_of
from storage.tables import Base, Flow, Idempotency, Job, Secret, WebhookDelivery, WebhookSecret
from storage.tables_triggers import HookSecret
from storage.usage import Caps, Used, read_usage, reconcile_usage, usage_subject
from storage.workspaces import get_limits
from tests.engine.jobs.world import World
from tests.storage.releases.make import TABLES, digest_of_migrations, make
from tests.storage.releases.rows import SEALED, VAULT

pytestmark = pytest.mark.sqlite("Data folders of earlier releases have SQLite.")

#: When the servers of the release folders stopped (`releases/make.py`). A job's time limit counts from its first start.
STOPPED_AT = 1_764_000_000_000
RELEASES = sorted((Path(__file__).parent / "releases").glob("*.db.gz"))


def unpack(release: Path, data: Path) -> dict[str, Any]:
    """Unpacks the folder of a release and returns the values that an upgrade must preserve."""
    data.mkdir()
    with gzip.open(release) as packed:
        (data / "flowport.db").write_bytes(packed.read())
    return json.loads(release.with_suffix("").with_suffix(".json").read_text())


def prints(data: Path) -> dict[str, str]:
    """Returns path -> hash for every file of a folder."""
    return {
        str(path.relative_to(data)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in data.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.removesuffix(".db.gz"))
async def test_a_release_is_upgraded_and_its_jobs_in_flight_end(release: Path, tmp_path: Path) -> None:
    told = unpack(release, tmp_path / "data")
    old = schema_of(tmp_path / "data" / "flowport.db")
    assert told["schema"] == old
    database = open_database(tmp_path / "data", clock=MovedClock(STOPPED_AT + 5_000 - SystemClock().now()))
    try:
        with database.reading() as session:
            workspace_id, flow = session.execute(text("select workspace_id, id from flows")).one()
            assert flow == told["flow_id"]
            assert session.execute(text("pragma foreign_key_check")).all() == []
            counts = {name: session.scalar(select(func.count()).select_from(table)) for name, table in TABLES.items()}
            assert told.get("rows", {}).items() <= counts.items(), "no row is lost"
            for mapper in Base.registry.mappers:
                session.query(mapper.class_).all()  # each row can be read, its JSON too
            for sealed in sealed_values(session):
                assert VAULT.open(workspace_id, sealed.id, sealed.sealed) == SEALED[sealed.id]
        world = World(tmp_path / "data", database, workspace_id)
        assert schema_of(tmp_path / "data" / "flowport.db") == newest_schema()
        if old != newest_schema():
            copy = tmp_path / "data" / "backups" / f"before-migration-from-{old}.db"
            assert schema_of(copy) == old
            assert copy.stat().st_mode & 0o777 == 0o600
        assert database.write_now(reclaim_all) == 1, "the job of a worker that is gone"
        runs = world.runs()
        waiting = [job for name, job in told["jobs"].items() if name not in {"Ann", "Bea"}]
        claimed, _ = await database.write(claim_many, runs.boot_id, 10, runs.open)
        assert {job.id for job in claimed} == set(waiting), "the messages of the release are read"
        await asyncio.gather(*(ended(runs, job) for job in claimed))
        for name, job_id in told["jobs"].items():
            assert world.job(job_id).status == "completed", world.job(job_id).error
            assert world.result(job_id) == {"output": {"text": f"Hello {name}"}}
        assert world.active() == 0
    finally:
        database.close()


Column = tuple[str, bool, str | None, bool]

#: Columns that a migration gave a default in the database which `storage/tables.py` does not name. Tables in PostgreSQL
#: were made without it, so this stays.
_DEFAULT_IN_MIGRATION_ONLY = ("jobs.webhook_by_caller", "batches.webhook_by_caller", "webhook_deliveries.by_caller")


def shape(connection: sqlite3.Connection) -> tuple[dict[str, Column], dict[str, str]]:
    """Returns type, "not null", default and "primary key" of each column, and the statement of each index."""
    columns, indexes = {}, {}
    for kind, name, statement in connection.execute(
        "select type, name, sql from sqlite_master order by name"
    ).fetchall():
        if kind == "index":
            indexes[name] = " ".join((statement or "").replace('"', "").split())
        elif kind == "table":
            for _, column, type_, not_null, default, key in connection.execute(f"pragma table_info({name})"):
                columns[f"{name}.{column}"] = (type_, bool(not_null), default, bool(key))
    return columns, indexes


@pytest.fixture(scope="module")
def told() -> tuple[dict[str, Column], dict[str, str]]:
    """The columns and indexes as `storage/tables.py` has them."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        Base.metadata.create_all(connection)
        columns, indexes = shape(connection.connection.dbapi_connection)  # type: ignore[arg-type]
    engine.dispose()
    for name in _DEFAULT_IN_MIGRATION_ONLY:
        columns[name] = (*columns[name][:2], "0", columns[name][3])
    return columns, indexes


def test_migrations_make_the_tables_of_the_program(migrated: Path, told: Any) -> None:
    connection = sqlite3.connect(migrated / "flowport.db")
    made = shape(connection)
    connection.close()
    tables = {name.partition(".")[0] for name in told[0]}
    differ = [
        f"{name}: `storage/tables.py` says {wanted.get(name)}, the migrations make {there.get(name)}"
        for wanted, there in zip(told, made, strict=True)
        for name in sorted(wanted.keys() | there.keys())
        if wanted.get(name) != there.get(name)
        and (name in wanted or name.partition(".")[0] in tables or name.startswith("ix_"))
    ]
    assert differ == [], f"{newest_schema()} is the newest migration (type, not null, default, primary key)"


def test_a_column_that_is_added_may_be_null_or_has_a_default_in_the_database(told: Any, tmp_path: Path) -> None:
    """Servers of the last release add rows without it until they are replaced."""
    unpack(RELEASES[-1], tmp_path / "data")
    released = sqlite3.connect(tmp_path / "data" / "flowport.db")
    before, _ = shape(released)
    released.close()
    tables = {name.partition(".")[0] for name in before}
    added = {name: one for name, one in told[0].items() if name not in before and name.partition(".")[0] in tables}
    assert [name for name, (_, not_null, default, _key) in added.items() if not_null and default is None] == [], (
        f"newer than {RELEASES[-1].name}, so each needs `server_default` in `storage/tables.py` and in its migration"
    )


def test_every_migration_can_be_taken_back() -> None:
    """Tests make older databases of PostgreSQL with it (`postgres/test_migrations.py`)."""
    lacking = [path.name for path in sorted(VERSIONS.glob("0*.py"))[1:] if "\ndef downgrade()" not in path.read_text()]
    assert lacking == [], "write `downgrade()`, which takes back what `upgrade()` does to the tables"


def test_the_migrations_of_a_release_are_as_they_were() -> None:
    told = [json.loads(release.with_suffix("").with_suffix(".json").read_text()) for release in RELEASES]
    newest = max(told, key=lambda one: one["schema"])
    assert newest["migrations"] == digest_of_migrations(newest["schema"]), (
        f"a release has the migrations up to {newest['schema']}, and its databases never run them again: leave them as they"
        " were, and add a new one. When what they do is the same (types, a comment), write the new digest into the file of"
        " the release, tests/storage/releases/*.json"
    )


def test_a_release_gets_a_folder_with_rows_in_every_table(tmp_path: Path) -> None:
    make(tmp_path / "next.db.gz")
    assert [name for name, rows in json.loads((tmp_path / "next.json").read_text())["rows"].items() if not rows] == []


def sealed_values(session: Session) -> list[Secret | HookSecret | WebhookSecret]:
    return [row for kind in (Secret, HookSecret, WebhookSecret) for row in session.query(kind).all()]


def test_a_limit_of_a_flow_counts_for_the_jobs_that_wait_in_an_upgraded_folder(tmp_path: Path) -> None:
    told = unpack(RELEASES[0], tmp_path / "data")
    database = open_database(tmp_path / "data", clock=MovedClock(STOPPED_AT + 5_000 - SystemClock().now()))
    try:
        database.write_now(reclaim_all)
        database.write_now(change_flow_concurrency, told["flow_id"], 1)
        claimed, messages = database.write_now(claim_many, "boot_new", 10, ())
        assert (len(claimed), messages > 1) == (1, True)
    finally:
        database.close()


async def ended(runs: Any, job: Claimed) -> None:
    done = asyncio.get_running_loop().create_future()
    runs.begin([job], lambda: done.set_result(None))
    await done


def asking(url: str, *secret_ids: str) -> str:
    """Returns a flow's document: an HTTP Request that sends secrets to an address."""
    headers = {f"X-{number}": secret_id for number, secret_id in enumerate(secret_ids)}
    node = {"id": "ask", "type": "http_request", "config": {"secret_headers": headers}, "inputs": {"url": url}}
    return json.dumps({"format": 1, "nodes": [{"id": "api_input", "type": "api_input"}, node], "edges": []})


def test_secrets_get_the_hosts_of_their_flows_and_callers_webhooks_a_list_of_their_own(tmp_path: Path) -> None:
    data = tmp_path / "data"
    flow_id = unpack(RELEASES[0], data)["flow_id"]
    own, inside = "http://10.0.0.1/own", "http://10.0.0.5:9000/hook"
    deliveries = [
        (own, "delivered", []),
        (inside, "delivered", []),
        ("http://hooks.lan/end", "failed", [{"status": 500}]),
        ("http://[fd00::5]/", "delivered", []),
        ("http://10.0.0.6/", "failed", [{"status": None}]),  # never reached
        ("https://hooks.example.com/", "delivered", []),  # public, or it leads into the owner's network
        ("https://portal.corp.example/", "delivered", []),  # the owner's list named it
        ("http://10.0.0.7/own", "delivered", []),  # now the webhook of another flow
        ("http://8.8.8.8/", "delivered", []),  # an IP address that is public
        ("https://gone.example.org/", "failed", [{"status": None}]),
    ]
    with sqlite3.connect(data / "flowport.db") as connection:
        (workspace_id,) = connection.execute("select workspace_id from flows").fetchone()
        for name in ("written", "from data", "drafted", "unused", "key"):
            connection.execute(
                "insert into secrets values (?, ?, ?, 'v1.x', 1, 1)", (f"secret_{name}", workspace_id, name)
            )
        connection.execute(
            "insert into connections (id, workspace_id, name, provider, secret_id, local, models, created_at)"
            " values ('conn_1', ?, 'oa', 'openai', 'secret_key', 0, '[]', 1)",
            (workspace_id,),
        )
        for number, document in enumerate(
            (
                asking("https://API.example.com/v1/{{ api_input.out.id }}", "secret_written", "secret_from data"),
                asking("http://10.0.0.9:8080", "secret_written"),
                asking("{{ api_input.out.url }}", "secret_from data"),
                asking("https://shop.example.com{{ api_input.out.path }}", "secret_drafted"),
            )
        ):
            add_flow(connection, flow_id, f"flow_{number}", document, saved=number < 3)  # the last one is a draft only
        for one, url in ((flow_id, own), ("flow_0", "http://10.0.0.7/own")):
            connection.execute("update flows set settings = ? where id = ?", (json.dumps({"webhook_url": url}), one))
        connection.execute(
            "insert into settings values ('server', 'outbound_allow', ?)",
            (json.dumps({"value": "10.0.0.0/8, *.corp.example"}),),
        )
        for number, (url, status, log) in enumerate(deliveries):
            connection.execute(
                "insert into webhook_deliveries values (?, ?, ?, 'job_1', ?, 'job.completed', ?, 1, null, ?, 1)",
                (f"whd_{number}", workspace_id, flow_id, url, status, json.dumps(log)),
            )
        connection.execute("update jobs set webhook_url = ? where status = 'queued'", (inside,))
    connection.close()
    database = open_database(data)
    try:
        with database.reading() as session:
            hosts = {row.name: row.hosts for row in session.query(Secret)}
            by_caller = {row.url for row in session.query(WebhookDelivery) if row.by_caller}
            waiting = {(job.webhook_url, job.webhook_by_caller) for job in session.query(Job) if job.status == "queued"}
            assert hosts == {
                "written": ["10.0.0.9:8080", "api.example.com"],
                "from data": None,  # a saved version takes the address from data, so its host stays open
                "drafted": [],
                "unused": [],
                "key": [],
            }
            assert by_caller == {url for url, _, _ in deliveries} - {own}
            assert waiting == {(inside, True)}
            assert find_setting(session, SERVER, WEBHOOK_ALLOW) == (
                "10.0.0.5:9000, [fd00::5]:80, hooks.lan:80, portal.corp.example:443"
            )
            assert find_setting(session, SERVER, WEBHOOK_HOSTS_LEFT) == ["10.0.0.7:80", "hooks.example.com:443"]
            assert find_setting(session, workspace_id, SECRET_HOSTS_FOUND) is True
    finally:
        database.close()


def test_what_was_used_and_the_webhook_are_productions_and_the_rest_is_counted_anew(tmp_path: Path) -> None:
    data, url = tmp_path / "data", "https://example.com/hook"
    told = unpack(RELEASES[0], data)
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("update flows set settings = ?", (json.dumps({"webhook_url": url}),))
        connection.execute("update jobs set webhook_url = ?", (url,))
        for name, environment in (("Bea", "dev"), ("Eve", "test")):
            connection.execute("update jobs set environment = ? where id = ?", (environment, told["jobs"][name]))
        connection.execute("update usage set month_count = month_count + 100")  # counts jobs that are no longer stored
    connection.close()
    database = open_database(data, clock=MovedClock(STOPPED_AT + 5_000 - SystemClock().now()))
    try:
        database.write_now(reconcile_usage)
        with database.reading() as session:
            workspace_id, settings = session.query(Flow.workspace_id, Flow.settings).one()
            used = [read_usage(session, usage_subject(workspace_id, name)) for name in ENVIRONMENTS]
            assert used == [Used(2, 103), Used(1, 1), Used(0, 1)]
            assert [flow_webhook(settings, name) for name in ENVIRONMENTS] == [url, None, None]
            waiting = {job.environment: job.webhook_url for job in session.query(Job) if job.status == "queued"}
            assert waiting == {"live": url, "test": None}
            assert get_limits(session, workspace_id).caps["test"] == Caps(25, None)
    finally:
        database.close()


def add_flow(connection: sqlite3.Connection, flow_id: str, made: str, document: str, *, saved: bool) -> None:
    """Adds a flow like the release's with another draft, and a version of it."""
    connection.execute(
        "insert into flows select ?, workspace_id, title, description, ?, draft_revision, draft_saved_at, draft_differs,"
        " newest_version, null, null, ever_deployed, settings, created_at, updated_at, deleted_at from flows where id = ?",
        (made, document, flow_id),
    )
    if saved:
        connection.execute(
            "insert into flow_versions (flow_id, number, document, title, note, created_at, created_by)"
            " values (?, 1, ?, '', '', 1, '')",
            (made, document),
        )


def test_documents_and_rows_of_any_shape_are_upgraded(tmp_path: Path) -> None:
    data = tmp_path / "data"
    flow_id = unpack(RELEASES[0], data)["flow_id"]
    url = "https://api.example.com/"
    config = {"secret_headers": {"X-A": ["a"], "X-B": {"b": 1}, "X-C": None, "X-D": "secret_a"}}
    nodes = [
        None,
        ["node"],
        {"config": ["x"], "inputs": "x"},
        {"config": {"secret_headers": ["secret_a"]}, "inputs": {"url": url}},
        {"config": {"secret_headers": {"X": "secret_a"}}, "inputs": ["url"]},
        {"config": {"secret_headers": {"X": "secret_a"}}, "inputs": {"url": [url]}},
        {"config": config, "inputs": {"url": url}},
    ]
    odd = [{"nodes": nodes}, {"nodes": {"a": nodes[-1]}}, {"nodes": 5}, {"nodes": "x"}, ["nodes"], None, 7]
    with sqlite3.connect(data / "flowport.db") as connection:
        (workspace_id,) = connection.execute("select workspace_id from flows").fetchone()
        connection.execute("insert into secrets values ('secret_a', ?, 'a', 'v1.x', 1, 1)", (workspace_id,))
        for number, document in enumerate([*map(json.dumps, odd), "", "{"]):
            add_flow(connection, flow_id, f"flow_{number}", document, saved=False)
        connection.execute("update flows set settings = '[]' where id = 'flow_1'")
        for number, log in enumerate(("null", "7", '[null, 5, {"status": 200}]')):
            connection.execute(
                "insert into webhook_deliveries values (?, ?, ?, 'job_1', ?, 'job.completed', 'failed', 1, null, ?, 1)",
                (f"whd_{number}", workspace_id, flow_id, f"http://10.0.0.{number}/", log),
            )
        connection.execute("insert into settings values ('server', 'outbound_allow', '[\"10.0.0.0/8\"]')")
    connection.close()
    database = open_database(data)
    try:
        with database.reading() as session:
            assert session.query(Secret).one().hosts == ["api.example.com"]
            assert find_setting(session, SERVER, WEBHOOK_ALLOW) == "10.0.0.2:80"
    finally:
        database.close()


@pytest.mark.parametrize(
    ("url", "hosts"),
    [
        ("https://straße.de", ["xn--strae-oqa.de"]),
        ("https://Bücher.example.:8443/x", ["xn--bcher-kva.example:8443"]),
        ("http://[FD00::5]:8080/", ["[fd00::5]:8080"]),
        ("https://a.example,*.evil.example/", None),
        ("https://*.github.io/", None),
        ("https://a.example:70000/", None),
        ("https://a%2eexample/", None),
        ("https://127.1/", None),
        ("https://999.1.1.1/", None),
        ("https://\u2060.example/", None),
    ],
)
def test_a_secrets_host_is_named_as_it_is_asked(url: str, hosts: list[str] | None, tmp_path: Path) -> None:
    """`hosts` None: an address whose host is invalid is treated like an address from data."""
    data = tmp_path / "data"
    flow_id = unpack(RELEASES[0], data)["flow_id"]
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("insert into secrets select 'secret_a', workspace_id, 'a', 'v1.x', 1, 1 from flows")
        add_flow(connection, flow_id, "flow_a", asking(url, "secret_a"), saved=True)
    connection.close()
    database = open_database(data)
    try:
        with database.reading() as session:
            secret = session.query(Secret).one()
            assert secret.hosts == hosts
            if hosts is not None:
                check_send(SecretValue("a", "value", tuple(hosts)), read_url(url))
    finally:
        database.close()


def test_values_that_were_cut_count_as_they_are_stored(tmp_path: Path) -> None:
    data = tmp_path / "data"
    job_id = unpack(RELEASES[0], data)["jobs"]["Ann"]
    told = "select coalesce(sum(length(cast(data as blob))), 0) from job_values where job_id = ?"
    with sqlite3.connect(data / "flowport.db") as connection:
        for name, size, stored in (
            ("input", 50 << 20, '"' + "x" * 20_000 + '"'),
            ("output", 1_002, '"' + "ü" * 500 + '"'),
        ):
            connection.execute(
                "insert into job_values (job_id, node_id, index_path, name, size, data) values (?, 'large', '', ?, ?, ?)",
                (job_id, name, size, stored),
            )
        (stored,) = connection.execute(told, (job_id,)).fetchone()
    connection.close()
    database = open_database(data)
    with database.reading() as session:
        counted = session.execute(text("select value_bytes from jobs where id = :id"), {"id": job_id}).scalar_one()
    database.close()
    assert counted == stored


def test_failed_steps_of_jobs_from_before_are_counted(tmp_path: Path) -> None:
    data = tmp_path / "data"
    job_id = next(iter(unpack(RELEASES[0], data)["jobs"].values()))
    error = json.dumps({"code": "http_status", "message": "no"})
    with sqlite3.connect(data / "flowport.db") as connection:
        for node, index, failed in (
            ("call", "", None),
            ("call.read", "", error),
            ("call.write", "", error),
            ("item", "0", error),
            ("item", "1", error),
            ("whole", "", None),
        ):
            connection.execute(
                "insert into steps (job_id, node_id, index_path, status, attempt, tries, started_at, error, input_tokens,"
                " output_tokens, model_calls, simulated) values (?, ?, ?, 'skipped', 1, 1, 1, ?, 0, 0, 0, 0)",
                (job_id, node, index, failed),
            )
    database = open_database(data)
    try:
        with database.reading() as session:
            counts = dict(session.execute(text("select id, steps_failed from jobs")).all())
    finally:
        database.close()
    assert counts.pop(job_id) == 2, "the call and the step of the list"
    assert set(counts.values()) == {0}


def test_where_people_signed_in_before_the_upgrade_is_known_after_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    unpack(RELEASES[0], data)
    with sqlite3.connect(data / "flowport.db") as connection:
        (workspace,) = connection.execute("select id from workspaces").fetchone()
        connection.execute(
            "insert into users (id, workspace_id, email, name, role, created_at) values ('user_a', ?, 'a@x.io', 'A', 'owner', 1)",
            [workspace],
        )
        for token, address in (("a", "203.0.113.7"), ("b", "2001:db8:1:2::9"), ("c", ""), ("d", "::ffff:192.0.2.1")):
            connection.execute("insert into sessions values (?, 'user_a', 5, 5, ?, 'Firefox')", [token, address])
        for actor, verb, address in (
            ("A (user_a)", "sign in", "198.51.100.4"),
            ("somebody", "fail to sign in", "198.51.100.5"),
            ("Eve (user_e)", "sign in", "198.51.100.6"),
        ):
            connection.execute(
                "insert into audit (workspace_id, at, actor, verb, subject, detail, address) values (?, 7, ?, ?, 'user_a', '', ?)",
                [workspace, actor, verb, address],
            )
    connection.close()
    database = open_database(data)
    with database.reading() as session:
        places = session.execute(text("select user_id, place, network, seen_at from sign_in_places")).all()
    database.close()
    assert sorted(tuple(place) for place in places) == [
        ("user_a", "192.0.2.1", "192.0.2.0/24", 5),
        ("user_a", "198.51.100.4", "198.51.100.0/24", 7),
        ("user_a", "2001:db8:1:2::/64", "2001:db8:1:2::/64", 5),
        ("user_a", "203.0.113.7", "203.0.113.0/24", 5),
    ]


def test_batches_of_before_get_places_an_end_and_no_webhook(tmp_path: Path) -> None:
    data = tmp_path / "data"
    flow_id = unpack(RELEASES[0], data)["flow_id"]
    with sqlite3.connect(data / "flowport.db") as connection:
        (workspace_id,) = connection.execute("select workspace_id from flows").fetchone()
        names = [row[1] for row in connection.execute("pragma table_info(jobs)")]
        (model,) = connection.execute("select id from jobs where status = 'completed' limit 1").fetchone()
        row = dict(zip(names, connection.execute("select * from jobs where id = ?", (model,)).fetchone(), strict=True))
        for batch_id, environment, statuses in (
            ("batch_ended", "live", ("completed", "failed", "cancelled")),
            ("batch_open", "live", ("completed", "queued")),
            ("batch_drawn", "playground", ("completed",)),
        ):
            connection.execute(
                "insert into batches values (?, ?, ?, ?, ?, 5)",
                (batch_id, workspace_id, flow_id, environment, len(statuses)),
            )
            for number, status in enumerate(statuses):
                changed = {
                    "id": f"job_{9 - number}_{batch_id}",  # ids do not reflect the order
                    "batch_id": batch_id,
                    "environment": environment,
                    "status": status,
                    "counted": 0,
                    "webhook_url": "https://hooks.example.com/",
                    "completed_at": None if status == "queued" else 100 - number,
                }
                job = {**row, **changed}
                connection.execute(
                    f"insert into jobs ({', '.join(job)}) values ({', '.join('?' * len(job))})", list(job.values())
                )
        connection.execute(
            "insert into idempotency values ('scope', 'fingerprint', 202, '{}', 1)",
        )
    connection.close()
    database = open_database(data)
    try:
        with database.reading() as session:
            items = session.execute(text("select id, item_index from jobs where batch_id is not null")).all()
            ended = get_batch(session, workspace_id, "batch_ended")
            still_open = get_batch(session, workspace_id, "batch_open")
            assert dict(tuple(item) for item in items) == {
                "job_9_batch_ended": 0,
                "job_8_batch_ended": 1,
                "job_7_batch_ended": 2,
                "job_9_batch_open": 0,
                "job_8_batch_open": 1,
                "job_9_batch_drawn": None,
            }
            assert (ended.status, ended.completed_at) == ("completed", 100)
            assert (still_open.status, still_open.completed_at) == ("processing", None)
            assert session.query(Idempotency).one().flow_version is None
        assert database.write_now(finish, "job_8_batch_open", "cancelled", lease=None)
        with database.reading() as session:
            assert get_batch(session, workspace_id, "batch_open").status == "completed"
            assert [row.event for row in session.query(WebhookDelivery)] == ["job.cancelled"]
    finally:
        database.close()


def test_an_upgrade_says_from_where_and_where_its_copy_lies(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    unpack(RELEASES[0], tmp_path / "data")
    before = schema_of(tmp_path / "data" / "flowport.db")
    for _ in range(2):
        open_database(tmp_path / "data").close()
    (told,) = (line for line in caplog.messages if "brought up to date" in line)
    assert f"from schema {before} to {newest_schema()}. A copy from before is {tmp_path / 'data' / 'backups'}" in told


def test_a_newer_folder_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    data = tmp_path / "data"
    open_database(data).close()
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    connection.close()
    (data / "migrate.lock").unlink()
    before = prints(data)
    with pytest.raises(NewerData, match=r"newer Flowport .schema 9999.*has changed nothing"):
        open_database(data)
    assert prints(data) == before


def test_a_migration_that_fails_leaves_the_folder_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "data"
    unpack(RELEASES[0], data)
    with sqlite3.connect(data / "flowport.db") as connection:
        connection.execute("delete from alembic_version")
        connection.execute("insert into alembic_version values ('0001')")  # the next one finds its tables already there
        tables = connection.execute("select name, sql from sqlite_master order by name").fetchall()
    connection.close()
    with pytest.raises(Exception, match="already exists"):
        open_database(data)
    with sqlite3.connect(data / "flowport.db") as connection:
        assert connection.execute("select name, sql from sqlite_master order by name").fetchall() == tables
        assert connection.execute("select version_num from alembic_version").fetchall() == [("0001",)]
    connection.close()


def test_only_the_newest_copies_from_before_migrations_are_kept(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    for number in range(5):
        migrations._back_up(tmp_path, f"000{number}")
    assert len(list((tmp_path / "backups").glob("before-migration-from-*.db"))) == migrations.COPIES_KEPT


def damaged(data: Path, where: str) -> None:
    """Overwrites a part of the file."""
    path = data / "flowport.db"
    size = path.stat().st_size
    at, count = {"head": (0, 100), "a table": (4_096 * 3, 4_096 * 20), "its end": (size - 60_000, 60_000)}[where]
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * min(count, size - at))


@pytest.mark.parametrize("where", ["head", "a table", "its end"])
def test_a_damaged_database_is_refused_and_nothing_is_overwritten(where: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    unpack(RELEASES[0], data)
    require_sound(data)
    damaged(data, where)
    before = prints(data)
    with pytest.raises(DatabaseDamaged, match=r"damaged.*has changed nothing.*restore FILE"):
        require_sound(data)
    assert prints(data) == before


def test_looking_for_faults_takes_no_longer_than_it_may(tmp_path: Path) -> None:
    data = tmp_path / "data"
    open_database(data).close()
    assert find_fault(data / "flowport.db", seconds=-1.0) == ""
    assert find_fault(data / "none.db") == ""


def test_a_new_folder_gives_room_back_page_by_page(tmp_path: Path) -> None:
    """auto_vacuum can only be set before the first table is created."""
    open_vault(tmp_path)
    database = open_database(tmp_path)
    with database.reading() as session:
        assert session.execute(text("pragma auto_vacuum")).scalar() == 2
        assert session.query(Job).count() == 0
    database.close()


@pytest.mark.parametrize("name", ["a?1", "a?mode=memory", "a%41", "a#1", "file:a", "a b+ä"])
def test_a_folder_of_any_name_holds_its_own_database(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for data in (tmp_path / name, Path(f"{name}2")):
        database = open_database(data)
        assert database.write_now(find_setting, SERVER, "test") is None
        assert database.write_now(put_setting, SERVER, "test", name) is None
        assert checkpoint(database.url, "truncate")
        assert file_of(database.url).samefile(data / "flowport.db")
        database.close()
        assert {path.name for path in data.glob("flowport.db*")} == {"flowport.db"}
        assert (data / "flowport.db").stat().st_mode & 0o777 == 0o600
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}2"}
