"""What a flow needs to become an API, and the six steps that make it one."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.factories import greeting, parked_node
from tests.seed.person import READY_MS, Person
from tests.seed.world import World, fetch_flow, flow_file, text_field

pytestmark = pytest.mark.browser

TITLE = "Greet somebody"


class SixSteps:
    """The six steps in their order, each done when a test first needs it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.person = Person(page)
        self.done = 0
        self.stuck = False
        self.endpoint = ""

    def through(self, step: int) -> Page:
        """Does what is left up to this step; after one that did not work there is none."""
        while self.done < step:
            assert not self.stuck, f"step {self.done + 1} did not work"
            self.stuck = True
            getattr(self, f"_step_{self.done + 1}")()
            self.done, self.stuck = self.done + 1, False
        return self.page

    def _add(self, kind: str) -> None:
        self.page.get_by_role("complementary", name="Nodes").get_by_role("button", name=kind).click()

    def _step_1(self) -> None:
        self.person.open("/flows")
        self.person.menu("Flow Playground")
        self.page.locator("[data-loaded=true]").wait_for()
        self._add("Text Template")
        expect(self.page.get_by_test_id("node-text_template")).to_be_visible()
        self.page.get_by_role("button", name="Save As").click()
        self.person.dialog.get_by_label("Title").fill(TITLE)
        self.person.dialog.get_by_role("button", name="Save", exact=True).click()
        expect(self.page.get_by_role("heading", name=TITLE)).to_be_visible()

    def _step_2(self) -> None:
        self._add("API Input")
        inspector = self.page.get_by_role("complementary", name="API Input")
        inspector.get_by_role("button", name="Add a field").click()
        name = inspector.get_by_role("textbox", name="Name").last
        name.fill("who")
        name.press("Tab")
        expect(self.page.get_by_test_id("node-api_input")).to_contain_text("who")
        self.page.get_by_test_id("node-text_template").click()
        template = self.page.get_by_role("complementary", name="Text Template")
        template.get_by_role("textbox", name="Template").press_sequentially("Hello ")
        template.get_by_role("button", name="who").click()
        expect(template.locator(".fp-binding .fp-chip")).to_have_text("API Input › who")
        expect(self.page.get_by_role("button", name="No problems")).to_be_visible()

    def _step_3(self) -> None:
        self.person.menu("Saved Flows")
        expect(self.page.get_by_role("heading", name="Saved Flows", level=1)).to_be_visible()

    def _step_4(self) -> None:
        self.page.get_by_label("Find a flow").fill("greet")
        self.page.get_by_role("link", name=TITLE).first.click()
        expect(self.page.get_by_role("heading", name=TITLE, level=1)).to_be_visible()

    def _step_5(self) -> None:
        self.page.get_by_role("button", name="Deploy API").click()
        self.person.dialog.get_by_role("button", name="Next").click()
        self.person.dialog.get_by_role("button", name="Deploy API").click()
        expect(self.page.locator(".fp-endpoint-url")).to_be_visible(timeout=READY_MS)

    def _step_6(self) -> None:
        self.endpoint = self.page.locator(".fp-endpoint-url").inner_text()


@pytest.fixture(scope="module")
def steps(context: BrowserContext) -> Iterator[SixSteps]:
    opened = context.new_page()
    yield SixSteps(opened)
    opened.close()


def test_one_button_turns_a_flow_into_a_rest_api(world: World, person: Person) -> None:
    flow_id = person.import_flow(greeting(title="One button"))
    person.deploy(flow_id)
    assert world.caller.run(flow_id, {"name": "Ada"})["result"] == {"output": "Hello Ada"}


