"""Names that a Text Template sets inside a loop and reads where that value is lost.

A name that is set inside a loop keeps that value until the next item, as in Jinja; `{% set total = total + x %}` adds
nothing up. `lost_in_loop` finds the first place that reads a lost value, by following what each name may hold there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from jinja2 import nodes

from engine.flow.template_language import TemplateWrong, read_template

#: What a name may hold at a place: a value that was set there or around it, one that the loop has lost since its last
#: item, or one that a loop has lost at its end. A name without an entry is set nowhere before, or is data.
_OWN: Final = frozenset({"own"})
_AT_NEXT: Final = frozenset({"at next"})
_AT_END: Final = frozenset({"at end"})
_NOTHING: Final = frozenset[str]()


@lru_cache(maxsize=128)
def lost_in_loop(source: str) -> TemplateWrong | None:
    """Returns what to say of the first name that reads a value which a loop has lost; None when there is none. Cached,
    because a flow is looked at after every edit.
    """
    if not all(part in source for part in ("{%", "for", "set")):
        return None
    try:
        tree = read_template(source).tree
    except TemplateWrong:
        return None  # a problem, which is told already
    try:
        _Loops().follow(tree.body)
    except TemplateWrong as wrong:
        return wrong
    return None


class _Loops:
    """Follows the statements of a template in the order in which they run, each once. Raises TemplateWrong.

    A branch costs what it sets, not all names that there are: a template may have a thousand of both.
    """

    def __init__(self) -> None:
        self._held: dict[str, frozenset[str]] = {}
        #: What the names that changed in the present branch held before it.
        self._before: dict[str, frozenset[str]] = {}

    def follow(self, parts: Iterable[nodes.Node]) -> None:
        """Changes what the names may hold to what they may hold after the parts."""
        for part in parts:
            match part:
                case nodes.Assign():
                    self._assign(part)
                case nodes.If():
                    self._branches(part)
                case nodes.For():
                    self._loop(part)
                case nodes.Name(ctx="load"):
                    self._read(part)
                case _:
                    self.follow(part.iter_child_nodes())

    def _assign(self, part: nodes.Assign) -> None:
        names = _targets(part.target)
        for one in [part.node, *part.node.find_all(nodes.Name)]:
            if isinstance(one, nodes.Name) and one.name in names and self._what(one.name) & _AT_NEXT:
                raise _lost(one)
        self.follow([part.node])
        self._hold(dict.fromkeys(names, _OWN))

    def _branches(self, part: nodes.If) -> None:
        ways: list[dict[str, frozenset[str]]] = []
        for one in (part, *part.elif_):
            self.follow([one.test])
            ways.append(self._changed_by(one.body))
        ways.append(self._changed_by(part.else_))
        united: dict[str, frozenset[str]] = {}
        for way in ways:
            for name, what in way.items():
                united[name] = united.get(name, _NOTHING) | what
        set_in = Counter(name for way in ways for name in way)
        self._hold(
            {name: what if set_in[name] == len(ways) else what | self._what(name) for name, what in united.items()}
        )

    def _loop(self, part: nodes.For) -> None:
        self.follow([part.iter])
        set_here = _set_by(part.body)
        begin = dict.fromkeys(set_here, _AT_NEXT) | dict.fromkeys(_targets(part.target), _OWN)
        self._changed_by([*([part.test] if part.test is not None else []), *part.body], begin)
        self._changed_by(part.else_)
        self._hold({name: self._what(name) | _AT_END for name in set_here | _set_by(part.else_)})

    def _read(self, part: nodes.Name) -> None:
        """Raises TemplateWrong when the name has lost a value. In a loop, one that is set for this item, if only perhaps,
        is meant for it, and its value from before the loop is meant for the other items.
        """
        what = self._what(part.name)
        if what & _AT_END or what == _AT_NEXT:
            raise _lost(part)

    def _what(self, name: str) -> frozenset[str]:
        return self._held.get(name, _NOTHING)

    def _hold(self, names: Mapping[str, frozenset[str]]) -> None:
        for name, what in names.items():
            self._before.setdefault(name, self._what(name))
            self._held[name] = what

    def _changed_by(
        self, parts: Iterable[nodes.Node], begin: Mapping[str, frozenset[str]] | None = None
    ) -> dict[str, frozenset[str]]:
        """Follows the parts, which begin with these names, and takes back what they changed. Returns the changes."""
        around, self._before = self._before, {}
        self._hold(begin or {})
        self.follow(parts)
        changed = {name: self._held[name] for name in self._before}
        self._held |= self._before
        self._before = around
        return changed


def _lost(part: nodes.Name) -> TemplateWrong:
    return TemplateWrong(
        f"`{part.name}` is set inside a loop, which lasts until the next item only, so here it has its value from before. "
        'Numbers are added up without a loop, by `list | sum` or `list | sum("price")`, and counted by `list | length` or '
        "the node Group and count. A name that is only for one item is set at the beginning of the loop.",
        part.lineno or 1,
    )


def _set_by(parts: Sequence[nodes.Node]) -> set[str]:
    """Returns the names that `{% set %}` sets in these parts, also deeper."""
    found: set[str] = set()
    waiting: list[nodes.Node] = [*parts]
    while waiting:
        part = waiting.pop()
        if isinstance(part, nodes.Assign):
            found |= _targets(part.target)
        elif isinstance(part, nodes.If | nodes.For):
            waiting += part.iter_child_nodes()
    return found


def _targets(target: nodes.Node) -> set[str]:
    names = [target, *target.find_all(nodes.Name)]
    return {one.name for one in names if isinstance(one, nodes.Name)}
