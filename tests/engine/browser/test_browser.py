"""Pages rendered in a real Chromium: text written by scripts is read, and every request passes the outbound client (S9,
S10).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading

import pytest

from engine.browser import process
from engine.browser.browser import Browser, browser_of
from engine.core.shared_places import CURRENT_WORKSPACE
from engine.flow.node_context import NodeFailed
from engine.outbound.client import Answer, OutboundClient, OutboundRules, parse_allow_list
from tests.engine.nodes.node_in_flow import Services, run_node
from tests.running_processes import is_running
from tests.stand_ins.network import Names
from tests.stand_ins.web_site import Page, WebSite

pytestmark = pytest.mark.process
#: Chromium's sandbox does not work for root.
SANDBOX = os.geteuid() != 0

APP = """<!doctype html><title>Shop</title><body><div id="root"></div><script src="/app.js"></script>"""


def script(text):
    return Page(text, content_type="text/javascript")


SAY = "const say = (text) => { const p = document.createElement('p'); p.textContent = text; root.append(p) };"
ATTACKS = (
    SAY
    + """
for (const url of ["http://169.254.169.254/latest/meta-data/", "OTHER/fetch", "http://localhost:80/", "http://[::1]/", "file:///etc/passwd"])
  fetch(url).then(() => say("REACHED " + url)).catch(() => say("closed"));
fetch("OTHER/blind", {method: "POST", mode: "no-cors", body: "x"}).then(() => say("REACHED blind")).catch(() => say("closed"));
fetch("/away").then(() => say("REACHED by redirect")).catch(() => say("closed"));
new Image().src = "OTHER/image";
navigator.sendBeacon("OTHER/beacon", "x");
for (const rel of ["preconnect", "dns-prefetch", "prefetch", "preload", "stylesheet", "icon"]) {
  const link = document.createElement("link"); link.rel = rel; link.as = "fetch"; link.href = "OTHER/" + rel; document.head.append(link);
}
for (const [tag, key] of [["iframe", "src"], ["script", "src"], ["embed", "src"], ["object", "data"], ["video", "src"]]) {
  const one = document.createElement(tag); one[key] = "OTHER/" + tag; document.body.append(one);
}
try { new WebSocket("OTHER/socket".replace("http", "ws")).onopen = () => say("REACHED socket") } catch (error) {}
for (const rel of ["preconnect", "dns-prefetch"]) {
  const link = document.createElement("link"); link.rel = rel; link.href = "http://SILENT"; document.head.append(link);
}
try { new WebSocket("ws://SILENT/") } catch (error) {}
new EventSource("OTHER/events").onopen = () => say("REACHED events");
if (window.RTCPeerConnection || window.WebTransport) say("REACHED peers");
if (navigator.serviceWorker) navigator.serviceWorker.register("/worker.js").then((one) => one && say("REACHED worker")).catch(() => {});
window.open("OTHER/popup");
const form = document.createElement("form"); form.action = "OTHER/form"; form.method = "post"; form.target = "frame"; document.body.append(form); form.submit();
const a = document.createElement("a"); a.href = "/file.zip"; a.download = "x"; document.body.append(a); a.click();
Object.defineProperty(Element.prototype, "outerHTML", {get: () => "LIES"});
fetch("/data.json").then((answer) => answer.json()).then((data) => say("Hello " + data.name));
"""
)


@pytest.fixture(scope="module", autouse=True)
def chromium_on_path(tmp_path_factory):
    """Puts the tests' own Chromium on PATH, where the code looks for it."""
    named, before = os.environ.get("FLOWPORT_TEST_BROWSER"), os.environ["PATH"]
    if named:
        folder = tmp_path_factory.mktemp("bin")
        (folder / "chromium").symlink_to(named)
        os.environ["PATH"] = f"{folder}{os.pathsep}{before}"
    yield
    os.environ["PATH"] = before


