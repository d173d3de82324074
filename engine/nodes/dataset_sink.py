"""Add a row to a dataset or change one.

Choose a dataset and say what goes into each column. A column that is not there yet is added. For a column with the date, choose
**This run › date** in the data of earlier steps. A price or amount that was found in a text is kept as text: choose **As a number** in
the three-dot menu of the column, or **As yes or no**, which gives yes when there is something.

**When the same row is there** says what happens when the dataset has a row with the same value in the **column to compare**,
like an invoice number or an e-mail address:

* **Add another row**: nothing is compared, each time a row is added.
* **Write over it**: its values are replaced; without such a row one is added.
* **Leave it as it is**: nothing is written; without such a row one is added.
* **Write over it, never add**: without such a row nothing is written.

Fill in the column to compare, too. The number 5 and the text 5 are the same. Columns you leave out keep their values. Two invoices of
different senders may have one number: compare a column that tells all rows apart. A step writes over all rows with the value, 1,000 at
most and 4 MiB: when there are more it writes none of them and fails.

After **For each item** it keeps a row for each item. A step writes once: another try of it, also after a crash of the
server, does not write the row again. Runs in the Playground write, too; what they added can be taken out again below their result.

`out` has `action` (`added`, `updated`, `unchanged`, `kept` or `not_found`) and `row`, what was to be written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, NodeContext
from engine.flow.node_type import FreeInputs, NodeConfig, NodeType
from engine.flow.value_types import ValueType, typed_object, typed_values, types_field
from engine.nodes.known_datasets import dataset_field, no_dataset_yet

MODES = {
    "append": "Add another row",
    "upsert": "Write over it",
    "leave": "Leave it as it is",
    "update": "Write over it, never add",
}
#: What a mode does, on the node.
_DOES = {"append": "add a row", "upsert": "update or add", "leave": "add what is new", "update": "update"}


class Config(NodeConfig):
    dataset: str = dataset_field("The dataset that keeps the rows.")
    mode: Literal["append", "upsert", "leave", "update"] = Field(
        "append",
        title="When the same row is there",
        description="What happens when a row has the same value in the column to compare.",
        json_schema_extra={"words": {**MODES}},
    )
    key_column: str = Field(
        "",
        max_length=200,
        title="Column to compare",
        description="Rows with the same value in it are the same row, like `invoice_number`. Not needed to add another row.",
        json_schema_extra={"widget": "key_column"},
    )
    types: dict[str, ValueType] = types_field()


class Inputs(FreeInputs):
    """The columns of the row."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Writes the row and returns what was done."""
    row = typed_values(inputs.values, config.types, context.warn) if config.types else inputs.values
    action = await context.datasets.write(
        config.dataset, config.mode, config.key_column, row, context.idempotency_key, context.number_inputs
    )
    if action == "not_found":
        context.warn(f"No row has this value in `{config.key_column}`, so nothing was written.")
    if action == "kept":
        context.log(f"A row has this value in `{config.key_column}` already. It stays as it is.")
    return {"action": action, "row": row}


def _check(node: Node, document: Document) -> list[Problem]:
    found = list(no_dataset_yet(node))
    if not node.inputs:
        found.append(_problem("no_columns", "Fill in at least one column of the row.", node, "/inputs"))
    if node.config.get("mode", "append") == "append":
        return found
    key = node.config.get("key_column")
    if not key:
        message = "Choose the column to compare, which tells the row that is meant."
        found.append(_problem("no_key_column", message, node, "/config/key_column"))
    elif isinstance(key, str) and node.inputs and key not in node.inputs:
        message = f"The column to compare, `{key}`, is not among the columns of the row. Add it there and fill it in."
        found.append(_problem("no_key_column", message, node, "/config/key_column"))
    return found


def _problem(code: str, message: str, node: Node, pointer: str) -> Problem:
    return Problem(code, message, node.id, pointer, blocks_import=False)


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    row = {**typed_object(config, {name: {} for name in inputs}), "title": "Row"}
    action = {"type": "string", "enum": ["added", "updated", "unchanged", "kept", "not_found"], "title": "Action"}
    return {"type": "object", "properties": {"action": action, "row": row}, "required": ["action", "row"]}


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    name = str(config.get("dataset") or "")
    if not name:
        return "no dataset yet"
    mode = str(config.get("mode") or "append")
    key = config.get("key_column")
    return f"{name}: {_DOES.get(mode, mode)}{f' by {key}' if key and mode != 'append' else ''}"[:80]


NODE = NodeType(
    type="dataset_sink",
    title="Save rows",
    group="io",
    icon="save_alt",
    synonyms=(
        "dataset sink, put into a table, put in a table, table, spreadsheet, store, keep, write a row, insert, "
        "update, remember, save, append, database, twice, duplicate, duplicates, same row, date of a row, "
        "as a number, yes or no, add to a table, add to excel, keep a list, log, save the result, "
        "write into a table, sheet"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    check=_check,
    example=(
        {"dataset": "Pages", "mode": "upsert", "key_column": "address"},
        {"address": "{{ page_scraper.out.url }}", "title": "{{ page_scraper.out.title }}"},
    ),
)