def test_authentication_monitoring_and_scaling_come_with_it(world: World, person: Person) -> None:
    flow_id = person.import_flow(greeting(title="All included"))
    endpoint = person.deploy(flow_id)
    assert httpx.post(endpoint, json={"name": "Ada"}, timeout=10).status_code == 401
    assert world.caller.submit(flow_id, {}).status_code == 400

    many = world.caller.request("POST", f"/flows/execute/{flow_id}/batch", json={"items": [{"name": "Ada"}] * 12})
    assert many.status_code == 202
    jobs = [world.caller.ended(job_id) for job_id in many.json()["job_ids"]]
    assert {job["status"] for job in jobs} == {"completed"}

    person.open("/monitoring")
    row = person.page.get_by_role("row", name="All included")
    expect(row.locator("[data-name=requests]")).to_have_text("12")
    expect(row.locator("[data-name=refused]")).to_have_text("1")


def test_without_an_api_input_deploying_is_refused(person: Person) -> None:
    file = greeting(title="No input")
    file["nodes"], file["edges"] = [{**file["nodes"][1], "inputs": {"template": "Hello"}}], []
    refused_with(person, file, "The flow has no API Input")


def test_the_api_input_defines_the_schema_of_requests(world: World, person: Person) -> None:
    fields = [text_field("city", description="Where it is"), {"name": "days", "type": "integer", "minimum": 1}]
    node = {"id": "set_fields", "type": "set_fields", "inputs": {"city": "{{ api_input.out.city }}"}}
    flow_id = world.live("Weather", flow_file(node, *fields))

    assert world.caller.submit(flow_id, {"city": "Oslo", "days": 2}).status_code == 202
    assert world.caller.submit(flow_id, {"city": "Oslo", "days": 0}).status_code == 400

    person.open(f"/docs/flows/{flow_id}")
    row = person.page.get_by_role("row", name=re.compile("^city"))
    expect(row).to_contain_text("Where it is")
    expect(person.page.get_by_role("row", name=re.compile("^days"))).to_contain_text("Whole number")


def test_without_a_processing_node_deploying_is_refused(person: Person) -> None:
    file = greeting(title="No work")
    file["nodes"], file["edges"] = [file["nodes"][0], parked_node()], []
    refused_with(person, file, "Nothing happens to the input")


def test_a_prompt_a_web_scraper_and_a_transformation_each_count_as_processing(person: Person) -> None:
    text = "{{ api_input.out.url }}"
    for kind, config, inputs in (
        ("prompt", {"model": "simulated"}, {"prompt": text}),
        ("page_scraper", {}, {"url": text}),
        ("set_fields", {}, {"a": text}),
    ):
        node = {"id": kind, "type": kind, "config": config, "inputs": inputs}
        flow_id = person.import_flow(flow_file(node, text_field("url"), title=f"Only {kind}"))
        assert flow_id in person.deploy(flow_id)


def test_a_flow_must_be_saved_to_the_library_before_it_is_deployed(person: Person) -> None:
    page = person.page
    person.open("/flows")
    person.menu("Flow Playground")
    page.locator("[data-loaded=true]").wait_for()
    palette = page.get_by_role("complementary", name="Nodes")
    palette.get_by_role("button", name="API Input").click()
    expect(page.get_by_test_id("node-api_input")).to_be_visible()
    expect(page.get_by_role("button", name="Save As")).to_be_visible()
    page.get_by_role("button", name="Deploy API").click()
    expect(page.get_by_role("dialog", name="Save the flow first")).to_be_visible()

    flow_id = page.url.rsplit("/", 1)[1]
    person.open(f"/flows/{flow_id}")
    page.get_by_role("button", name="Deploy API").click()
    expect(page.get_by_role("dialog", name="Save the flow first")).to_be_visible()


def test_an_api_output_customizes_the_response(world: World) -> None:
    file = greeting()
    file["nodes"].append({"id": "api_output", "type": "api_output", "inputs": {"said": "{{ text_template.out }}"}})
    file["edges"].append({"id": "e2", "source": "text_template", "target": "api_output"})
    job = world.caller.run(world.live("With output", file), {"name": "Ada"})
    assert job["result"] == {"said": "Hello Ada"}