async def test_a_page_made_by_scripts_is_read_and_its_scripts_reach_nothing_else(monkeypatch):
    """One long sequence in one browser, because starting it is slow: reading, attacks, endless scripts, too much
    memory, and the end of the browser.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent, WebSite() as other, WebSite() as site:
        silent.settimeout(0.01)  # it would also notice a connection without a request
        site.pages |= {
            "/": APP,
            "/app.js": script(
                ATTACKS.replace("OTHER", other.origin).replace("SILENT", f"127.0.0.1:{silent.getsockname()[1]}")
            ),
            "/data.json": Page('{"name": "Ann"}', content_type="application/json"),
            "/away": Page.redirect(other.at("/secret")),
            "/worker.js": script("1"),
            "/empty": f'<!doctype html><body><div id="root"></div><script>{SAY}setTimeout(() => say("Late words"), 400);</script>',
            "/loop": "<body>before<script>while (true) {}</script>",
            "/memory": "<body>x<script>const all = []; while (true) all.push(new Uint8Array(2e7).fill(1))</script>",
            "/many": f'<body><div id="root"></div><script>{SAY}Promise.all([...Array(500).keys()].map((n) => fetch("/n" + n).catch(() => 0))).then(() => say("done"))</script>',
        }
        rules = parse_allow_list(f"127.0.0.1:{site.port}, 127.0.0.1:{other.port}")  # the owner allows both for flows
        services = Services(OutboundClient(OutboundRules(rules, browser_sandbox=SANDBOX), Names(), renderer=browser_of))

        async def read(path, **config):
            return await run_node(
                services, "page_scraper", {"use_browser": True, "content": "page", **config}, {"url": site.at(path)}
            )

        out, step = await read("/")
        assert "Hello Ann" in out["text"]
        assert out["text"].count("closed") == 7
        assert "REACHED" not in out["text"] and "LIES" not in out["html"]
        assert out["title"] == "Shop" and out["final_url"] == site.at("/")
        assert other.requests == [], "of what the owner opened, a page reaches only its own host"
        assert "were not loaded" in step.log[0]

        out, _ = await read("/empty")
        assert out["text"] == "Late words"
        with pytest.raises(TimeoutError):
            silent.accept()

        error, _ = await read("/empty", use_browser=False)
        assert error.code == "page_needs_browser" or "Open in a browser" in error.remedy

        answer = await services.http.request("GET", site.at("/loop"))
        with pytest.raises(NodeFailed, match="was not drawn within"):
            await services.http.draw(answer, timeout_seconds=1.5)
        out, _ = await read("/many")
        assert "done" in out["text"]
        assert sum(seen.path.startswith("/n") for seen in site.requests) <= 300

        monkeypatch.setattr(process, "MAX_MEMORY", 500 * 1024 * 1024)
        (error, _), (out, _) = await asyncio.gather(read("/memory"), read("/empty"))
        assert (error.code, out["text"]) == ("response_too_large", "Late words")
        monkeypatch.undo()

        out, _ = await read("/empty")
        assert out["text"] == "Late words", "the browser goes on after a page that was ended"

        drawing = asyncio.create_task(services.http.draw(answer, timeout_seconds=60))
        while not services.http._renderer._thread._open:
            await asyncio.sleep(0.01)
        drawing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await drawing

        pid = services.http._renderer._thread._main_pid
        assert is_running(pid)
        await services.http.aclose()
        assert not is_running(pid)
        assert "browser" not in {thread.name for thread in threading.enumerate()}


async def test_the_requests_of_a_page_are_those_of_its_workspace():
    """Also in a browser that another workspace has started."""
    seen = {}

    async def fetch(_page, _method, url, *_rest):
        seen[url] = CURRENT_WORKSPACE.get()
        return Answer(url, 200, {"content-type": "text/javascript"}, b"")

    browser = Browser(fetch, sandbox=SANDBOX)
    for workspace in ("a", "b"):
        CURRENT_WORKSPACE.set(workspace)
        page = f"http://{workspace}.example/"
        await browser.draw(Answer(page, 200, {"content-type": "text/html"}, b'<script src="/x.js"></script>'), 30)
    await browser.aclose()
    assert seen == {"http://a.example/x.js": "a", "http://b.example/x.js": "b"}


async def test_without_a_browser_it_says_how_to_add_one(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PLAYWRIGHT_BROWSERS_PATH", str(tmp_path))
    services = Services()
    with WebSite({"/": APP}) as site:
        error, _ = await run_node(services, "page_scraper", {"use_browser": True}, {"url": site.at("/")})
    await services.http.aclose()
    assert error.code == "page_needs_browser"
    assert "no Chromium was found" in error.why
    assert "playwright install chromium" in error.remedy


async def test_a_page_that_is_a_file_or_not_there_never_gets_to_the_browser():
    services = Services()
    with WebSite({"/file": Page("words", content_type="text/plain")}) as site:
        out, _ = await run_node(services, "page_scraper", {"use_browser": True}, {"url": site.at("/file")})
        error, _ = await run_node(services, "page_scraper", {"use_browser": True}, {"url": site.at("/none")})
    assert (out["text"], error.code) == ("words", "page_not_found")
    assert services.http._renderer._thread is None
    await services.http.aclose()
