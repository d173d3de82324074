"""Renaming a field that other steps read: asks once whether it is renamed there too, and makes one edit of both."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui.element import Element

from engine.flow.document import Document
from engine.flow.edits import EditRefused, Op, apply_ops
from engine.flow.node_type import Catalog
from engine.flow.renames import find_rename, rename_ops, renamed_for_callers
from ui.kit import feedback
from ui.kit.text import _, plural

#: Most steps that are named in the question.
_MOST_NAMED = 4


class Rename:
    """The rename that an edit of a node makes, and the edits of the nodes that read the field; falsy without any."""

    def __init__(self, document: Document, op: Op, catalog: Catalog) -> None:
        self.ops: list[Op] = []
        self.readers: list[str] = []
        self.old = self.new = ""
        try:
            after = apply_ops(document, [op])
        except EditRefused:
            return  # whoever makes the edit is told
        was, is_now = document.node(str(op["id"])), after.node(str(op["id"]))
        names = find_rename(was, is_now) if was is not None and is_now is not None else None
        if names is not None:
            self.old, self.new = names
            self.ops = rename_ops(document, after, catalog, self.old, self.new)
        self.readers = [
            node.name for node in document.nodes if node.id in {one["id"] for one in self.ops} and node.id != op["id"]
        ]

    def __bool__(self) -> bool:
        return bool(self.ops)

    async def ask(self, around: Element) -> bool:
        """Asks whether the field is renamed in the steps that read it, too."""
        count = len(self.readers)
        named = ", ".join(self.readers[:_MOST_NAMED])
        if count > _MOST_NAMED:
            named = _("{names} and {count} more").format(names=named, count=count - _MOST_NAMED)
        steps = plural(count, _("step"), _("steps"))
        callers = _("Callers then get it as “{new}”, after the next deployment.").format(new=self.new)
        answered = f" {callers}" if renamed_for_callers(self.ops, self.old) else ""
        with around:
            return await feedback.confirm(
                _("Rename “{old}” to “{new}” where it is used, too?").format(old=self.old, new=self.new),
                _(
                    "It is used in {steps}: {named}. With another name only here, nothing is found there any more."
                ).format(steps=steps, named=named)
                + answered,
                verb=_("Rename it everywhere"),
                keep=_("Only here"),
                both_act=True,
            )


async def with_readers(document: Document, op: Op, catalog: Catalog, around: Element) -> Sequence[Op]:
    """Returns the operations of an edit; after a question, also those of the steps that read a renamed field."""
    rename = Rename(document, op, catalog)
    return [op, *rename.ops] if rename and await rename.ask(around) else [op]
