"""S9: one package makes every outbound request. No other code may import an HTTP client or open a connection."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

import pytest

from tests.sources import ROOT, nodes_of, source_files

SOURCES = source_files()

#: The modules of the outbound client, which may import the HTTP library.
OUTBOUND_CLIENT = {
    f"engine/outbound/{name}.py"
    for name in (
        "client",
        "http_connection",
        "redirects",
        "connection_pools",
        "network_stream",
        "addresses",
        "allow_list",
        "error_messages",
        "practice_site",
    )
}
#: The modules that control a browser. Its pages have no network access: the outbound client answers their requests.
BROWSER_FILES = {f"engine/browser/{name}.py" for name in ("browser", "page", "process")}
#: Builds the model SDKs: may import them and HTTP types, and must give them the outbound client's HTTP client.
SDK_FOLDER = "engine/models/"
#: They use types of the HTTP library and open no connections.
TYPES_ONLY = {f"engine/outbound/{name}.py" for name in ("secret_hosts", "robots", "errors", "reply_size")}
#: Sends traces to the collector that the operator configures; it handles no requests of flows.
TRACE_EXPORTER = "engine/outbound/otlp.py"

CLIENTS = {
    "aiohttp", "opentelemetry.exporter", "ftplib", "http.client", "httpcore", "httpcore2", "httpx", "httpx2", "imaplib", "niquests", "nntplib",
    "playwright", "poplib", "pycurl", "requests", "selenium", "smtplib", "telnetlib", "urllib.request", "urllib3", "websocket", "websockets",
    "xmlrpc.client",
}  # fmt: skip
SDKS = {"anthropic", "google.genai", "mistralai", "openai", "pydantic_ai"}
#: `network_stream` opens the sockets of the outbound client, to addresses that `connection_pools` has checked.
DIALLERS = {"engine/outbound/network_stream.py", "engine/outbound/connection_pools.py"}
#: Functions that open a connection without an HTTP library.
DIALLING = {"create_connection", "urlopen", "urlretrieve", "sock_connect", "open_unix_connection", "connect_ex"}
ASYNCIO_DIALLING = {"asyncio.open_connection", "asyncio.open_unix_connection"}


def ways_out(nodes: Iterable[ast.AST], file: str) -> list[str]:
    """Returns every way in which a file could open a connection, as `file:line name`."""
    ways: list[str] = []
    closed = _closed_to(file)
    for node in nodes:
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            last = called.rsplit(".", 1)[-1]
            if (
                (last in DIALLING and file not in DIALLERS)
                or called in ASYNCIO_DIALLING
                or (called.startswith(("httpx2.", "httpcore2.")) and file not in OUTBOUND_CLIENT)
            ):
                ways.append(f"{file}:{node.lineno} {called}()")
            if last in {"import_module", "__import__"} and node.args and isinstance(node.args[0], ast.Constant):
                names = [str(node.args[0].value)]
        ways += [f"{file}:{node.lineno} {name}" for name in names if _is_in(name, closed | ASYNCIO_DIALLING)]
    return ways


def found_in(source: str, file: str) -> list[str]:
    """Parses a source text and returns its `ways_out`."""
    return ways_out(ast.walk(ast.parse(source)), file)


def _closed_to(file: str) -> set[str]:
    if file in OUTBOUND_CLIENT:
        return SDKS
    if file == TRACE_EXPORTER:
        return (CLIENTS - {"opentelemetry.exporter"}) | SDKS
    if file in BROWSER_FILES:
        return (CLIENTS - {"playwright"}) | SDKS
    if file in TYPES_ONLY:
        return (CLIENTS - {"httpx2", "httpcore2"}) | SDKS
    if file.startswith(SDK_FOLDER):
        return CLIENTS - {"httpx2", "httpcore2"}  # only for the names of types and exceptions
    return CLIENTS | SDKS


def _is_in(name: str, closed: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in closed)


def test_there_is_one_way_out():
    ways = [way for path in SOURCES for way in ways_out(nodes_of(path), path.relative_to(ROOT).as_posix())]
    assert ways == []


def test_connections_are_opened_in_one_file():
    uses = [
        path.name
        for path in (ROOT / "engine" / "outbound").glob("*.py")
        for node in nodes_of(path)
        if isinstance(node, ast.Attribute) and node.attr in {"connect_tcp", "AnyIOBackend", "AsyncConnectionPool"}
    ]
    assert set(uses) == {"connection_pools.py"}
    dialling = [
        path.name
        for path in (ROOT / "engine" / "outbound").glob("*.py")
        for node in nodes_of(path)
        if isinstance(node, ast.Name) and node.id == "Connector"
    ]
    assert set(dialling) == {"connection_pools.py"}  # every use of it is behind the checks of that file


def test_rendered_pages_send_requests_through_the_outbound_client_only():
    """Playwright's functions that let a request through, and its own HTTP client, are not used."""
    through = {"continue_", "fallback", "connect_to_server", "connect_over_cdp", "fetch", "APIRequestContext"}
    files = [path for path in SOURCES if path.relative_to(ROOT).as_posix() in BROWSER_FILES]
    assert len(files) == len(BROWSER_FILES)
    for path in files:
        for node in nodes_of(path):
            assert not (isinstance(node, ast.Attribute) and node.attr in through), f"{path.name}:{node.lineno}"
    source = (ROOT / "engine/browser/process.py").read_text()
    assert "MAP * ~NOTFOUND" in source and 'service_workers="block"' in source and "proxy=" in source


def test_a_model_sdk_gets_the_http_client_of_the_outbound_client():
    for path in sorted({*(ROOT / SDK_FOLDER).rglob("*.py")} - {ROOT / TRACE_EXPORTER}):
        for node in nodes_of(path):
            if isinstance(node, ast.Call) and re.fullmatch(r"[A-Z]\w+Provider", ast.unparse(node.func)):
                handed_in = {keyword.arg for keyword in node.keywords}
                assert handed_in & {"http_client", "openai_client", "anthropic_client"}, f"{path.name}:{node.lineno}"


@pytest.mark.parametrize(
    "source",
    [
        "import requests",
        "import httpx as h",
        "from httpx2 import AsyncClient",
        "import urllib.request",
        "from urllib import request",
        "from urllib.request import urlopen",
        "import http.client",
        "from http import client",
        "def f():\n    import aiohttp",
        "from websockets.asyncio.client import connect",
        "import socket\nsocket.create_connection(('a', 1))",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "loop.create_connection(p, 'a', 1)",
        "import importlib\nimportlib.import_module('requests')",
        "from asyncio import open_connection",
        "from openai import AsyncOpenAI",
        "from playwright.async_api import async_playwright",
        "from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter",
    ],
)
def test_the_scan_sees_every_other_client(source):
    assert found_in(source, "engine/nodes/page_scraper.py")


def test_the_scan_sees_an_http_client_created_elsewhere():
    assert found_in("import httpx2\nhttpx2.AsyncClient()", "engine/models/providers.py")
    assert found_in("from openai import AsyncOpenAI", "engine/models/providers.py") == []


@pytest.mark.parametrize(
    "source",
    [
        "from urllib.parse import urljoin",
        "import http",
        "from engine.outbound.client import OutboundClient",
        "request = 1",
        "import socket",
        "open_connection(session, vault)",
    ],
)
def test_the_scan_lets_the_rest_be(source):
    assert found_in(source, "engine/nodes/page_scraper.py") == []
