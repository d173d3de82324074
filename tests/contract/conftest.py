"""One deployed flow that has a field of every kind, and a key that may call it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.live.caller import Terminal
from tests.live_server import LiveServer

FIELDS: list[dict[str, Any]] = [
    {"name": "url", "type": "string", "format": "uri", "required": True, "description": "The page to read"},
    {"name": "max_pages", "type": "integer", "minimum": 1, "maximum": 50, "default": 3},
    {"name": "share", "type": "number", "minimum": 0, "maximum": 1},
    {"name": "tone", "type": "string", "enum": ["warm", "plain"], "default": "plain"},
    {"name": "code", "type": "string", "pattern": "^[A-Z]{2}-[0-9]{3}$", "example": "AB-123"},
    {"name": "title", "type": "string", "min_length": 2, "max_length": 40},
    {"name": "reply_to", "type": "string", "format": "email"},
    {"name": "since", "type": "string", "format": "date-time"},
    {"name": "deep", "type": "boolean"},
    {"name": "tags", "type": "array", "items": {"type": "string", "max_length": 20}, "max_items": 5},
    {
        "name": "person",
        "type": "object",
        "fields": [{"name": "name", "type": "string", "required": True}, {"name": "age", "type": "integer"}],
    },
]
PAYLOAD = {"url": "https://example.com/story", "tags": ["sea", "lamp"], "person": {"name": "Ada", "age": 36}}
FLOW = {
    "format": 1,
    "title": "Read a story",
    "description": "Says what it was sent.",
    "nodes": [
        {"id": "api_input", "type": "api_input", "label": "API Input", "config": {"fields": FIELDS}},
        {"id": "text", "type": "text_template", "inputs": {"template": "Read {{ api_input.out.url }}"}},
        {
            "id": "api_output",
            "type": "api_output",
            "inputs": {"text": "{{ text.out }}", "pages": "{{ api_input.out.max_pages }}"},
        },
    ],
    "edges": [
        {"id": "e1", "source": "api_input", "target": "text"},
        {"id": "e2", "source": "text", "target": "api_output"},
    ],
}


@dataclass(frozen=True)
class Called:
    """The server, the flow and the key that may call it."""

    server: LiveServer
    flow_id: str
    key: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.key}"}

    def document(self, path: str) -> dict[str, Any]:
        """Requests an OpenAPI document with the key."""
        answer = httpx.get(f"{self.server.url}/public/v1{path}", headers=self.headers, timeout=20)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def called(shared_server: LiveServer) -> Called:
    """A deployed flow in a workspace whose plan has no limits."""
    return deployed(Terminal.new(shared_server, "enterprise"))


def deployed(terminal: Terminal) -> Called:
    """Deploys the flow in this workspace and creates a key."""
    return Called(terminal.server, terminal.flow(FLOW), terminal.caller("Contract").key)