def test_without_an_api_output_the_final_nodes_output_is_returned(world: World) -> None:
    assert world.caller.run(world.greet, {"name": "Ada"})["result"] == {"output": "Hello Ada"}


def test_step_1_save_as_in_the_playground_gives_the_flow_a_title(steps: SixSteps, person: Person) -> None:
    page = steps.through(1)
    expect(page.get_by_text(re.compile(r"^Draft")).first).to_be_visible()
    person.open("/flows")
    saved = person.page.get_by_role("table", name="Saved flows")
    expect(saved.get_by_role("link", name=TITLE, exact=True)).to_be_visible()


def test_step_2_an_api_input_is_added_at_the_start_and_its_fields_are_configured(steps: SixSteps) -> None:
    page = steps.through(2)
    if steps.done == 2:
        expect(page.locator(".vue-flow__edge")).to_have_count(1)
        start, rest = (page.get_by_test_id(f"node-{name}").bounding_box() for name in ("api_input", "text_template"))
        assert start is not None
        assert rest is not None
        assert start["x"] < rest["x"]


def test_step_3_saved_flows_is_in_the_sidebar(steps: SixSteps) -> None:
    page = steps.through(3)
    if steps.done == 3:
        expect(page).to_have_url(re.compile(r"/flows$"))
    expect(page.get_by_role("navigation").get_by_role("link", name="Saved Flows").first).to_be_visible()


def test_step_4_a_click_on_the_flow_opens_it(steps: SixSteps) -> None:
    page = steps.through(4)
    expect(page).to_have_url(re.compile(r"/flows/flow_\w+$"))
    expect(page.get_by_role("heading", name=TITLE, level=1)).to_be_visible()


def test_step_5_deploy_api_is_done_within_seconds(steps: SixSteps) -> None:
    page = steps.through(5)
    expect(page.get_by_role("button", name="Undeploy API")).to_be_visible()


def test_step_6_the_flow_has_its_own_endpoint_url(steps: SixSteps, world: World) -> None:
    page = steps.through(6)
    flow_id = page.url.rsplit("/", 1)[1]
    assert steps.endpoint == f"{world.server.url}/public/v1/flows/execute/{flow_id}"
    expect(page.get_by_role("button", name="Copy the endpoint")).to_be_visible()


def test_the_deployed_flow_is_live_and_takes_requests_from_anywhere(steps: SixSteps, world: World) -> None:
    steps.through(6)
    elsewhere = {"Origin": "https://elsewhere.example", "Host": "flows.example.com", "User-Agent": "a program"}
    headers = {"Authorization": f"Bearer {world.caller.key}", **elsewhere}
    answer = httpx.post(steps.endpoint, json={"who": "Ada"}, headers=headers, timeout=10)
    assert answer.status_code == 202, answer.text
    assert world.caller.ended(answer.json()["job_id"])["result"] == {"output": "Hello Ada"}


def test_the_endpoint_is_made_of_the_base_and_the_flows_unique_identifier(world: World, person: Person) -> None:
    endpoints = []
    for flow_id in (world.greet, world.live("Fetch a page", fetch_flow())):
        person.open(f"/flows/{flow_id}")
        endpoints.append(person.page.locator(".fp-endpoint-url").inner_text())
        assert endpoints[-1] == f"{world.server.url}/public/v1/flows/execute/{flow_id}"
    assert len(set(endpoints)) == 2


def refused_with(person: Person, file: dict, reason: str) -> None:
    """Deploy API is pressed, the reason is read, and the flow is still no API."""
    flow_id = person.import_flow(file)
    person.page.get_by_role("button", name="Deploy API").click()
    dialog = person.page.get_by_role("dialog", name=f"{file['title']} cannot be deployed yet")
    expect(dialog).to_contain_text(reason)
    person.open(f"/flows/{flow_id}")
    expect(person.page.get_by_text("Not an API yet")).to_be_visible()
