from __future__ import annotations

import json
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from nicegui import __version__ as nicegui_version

from engine.actions.principal import command_line
from engine.actions.schedules import add_schedule
from storage.schedules import get_schedule
from storage.tables_triggers import Schedule
from storage.workspaces import find_first_workspace
from tests.commands.conftest import APP
from tests.databases import settings_of
from tests.factories import greeting
from tests.live.caller import Caller, Terminal
from tests.live_server import EMAIL, PASSWORD, LiveServer, free_port
from tests.one_command import clean_environment


@pytest.fixture(scope="module")
def server(shared_server) -> LiveServer:
    """A running server that has an owner."""
    return shared_server


@pytest.fixture
def terminal(server) -> Terminal:
    """The owner of a workspace that belongs to the test."""
    return Terminal.new(server)


@pytest.fixture
def signed_in(server):
    """An HTTP client with the owner's session."""
    with httpx.Client(headers={"origin": server.url}) as client:
        assert client.post(f"{server.url}/sign-in", data={"email": EMAIL, "password": PASSWORD}).status_code == 303
        yield client


def call(server: LiveServer, flow_id: str, key: str, body: object = None, **headers: str) -> httpx.Response:
    return httpx.post(
        f"{server.url}/public/v1/flows/execute/{flow_id}",
        json={"name": "Ada"} if body is None else body,
        headers={"authorization": f"Bearer {key}", **headers},
        timeout=20,
    )


def start_another(data, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(APP), "serve", "--port", str(port), "--data", str(data)],
        capture_output=True,
        text=True,
        env=clean_environment(),
        timeout=60,
        check=False,
    )


def test_commands_beside_a_running_server_count_for_the_next_request(server, terminal):
    flow_id = terminal.value("flows", "import", "-", stdin=json.dumps(greeting()))
    terminal.value("flows", "deploy", flow_id)
    key = terminal.value("keys", "create", "--label", "Shop", "--environment", "live")
    done = call(server, flow_id, key, prefer="wait=15")
    assert (done.status_code, done.json()["result"]) == (200, {"output": "Hello Ada"})
    terminal.do("flows", "undeploy", flow_id)
    assert call(server, flow_id, key).status_code == 404
    terminal.value("flows", "deploy", flow_id)
    assert call(server, flow_id, key).status_code == 202
    terminal.do("keys", "revoke", "-", stdin=key)
    assert call(server, flow_id, key).status_code == 401


def test_a_plan_set_beside_a_running_server_counts_for_the_next_request(server, terminal):
    flow_id, key = terminal.flow(greeting()), terminal.caller().key
    terminal.value("plan", "set", "free", "--monthly", "1")
    call(server, flow_id, key)
    refused = call(server, flow_id, key)
    assert (refused.status_code, refused.json()["code"]) == (429, "monthly_quota_exceeded")
    terminal.value("plan", "set", "pro")
    assert call(server, flow_id, key).status_code == 202


def test_deploy_beside_a_running_server_prints_the_url_that_answers(server, terminal):
    flow_id = terminal.made(greeting())
    environment = {"FLOWPORT_DATA": str(server.data), **settings_of(server.data)}
    done = subprocess.run(
        [sys.executable, str(APP), "flows", "deploy", flow_id, "--workspace", terminal.workspace_id],
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        check=True,
    )
    assert done.stdout.strip() == f"http://localhost:{server.port}/public/v1/flows/execute/{flow_id}"


def test_the_ready_line_stands_once_in_what_it_prints(server):
    assert server.log().count(f"Flowport is ready on http://localhost:{server.port}") == 1


def test_with_an_owner_of_the_environment_no_set_up_link_is_printed(server):
    assert "Set-up link" not in server.log()
    assert "/setup/" in server.run("setup-link", "--reset", EMAIL).stdout


@pytest.mark.sqlite("several servers share a PostgreSQL database")
def test_a_second_server_on_the_folder_says_so_and_ends(server):
    said = start_another(server.data, free_port())
    assert (said.returncode, said.stdout) == (1, "")
    assert "Another Flowport server is running" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_taken_port_is_told_with_a_way_out(server, tmp_path):
    said = start_another(tmp_path / "data", server.port)
    assert (said.returncode, said.stdout) == (1, "")
    assert f"port {server.port}" in said.stderr
    assert "--port" in said.stderr
    assert "FLOWPORT_PORT" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.sqlite("with PostgreSQL the key is the person's own file")
def test_keys_of_the_folder_are_for_its_owner_only(server):
    for name in ("secret.key",):
        assert stat.S_IMODE((server.data / name).stat().st_mode) == 0o600


def test_in_a_folder_that_is_not_set_up_the_command_for_it_is_told():
    said = subprocess.run([sys.executable, "-S", str(APP), "serve"], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stdout) == (1, "")
    assert f"Run `make setup` in {APP.parent}" in said.stderr
    assert "Traceback" not in said.stderr


