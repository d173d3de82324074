"""The ways to reach Flowport, each with a page, a socket event, a cookie, a long poll and the correct client address.

`make test` covers the rules without nginx and without a network namespace: test_behind_a_proxy.py.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.conftest import sign_in
from tests.factories import as_bytes, greeting
from tests.hosting.namespace import Host, host, why_not
from tests.hosting.nginx import configuration
from tests.live_server import EMAIL, PASSWORD, ROOT, LiveServer
from tests.shared import FLAGS, chromium

NAME, PORT, SECOND, HOP, CARELESS = "flows.example.test", 8080, 8443, 8081, 8082

pytestmark = [
    pytest.mark.slow,
    pytest.mark.browser,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "-"),
    pytest.mark.skipif(not shutil.which("nginx"), reason="nginx is not installed"),
]


@dataclass
class There:
    """A server behind nginx on a separate host; requests of the tests come from `host.outside`."""

    host: Host
    server: LiveServer
    flow_id: str
    key: str

    def last_entry(self) -> tuple[str, str]:
        """Returns verb and client address of the newest entry of the audit log."""
        with sqlite3.connect(f"file:{self.server.data}/flowport.db?mode=ro", uri=True) as database:
            return database.execute("select verb, address from audit order by id desc limit 1").fetchone()

    def last_address(self) -> str:
        """Returns the client address of the newest call of the public API, from the log."""
        lines = [json.loads(line) for line in self.server.log().splitlines() if line.startswith("{")]
        return [line for line in lines if line["logger"] == "flowport.calls"][-1]["address"]


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    folder = tmp_path_factory.mktemp("there")
    server = LiveServer(
        folder / "data",
        port=PORT,
        env={
            "FLOWPORT_PUBLIC_URL": f"https://{NAME}",
            "FLOWPORT_ALLOWED_ORIGINS": f"https://{NAME}:{SECOND}",
            "FLOWPORT_LOG": "json",
        },
    )
    secret = folder / "password"
    secret.write_text(PASSWORD)
    owner = {"FLOWPORT_ADMIN_EMAIL": EMAIL, "FLOWPORT_ADMIN_PASSWORD_FILE": str(secret)}
    nginx_config = configuration(folder, NAME, to_port=PORT, second_port=SECOND, hop_port=HOP, careless_port=CARELESS)
    with host() as on, server.log_file.open("ab") as log:
        serve = [sys.executable, str(ROOT / "app.py"), "serve", "--host", "0.0.0.0", "--port", str(PORT)]
        server.process = on.popen(serve, env=server.environment() | owner, stdout=log, stderr=log)
        nginx = on.popen([shutil.which("nginx") or "nginx", "-c", str(nginx_config)], stderr=log)
        try:
            deadline = time.monotonic() + 90
            while "Flowport is ready" not in server.log():
                assert server.process.poll() is None, server.log()
                assert time.monotonic() < deadline, server.log()
                time.sleep(0.1)
            assert nginx.poll() is None, server.log()
            flow = folder / "flow.json"
            flow.write_bytes(as_bytes(greeting()))
            flow_id = server.run("flows", "import", str(flow)).stdout.strip()
            server.run("flows", "deploy", flow_id)
            key = server.run("keys", "create", "--label", "Shop", "--environment", "live").stdout.strip()
            yield There(on, server, flow_id, key)
        finally:
            nginx.terminate()
            server.process.terminate()
            nginx.wait(timeout=20)
            server.process.wait(timeout=90)


@pytest.fixture(scope="module")
def browser(there: There) -> Iterator[Browser]:
    """A browser that resolves the names to that host, also `evil.example`, as an attacker's DNS could."""
    rules = f"--host-resolver-rules=MAP {NAME} {there.host.address}, MAP evil.example {there.host.address}"
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), headless=True, args=[*FLAGS, rules])
        yield launched
        launched.close()


def ways(there: There) -> dict[str, str]:
    return {
        "address in the network": f"http://{there.host.address}:{PORT}",
        "proxy with HTTPS": f"https://{NAME}",
        "two proxies": f"https://{NAME}:{SECOND}",
    }


def window(browser: Browser, url: str) -> BrowserContext:
    made = browser.new_context(base_url=url, ignore_https_errors=True)
    made.set_default_timeout(30_000)
    return made


