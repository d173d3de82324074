"""The changed settings of a node in the words of its form, for the comparison of versions. Imports no NiceGUI."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.core.clock import MINUTE, SECOND
from engine.flow.document import Node, Policy
from engine.flow.rules import rule_words
from engine.flow.value_types import NUMBER, YES_NO, type_of
from engine.flow.version_comparison import NodeChange
from engine.nodes import CATALOG
from engine.nodes.model_answers import SIMULATED
from storage.datasets import list_datasets
from storage.job_documents import list_flow_titles
from storage.knowledge import list_collections
from storage.secrets import list_secrets
from ui.forms.specs import ABSENT, FieldSpec, specs_of_model
from ui.kit.text import _, duration, number, type_word
from ui.kit.value_words import changed_parts, in_short

#: What a field with a type says, and a field without one.
_TYPES: Mapping[str, str] = {
    NUMBER: _("{field} is given as a number."),
    YES_NO: _("{field} is given as yes or no."),
    "": _("{field} is given as it is."),
}
#: Id -> what people call it.
Names = Mapping[str, str]


class ChangedSetting(Struct, frozen=True):
    """One part of a setting that differs: what its form calls it, and both values in words. `sentence` says it alone."""

    name: str = ""
    before: str = ""
    after: str = ""
    sentence: str = ""


def read_names(session: Session, workspace_id: str) -> dict[str, str]:
    """Returns what the datasets, collections, secrets and flows are called that settings name by their ids."""
    named = [*list_datasets(session, workspace_id), *list_collections(session, workspace_id)]
    secrets = list_secrets(session, workspace_id)
    return {one.id: one.name for one in [*named, *secrets]} | list_flow_titles(session, workspace_id)


def changed_settings(change: NodeChange, node: Node | None, names: Names) -> Iterator[ChangedSetting]:
    """Yields the parts of a node's settings that differ. `node` is the newer one; None when it was removed."""
    for difference in change.differences:
        if difference.where == "config/types" and node is not None:
            for name in node.inputs:
                if (given := type_of(node.config, name)) != type_of({"types": difference.before}, name):
                    yield ChangedSetting(sentence=_TYPES[given].format(field=name))
            continue
        setting = _spec_of(node, difference.where)
        for part in changed_parts(difference.before, difference.after):
            if _named(part.before, names) == _named(part.after, names):
                continue
            titles, spec = _at(setting, part.path)
            before, after = (_in_words(value, spec, names) for value in (part.before, part.after))
            if before == after:
                there = part.before is not None and part.after is not None
                before, after = (
                    _told_apart(value, spec, "" if there else before) for value in (part.before, part.after)
                )
            yield ChangedSetting(" › ".join([setting.inverted or setting.title, *titles]), before, after)


def _spec_of(node: Node | None, where: str) -> FieldSpec:
    """The field of the form that holds a setting."""
    part, _slash, name = where.partition("/")
    kind = CATALOG.get(node.type) if node is not None else None
    model = {"config": kind.config, "inputs": kind.inputs, "policy": Policy}.get(part) if kind is not None else None
    known = next((one for one in specs_of_model(model) if one.name == name), None) if model is not None else None
    hidden = model.model_fields.get(name) if model is not None else None
    title = hidden.title if hidden is not None else {"label": _("Name"), "type": _("Kind of step")}.get(where)
    return known or FieldSpec(name=name, title=title or name, kind="any", type_word="")


def _at(setting: FieldSpec, path: tuple[str, ...]) -> tuple[list[str], FieldSpec]:
    """What forms call the parts of a setting on the way to a part of it, and the field that holds that one."""
    titles: list[str] = []
    here = setting
    for name in path:
        if here.kind == "objects":
            here = replace(here, kind="group", title=name, default=ABSENT)
        else:
            unknown = FieldSpec(name=name, title=name, kind="any", type_word="")
            here = next((one for one in here.fields if one.name == name), unknown)
        titles.append(here.inverted or here.title)
    return titles, here


def _in_words(value: Any, spec: FieldSpec, names: Names) -> str:  # noqa: PLR0911 - one case per kind of value
    if value is None:
        return "" if spec.default in (ABSENT, None) else _in_words(spec.default, spec, names)
    if isinstance(value, bool):
        return in_short(value is not bool(spec.inverted))
    if spec.widget == "model" and value == SIMULATED:
        return _("Simulated model")
    if spec.choices and spec.name in {"type", "format"}:
        return type_word({spec.name: value})
    for choice, word in spec.choices:
        if choice == value:
            return word
    if isinstance(value, Mapping):
        return _group_in_words(value, spec, names)
    if isinstance(value, list | tuple):
        if spec.kind == "objects":
            entry = replace(spec, kind="group", default=ABSENT)
            return "; ".join(_in_words(one, entry, names) for one in value)
        item = spec.item
        return in_short(value) if item is None else ", ".join(_in_words(one, item, names) for one in value)
    if spec.name.endswith("_seconds") and isinstance(value, int | float):
        shorter = f"{number(value)} {_('second') if value == 1 else _('seconds')}"
        return duration(value) if value * SECOND >= MINUTE else shorter
    return in_short(_named(value, names))


def _named(value: Any, names: Names) -> Any:
    """A text that is an id as the name that it stands for; any other value as it is."""
    return names.get(value, value) if isinstance(value, str) else value


def _told_apart(value: Any, spec: FieldSpec, said: str = "") -> str:
    """A value in words that no other value has, for two values that are the same in the words of their form. `said`: those
    of a value beside which there is none.
    """
    if value is None:
        return _("(not set)")
    if said:
        return said
    if isinstance(value, str):
        return _("the text “{text}”").format(text=value) if value else _("an empty text")
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_told_apart(one, spec)}" for name, one in value.items()) or _("an empty group")
    if isinstance(value, list | tuple):
        return "; ".join(_told_apart(one, spec) for one in value) or _("an empty list")
    if spec.name.endswith("_seconds") and not isinstance(value, bool):
        return _("{count} seconds").format(count=f"{value:,}")
    return in_short(value)


def _group_in_words(value: Mapping[str, Any], spec: FieldSpec, names: Names) -> str:
    if spec.item_word == "rule":
        looked_at = in_short(value.get("left", value.get("field"))) or _("the item itself")
        return rule_words(looked_at, value.get("operator"), in_short(value.get("right", value.get("value"))))
    fields = {one.name: one for one in spec.fields}
    if not fields:
        return in_short({name: _named(one, names) for name, one in value.items()})
    said = [
        f"{field.inverted or field.title}: {_in_words(value[name], field, names)}"
        for name, field in sorted(fields.items(), key=lambda one: one[0] != "name")
        if value.get(name) not in (None, "") and (name == "type" or value[name] != field.default)
    ]
    return ", ".join(said)
