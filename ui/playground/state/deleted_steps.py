"""Problems about data of steps that were deleted, with the names that these had. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from engine.core.errors import Problem
from engine.flow.document import Document
from engine.flow.reference_edits import references_of
from engine.flow.validation import missing_step
from engine.nodes import CATALOG


def name_deleted(problems: Sequence[Problem], document: Document, deleted: Mapping[str, str]) -> list[Problem]:
    """Returns the problems; those about data of a deleted step say what the step was called (`deleted`: by its id)."""
    if not deleted:
        return list(problems)
    return [
        replace(one, message=next(_named(one, document, deleted), one.message)) if one.code == "bad_reference" else one
        for one in problems
    ]


def _named(problem: Problem, document: Document, deleted: Mapping[str, str]) -> Iterator[str]:
    node = document.node(problem.node_id or "")
    kind = CATALOG.get(node.type) if node else None
    if node is None or kind is None:
        return
    for pointer, reference in references_of(node, kind):
        if (
            pointer == problem.pointer
            and document.node(reference.node_id) is None
            and problem.message == missing_step(node, reference)
        ):
            yield missing_step(node, reference, deleted)
