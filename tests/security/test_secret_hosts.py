"""A secret is sent only to the hosts it names, whoever chooses the address of a step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.actions.connections import add_connection
from engine.actions.deployments import deploy
from engine.actions.flows import import_flow
from engine.actions.jobs import submit
from engine.actions.principal import Principal
from engine.actions.secrets import add_secret, set_secret_hosts
from engine.actions.workspaces import ensure_workspace
from engine.core.errors import FlowInvalid, Invalid, NotAllowed
from engine.flow.flow_file import FlowFile
from engine.flow.node_http import SecretValue
from engine.jobs.at_work import AtWork
from engine.jobs.submit.accept import Caller
from engine.jobs.submit.bodies import SubmitOptions
from engine.jobs.worker.plan_loader import PlanLoader
from engine.jobs.worker.runs import Runs
from engine.jobs.worker.step_services import Outside
from engine.jobs.worker.step_writer import StepWriter
from engine.jobs.worker.threads import Threads
from engine.models.client import Models
from engine.models.saved_connections import open_connection
from engine.nodes import CATALOG
from engine.outbound.client import OutboundClient, OutboundRules, parse_allow_list
from engine.outbound.errors import SecretNotForHost
from engine.outbound.secret_hosts import host_warnings
from engine.secrets.opening import open_for_step
from engine.secrets.sealing import Vault, open_vault
from storage.audit import list_entries
from storage.connections import find_connection
from storage.database import Database
from storage.jobs import find_job
from storage.secrets import list_secrets
from storage.tables import Secret
from tests.databases import open_database
from tests.factories import flow_file, person
from tests.stand_ins.network import Names
from tests.stand_ins.web_server import answer, serve

VALUE = "Bearer swordfish-0123456789"


@pytest.fixture
def database(new_data: Path) -> Iterator[Database]:
    opened = open_database(new_data)
    yield opened
    opened.close()


@pytest.fixture
def owner(database: Database) -> Principal:
    return person(database.write_now(ensure_workspace, "free"))


@pytest.fixture
def vault(new_data: Path) -> Vault:
    return open_vault(new_data)


def kept(database: Database, owner: Principal, vault: Vault, hosts: str = "api.example.com") -> str:
    return database.write_now(add_secret, owner, vault, "Shop token", VALUE, hosts)


def calling(url: str, secret_id: str) -> FlowFile:
    """A flow of an API Input with a field `url` and an HTTP Request that sends the secret."""
    fields = [{"name": "url", "type": "string", "required": True}]
    ask = {"secret_headers": {"Authorization": secret_id}}
    nodes = [
        {"id": "api_input", "type": "api_input", "config": {"fields": fields}},
        {
            "id": "ask",
            "type": "http_request",
            "config": ask,
            "inputs": {"url": url},
            "policy": {"retries": 0},
        },
    ]
    edges = [{"id": "e", "source": "api_input", "target": "ask"}]
    return flow_file({"format": 1, "title": "Asking", "nodes": nodes, "edges": edges})


async def run(database: Database, owner: Principal, vault: Vault, flow_id: str, payload: dict[str, Any]) -> Any:
    """Runs the job as a worker does, with the real outbound client, secrets and redaction, and returns it."""
    outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")), Names())
    outside = Outside(
        database=database,
        outbound=outbound,
        models=Models(outbound),
        threads=Threads(AtWork()),
        open_secret=lambda session, workspace_id, secret_id: open_for_step(session, vault, workspace_id, secret_id),
        open_connection=lambda session, workspace_id, name: open_connection(session, vault, workspace_id, name),
        called_plan=PlanLoader(CATALOG).called_plan,
    )
    caller = Caller(owner.workspace_id, None, "live")
    job_id = database.write_now(submit, caller, flow_id, payload, SubmitOptions()).job_id
    runs = Runs(database, "boot_test", outside.services_for, PlanLoader(CATALOG), StepWriter(database))
    try:
        await runs.carry(job_id)
    finally:
        await outside.close()
    return database.read_now(find_job, owner.workspace_id, job_id)


async def hello(asked: Any, write: Any) -> None:
    await write(answer(200, b"hello"))


@pytest.mark.process
async def test_an_address_from_the_payload_does_not_get_the_secret(
    database: Database, owner: Principal, vault: Vault
) -> None:
    async with serve(hello) as thief, serve(hello) as shop:
        secret_id = kept(database, owner, vault, f"127.0.0.1:{shop.port}")
        flow_id = database.write_now(import_flow, owner, calling("{{ api_input.out.url }}", secret_id)).flow_id
        database.write_now(deploy, owner, flow_id)
        stolen = await run(database, owner, vault, flow_id, {"url": thief.url()})
        bought = await run(database, owner, vault, flow_id, {"url": shop.url()})
    assert thief.connections == 0
    assert (stolen.status, stolen.error["code"]) == ("failed", "address_not_allowed")
    told = stolen.error["message"]
    assert "“Shop token”" in told
    assert f"127.0.0.1:{thief.port}" in told
    assert "Settings → Models and secrets" in told
    assert (bought.status, shop.asked[0].headers["authorization"]) == ("completed", VALUE)


@pytest.mark.process
@pytest.mark.parametrize(
    ("hosts", "url", "goes"),
    [
        ("api.example.com", "https://api.example.com/v1", True),
        ("api.example.com", "https://API.example.com./v1", True),
        ("api.example.com", "https://api.example.com.evil.test/v1", False),
        ("api.example.com", "https://evil.test/api.example.com", False),
        ("api.example.com:443", "http://api.example.com/", False),
        ("*.example.com", "https://a.b.example.com/", True),
        ("*.example.com", "https://example.com/", False),
        ("10.0.0.5", "http://10.0.0.5:8080/", True),
        ("10.0.0.5", "http://0x0a000005/", False),
        ("bücher.example", "https://xn--bcher-kva.example/", True),
        ("::1", "http://[::1]:8080/", True),
    ],
)
async def test_the_door_itself_compares_every_send(hosts: str, url: str, goes: bool) -> None:
    outbound = OutboundClient(OutboundRules(parse_allow_list("api.example.com")), Names())
    entries = tuple(str(entry) for entry in parse_allow_list(hosts))
    refused = False
    try:
        await outbound.request("GET", url, secret_headers={"X": SecretValue("Shop token", VALUE, entries)})
    except SecretNotForHost:
        refused = True
    except Exception:  # noqa: BLE001 - no server listens there
        refused = False
    finally:
        await outbound.aclose()
    assert refused is not goes


@pytest.mark.process
async def test_no_redirect_takes_a_secret_along_and_none_leads_it_to_an_unnamed_host() -> None:
    async with serve(hello) as other:

        async def on(asked: Any, write: Any) -> None:
            await write(answer(307, b"", location=other.url("/end")))

        async with serve(on) as shop:
            outbound = OutboundClient(OutboundRules(parse_allow_list("127.0.0.1")))
            secret = SecretValue("Shop token", VALUE, (f"127.0.0.1:{shop.port}",))
            await outbound.request("GET", shop.url(), secret_headers={"Authorization": secret})
            await outbound.aclose()
    assert shop.asked[0].headers["authorization"] == VALUE
    assert "swordfish" not in str(other.asked)


@pytest.mark.parametrize(
    ("url", "stops", "warns"),
    [
        ("https://api.example.com/items/{{ api_input.out.url }}", False, False),
        ("https://evil.test/", True, False),
        ("http://api.example.com:8080/", False, False),
        ("https://api.example.com{{ api_input.out.url }}", False, True),
        ("https://{{ api_input.out.url }}.example.com/", False, True),
        ("{{ api_input.out.url }}", False, True),
    ],
)
def test_before_a_deployment_a_written_host_is_a_problem_and_one_from_data_a_warning(
    database: Database, owner: Principal, vault: Vault, url: str, stops: bool, warns: bool
) -> None:
    secret_id = kept(database, owner, vault)
    flow_id = database.write_now(import_flow, owner, calling(url, secret_id)).flow_id
    found = []
    try:
        database.write_now(deploy, owner, flow_id)
    except FlowInvalid as refusal:
        found = [(problem.code, problem.node_id, problem.pointer) for problem in refusal.problems]
    assert found == ([("secret_host", "ask", "/config/secret_headers")] if stops else [])
    from ui.flows.deploy_checks import look_before_deploy

    checks = database.read_now(look_before_deploy, owner.workspace_id, flow_id)
    assert [problem.code for problem in checks.problems] == [code for code, _, _ in found]
    codes = [warning.problem.code for warning in checks.warnings]
    assert ("secret_host" in codes) is warns


def test_a_new_secret_names_its_hosts_and_only_the_owner_changes_them(
    database: Database, owner: Principal, vault: Vault
) -> None:
    for wrong in ("", " , ", "*", "*.com", "0.0.0.0/0", "10.0.0.0/24", "https://api.example.com/"):
        with pytest.raises(Invalid):
            kept(database, owner, vault, wrong)
    secret_id = kept(database, owner, vault)
    editor = person(owner.workspace_id, role="editor", name="Eve")
    with pytest.raises(NotAllowed):
        database.write_now(set_secret_hosts, editor, secret_id, "evil.test")
    with pytest.raises(NotAllowed):
        database.write_now(add_secret, editor, vault, "Mine", VALUE, "evil.test")
    database.write_now(set_secret_hosts, owner, secret_id, "api.example.com\nshop.example.com:8443")
    (row,) = database.read_now(list_secrets, owner.workspace_id)
    assert row.hosts == ("api.example.com", "shop.example.com:8443")
    entries = {entry.verb: entry.detail for entry in database.read_now(list_entries, owner.workspace_id)}
    assert entries["change hosts of a secret"] == (
        "Shop token: api.example.com, shop.example.com:8443, before api.example.com"
    )


@pytest.mark.process
async def test_the_key_of_a_model_connection_is_sent_by_no_step(
    database: Database, owner: Principal, vault: Vault
) -> None:
    database.write_now(add_connection, owner, vault, "oa", "openai", key=VALUE)
    connection = database.read_now(find_connection, owner.workspace_id, "oa")
    assert connection is not None
    assert connection.secret_id is not None
    async with serve(hello) as thief:
        imported = database.write_now(import_flow, owner, calling(thief.url(), connection.secret_id))
        database.write_now(deploy, owner, imported.flow_id)
        job = await run(database, owner, vault, imported.flow_id, {"url": "x"})
    assert (job.status, thief.connections) == ("failed", 0)
    assert "it names no host yet" in job.error["message"]


@pytest.mark.process
async def test_a_secret_of_before_hosts_were_named_goes_on_with_a_warning(
    database: Database, owner: Principal, vault: Vault
) -> None:
    secret_id = kept(database, owner, vault)
    database.write_now(lambda session: setattr(session.get(Secret, secret_id), "hosts", None))
    async with serve(hello) as shop:
        flow_id = database.write_now(import_flow, owner, calling("{{ api_input.out.url }}", secret_id)).flow_id
        database.write_now(deploy, owner, flow_id)
        job = await run(database, owner, vault, flow_id, {"url": shop.url()})
    assert (job.status, shop.asked[0].headers["authorization"]) == ("completed", VALUE)
    document = calling("{{ api_input.out.url }}", secret_id).document
    (warning,) = host_warnings(document, database.read_now(list_secrets, owner.workspace_id))
    assert "may go to any host" in warning.message
