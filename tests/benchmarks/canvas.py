"""Compares the canvas with a bare Vue Flow page of the same packages: `python -m tests.benchmarks.canvas`.

Both run in the same browser and run. Figures: frames while panning, zooming, dragging one node and dragging all, for
300 and 1,000 nodes, as ratios; how soon a flow is drawn; the size of an edit's message; the heap over 50 loads; and how
soon the first node shows its status after Run. Needs `make canvas` once, whose packages the bare page uses.
"""

from __future__ import annotations

import functools
import http.server
import json
import math
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from tests.live_server import EMAIL, PASSWORD, LiveServer, free_port

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "assets" / "canvas" / "node_modules"
TAKEN = (
    "vue/dist/vue.global.prod.js",
    "@vue-flow/core/dist/vue-flow-core.iife.js",
    "@vue-flow/core/dist/style.css",
    "@vue-flow/core/dist/theme-default.css",
)
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SECONDS = 2.0
LOADS = 50

BARE = """<!doctype html><title>Bare</title><link rel="icon" href="data:,"><link rel="stylesheet" href="style.css"><link rel="stylesheet" href="theme-default.css">
<style>html,body,#app{margin:0;height:100%}.vue-flow__node-default{width:204px;height:84px}</style><div id="app"></div>
<script>window.process={env:{NODE_ENV:"production"}}</script><script src="vue.global.prod.js"></script><script src="vue-flow-core.iife.js"></script>
<script>
fetch("graph.json").then(r => r.json()).then(graph => {
  const { createApp, h } = Vue;
  createApp({ setup() {
    const flow = VueFlowCore.useVueFlow();
    window.flow = flow;
    flow.setNodes(graph.nodes.map(n => ({ id: n.id, position: n.position, data: { label: n.label }, sourcePosition: "right", targetPosition: "left" })));
    flow.setEdges(graph.edges.map(e => ({ id: e.id, source: e.source, target: e.target, type: "smoothstep" })));
    const poll = () => { if (flow.nodes.value.every(n => n.dimensions.width > 0)) { flow.fitView(); document.body.dataset.loaded = "true"; } else requestAnimationFrame(poll); };
    requestAnimationFrame(poll);
    return () => h(VueFlowCore.VueFlow, { minZoom: .02 });
  } }).mount("#app");
});
</script>"""

COUNT = "() => { window.__f = []; window.__go = true; let l = performance.now(); const t = n => { window.__f.push(n - l); l = n; if (window.__go) requestAnimationFrame(t); }; requestAnimationFrame(t); }"
COUNTED = "() => { window.__go = false; const f = window.__f.slice(1); return f.length / f.reduce((a, b) => a + b, 0) * 1000; }"
FLOOR = """() => { const r = document.querySelector('.vue-flow').getBoundingClientRect();
  for (let i = 0; i < 9000; i++) { const x = r.left + 60 + Math.random() * (r.width - 340), y = r.top + 60 + Math.random() * (r.height - 260);
    if (document.elementFromPoint(x, y)?.classList.contains('vue-flow__pane')) return [x, y]; } }"""
NODE = """() => { for (const e of document.querySelectorAll('.vue-flow__node')) { const r = e.getBoundingClientRect(), x = r.left + r.width / 2, y = r.top + r.height / 3;
    if (x > 300 && x < 900 && y > 200 && y < 500 && e.contains(document.elementFromPoint(x, y))) return [x, y]; } }"""


