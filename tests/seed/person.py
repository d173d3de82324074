"""What a person does with Flowport in a browser, in the words of the screens."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

#: How long a deployment may take here. Generous: machines that run tests are shared.
READY_MS = 30_000


class Person:
    """Somebody signed in, at one page."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    def open(self, path: str) -> None:
        """Opens a page and waits, as a person would, until it is alive: what is done before may arrive out of order."""
        self.page.goto(path)
        if not path.startswith("/docs"):
            self.page.wait_for_function("window.did_handshake === true")

    def menu(self, name: str) -> None:
        """A click in the sidebar."""
        self.page.get_by_role("navigation").get_by_role("link", name=name).first.click()

    def choose(self, label: str, value: str, *, within: Locator | None = None, exact: bool = False) -> None:
        """A choice of a drop-down. Waits until its list has closed: a list that closes may take the focus from the next box."""
        (within or self.page).get_by_label(label, exact=True).click()
        self.page.get_by_role("option", name=value, exact=exact).click()
        expect(self.page.get_by_role("listbox")).to_have_count(0)

    def import_flow(self, file: dict[str, Any]) -> str:
        """Imports a flow file on Saved Flows. Returns the flow's id from the page that opens."""
        self.offer_file(file)
        self.page.wait_for_url(re.compile(r"/flows/flow_\w+$"))
        return self.page.url.rsplit("/", 1)[1]

    def offer_file(self, file: dict[str, Any]) -> None:
        """Gives Saved Flows a file to import."""
        self.open("/flows")
        data = {"name": "flow.json", "mimeType": "application/json", "buffer": json.dumps(file).encode()}
        self.page.locator("input[type=file]").first.set_input_files(data)

    def deploy(self, flow_id: str, *, verb: str = "Deploy API") -> str:
        """Presses Deploy API on the flow's page and confirms. Returns the endpoint that is shown."""
        if not self.page.url.endswith(f"/flows/{flow_id}"):
            self.open(f"/flows/{flow_id}")
        self.page.get_by_role("button", name=verb).first.click()
        self.dialog.get_by_role("button", name="Next").click()
        self.dialog.get_by_role("button", name=verb).click()
        shown = self.page.locator(".fp-endpoint-url")
        expect(shown).to_contain_text("/public/v1/flows/execute/", timeout=READY_MS)
        return shown.inner_text()

    def undeploy(self, flow_id: str) -> None:
        """Presses Undeploy API on the flow's page and confirms."""
        self.open(f"/flows/{flow_id}")
        self.page.get_by_role("button", name="Undeploy API").click()
        self.dialog.get_by_role("button", name="Undeploy API").click()
        expect(self.page.get_by_role("button", name="Deploy API", exact=True)).to_be_visible()

    def create_key(self, label: str, environment: str = "Production") -> str:
        """Settings, API Keys, Create a key. Returns its text, which is shown this one time."""
        self.open("/settings/keys")
        self.page.get_by_role("button", name="Create").first.click()
        form = self.page.locator(".fp-key-form")
        form.get_by_label("Label").fill(label)
        if environment != "Production":
            self.choose("Environment", environment, within=form)
        form.get_by_role("button", name="Create a key").click()
        return self.read_key()

    def read_key(self) -> str:
        """The key on the card that shows it once."""
        return self.page.locator(".fp-reveal-key").inner_text()

    def key_menu(self, label: str, verb: str) -> None:
        """Rotate... or Revoke... of a key, and the confirmation."""
        self.open("/settings/keys")
        self.page.get_by_role("button", name=f"More for {label}").click()
        self.page.get_by_role("menuitem", name=f"{verb}...").click()
        self.dialog.get_by_role("button", name=verb).click()

    def set_plan(self, plan: str, *, at_once: str = "", monthly: str = "") -> None:
        """Settings, Limits and plan, Change the plan."""
        self.open("/settings/limits")
        self.choose("Plan", plan)
        self.page.get_by_label("Jobs at once").fill(at_once)
        self.page.get_by_label("Requests a month").fill(monthly)
        self.page.get_by_role("button", name="Save the plan").click()
        expect(self.page.get_by_text("It counts for the next request.").last).to_be_visible()
        expect(self.page.get_by_role("heading", name=f"{plan} plan")).to_be_visible()
