"""Measures how soon a page shows its first row in a browser, with few jobs and with 10,000 in the database."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from pathlib import Path

import httpx
from playwright.sync_api import Browser, sync_playwright

from tests.benchmarks.many_jobs import copy_job
from tests.browser.conftest import sign_in
from tests.factories import greeting
from tests.live_server import LiveServer, live_server
from tests.shared import FLAGS, chromium

FEW, MANY = 10, 10_000
LOADS = 7

#: Page -> selector of its first row.
FIRST_ROW = {
    "/jobs": ".fp-tb tbody tr",
    "/jobs/{job_id}": "main .fp-card",
    "/monitoring": ".fp-endpoints tbody tr",
    "/flows/{flow_id}": ".fp-endpoint-url",
    "/flows/{flow_id}?tab=jobs": ".fp-tb tbody tr",
    "/flows/{flow_id}?tab=monitoring": ".fp-tile",
}


def first_rows(folder: Path) -> Iterator[str]:
    """Returns a line for each page: milliseconds from navigation to the first row, with few and with many jobs.

    Two servers run and their pages are opened alternately, so that other load on the machine affects both equally.
    """
    with (
        live_server(folder / "few") as few,
        live_server(folder / "many") as many,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS) as browser,
    ):
        sites = [_Site(server, count, browser) for server, count in ((few, FEW), (many, MANY))]
        for path, row in FIRST_ROW.items():
            times: list[list[float]] = [[], []]
            for _ in range(LOADS + 1):
                for site, measured in zip(sites, times, strict=True):
                    measured.append(site.load(path, row))
            with_few, with_many = (statistics.median(measured[1:]) for measured in times)  # the first load fills caches
            ratio = with_many / with_few
            yield f"{path:30} {with_many:5.0f} ms with {MANY:,} jobs = {ratio:.2f} of the same with {FEW} ({with_few:.0f} ms)"


class _Site:
    """A server with the given number of jobs, and a signed-in person."""

    def __init__(self, server: LiveServer, count: int, browser: Browser) -> None:
        self.flow_id = server.run("flows", "import", "-", stdin=json.dumps(greeting())).stdout.strip()
        server.run("flows", "deploy", self.flow_id)
        key = server.run("keys", "create", "--label", "bench", "--environment", "live").stdout.strip()
        url = f"{server.url}/public/v1/flows/execute/{self.flow_id}?wait=30"
        headers = {"Authorization": f"Bearer {key}"}
        self.job_id = httpx.post(url, json={"name": "Ada"}, headers=headers, timeout=60).json()["job_id"]
        copy_job(server.data, self.job_id, count)
        self.page = sign_in(browser.new_context(base_url=server.url).new_page())

    def load(self, path: str, row: str) -> float:
        """Returns the milliseconds until the row is visible."""
        self.page.goto("about:blank")
        self.page.goto(path.format(job_id=self.job_id, flow_id=self.flow_id), wait_until="commit")
        self.page.locator(row).first.wait_for()
        return self.page.evaluate("performance.now()")
