"""The docs contain the statements of the product page that no other test verifies."""

from __future__ import annotations

import re

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser

from engine.actions.deployments import deploy
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Terminal

#: Guide -> sentences in it that cover a statement of the product page.
ADVICE = {
    "jobs-and-polling": ["Ask every 2 to 5 seconds"],
    "best-practices": [
        "Never put a key into version control",
        "Rotate keys regularly",
        "Repeat on 408, 429, 500, 502, 503, 504 and lost connections, with pauses that grow",
        "300 seconds is a good value",
        "Begin with a few requests",
    ],
    "errors": ["401 Unauthorized"],
}


@pytest.fixture(scope="module")
def greet(terminal: Terminal) -> str:
    return terminal.flow(greeting())


def page(reader: httpx.Client, path: str) -> LexborHTMLParser:
    answer = reader.get(path)
    assert answer.status_code == 200, path
    return LexborHTMLParser(answer.text)


def text_of(found: LexborHTMLParser) -> str:
    assert found.body is not None
    return " ".join(found.body.text().split())


@pytest.mark.parametrize("guide", ADVICE)
def test_the_guides_advise_what_the_server_says(reader: httpx.Client, guide: str) -> None:
    said = text_of(page(reader, f"/docs/guides/{guide}"))
    assert [advice for advice in ADVICE[guide] if advice not in said] == []


def test_the_page_of_an_error_says_what_to_send(reader: httpx.Client) -> None:
    assert "Authorization: Bearer" in text_of(page(reader, "/docs/errors/unauthorized"))


def test_the_examples_read_the_key_from_the_environment_and_wait_as_told(reader: httpx.Client, greet: str) -> None:
    shown = page(reader, f"/docs/flows/{greet}")
    code = {block.attributes["data-language"]: block.text() for block in shown.css("pre[data-language]")}
    assert "export FLOWPORT_API_KEY=" in code["curl"]
    parts = {
        "curl": ("--max-time 300",),
        "Python": ('os.environ["FLOWPORT_API_KEY"]', "Retry-After", "2**attempt", "random.uniform", "timeout=300"),
        "JavaScript": (
            "process.env.FLOWPORT_API_KEY",
            "Retry-After",
            "2 ** attempt",
            "Math.random",
            "AbortSignal.timeout(300_000)",
        ),
    }
    assert [(language, part) for language, each in parts.items() for part in each if part not in code[language]] == []


def test_the_api_documentation_has_every_call_and_schema(reader: httpx.Client, greet: str) -> None:
    document = reader.get("/docs/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    calls = ("/flows/execute/{flow_id}", "/jobs/{job_id}")
    assert {f"/public/v1{call}" for call in calls} <= set(document["paths"])
    said = text_of(page(reader, "/docs"))
    assert all(call in said for call in calls)
    of_the_flow = page(reader, f"/docs/flows/{greet}")
    (name, *_) = [row.text() for row in of_the_flow.css("tr") if row.text().strip().startswith("name")]
    assert "Text" in name
    assert [link for link in of_the_flow.css("a") if "OpenAPI" in link.text()]


def test_the_next_steps_lead_to_examples_reference_authentication_and_best_practices(
    reader: httpx.Client, greet: str
) -> None:
    links = {link.text().strip(): link.attributes["href"] or "" for link in page(reader, "/docs").css("a")}
    for name in ("Quick start", "Authentication", "Best practices", "Production checklist", "The whole API"):
        (heading,) = page(reader, links[name]).css("h1")
        assert heading.text().strip() == ("Flowport API" if "whole" in name else name)
    said = text_of(page(reader, links[greeting()["title"]]))
    assert all(language in said for language in ("curl", "Python", "JavaScript"))


def test_nothing_that_goes_into_version_control_holds_a_key(terminal: Terminal, greet: str) -> None:
    assert terminal.caller().submit(greet, {"name": "Ada"}).status_code == 202
    exported = terminal.run("flows", "export", greet).stdout
    assert '"nodes"' in exported
    assert not re.search(r"fp_(live|test|dev)_", exported)


def test_a_prompt_a_web_scraper_and_a_transformation_each_count_as_processing(terminal: Terminal) -> None:
    text = "{{ api_input.out.url }}"
    for kind, config, inputs in (
        ("prompt", {"model": "simulated"}, {"prompt": text}),
        ("page_scraper", {}, {"url": text}),
        ("set_fields", {}, {"a": text}),
    ):
        node = {"id": kind, "type": kind, "config": config, "inputs": inputs}
        flow_id = terminal.made(flows.one_node(node, flows.URL, title=f"Only {kind}"))
        assert terminal.store.write_now(deploy, terminal.owner, flow_id).version == 1
