"""The proxies of the folder deploy in front of four servers: pages stay with one, calls go to any, and a server that is
gone is left out. nginx and Caddy themselves run here; the servers behind them only say their names.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from api.http.upload import AROUND_BYTES
from engine.flow.file_values import MAX_FILE_BYTES
from tests.hosting.compose_scale import ROOT, Replay, services
from tests.stand_ins.naming_server import NamingServer

pytestmark = pytest.mark.process
PAGES, API = {"pages-1", "pages-2"}, {"api-1", "api-2"}
PROXIES = [
    pytest.param(
        start, marks=pytest.mark.skipif(shutil.which(name) is None, reason=f"{name} is not installed"), id=name
    )
    for name, start in (("nginx", Replay.start_nginx), ("caddy", Replay.start_caddy))
]


@pytest.fixture
def replay(tmp_path: Path) -> Iterator[tuple[Replay, dict[str, NamingServer]]]:
    """The services, of which only a proxy is run, and what stands for the servers."""
    one = Replay(tmp_path, "unused")
    servers = {name: NamingServer(name, port).start() for name, port in one.ports.items()}
    try:
        yield one, servers
    finally:
        one.end()
        for server in servers.values():
            server.stop()


@pytest.mark.parametrize("start", PROXIES)
def test_pages_stay_with_a_server_and_calls_go_to_any(
    replay: tuple[Replay, dict[str, NamingServer]], start: Callable[[Replay], None]
):
    one, servers = replay
    start(one)
    base = f"http://127.0.0.1:{one.port}"

    def asked(path: str, client: httpx.Client) -> set[str]:
        return {client.get(f"{base}{path}").text for _ in range(4)}

    seen = set()
    for number in range(20):
        with httpx.Client(cookies={"flowport_session": f"session-{number}"}) as browser:
            stays = {name for path in ("/flows", "/_nicegui_ws/socket.io/", "/docs") for name in asked(path, browser)}
            assert len(stays) == 1, "a browser stays with one server"
            seen |= stays
    assert seen == PAGES, "browsers are shared out"
    with httpx.Client() as caller:
        assert {
            name for path in ("/public/v1/flows", "/mcp", "/v1/x", "/readyz") for name in asked(path, caller)
        } == API

    gone = next(iter(PAGES))
    servers[gone].stop()
    servers["api-1"].stop()
    for number in range(20):
        with httpx.Client(cookies={"flowport_session": f"session-{number}"}) as browser:
            assert asked("/flows", browser) == PAGES - {gone}
            assert asked("/public/v1/flows", browser) == {"api-2"}


@pytest.mark.parametrize("start", PROXIES)
def test_servers_that_are_restarted_one_after_the_other_leave_no_caller_without_an_answer(
    replay: tuple[Replay, dict[str, NamingServer]], start: Callable[[Replay], None]
):
    one, servers = replay
    start(one)
    base = f"http://127.0.0.1:{one.port}"

    def answers(path: str) -> set[tuple[int, str]]:
        said = set()
        for number in range(8):
            with httpx.Client(cookies={"flowport_session": f"session-{number}"}, timeout=20) as caller:
                response = caller.post(f"{base}{path}")
                said.add((response.status_code, response.text))
        return said

    for path, names in (("/public/v1/flows", sorted(API)), ("/flows", sorted(PAGES))):
        first, second = names
        servers[first].stop()
        assert answers(path) == {(200, second)}
        servers[first] = NamingServer(first, one.ports[first]).start()
        servers[second].stop()
        assert answers(path) == {(200, first)}


@pytest.mark.skipif(shutil.which("caddy") is None, reason="caddy is not installed")
def test_caddy_uses_a_server_again_soon_after_its_restart(replay: tuple[Replay, dict[str, NamingServer]]):
    one, servers = replay
    one.start_caddy()

    def answers() -> str:
        return httpx.post(f"http://127.0.0.1:{one.port}/public/v1/flows", timeout=20).text

    servers["api-1"].stop()
    assert {answers() for _ in range(8)} == {"api-2"}
    began = time.monotonic()
    servers["api-1"] = NamingServer("api-1", one.ports["api-1"]).start()
    while answers() != "api-1":
        assert time.monotonic() - began < 3, "the guide says a second"


def test_every_service_is_the_image_with_postgres_and_none_has_more_than_it_needs():
    given = services({"POSTGRES_PASSWORD": "x"})
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    own = {name: one for name, one in given.items() if name not in {"postgres", "caddy"}}
    assert set(own) == {"migrate", "worker"} | PAGES | API
    for one in own.values():
        assert one["image"] == f"flowport:{version[1]}-postgres"
        assert one["build"]["args"]["WITH"].split() == ["postgres"]
        assert (one["cap_drop"], one["read_only"], one["security_opt"]) == (["ALL"], True, ["no-new-privileges:true"])
        assert "ports" not in one
    assert given["worker"]["deploy"] == {"replicas": 4}


def test_a_password_that_is_missing_is_told():
    with pytest.raises(AssertionError, match=r"put it into the file \.env"):
        services({})


def test_the_manifests_run_the_commands_of_the_compose_file():
    composed = services({"POSTGRES_PASSWORD": "x"})
    names = {"migrate": "migrate", "pages": "pages-1", "api": "api-1", "worker": "worker"}
    replicas = {"pages": 2, "api": 2, "worker": 4}
    container: dict[str, Any] = {}
    for name, service in names.items():
        first = next(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / f"{name}.yaml").read_text()))
        pod = first["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert container["args"] == composed[service]["command"]
        assert container["image"] == composed[service]["image"]
        assert first["spec"].get("replicas") == replicas.get(name)
        assert pod["enableServiceLinks"] is False
    (config,) = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "config.yaml").read_text())
    given = set(config["data"]) | {one["name"] for one in container["env"]}
    assert given >= set(composed["worker"]["environment"])


def test_the_proxies_let_the_largest_file_through():
    largest = MAX_FILE_BYTES + AROUND_BYTES
    recipes = {
        "assets/help/hosting.md": r"client_max_body_size (\d+)m;",
        "deploy/nginx.conf": r"client_max_body_size (\d+)m;",
        "deploy/kubernetes/ingress.yaml": r'proxy-body-size: "(\d+)m"',
    }
    for name, limit in recipes.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        found = [int(one) << 20 for one in re.findall(limit, text)]
        assert found and min(found) >= largest, name
    ingress = (ROOT / "deploy" / "kubernetes" / "ingress.yaml").read_text(encoding="utf-8")
    assert ingress.count("kind: Ingress") == ingress.count("proxy-body-size")
    for name in ("deploy/Caddyfile", "compose.scale.yaml", "deploy/traefik.yaml"):  # without a limit of their own
        assert not re.search(r"request_body|max_?size|maxRequestBodyBytes", (ROOT / name).read_text(encoding="utf-8"))
