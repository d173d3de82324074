"""Files that a model does not take are told while the flow is drawn, as far as API Input says what they are."""

from __future__ import annotations

from typing import Any

import pytest

from engine.flow.document import Document
from engine.flow.validation import problems
from engine.models.file_problems import file_problems, file_warnings
from engine.nodes import CATALOG

PROVIDERS = {"Office": "anthropic", "Home": "ollama", "Lab": "google"}


def flow(field: dict[str, Any], files: Any, model: str = "Office:claude-haiku-4-5") -> Document:
    return Document.model_validate({
        "format": 1,
        "nodes": [
            {"id": "api_input", "type": "api_input", "config": {"fields": [{"name": "sent", **field}]}},
            {"id": "prompt", "type": "prompt", "config": {"model": model}, "inputs": {"prompt": "Hi", "files": files}},
        ],
        "edges": [{"id": "e", "source": "api_input", "target": "prompt"}],
    })  # fmt: skip


SENT = "{{ api_input.out.sent }}"


@pytest.mark.parametrize(
    ("field", "files", "model", "words"),
    [
        ({"type": "file", "file_kinds": ["audio"]}, SENT, "Office:claude", "does not take files of this kind: Sound."),
        ({"type": "file", "file_kinds": ["audio", "video"]}, SENT, "Home:llava", "Sound or Video. The field `sent`"),
        ({"type": "array", "items": {"type": "file", "file_kinds": ["video"]}}, SENT, "Office:claude", "Video."),
        ({"type": "array", "items": {"type": "file", "file_kinds": ["video"]}}, [SENT], "Office:claude", "Video."),
        ({"type": "string"}, SENT, "simulated", "prompt looks at files, but the field `sent` is text."),
        (
            {"type": "array", "items": {"type": "number"}},
            SENT,
            "simulated",
            "is a number. Give it the type File in API Input.",
        ),
    ],
)
def test_files_that_no_call_could_send_are_a_problem(field, files, model, words):
    document = flow(field, files, model)
    found = file_problems(document, PROVIDERS)
    assert [(one.node_id, one.pointer, one.blocks_import) for one in found] == [("prompt", "/inputs/files", False)]
    assert words in found[0].message
    assert file_warnings(document, PROVIDERS) == []


def test_where_some_kinds_are_taken_it_is_a_warning():
    document = flow({"type": "file", "file_kinds": ["image", "audio"]}, SENT)
    assert file_problems(document, PROVIDERS) == []
    assert [one.code for one in file_warnings(document, PROVIDERS)] == ["files_not_taken"]


@pytest.mark.parametrize(
    ("field", "files", "model"),
    [
        ({"type": "file"}, SENT, "Office:claude"),
        ({"type": "file", "file_kinds": ["image", "pdf", "document", "email"]}, SENT, "Home:llama3.2:3b"),
        ({"type": "file", "file_kinds": ["audio", "video"]}, SENT, "Lab:gemini-2.5-flash"),
        ({"type": "file", "file_kinds": ["video"]}, SENT, "simulated"),
        ({"type": "file", "file_kinds": ["video"]}, SENT, "Unknown:model"),
        ({"type": "file", "file_kinds": ["video"]}, None, "Office:claude"),
        ({"type": "object", "fields": [{"name": "a", "type": "file"}]}, "{{ api_input.out.sent.a }}", "Office:claude"),
        ({"type": "object"}, "{{ api_input.out.sent.a.b }}", "Office:claude"),
        ({"type": "file"}, "{{ nobody.out.sent }}", "Office:claude"),
    ],
)
def test_what_fits_or_is_not_known_is_no_problem(field, files, model):
    document = flow(field, files, model)
    assert file_problems(document, PROVIDERS) == file_warnings(document, PROVIDERS) == []


def test_a_prompt_with_files_has_no_problem_of_its_own():
    assert problems(flow({"type": "file"}, SENT, "simulated"), CATALOG) == []