def graph(count: int, lines: int) -> dict[str, Any]:
    """Returns a flow with this many nodes and connections, the same every time."""
    dice = random.Random(1)
    kinds, column = ("prompt", "page_scraper", "condition", "set_fields"), int(math.sqrt(count))
    nodes = [
        {
            "id": f"n{i}",
            "type": kinds[i % 4],
            "type_version": 1,
            "label": f"Node {i}",
            "position": {"x": (i // column) * 260, "y": (i % column) * 140},
            "config": {},
            "inputs": {},
        }
        for i in range(count)
    ]
    pairs: dict[tuple[int, int], None] = {}
    while len(pairs) < lines:
        start = dice.randrange(count - 1)
        pairs[start, min(count - 1, start + dice.randrange(1, 3 * column))] = None
    edges = [
        {
            "id": f"e{number}",
            "source": f"n{start}",
            "source_port": "yes" if start % 4 == 2 else "out",
            "target": f"n{end}",
        }
        for number, (start, end) in enumerate(pairs)
    ]
    return {"nodes": nodes, "edges": edges, "notes": []}


def circle(page: Page, at: list[float], dx: float, dy: float) -> float:
    """Drags in a circle for SECONDS and returns the frames per second."""
    x, y = at
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(COUNT)
    begun = time.perf_counter()
    step = 0
    while (passed := time.perf_counter() - begun) < SECONDS:
        angle = passed / SECONDS * 2 * math.pi
        page.mouse.move(x + dx * math.sin(angle), y + dy * math.sin(angle))
        step += 1
        time.sleep(max(0.0, begun + step / 60 - time.perf_counter()))
    frames = page.evaluate(COUNTED)
    page.mouse.up()
    return frames


def frames(page: Page, select_all: str) -> dict[str, float]:
    """Returns the frames per second of the four gestures."""
    box = page.locator(".vue-flow").bounding_box()
    assert box is not None
    found = {
        "pan": circle(page, page.evaluate(FLOOR), 150, 100),
        "drag one": circle(page, page.evaluate(NODE), 120, 80),
    }
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.evaluate(COUNT)
    for turn in range(60):
        page.mouse.wheel(0, -30 if turn % 20 < 10 else 30)
        page.wait_for_timeout(20)
    found["zoom"] = page.evaluate(COUNTED)
    page.evaluate(select_all)
    page.wait_for_timeout(400)
    found["drag all"] = circle(page, page.evaluate(NODE), 60, 40)
    return found


@contextmanager
def bare_page(folder: Path) -> Iterator[str]:
    """Serves the bare page over HTTP."""
    for name in TAKEN:
        shutil.copy(PACKAGES / name, folder)
    (folder / "index.html").write_text(BARE)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the library
            """Suppresses the server's request log."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@contextmanager
def canvas_page(folder: Path) -> Iterator[str]:
    """Serves the page that the canvas's browser tests use."""
    port = free_port()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "NICEGUI_STORAGE_PATH": str(folder)}
    script = str(ROOT / "tests" / "browser" / "canvas_page.py")
    process = subprocess.Popen([sys.executable, script, str(port)], env=environment, cwd=ROOT)
    base = f"http://127.0.0.1:{port}"
    while True:
        try:
            httpx.get(f"{base}/document/started")
            break
        except httpx.TransportError:
            time.sleep(0.1)
    yield base
    process.terminate()
    process.wait(20)


def opened(browser: Browser, url: str, lines: int) -> tuple[Page, float]:
    """Returns a page with everything drawn, and the seconds since navigation."""
    page = browser.new_page(viewport={"width": 1400, "height": 850})
    begun = time.perf_counter()
    page.goto(url, wait_until="commit")
    page.locator("[data-loaded=true]").wait_for(timeout=60_000)
    page.wait_for_function(f"document.querySelectorAll('.vue-flow__edge').length >= {lines}", timeout=60_000)
    seconds = time.perf_counter() - begun
    page.wait_for_timeout(600)
    return page, seconds


def compare(browser: Browser, bare: str, folder: Path, base: str, count: int, lines: int) -> None:
    """Prints the ratios for one size. The two pages alternate, so that other load affects both equally."""
    flow = graph(count, lines)
    (folder / "graph.json").write_text(json.dumps(flow))
    httpx.put(f"{base}/document/f{count}", json=flow, timeout=60)
    opened(browser, f"{base}/flow/f{count}", lines)[0].close()  # the first load fills caches
    sums: dict[str, list[float]] = {}
    drawn = []
    for _round in range(3):
        page, seconds = opened(browser, bare, lines)
        theirs = frames(page, "() => flow.addSelectedNodes(flow.nodes.value)")
        page.close()
        page, mine = opened(browser, f"{base}/flow/f{count}", lines)
        drawn.append((mine, seconds))
        ours = frames(page, _ALL)
        page.close()
        for name, value in ours.items():
            kept = sums.setdefault(name, [0.0, 0.0])
            kept[0] += value
            kept[1] += theirs[name]
    best = min(drawn)
    print(
        f"canvas, {count} nodes, {lines} connections: drawn in {best[0]:.2f} s (bare {min(b for _, b in drawn):.2f} s)"
    )
    for name, (ours, theirs) in sums.items():
        print(f"  {name:9} {ours / 3:5.1f} frames/s = {ours / theirs:.2f} of bare Vue Flow ({theirs / 3:.1f})")


_ALL = """() => { const c = document.querySelector('[data-testid=flow-canvas]'); c.focus();
  c.dispatchEvent(new KeyboardEvent('keydown', { key: 'a', ctrlKey: true, bubbles: true })); }"""


def heap(browser: Browser, base: str) -> None:
    """Measures the heap over 50 loads of 300 nodes in one page."""
    flow = graph(300, 450)
    page, _ = opened(browser, f"{base}/flow/f300", 450)
    inspector: CDPSession = page.context.new_cdp_session(page)
    inspector.send("Performance.enable")

    def megabytes() -> float:
        for _turn in range(3):
            inspector.send("HeapProfiler.collectGarbage")
        metrics = inspector.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in metrics if one["name"] == "JSHeapUsedSize") / 1e6

    def loads(count: int) -> None:
        for _turn in range(count):
            call = {"method": "load_graph", "args": [{"rev": 0, **flow}], "wait": True}
            httpx.post(f"{base}/call/f300", json=call, timeout=60)

    loads(3)
    before = megabytes()
    loads(LOADS)
    print(f"canvas, heap: {before:.1f} MB, after {LOADS} more loads of 300 nodes {megabytes():.1f} MB")
    page.close()


