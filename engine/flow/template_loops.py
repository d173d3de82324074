"""Names that a Text Template sets inside a loop and reads where they have their value from before the loop again.

A name that is set inside a loop keeps that value until the next item, as in Jinja; `{% set total = total + x %}` adds
nothing up. `lost_in_loop` finds the first place that reads such a name, by following what each name may hold there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from jinja2 import nodes

from engine.flow.template_language import TemplateWrong, read_template

#: The code of the problem that a template loses a name in a loop.
SET_IN_LOOP: Final = "set_in_loop"
#: What a name may hold at a place: a value of the innermost loop, one from around it, or one that a loop has lost: at its
#: next item, or at its end.
_OWN: Final = "own"
_OUTER: Final = "outer"
_AT_NEXT: Final = "at next"
_AT_END: Final = "at end"
_Held = dict[str, frozenset[str]]


@lru_cache(maxsize=128)
def lost_in_loop(source: str) -> TemplateWrong | None:
    """Returns what is wrong with the first name that reads a value which a loop has lost; None when there is none."""
    try:
        tree = read_template(source).tree
        _Loops().follow(tree.body, {})
    except TemplateWrong as wrong:
        return wrong
    return None


class _Loops:
    """Follows the statements of a template in the order in which they run, each once. Raises TemplateWrong."""

    def follow(self, parts: Iterable[nodes.Node], held: _Held) -> None:
        """Changes `held` to what the names may hold after the parts."""
        for part in parts:
            match part:
                case nodes.Assign():
                    self.follow([part.node], held)
                    held |= dict.fromkeys(_set_by([part]), frozenset({_OWN}))
                case nodes.If():
                    self._branches(part, held)
                case nodes.For():
                    self._loop(part, held)
                case nodes.Name(ctx="load"):
                    _read(part, held.get(part.name, frozenset()))
                case _:
                    self.follow(part.iter_child_nodes(), held)

    def _branches(self, part: nodes.If, held: _Held) -> None:
        ways: list[_Held] = []
        for test, body in [*((one.test, one.body) for one in (part, *part.elif_)), (None, part.else_)]:
            way = dict(held)
            self.follow([*([test] if test is not None else []), *body], way)
            ways.append(way)
        for name in {name for way in ways for name in way}:
            held[name] = frozenset[str]().union(*(way.get(name, ()) for way in ways))

    def _loop(self, part: nodes.For, held: _Held) -> None:
        self.follow([part.iter], held)
        inside = {name: _from_around(what) for name, what in held.items()}
        for name in _set_by(part.body):
            inside[name] = inside.get(name, frozenset()) | {_AT_NEXT}
        inside |= dict.fromkeys(_targets(part.target), frozenset({_OWN}))
        self.follow([part.test] if part.test is not None else [], inside)
        self.follow(part.body, inside)
        self.follow(part.else_, {name: _from_around(what) for name, what in held.items()})
        for name in _set_by([*part.body, *part.else_]):
            held[name] = held.get(name, frozenset()) | {_AT_END}


def _from_around(what: frozenset[str]) -> frozenset[str]:
    return frozenset(_OUTER if one == _OWN else one for one in what)


def _read(part: nodes.Name, what: frozenset[str]) -> None:
    """Raises TemplateWrong when the name has lost a value. One that only some items set, and nothing before the loop, is
    meant for these items.
    """
    if _AT_END in what or (_AT_NEXT in what and (_OWN not in what or _OUTER in what)):
        raise TemplateWrong(
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
