"""Renaming a field that other steps read: asks once whether it is renamed there too, and makes one edit of both.

Other people may edit the node while a name is typed and while the question is open. So only the new name is kept, and the
edit is made from the node as it is after the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from nicegui.element import Element

from engine.flow.document import Document
from engine.flow.edits import EditRefused, Op, apply_ops
from engine.flow.node_type import Catalog
from engine.flow.renames import find_rename, rename_ops, renamed_for_callers, with_inputs
from ui.forms.values import get_at, with_value
from ui.kit import feedback
from ui.kit.text import _, plural
from ui.parts.open_drafts import Edit, OpenDraft
from ui.playground.inspector.bindings import Bindings

#: Most steps that are named in the question.
_MAX_NAMED = 4


class Rename:
    """The rename that an edit of a node makes, and the edits of the nodes that read the field; falsy without any."""

    def __init__(self, document: Document, op: Op, catalog: Catalog) -> None:
        self.ops: list[Op] = []
        self.readers: list[str] = []
        self.old = self.new = ""
        try:
            after = apply_ops(document, [op])
        except EditRefused:
            return  # the edit itself is refused, too, and says why
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
        named = ", ".join(self.readers[:_MAX_NAMED])
        if count > _MAX_NAMED:
            named = _("{names} and {count} more").format(names=named, count=count - _MAX_NAMED)
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


async def with_readers(
    document: Callable[[], Document], make: Callable[[], Op | None], catalog: Catalog, around: Element
) -> tuple[Sequence[Op], bool]:
    """Returns the operations of an edit, and whether there was a question about a renamed field; then those of the steps
    that read it may be among them. `make` makes the edit of the node as it is now; None when nothing is left to change.
    """
    op = make()
    if op is None:
        return [], False
    rename = Rename(document(), op, catalog)
    if not rename:
        return [op], False
    everywhere = await rename.ask(around)
    op = make()
    if op is None:
        return [], True
    return [op, *Rename(document(), op, catalog).ops] if everywhere else [op], True


async def edit_inputs(
    draft: OpenDraft, bindings: Bindings, inputs: dict[str, Any], catalog: Catalog, edit: Edit
) -> bool:
    """Gives the node of `bindings` these inputs; of a field that has another name, asks about the steps that read it.
    Returns False when the node is gone or has them already.
    """
    node_id = bindings.node.id
    node = draft.document.node(node_id)
    if node is None or list(inputs.items()) == list(node.inputs.items()):  # their order counts, too
        return False
    if not bindings.kind.free_form or list(inputs) == list(node.inputs):
        await edit([with_inputs(node, inputs)])
        return True
    before = node.inputs

    def make() -> Op | None:
        node = draft.document.node(node_id)
        return with_inputs(node, brought_up(before, inputs, node.inputs)) if node is not None else None

    layout = bindings.box.client.layout  # the question stays when something else is selected
    ops, asked = await with_readers(lambda: draft.document, make, catalog, layout)
    await edit(ops)
    node = draft.document.node(node_id)
    if asked and node is not None and not bindings.box.is_deleted:
        bindings.show(dict(node.inputs))  # with what others have changed while it was asked
    return True


class NewName(Struct, frozen=True):
    """A new name of a field in the settings of a node; `pointer` is where the name was."""

    pointer: str
    old: Any
    new: Any

    def put_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """These settings with the new name. The same when the field was removed or renamed meanwhile."""
        fields, at, _name = self.pointer.rsplit("/", 2)
        here = get_at(config, fields)
        if not isinstance(here, list):
            return dict(config)
        named = [number for number, one in enumerate(here) if get_at(one, "/name") == self.old]
        if not named:
            return dict(config)
        number = int(at) if at.isdigit() and int(at) in named else named[0]
        return with_value(config, f"{fields}/{number}/name", self.new)


def brought_up(before: Mapping[str, Any], after: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that an edit made from `before` to `after`, with what others have changed in them since."""
    gone, new = [one for one in before if one not in after], [one for one in after if one not in before]
    renamed = {new[0]: gone[0]} if len(gone) == len(new) == 1 and after[new[0]] == before[gone[0]] else {}
    made: dict[str, Any] = {}
    for name, value in after.items():
        was = renamed.get(name, name)
        if was not in before or before[was] != value:
            made[name] = value
        elif was in now:  # another person may have removed it
            made[name] = now[was]
    return made | {name: value for name, value in now.items() if name not in before and name not in made}
