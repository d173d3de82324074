"""Find one row of a dataset by a value in it.

Choose a dataset and the **Column to compare**, like `email`, and say in **Value** what to look for: data of an earlier step, like the
e-mail address that was sent. With a row that has this value the flow goes the way `found`, otherwise the way `not found`; the steps on
the other way are skipped.

* On the way `found` the columns of the row are data of this step, like `Look up a row › name`. Of several rows that fit it is the first.
* **To answer differently when nothing was found**, connect a Text Template or another step to `not found` and write the other answer
  there. Bring both ways together with a **First Value** before API Output: callers get whichever there is. The warning at an open way
  does all of that with one press.
* On the way `not found` this step has no data: what reads it gets nothing, and a First Value takes its next value.
* Values are compared like *is* in the rules of Filter List. Capitals do not matter until you switch on **Match capitals**; `12.50` is the
  number 12.5; blanks inside and around a text count. An empty value finds nothing.
* Rows are read when the step runs, until one fits; 100,000 rows without one take about two seconds. For all rows that fit by a fixed
  value, use the rules of **Read rows**.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType, Routed
from engine.flow.references import as_text
from engine.flow.rules import holds, ignore_case_field
from engine.flow.ways import FOUND, LOOK_UP, NOT_FOUND, WAYS
from engine.nodes.dataset_pages import of_one_table, pages_of
from engine.nodes.known_datasets import dataset_field, no_dataset_yet, row_schema


class Config(NodeConfig):
    dataset: str = dataset_field("The dataset in which the row is looked for.")
    column: str = Field(
        "",
        max_length=200,
        title="Column to compare",
        description="The column in which the value is looked for, like `email`.",
        json_schema_extra={"widget": "key_column"},
    )
    ignore_case: bool = ignore_case_field(default=True)
    may_end: Literal["", "found", "not_found", "both"] = Field(
        "",
        title="May end on purpose",
        description="A way that leads nowhere is a warning, except here. The run is the same in any case.",
        json_schema_extra={
            "words": {
                "": "Neither way",
                "found": "The way “found”",
                "not_found": "The way “not found”",
                "both": "Both ways",
            }
        },
    )


class Inputs(NodeInputs):
    value: Any = Field(
        title="Value",
        description="What is looked for, like the e-mail address that was sent. An empty value finds nothing.",
        json_schema_extra={"widget": "text"},
    )


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Routed:
    """Returns the first row with the value and the port `found`, or null and `not_found`."""
    if holds(inputs.value, "is_empty"):
        context.log("Not found: the value is empty.")
        return Routed(NOT_FOUND, None)
    row = await of_one_table(partial(_find, config, inputs.value, context))
    context.log("Found." if row is not None else f"Not found: no row has this value in “{config.column}”.")
    return Routed(_port(row), row)


async def _find(config: Config, value: Json, context: NodeContext) -> Json:
    async for page in pages_of(config.dataset, context):
        if config.column not in page.columns:
            raise NodeFailed(
                f"{page.name} has no column `{config.column}`.",
                code="dataset_failed",
                why="It was renamed or removed, or the name is misspelt.",
                remedy="Choose the column to compare anew.",
                pointer="/config/column",
            )
        row = await context.in_thread(_first_with, page.rows, config, value)
        if row is not None:
            return row
    return None


def _first_with(rows: Sequence[dict[str, Json]], config: Config, value: Json) -> Json:
    compared = (row for row in rows if holds(row.get(config.column), "equals", value, ignore_case=config.ignore_case))
    return next(compared, None)


def _port(output: Json) -> str:
    return FOUND if isinstance(output, dict) else NOT_FOUND


def _check(node: Node, document: Document) -> list[Problem]:
    found = list(no_dataset_yet(node))
    if not node.config.get("column"):
        message = "Choose the column to compare, in which the value is looked for."
        found.append(Problem("no_key_column", message, node.id, "/config/column", blocks_import=False))
    return found


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return row_schema({})


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    name, column = (str(config.get(key) or "") for key in ("dataset", "column"))
    if not name:
        return "no dataset yet"
    return (f"{name}: {column} is {as_text(inputs.get('value')) or 'nothing'}" if column else name)[:80]


NODE = NodeType(
    type=LOOK_UP,
    title="Look up a row",
    group="io",
    icon="pageview",
    synonyms=(
        "look up, lookup, look up the sender, look up a customer, look up in a table, look up in my table, "
        "find a row, find a customer, find by e-mail, find by number, find in a table, vlookup, xlookup, match, get one row, one row, "
        "search a table, search a row, join, known customer, is it in the table, by e-mail address, who is it"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    kept_port=_port,
    takes_null=frozenset({"value"}),
    summary=_summary,
    ports=WAYS[LOOK_UP],
    check=_check,
    example=({"dataset": "Pages", "column": "address"}, {"value": "{{ page_scraper.out.url }}"}),
)