def test_a_page_carries_its_security_headers_and_the_api_sets_no_cookie(server):
    page = httpx.get(f"{server.url}/sign-in")
    assert httpx.get(f"{server.url}/answer/none").headers.get_list("referrer-policy") == ["same-origin"]
    policy = page.headers["content-security-policy"]
    for rule in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'", "object-src 'none'"):
        assert rule in policy
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["referrer-policy"] == "same-origin"
    assert "strict-transport-security" not in page.headers
    assert "set-cookie" not in httpx.get(f"{server.url}/public/v1/flows").headers


def test_https_in_front_is_believed_from_this_machine(server):
    page = httpx.get(f"{server.url}/sign-in", headers={"x-forwarded-proto": "https"})
    assert "strict-transport-security" in page.headers


def test_an_asset_with_its_hash_is_kept_for_ever_and_one_without_is_asked_for_again(server):
    assert "immutable" in httpx.get(f"{server.url}/assets/theme.css?v=1").headers["cache-control"]
    assert httpx.get(f"{server.url}/assets/theme.css").headers["cache-control"] == "no-cache"
    assert httpx.get(f"{server.url}/assets/%2e%2e/app.py").status_code == 404


@pytest.mark.parametrize(
    ("origin", "host", "let_in"),
    [
        ("http://evil.example", None, False),
        ("http://evil.example", "evil.example", False),
        ("null", None, False),
        ("https://127.0.0.1:{port}", None, False),
        ("http://127.0.0.1:{port}", None, True),
        ("http://localhost:{port}", "localhost:{port}", True),
        ("http://192.168.1.5:8080", "192.168.1.5:8080", True),
    ],
)
def test_a_socket_opens_only_for_a_page_of_this_server(server, origin, host, let_in):
    headers = {"origin": origin.format(port=server.port)}
    if host:
        headers["host"] = host.format(port=server.port)
    asked = httpx.get(f"{server.url}/_nicegui_ws/socket.io/?EIO=4&transport=polling", headers=headers)
    assert (asked.status_code != 403) is let_in


def test_a_page_at_a_foreign_name_says_why_it_does_not_work(server, terminal):
    """A signed-in person, whose browser's socket would be refused, and a page that checks its address both get it."""
    seen = {"host": "evil.example:8080", "accept": "text/html", "cookie": f"flowport_session={terminal.sign_in()}"}
    for path in ("/flows", "/address-refused?from=http://evil.example:8080"):
        answer = httpx.get(f"{server.url}{path}", headers=seen)
        assert answer.status_code == 403
        for part in ("This address is not known to Flowport", "http://evil.example:8080", "FLOWPORT_ALLOWED_ORIGINS"):
            assert part in answer.text
    foreign = {"origin": "http://evil.example:8080"}
    assert httpx.get(f"{server.url}/address-check", headers=foreign).status_code == 403
    assert httpx.get(f"{server.url}/address-check", headers={"origin": server.url}).status_code == 204