@pytest.mark.parametrize("way", ["address in the network", "proxy with HTTPS", "two proxies"])
def test_everything_works_by_this_way(there: There, browser: Browser, way: str):
    url = ways(there)[way]
    secure = url.startswith("https")
    context = window(browser, url)
    page = sign_in(context.new_page())

    if secure:
        said = page.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol")
        assert said == "h2", "the browser speaks HTTP/2 with the proxy"
    (cookie,) = [cookie for cookie in context.cookies() if cookie.get("httpOnly")]
    assert (cookie.get("secure"), cookie.get("sameSite")) == (secure, "Lax")

    page.goto("/settings/keys")
    page.get_by_role("button", name="Create a key").first.click()
    form = page.locator(".fp-key-form")
    form.get_by_label("Label").fill(f"Made by {way}")
    form.get_by_role("button", name="Create a key").click()
    expect(page.locator(".fp-reveal-key")).to_contain_text("fp_live_")
    assert there.last_entry() == ("create key", there.host.outside)

    status, job = call(page, there, "?wait=10")
    assert (status, job["status"]) == (200, "completed"), "a long poll"
    assert page.goto(f"/docs/flows/{there.flow_id}").status == 200
    context.close()


SPOOFED = ["1.2.3.4", "127.0.0.1", "::1, 10.0.0.1", "unknown", "a" * 300]


@pytest.mark.parametrize("way", ["address in the network", "proxy with HTTPS", "two proxies"])
def test_a_spoofed_forwarded_header_changes_nothing(there: There, browser: Browser, way: str):
    url = ways(there)[way]
    context = window(browser, url)
    page = context.new_page()
    page.set_extra_http_headers(
        {"X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4", "Forwarded": "for=1.2.3.4"}
    )
    sign_in(page)
    (cookie,) = [cookie for cookie in context.cookies() if cookie.get("httpOnly")]
    assert cookie.get("secure") is url.startswith("https")

    for said in SPOOFED:
        page.set_extra_http_headers({"X-Forwarded-For": said, "X-Real-IP": said, "Forwarded": f"for={said}"})
        assert call(page, there)[0] in {202, 429}
        assert there.last_address() == there.host.outside, said
    context.close()


def call(page: Page, there: There, query: str = "") -> tuple[int, dict[str, Any]]:
    """Calls the public API in the browser, so on the same network path as the page."""
    return page.evaluate(
        """async ([path, key]) => {
            const headers = {"Authorization": `Bearer ${key}`, "Content-Type": "application/json"};
            const answer = await fetch(path, {method: "POST", headers, body: JSON.stringify({name: "Ann"})});
            return [answer.status, await answer.json()];
        }""",
        [f"/public/v1/flows/execute/{there.flow_id}{query}", there.key],
    )


def test_a_foreign_name_is_told_why_it_is_refused(there: There, browser: Browser):
    context = window(browser, f"http://evil.example:{PORT}")
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()

    expect(page.get_by_role("heading", name="This address is not known to Flowport")).to_be_visible()
    expect(page.get_by_text(f"http://evil.example:{PORT}")).to_be_visible()
    expect(page.get_by_text(f"https://{NAME}")).to_be_visible()
    expect(page.get_by_text("FLOWPORT_ALLOWED_ORIGINS")).to_be_visible()
    context.close()


def test_a_page_behind_a_proxy_that_hides_the_name_says_why_it_does_not_work(there: There, browser: Browser):
    """The server accepts the request of the page, but the socket names an origin that the server does not know."""
    url = f"http://{there.host.address}:{CARELESS}"
    context = window(browser, ways(there)["address in the network"])
    page = sign_in(context.new_page())  # the cookie is valid at every port of this address

    page.goto(f"{url}/flows")

    expect(page.get_by_role("heading", name="This address is not known to Flowport")).to_be_visible()
    expect(page.get_by_text(url)).to_be_visible()
    context.close()


def test_the_recipes_nginx_accepts(there: There, tmp_path: Path):
    config = configuration(tmp_path, NAME, to_port=1, second_port=2, hop_port=3, careless_port=4)
    ended = subprocess.run(["nginx", "-t", "-c", str(config)], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
