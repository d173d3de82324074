"""A flow with many patterns that take long to compile holds up nobody: not its import, its canvas, its calls, nor jobs in
which it is called.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import JsonValue

from engine.actions.deployments import deploy
from engine.actions.flows import create_flow, import_flow, save_as
from engine.core.clock import MovedClock
from engine.core.do_first import DoFirst
from engine.core.errors import FlowInvalid, Unavailable
from engine.flow import patterns
from engine.flow.document import Document
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import NodeFailed
from engine.flow.patterns import PatternBudget, groups_in, largest_size, read_pattern, why_not
from engine.flow.payload_check import PayloadCheck, check_payload
from engine.flow.validation import TOO_COSTLY, problems, problems_at_once
from engine.jobs.submit.bodies import NotChecked
from engine.models.structured_output import read_object, read_object_beside
from engine.nodes import CATALOG
from engine.run.calls import CalledPlan, payload_for, takes_long
from engine.run.plan import compile_plan
from storage.flows import replace_document
from tests.api.arrange import House, open_house
from tests.factories import flow_file
from tests.live.caller import Terminal
from tests.live_server import TLS, LiveServer
from tests.security.beside import beside
from tests.security.test_costly_examples import flow
from tests.security.test_costly_patterns import FEW_STEPS, FIELDS, SHORT

USUAL = [
    r"^[A-Z]{2}\d{2}[A-Z0-9]{1,30}$",
    r"^\S+@\S+$",
    r"^\+?[1-9]\d{1,14}$",
    r"(?i)^[a-f0-9-]{36}$",
    r"^#[0-9a-f]{6}$",
]


def costly() -> Iterator[str]:
    """Yields patterns of which each takes a few milliseconds, and which no test has had before."""
    letters = "abcdefghijlmnopqrtuvwxyz0123456789"
    for count in itertools.count(900, -1):
        for first, second in itertools.combinations(letters, 2):
            yield f"(?i)[^{first}{second}]{{1,{count}}}"


FRESH = costly()


def groups(count: int) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Returns `count` groups of a hundred fields with a pattern each, and a payload for them."""
    fields = [
        {
            "name": f"g{number}",
            "type": "object",
            "fields": [{"name": f"f{place}", "type": "string", "pattern": next(FRESH)} for place in range(100)],
        }
        for number in range(count)
    ]
    return fields, {f"g{number}": {f"f{place}": "Q" for place in range(100)} for number in range(count)}


def document_with(fields: list[dict[str, Any]]) -> Document:
    return flow({"type": "object", "fields": fields, "required": False})


def file_with(fields: list[dict[str, Any]]) -> dict[str, JsonValue]:
    return {"format": 1, "title": "Many patterns", **json.loads(document_with(fields).dumps())}


def compiled() -> int:
    return patterns._compiled.cache_info().misses


def test_the_patterns_of_a_flow_are_bounded_together():
    fields, payload = groups(5)
    before = compiled()
    found = [problem for problem in problems(document_with(fields), CATALOG) if problem.code == TOO_COSTLY]
    assert [(problem.node_id, problem.blocks_import) for problem in found] == [("api_input", True)]
    assert compiled() - before < 10
    before = compiled()
    _, errors = check_payload(fields, payload)
    assert compiled() - before < 10
    assert errors[-1].code == "pattern"
    assert "patterns of the flow take too long together" in errors[-1].detail


def test_what_a_flow_of_the_release_before_had_deployed_goes_on():
    compile_plan(document_with(groups(5)[0]), CATALOG)


def test_many_usual_patterns_are_looked_at_at_once():
    fields = [{"name": f"f{n}", "type": "string", "pattern": USUAL[n % 5] + "|" + "x" * n} for n in range(20)]
    assert problems_at_once(flow({"type": "object", "fields": fields}), CATALOG) == []
    many = [{"name": f"f{n}", "type": "string", "pattern": USUAL[n % 5] + "|" + "y" * n} for n in range(100)]
    more = [
        {"name": f"g{n}", "type": "object", "fields": [{**one, "pattern": one["pattern"] + str(n)} for one in many]}
        for n in range(4)
    ]
    assert problems(flow({"type": "object", "fields": more}), CATALOG) == []


def test_bad_patterns_are_remembered_too():
    before = compiled()
    assert "too large" in why_not(r"\p{L}{51}") == why_not(r"\p{L}{51}")
    assert compiled() - before == 1


@pytest.mark.parametrize("pattern", [*USUAL, r"\p{L}{5}", ".{0,500}", "(a{1,30}){1,30}", "a{0,1000}", r"\W{300}", r"(\pL|a){3}", "[^a]{500}", "((a|b)?){20}", r"[é-ü]{9}", r"[]a]{3}[^]b](x)", r"[[:^alpha:]x]{2}", r"[a\]b]+", r"(?P<a>x)(?:y)\((z)[(]"])  # fmt: skip
def test_the_size_of_a_pattern_is_estimated_from_above(pattern: str):
    read = read_pattern(pattern)
    assert largest_size(pattern) >= read.size - 10
    assert groups_in(pattern) == (read.names, read.groups)


