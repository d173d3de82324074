# ruff: noqa: INP001 - a script, not a package
"""Records README's animation from the real product: a flow is drawn, deployed and called with curl. Run it with `make demo`.

It starts a server of its own, goes the way of the browser test from an empty canvas to an API, and takes a picture after every
interaction. The last pictures show what curl really answered, in a page that looks like a terminal.
"""

from __future__ import annotations

import html
import io
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.browser.counted import Counted
from tests.browser.test_first_time_walk import build, deploy, run, set_up
from tests.browser.test_website_analyzer import START
from tests.live_server import LiveServer, live_server
from tests.shared import FLAGS, chromium

FILE = Path(__file__).resolve().parents[1] / "assets" / "readme" / "demo.webp"
LARGEST = 2_000_000
#: The window, wide enough for the canvas beside its panels, and how large a picture of it is shown.
WINDOW: ViewportSize = {"width": 1440, "height": 900}
SHOWN = (1120, 700)
#: How long a picture stays, in milliseconds: after an interaction, and at a place to read.
STEP, READ = 650, 2200
_TERMINAL = """<body style="margin:0;background:#16181d;color:#e6e6e6;font:24px/1.6 ui-monospace,'DejaVu Sans Mono',monospace">
<pre style="margin:0;padding:48px;white-space:pre-wrap;overflow-wrap:anywhere">%s</pre></body>"""


@dataclass
class Film:
    """Pictures of a page, and how long each stays."""

    page: Page
    pictures: list[Image.Image] = field(default_factory=list)
    times: list[int] = field(default_factory=list)

    def look(self, _what: str = "", time: int = STEP) -> None:
        """Takes a picture when what was pressed has been drawn."""
        self.page.wait_for_timeout(350)
        picture = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.pictures.append(picture.resize(SHOWN, Image.Resampling.LANCZOS))
        self.times.append(time)

    def save(self, file: Path) -> None:
        """Writes an animated WebP that begins again by itself."""
        first, *rest = self.pictures
        first.save(file, save_all=True, append_images=rest, duration=self.times, loop=0, quality=60, method=4)


def curl(server: LiveServer) -> tuple[str, str]:
    """The command as a reader would type it, and its answer."""
    key = server.run("keys", "create", "--label", "Demo", "--environment", "live").stdout.strip()
    flow_id = server.run("flows", "list").stdout.split()[0]
    address = f"{server.url}/public/v1/flows/execute/{flow_id}?wait=30"
    body = f'{{"url": "{START}"}}'
    arguments = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json", "-d", body]
    answer = subprocess.run(["curl", "-s", address, *arguments], capture_output=True, text=True, check=True).stdout  # noqa: S603, S607
    shown = f"$ curl '{address}' \\\n    -H \"Authorization: Bearer $FLOWPORT_API_KEY\" \\\n    -H 'Content-Type: application/json' \\\n    -d '{body}'\n"
    return shown, answer


def film(browser: Browser, server: LiveServer) -> Film:
    """From the first page after the set-up to the answer of the API."""
    page = browser.new_page(viewport=WINDOW, base_url=server.url)
    page.goto(server.run("setup-link").stdout.strip())
    set_up(Counted(page))
    taken = Film(page)
    taken.look(time=READ)
    person = Counted(page, taken.look)
    build(person)
    run(person)
    taken.look(time=READ)
    deploy(person)
    taken.look(time=READ)
    command, answer = curl(server)
    for text in (command, f"{command}\n{answer[:700]}"):
        page.set_content(_TERMINAL % html.escape(text))
        taken.look(time=READ)
    taken.times[-1] = 2 * READ
    return taken


def main() -> int:
    """Writes the animation and prints how long and how large it is."""
    with (
        tempfile.TemporaryDirectory() as folder,
        live_server(Path(folder) / "data", owner=False) as server,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=chromium(), headless=True, args=FLAGS) as browser,
    ):
        taken = film(browser, server)
    taken.save(FILE)
    size = FILE.stat().st_size
    print(f"{FILE.name}: {len(taken.pictures)} pictures, {sum(taken.times) / 1000:.0f} s, {size:,} bytes")  # noqa: T201 - what the command is for
    return 0 if size < LARGEST else 1


if __name__ == "__main__":
    sys.exit(main())
