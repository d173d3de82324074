"""Every node type with ordinary, unusual and invalid inputs: the exact output, or the error with what, why and what to
do.

A new node type fails here until `CASES` in one of the files `cases_of_*.py` has its cases.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

import pytest

from engine.actions.datasets import add_dataset, import_rows
from engine.actions.knowledge import add_collection, bring_documents
from engine.nodes import CATALOG
from storage.dataset_changes import checked_rows
from tests.engine.jobs.world import World, open_world
from tests.engine.nodes import cases_of_data, cases_of_knowledge, cases_of_outside
from tests.engine.nodes.node_case import SITE, Case, Fails, Problem, Refused, Services, at_site, what_comes
from tests.factories import person
from tests.stand_ins.openai_server import OpenAIServer
from tests.stand_ins.web_site import WebSite

TABLE = {**cases_of_data.CASES, **cases_of_knowledge.CASES, **cases_of_outside.CASES}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A data folder with the dataset `Goods` and the collection of knowledge `Terms`."""
    made = open_world(tmp_path_factory.mktemp("cases"))
    ada = person(made.workspace_id)
    made.write(import_rows, ada, made.write(add_dataset, ada, "Goods"), checked_rows(cases_of_outside.GOODS))
    made.write(add_dataset, ada, "Kept")
    made.write(bring_documents, ada, {"Terms": cases_of_knowledge.TEXTS})
    made.write(add_collection, ada, "Kept")
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def site() -> Iterator[WebSite]:
    with WebSite(cases_of_outside.PAGES) as running:
        yield running


@pytest.fixture(scope="module")
def model() -> Iterator[OpenAIServer]:
    with OpenAIServer() as running:
        yield running


@pytest.fixture
async def services(world: World) -> AsyncIterator[Services]:
    made = Services(world)
    yield made
    await made.close()


@pytest.fixture
async def outside(world: World, site: WebSite, model: OpenAIServer) -> AsyncIterator[Services]:
    """The services of a run, with a web site and a model server."""
    made = Services(world, model)
    yield made
    await made.close()


def each_case(table: Mapping[str, Sequence[Case]]) -> list[Any]:
    """The cases; those that need the sandbox process to render a template are marked."""
    return [
        pytest.param(
            name,
            case,
            id=f"{name}-{case.kind}-{case.what}",
            marks=[pytest.mark.process] if name == "text_template" and "{%" in str(case.inputs) else [],
        )
        for name, cases in table.items()
        for case in cases
    ]


def test_every_node_type_has_good_odd_and_bad_cases():
    without, gone = sorted(set(CATALOG) - set(TABLE)), sorted(set(TABLE) - set(CATALOG))
    assert (without, gone) == ([], []), (
        "add a good, an odd and a bad case of the first to `CASES` in tests/engine/nodes/cases_of_data.py, or"
        " cases_of_knowledge.py or cases_of_outside.py beside it; the second are no node types"
    )
    missing = {
        name: {"good", "odd", "bad"} - {case.kind for case in cases}
        for name, cases in TABLE.items()
        if {case.kind for case in cases} != {"good", "odd", "bad"}
    }
    assert missing == {}


@pytest.mark.parametrize(("name", "case"), each_case({**cases_of_data.CASES, **cases_of_knowledge.CASES}))
async def test_what_comes_of_data(name: str, case: Case, services: Services) -> None:
    assert await what_comes(name, case, services) == (case.comes, case.warns)


@pytest.mark.process
@pytest.mark.parametrize(("name", "case"), each_case(cases_of_outside.CASES))
async def test_what_comes_from_outside(name: str, case: Case, outside: Services, site: WebSite) -> None:
    here = at_site(case, SITE, site.origin)
    comes, warnings = await what_comes(name, here, outside)
    assert at_site((comes, warnings), site.origin, SITE) == (case.comes, case.warns)


@pytest.mark.parametrize(
    ("name", "case"),
    [(name, case) for name, cases in TABLE.items() for case in cases if case.kind == "bad"],
    ids=lambda value: value if isinstance(value, str) else value.what,
)
def test_what_is_bad_is_told_with_what_to_do(name: str, case: Case) -> None:
    match case.comes:
        case Refused(errors):
            assert errors and all(errors.values())
        case Problem(pointer, message):
            assert pointer.startswith(("/config/", "/inputs")) and message.endswith(".")
        case Fails(message, _, remedy):
            assert message.endswith(".")
            assert remedy.endswith(".") or ". " in message, "a refusal of the payload says it in one sentence"
        case _:
            pytest.fail(f"{name}: {case.what} is not told")
