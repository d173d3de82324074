"""The flows whose jobs the closed loop measures."""

from __future__ import annotations

import itertools
from typing import Any

from tests.live import flows

NAME = {"name": "name", "type": "string", "required": True}
LIST = {"name": "names", "type": "array", "items": {"type": "string"}, "required": True}

THREE_NODES = flows.in_a_row(
    [
        {"id": "set_fields", "type": "set_fields", "inputs": {"who": "{{ api_input.out.name }}"}},
        {
            "id": "text_template",
            "type": "text_template",
            "inputs": {"template": "Hello {{ set_fields.out.who | upper }}"},
        },
    ],
    NAME,
    title="Three nodes",
)


def one_call(url: str) -> dict[str, Any]:
    """A flow with one HTTP Request."""
    return flows.in_a_row([flows.fetch(url=url)], NAME, title="One call")


def chain(nodes: int) -> dict[str, Any]:
    """A flow of this many nodes in a row: the API Input, and Set Fields that each take the value of the one before."""
    ids = ["api_input", *(f"n{number}" for number in range(nodes - 1))]
    fields = [
        {"id": here, "type": "set_fields", "inputs": {"name": f"{{{{ {before}.out.name }}}}"}}
        for before, here in itertools.pairwise(ids)
    ]
    return flows.in_a_row(fields, NAME, title=f"{nodes} nodes")


def for_each_item() -> dict[str, Any]:
    """A flow that runs one Set Fields for each of `names`, and collects what they give."""
    splitter = {
        "id": "each",
        "type": "array_splitter",
        "inputs": {"items": "{{ api_input.out.names }}"},
        "config": {"mode": "parallel", "max_concurrency": 50},
    }
    work = {"id": "work", "type": "set_fields", "inputs": {"who": "{{ each.out }}"}}
    flatten = {"id": "all", "type": "array_flatten"}
    return flows.in_a_row([splitter, work, flatten], LIST, title="For each item")
