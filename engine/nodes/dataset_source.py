"""Take rows from a dataset.

Choose a dataset; its rows come out as a list; each row has the columns as fields. Connect **For each item** to
work on them one by one, or **Sort and Limit**, **Filter List** or a **Text Template** to use them as a whole.

* **Rules** keep only the rows you want, like `status` *is* `new`. They work as in Filter List.
* **The first rows** are the oldest. **By chance** draws rows anew for each run; another try of the same run draws the same.
* Rows are read when the step runs: what was added to the dataset after you deployed is there, too.
  When an import with Replace comes between, it begins anew.
* In the Playground a flow may begin with this node. To become an API it also needs an API Input.

A column that was imported from a CSV file holds numbers, or true and false, only when all its filled cells were that; one other cell
made all of it text. A step takes at most 20 MiB of rows. A column without a value is empty, or missing in that row.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

from pydantic import Field

from engine.core.counted import counted
from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.node_context import DatasetPage, Json, NodeContext, NodeFailed
from engine.flow.node_type import NodeConfig, NodeInputs, NodeType
from engine.flow.rules import FieldRule, Match
from engine.nodes.dataset_pages import of_one_table, pages_of
from engine.nodes.known_datasets import dataset_field, no_dataset_yet, row_schema, rows_schema
from engine.nodes.rules_on_items import TextsCompared, kept_by, match_field, rule_problems, rules_field, rules_in_words

#: The largest number of characters of rows (as JSON) that one step may hold.
MOST = 20 << 20
MAX_COUNT = 100_000


class Config(NodeConfig):
    dataset: str = dataset_field("The dataset whose rows are taken.")
    take: Literal["all", "first", "random"] = Field(
        "all",
        title="Take",
        description="Which of its rows.",
        json_schema_extra={"words": {"all": "All rows", "first": "The first rows", "random": "Rows by chance"}},
    )
    count: int = Field(
        10, ge=1, le=MAX_COUNT, title="How many", description="For the first rows and for rows by chance."
    )
    match: Match = match_field("Take a row when these are true")
    rules: tuple[FieldRule, ...] = rules_field("What a row must be like. Without a rule every row is taken.")


class Inputs(NodeInputs):
    """It has none: the rows come from the dataset."""


async def run(config: Config, inputs: Inputs, context: NodeContext) -> Json:
    """Returns the selected rows, all of one table."""
    return await of_one_table(partial(_take, config, context))


async def _take(config: Config, context: NodeContext) -> Json:
    taken = _Taken(config, context.idempotency_key)
    compared = TextsCompared()
    async for page in pages_of(config.dataset, context):
        rows: Sequence[dict[str, Json]] = page.rows
        if config.rules:
            rows = await context.in_thread(kept_by, page.rows, config.rules, config.match, compared)
        taken.add(rows, page)
        if taken.complete:
            break
    if compared.warning:
        context.warn(compared.warning)
    return taken.rows


class _Taken:
    """The rows that were selected so far.

    `seed` determines the random selection, so that every try of a step selects the same.
    """

    def __init__(self, config: Config, seed: str) -> None:
        self._config = config
        self._drawn = random.Random(seed)
        self._seen = 0
        self._size = 0
        self._kept: list[tuple[int, dict[str, Json]]] = []

    @property
    def complete(self) -> bool:
        return self._config.take == "first" and len(self._kept) >= self._config.count

    @property
    def rows(self) -> list[dict[str, Json]]:
        """The selected rows in the dataset's order."""
        return [row for _, row in sorted(self._kept, key=lambda one: one[0])]

    def add(self, rows: Sequence[dict[str, Json]], page: DatasetPage) -> None:
        """Selects rows of a page. Raises NodeFailed when the rows are too large."""
        before = len(self._kept)
        for row in rows:
            self._add(row)
            if self.complete:
                break
        self._size += page.size * (len(self._kept) - before) // max(1, len(page.rows))
        if self._size > MOST:
            raise NodeFailed(
                f"The rows taken are more than {MOST >> 20} MiB.",
                code="too_large",
                why=f"It had taken {counted(len(self._kept), 'row')} by then.",
                remedy="Take fewer: set rules, or take only the first rows.",
            )

    def _add(self, row: dict[str, Json]) -> None:
        at, self._seen = self._seen, self._seen + 1
        if self._config.take != "random" or at < self._config.count:
            self._kept.append((at, row))
        elif (place := self._drawn.randrange(self._seen)) < self._config.count:
            self._kept[place] = (at, row)  # reservoir sampling (Vitter's algorithm R): every row has the same chance


def _check(node: Node, document: Document) -> list[Problem]:
    return [*no_dataset_yet(node), *rule_problems(node)]


def _out(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    return rows_schema(row_schema({}))


def _summary(config: Mapping[str, Any], inputs: Mapping[str, Any]) -> str:
    name = str(config.get("dataset") or "")
    if not name:
        return "no dataset yet"
    count = config.get("count", 10)
    which = {"first": f", first {count}", "random": f", {count} by chance"}.get(str(config.get("take")), "")
    rules = rules_in_words(config)
    return f"{name}{which}{f': {rules}' if rules else ''}"[:80]


NODE = NodeType(
    type="dataset_source",
    title="Read rows",
    group="io",
    icon="table_rows",
    synonyms=(
        "dataset source, load, table, spreadsheet, excel, csv, database, look up rows, rows, read a table, "
        "price list, list of customers, get rows, sheet"
    ),
    config=Config,
    inputs=Inputs,
    run=run,
    out_schema=_out,
    summary=_summary,
    check=_check,
    example=(
        {
            "dataset": "Customers",
            "take": "first",
            "count": 100,
            "rules": [{"field": "status", "operator": "equals", "value": "new"}],
        },
        {},
    ),
)