def test_a_head_without_end_is_refused_on_the_wire(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as caller:
        caller.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")
        answer = b""
        try:
            for number in range(60):
                caller.sendall(b"x-%d: " % number + b"a" * 1000 + b"\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            answer = caller.recv(1000)
        except ConnectionResetError:
            answer = b"HTTP/1.1 431"  # the server closed the connection during the request
        assert answer.startswith(b"HTTP/1.1 431")


def test_requests_sent_in_one_piece_are_all_answered(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as caller:
        caller.sendall(2 * b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        answer = b""
        while answer.count(b"200 OK") < 2:
            piece = caller.recv(4000)
            assert piece, answer
            answer += piece


@dataclass
class Life:
    """The results of a server's two runs, from an empty folder to its second exit."""

    log: str = ""
    first_job: dict[str, Any] = field(default_factory=dict)
    kept_jobs: list[dict[str, Any]] = field(default_factory=list)
    exits: list[int] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    more: int | None = None


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Life:
    """Creates flow and key, then starts the server, stops it during jobs, and starts it again."""
    life, server = Life(), LiveServer(tmp_path_factory.mktemp("life") / "data", env={"FLOWPORT_PROT": "1"})
    terminal = Terminal(server)
    flow_id = terminal.value("flows", "import", "-", stdin=json.dumps(greeting()))
    assert terminal.value("flows", "deploy", flow_id).endswith(f"/public/v1/flows/execute/{flow_id}")
    caller = Caller(server.url, terminal.value("keys", "create", "--label", "Shop", "--environment", "live"))
    try:
        server.start(owner=False)
        life.first_job = caller.run(flow_id, {"name": "Ada"})
        accepted = [caller.accepted(flow_id, {"name": "Ada"}) for _ in range(3)]
        assert server.process is not None
        pid = server.process.pid
        life.exits.append(server.stop())
        found = subprocess.run(["ps", "-eo", "ppid,args"], capture_output=True, text=True, check=True).stdout
        life.left = [line for line in found.splitlines() if line.split()[0] == str(pid) or str(server.data) in line]
        server.start(owner=False)
        life.kept_jobs = [caller.ended(job_id) for job_id in accepted]
        life.more = ends_well(server, lambda: caller.run(flow_id, {"name": "Ada"}))
        life.exits.append(server.stop())
    finally:
        server.close_store()
        if server.process is not None and server.process.poll() is None:
            server.kill()
    life.log = server.log().replace(str(server.port), "PORT")
    return life


def ends_well(server: LiveServer, meanwhile: Callable[[], object]) -> int:
    """Starts `app.py worker` beside the server, stops it when it is ready, and returns its exit code."""
    more = subprocess.Popen([sys.executable, str(APP), "worker"], env=server.environment(), stderr=subprocess.PIPE)
    try:
        assert more.stderr is not None
        while b"is ready" not in (line := more.stderr.readline()):
            assert line, "it ended before it was ready"
        meanwhile()
    finally:
        more.terminate()
        more.communicate(timeout=120)
    return more.returncode


def test_a_paused_server_shows_everything_and_starts_nothing_by_itself(tmp_path):
    server = LiveServer(tmp_path / "data", options=("--paused",))
    terminal = Terminal(server)
    flow_id = terminal.value("flows", "import", "-", stdin=json.dumps(greeting()))
    terminal.value("flows", "deploy", flow_id)
    key = terminal.value("keys", "create", "--label", "Shop", "--environment", "live")
    owner = command_line(server.store.read_now(find_first_workspace).id)
    every_minute = {"kind": "minutes", "every": 1}
    schedule = server.store.write_now(
        add_schedule, owner, flow_id, "", every_minute, "UTC", {"kind": "input", "payload": {"name": "Ada"}}
    )
    server.store.write_now(lambda session: setattr(session.get_one(Schedule, schedule), "next_at", 60_000))
    server.start()
    try:
        assert call(server, flow_id, key, prefer="wait=2").status_code == 202
        assert server.store.read_now(get_schedule, owner.workspace_id, schedule).next_at == 60_000
        with httpx.Client(headers={"origin": server.url}) as client:
            client.post(f"{server.url}/sign-in", data={"email": EMAIL, "password": PASSWORD})
            assert "This server was started to look at it only." in client.get(f"{server.url}/flows").text
        assert server.stop() == 0
    finally:
        server.close_store()
        if server.process is not None and server.process.poll() is None:
            server.kill()


def test_the_log_says_when_a_server_was_ready_and_when_it_stopped(life):
    for said in ("is ready on http://localhost:PORT", "stops, and takes no new calls.", "has stopped."):
        assert len(re.findall(rf"^\d{{4}}-[\d: ,-]+ INFO server: Flowport {said}$", life.log, re.MULTILINE)) == 2, said


def test_a_flow_made_before_the_server_ever_ran_is_live_when_it_starts(life):
    assert (life.first_job["status"], life.first_job["result"]) == ("completed", {"output": "Hello Ada"})


def test_a_misspelt_setting_is_told_at_every_start(life):
    assert life.log.count("FLOWPORT_PROT (did you mean FLOWPORT_PORT?)") == 2


def test_without_an_owner_one_set_up_link_is_printed_at_every_start(life):
    links = re.findall(r"^Set-up link: (http://localhost:PORT/setup/\S+)$", life.log, re.MULTILINE)
    assert len(links) == len(set(links)) == 2


def test_sigterm_ends_everything_in_order_and_keeps_what_was_accepted(life):
    assert life.exits == [0, 0]
    assert "Traceback" not in life.log
    assert [(job["status"], job["result"]) for job in life.kept_jobs] == [("completed", {"output": "Hello Ada"})] * 3


def test_a_stopped_server_leaves_no_process_behind(life):
    assert life.left == []


def test_a_worker_of_its_own_shares_the_queue_and_stops_at_sigterm(life):
    assert life.more == 0


def test_an_admin_without_a_password_file_is_refused_by_the_setting(tmp_path):
    done = subprocess.run(
        [sys.executable, str(APP), "--port", str(free_port()), "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        env=clean_environment(FLOWPORT_ADMIN_EMAIL="ada@example.com"),
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "FLOWPORT_ADMIN_PASSWORD_FILE" in done.stderr
    assert "Traceback" not in done.stderr


def test_browsers_that_go_on_while_a_page_loads_leave_nothing_in_the_log(server, signed_in):
    path = f"/_nicegui/{nicegui_version}/static/quasar.umd.prod.js"
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nAccept-Encoding: gzip\r\n\r\n"
    request = request.replace(
        "\r\n\r\n", f"\r\nCookie: flowport_session={signed_in.cookies['flowport_session']}\r\n\r\n"
    )
    assert signed_in.get(f"{server.url}{path}").status_code == 200
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", server.port), timeout=5) as leaving:
            leaving.sendall(request.encode())
    assert signed_in.get(f"{server.url}{path}").status_code == 200
    assert "Traceback" not in server.log()


@pytest.mark.parametrize("kind", ["serve", "worker"])
def test_a_list_of_addresses_that_cannot_be_used_stops_the_start(tmp_path: Path, kind: str) -> None:
    """A worker alone would find it, at each of its starts, beside a server that says that it is ready."""
    command = [sys.executable, str(APP), kind, "--data", str(tmp_path / "data")]
    environment = clean_environment(FLOWPORT_OUTBOUND_ALLOW="0.0.0.0/0")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("FLOWPORT_OUTBOUND_ALLOW: ")
    assert not (tmp_path / "data").exists()
