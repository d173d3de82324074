"""The example payload in a flow's OpenAPI document is accepted by the flow, for every field type and rule, in
random documents.
"""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from engine.actions.limits import set_plan
from engine.flow.document import Document, Edge, Node
from tests.api.arrange import House

#: Typical patterns, and texts that match them.
PATTERNS = [
    "^[A-Z]{2}-[0-9]{3}$",
    "^[a-z0-9]+(-[a-z0-9]+)*$",
    r"^\d{4}-\d{2}-\d{2}$",
    r"^\+?[1-9]\d{6,14}$",
    "^(red|green|blue)$",
    r"^https://[\w.-]+/.*\.pdf$",
    "[0-9]",
    "^[^@ ]+$",
    r"^\p{L}+$",
    r"^[\p{L}\p{N} ]{3,}$",
    "^#(?:[0-9a-fA-F]{3}){1,2}$",
    r"(?i)^yes|no$",
    r"^v\d+\.\d+(\.\d+)?$",
    r"^\S+\s\S+$",
    "^.{5,8}$",
    "^[A-Za-z_][A-Za-z0-9_]*$",
]
NODES = (
    Node(id="text", type="text_template", inputs={"template": "Read {{ api_input.out }}"}),
    Node(id="api_output", type="api_output", inputs={"all": "{{ text.out }}"}),
)
EDGES = (Edge(id="e1", source="api_input", target="text"), Edge(id="e2", source="text", target="api_output"))


class Drawn:
    """Creates random fields of an API Input."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def maybe(self, chance: float = 0.5) -> bool:
        return self.random.random() < chance

    def fields(self, level: int = 1) -> list[dict[str, Any]]:
        names = self.random.sample(string.ascii_lowercase, self.random.randint(1, 5))
        return [{"name": name, "required": self.maybe(0.7), **self.field(level)} for name in names]

    def field(self, level: int) -> dict[str, Any]:
        kinds = ["string"] * 4 + ["integer", "number", "boolean", "array"] + ["object"] * (level < 3)
        kind = self.random.choice(kinds)
        return {"type": kind, **getattr(self, kind)(level)}

    def string(self, level: int) -> dict[str, Any]:
        match self.random.randint(0, 4):
            case 0:
                return {"format": self.random.choice(["uri", "email", "date-time"])}
            case 1:
                form = self.random.choice(["uri", "email", "date-time"])
                return {"format": form, "min_length": self.random.randint(1, 80), "max_length": 120}
            case 2:
                return {"pattern": self.random.choice(PATTERNS)}
            case 3:
                words = self.random.sample(["warm", "plain", "Ä", ""], self.random.randint(1, 3))
                return {"enum": words if any(words) else [*words, "plain"]}  # without a word it cannot be deployed
        least = self.random.randint(0, 40)
        return {"min_length": least, "max_length": least + self.random.randint(0, 5)}

    def integer(self, level: int) -> dict[str, Any]:
        least = self.random.choice([-50, -1, 0, 2, 2.5, 1_000_000])
        return (
            {"minimum": least, **({"maximum": least + 1} if self.maybe() else {})}
            if self.maybe()
            else {"maximum": -3.5}
        )

    def number(self, level: int) -> dict[str, Any]:
        return self.random.choice([{}, {"minimum": 0, "maximum": 1}, {"maximum": -2}, {"minimum": 7.25}])

    def boolean(self, level: int) -> dict[str, Any]:
        return {"default": False} if self.maybe() else {}

    def array(self, level: int) -> dict[str, Any]:
        least = self.random.randint(0, 3)
        limits = {"min_items": least, "max_items": least + self.random.randint(0, 2)}
        return limits | ({"items": self.field(level + 1)} if self.maybe(0.8) else {})

    def object(self, level: int) -> dict[str, Any]:
        return {"fields": self.fields(level + 1)} if self.maybe(0.8) else {}


def drawn_document(seed: int) -> Document:
    fields = Drawn(seed).fields()
    return Document(nodes=(Node(id="api_input", type="api_input", config={"fields": fields}), *NODES), edges=EDGES)


async def take_examples(house: House, seeds: range) -> None:
    """Submits to random flows the example of their own documents."""
    house.database.write_now(set_plan, house.principal, "enterprise")
    for seed in seeds:
        house.change_flow(drawn_document(seed))
        document = (await house.get(f"/openapi/flows/{house.flow_id}.json")).json()
        schema = document["components"]["schemas"]["Payload"]
        (example,) = schema["examples"]

        answer = await house.submit(example)

        assert answer.status_code == 202, (seed, schema, example, answer.text)
        # ends the job, so that the next one does not exceed the concurrency limit
        house.finish(answer.json()["job_id"])


async def test_the_example_of_every_document_is_taken(house: House):
    await take_examples(house, range(60))


@pytest.mark.slow
async def test_the_examples_of_hundreds_of_documents_are_taken(house: House):
    await take_examples(house, range(60, 600))
