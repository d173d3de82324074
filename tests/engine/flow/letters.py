"""Versions of a flow that writes a letter, for tests that compare two of them."""

from __future__ import annotations

from engine.flow.document import Document


def flow(*fields, template="x", extra=()):
    """A version with these fields, this text, and further nodes."""
    return Document.model_validate(
        {
            "format": 1,
            "nodes": [
                {"id": "api_input", "type": "api_input", "config": {"fields": list(fields)}},
                {"id": "t", "type": "text_template", "label": "Letter", "inputs": {"template": template}},
                *extra,
            ],
            "edges": [{"id": "e", "source": "api_input", "target": "t"}],
        }
    )