@pytest.fixture
async def house(new_data: Path) -> AsyncIterator[House]:
    async with open_house(new_data, MovedClock(), "enterprise") as made:
        yield made


async def test_no_transaction_compiles_many_patterns(house: House):
    fields, _ = groups(3)
    flow_id = house.database.write_now(create_flow, house.principal, "Many patterns", document_with(fields))
    house.database.write_now(save_as, house.principal, flow_id, "Many patterns")
    data = flow_file(file_with(groups(3)[0]))
    actions: Any = ((import_flow, data), (deploy, flow_id))
    for action, given in actions:
        before = compiled()
        with pytest.raises(DoFirst) as first:
            await house.database.write(action, house.principal, given)
        assert compiled() == before
        first.value.work()
        with pytest.raises(FlowInvalid) as refused:
            await house.database.write(action, house.principal, given)
        assert TOO_COSTLY in {problem.code for problem in refused.value.problems}
        assert compiled() - before < 10


async def test_a_body_whose_flow_changes_at_every_check_is_refused_and_never_checked_in_the_write(house: House):
    checks = house.api.state.context.checks

    async def never() -> None:
        return None

    async def needs_a_check(_checked: object) -> None:
        raise NotChecked

    with pytest.raises(Unavailable, match="changed again and again"):
        await checks.accepted("flow", never, needs_a_check)


async def test_all_calls_of_a_job_share_the_time_of_patterns():
    plan = compile_plan(flow({**FIELDS[0]}), CATALOG)
    called = CalledPlan("flow_1", 1, "Costly", plan)
    values = {"a": SHORT, "b": "x"}
    threads = 0

    async def in_thread(work: Any, *given: Any) -> Any:
        nonlocal threads
        threads += 1
        return work(*given)

    checks, said = JobChecks(in_thread, steps=FEW_STEPS), list[str]()
    assert takes_long(called, values)
    while not said or "must match the pattern" in said[-1]:
        with pytest.raises(NodeFailed) as failed:
            await checks.run(lambda check: payload_for(called, values, check))
        said.append(str(failed.value))
        assert len(said) < 1_000
    assert threads == len(said) > 1
    assert said[-1] == "What “Costly” is called with takes too long to be checked."


async def test_an_answer_is_held_against_patterns_in_a_thread_and_with_few_steps():
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": FIELDS[0]["pattern"]}},
        "required": ["a"],
    }
    answers = "\n".join(json.dumps({"a": SHORT}) for _ in range(9))
    used = list[int]()

    async def in_thread(work: Any, check: PayloadCheck) -> Any:
        found = work(check)
        used.append(check.steps_left)
        return found

    assert (await read_object_beside(JobChecks(in_thread), answers, schema))[0] is None
    assert len(used) == 1
    check = PayloadCheck(steps=FEW_STEPS, patterns=PatternBudget())
    assert read_object(answers, schema, check)[0] is None
    assert check.ended_early


@pytest.mark.process
def test_many_patterns_keep_no_other_call_waiting(server: LiveServer, terminal: Terminal) -> None:
    """A version that an earlier release had let through is called, another is looked at on the canvas, and a file is
    imported.
    """
    attacker = Terminal.new(server, "pro")
    fields, payload = groups(5)
    document = document_with(fields)
    live = attacker.flow(file_with([]))
    attacker.store.write_now(replace_document, live, 1, document.dumps())
    plain, drawn = (
        attacker.store.write_now(create_flow, attacker.owner, "Drawn", document_with(fields))
        for fields in ([], groups(1)[0])
    )
    caller, cookie = attacker.caller(), attacker.sign_in()

    def call() -> int:
        return caller.request("POST", f"/flows/execute/{live}", json={"a": payload, "b": "x"}).status_code

    def look(flow_id: str = drawn) -> int:
        address = f"{server.url}/playground/{flow_id}"
        return httpx.get(address, cookies={"flowport_session": cookie}, timeout=60, verify=TLS).status_code

    def take_in() -> int:
        try:
            attacker.store.write_now(import_flow, attacker.owner, flow_file(file_with(groups(20)[0])))
        except FlowInvalid:
            return 400
        return 0

    assert look(plain) == 200  # the first page takes longer
    with beside(server, terminal) as watch, ThreadPoolExecutor(6) as pool:
        done = [pool.submit(one) for one in (call, look, take_in) * 2]
        answers = [one.result() for one in done]
    watch.check(health_seconds=0.5, grown_mib=40)  # a page of 100 fields takes a moment to draw, and stays open
    assert answers == [400, 200, 400] * 2
