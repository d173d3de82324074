"""An answer that is made of the sources of a search, and names none of them, says so."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.node_context import Json
from tests.engine.run.arrange import WORK, flow, go, node_type

FOUND = [{"number": 1, "source": "House rules"}, {"number": 2, "source": "Terms"}]
SAID = "The answer names no source: `sources` is empty, though search found 2 pieces. Check it before you rely on it."


@pytest.mark.parametrize(
    ("found", "picked", "reads", "warnings"),
    [
        pytest.param(FOUND, [], "{{ search.out.sources }}", (SAID,), id="none of those found is named"),
        pytest.param(FOUND, FOUND[:1], "{{ search.out.sources }}", (), id="one is named"),
        pytest.param([], [], "{{ search.out.sources }}", (), id="nothing was found"),
        pytest.param(FOUND, [], "{{ search.out.text }}", (), id="the list is of something else"),
    ],
)
async def test_an_answer_that_names_no_source_says_so(
    found: list[Json], picked: list[Json], reads: str, warnings: tuple[str, ...]
) -> None:
    async def search(_config: Any, _inputs: Any, _context: Any) -> Json:
        return {"text": "", "sources": found, "count": len(found)}

    document = flow(
        [
            ("search", "search_knowledge"),
            ("pick", "work", {"x": picked, "of": reads}),
            ("out", "api_output", {"sources": "{{ pick.out }}"}),
        ],
        "in>search search>pick pick>out",
    )
    catalog = WORK | {"search_knowledge": node_type("search_knowledge", search)}

    outcome, notebook = await go(document, {}, catalog=catalog)

    assert outcome.result == {"sources": picked}
    assert notebook.step("out").warnings == warnings