def message(browser: Browser, base: str) -> None:
    """Returns the number of bytes that a drag sends."""
    page, _ = opened(browser, f"{base}/flow/f300", 450)
    sent: list[int] = []

    def watch(socket: Any) -> None:
        socket.on("framesent", lambda data: sent.append(len(data)) if "baseRev" in str(data) else None)

    page.on("websocket", watch)
    page.reload()
    page.locator("[data-loaded=true]").wait_for()
    page.wait_for_timeout(600)
    at = page.evaluate(NODE)
    page.mouse.move(*at)
    page.mouse.down()
    page.mouse.move(at[0] + 40, at[1] + 30, steps=5)
    page.mouse.up()
    page.wait_for_timeout(500)
    print(f"canvas, an edit: {len(sent)} message of {max(sent, default=0)} bytes")
    page.close()


LIT = """() => new Promise(done => { const seen = () => document.querySelector('[data-node]:not([data-status=idle]):not([data-status=waiting])');
  const press = [...document.querySelectorAll('button')].find(b => b.innerText.trim().endsWith('Run') && b.offsetParent);
  const begun = performance.now(); press.click(); const look = () => seen() ? done(performance.now() - begun) : requestAnimationFrame(look); look(); })"""


def run_click(browser: Browser, server: LiveServer, flow_id: str) -> None:
    """Returns milliseconds from the click on Run to the first node with a status, in the Playground."""
    page = browser.new_context(base_url=server.url, viewport={"width": 1440, "height": 900}).new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(re.compile(r"^(?!.*sign-in)"))
    times = []
    for _turn in range(6):
        page.goto(f"/playground/{flow_id}")
        page.locator("[data-loaded=true]").wait_for()
        page.wait_for_timeout(1000)
        times.append(page.evaluate(LIT))
    print(f"Run click to first node lit: {sorted(times[1:])[2]:.0f} ms (median of 5)")
    page.context.close()


def main(server: LiveServer, flow_id: str) -> None:
    """Prints the figures of the canvas."""
    with sync_playwright() as playwright:
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        run_click(browser, server, flow_id)
        if not PACKAGES.exists():
            print("canvas: not measured, `make canvas` was never run here")
            return
        with tempfile.TemporaryDirectory() as name, tempfile.TemporaryDirectory() as kept:
            folder = Path(name)
            with bare_page(folder) as bare, canvas_page(Path(kept)) as base:
                for count, lines in ((300, 450), (1000, 1500)):
                    compare(browser, bare, folder, base, count, lines)
                message(browser, base)
                heap(browser, base)
        browser.close()
