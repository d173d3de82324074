"""The language of Text Templates with `{% %}`: a small part of Jinja, which is parsed and checked here but never run
here.

`read_template` parses a template without running it, accepts only the parts in `_ALLOWED`, and finds the data that it
names. It runs in the server when a flow is checked, and again in the evaluator process before rendering
(`engine/sandbox`). Length, number of parts and depth are limited.

Calls, macros, includes, imports, inheritance and powers are left out on purpose. `a.b` reads data only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from jinja2 import Environment, TemplateSyntaxError, nodes
from msgspec import Struct

from engine.flow.references import ROOTS, SYSTEM, SYSTEM_FIELDS, BadReference, Reference
from engine.flow.template_filters import filter_problem

MAX_SOURCE: Final = 20_000
MAX_PARTS: Final = 5_000
MAX_DEPTH: Final = 64
MAX_LOOPS: Final = 4

#: The tests that a template may use: `{% if x is string %}`.
TESTS: Final[dict[str, Callable[[object], bool]]] = {
    "defined": lambda value: value is not None,
    "undefined": lambda value: value is None,
    "none": lambda value: value is None,
    "empty": lambda value: value in (None, "", [], {}),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "list": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "mapping": lambda value: isinstance(value, dict),
    "sequence": lambda value: isinstance(value, list),
    "even": lambda value: isinstance(value, int) and value % 2 == 0,
    "odd": lambda value: isinstance(value, int) and value % 2 == 1,
    "true": lambda value: value is True,
    "false": lambda value: value is False,
}
LOOP_FIELDS: Final = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})

_ALLOWED: Final = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem, nodes.Const, nodes.Filter,
    nodes.Test, nodes.If, nodes.For, nodes.Assign, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not, nodes.Add,
    nodes.Sub, nodes.Mul, nodes.Div, nodes.FloorDiv, nodes.Mod, nodes.Neg, nodes.Pos, nodes.Concat, nodes.CondExpr,
    nodes.List, nodes.Tuple, nodes.Dict, nodes.Pair, nodes.Slice,
)  # fmt: skip
_WORDS: Final[dict[type[nodes.Node], str]] = {
    nodes.Call: "Calling something, `name(...)`, is not available. A filter may help: `{{ value | length }}`.",
    nodes.Pow: "`**` is not available.",
    nodes.Macro: "`{% macro %}` is not available.",
    nodes.CallBlock: "`{% call %}` is not available.",
    nodes.FilterBlock: "`{% filter %}` is not available. Put the filter at the value: `{{ value | upper }}`.",
    nodes.Include: "`{% include %}` is not available: a template stands alone.",
    nodes.Import: "`{% import %}` is not available: a template stands alone.",
    nodes.FromImport: "`{% from %}` is not available: a template stands alone.",
    nodes.Extends: "`{% extends %}` is not available: a template stands alone.",
    nodes.Block: "`{% block %}` is not available: a template stands alone.",
    nodes.With: "`{% with %}` is not available. `{% set name = value %}` gives a name to a value.",
    nodes.AssignBlock: "`{% set %}` around a text is not available. Write `{% set name = value %}`.",
    nodes.ScopedEvalContextModifier: "`{% autoescape %}` is not available.",
    nodes.Keyword: "A filter takes values without names: `truncate(100)`.",
    nodes.NSRef: "Only a plain name can be set.",
}


_READER: Final = Environment(keep_trailing_newline=True, autoescape=False, optimized=False)  # noqa: S701 - text, no HTML
_TAG_LINE: Final = re.compile(r"^[ \t]*((?:\{%(?:(?!%\}).)*%\}[ \t]*)*\{%(?:(?!-?%\}).)*)%\}[ \t]*\r?\n", re.MULTILINE)
_RAW: Final = re.compile(r"\{%[-+]?\s*raw\b")


class TemplateWrong(ValueError):
    """A template that cannot be used. `line` counts from 1; `sentence` says why."""

    def __init__(self, sentence: str, line: int) -> None:
        super().__init__(f"Line {line}: {sentence}")
        self.sentence = sentence
        self.line = line


class ReadTemplate(Struct, frozen=True):
    """A checked template. `tree` is a fresh copy that the caller may change."""

    tree: nodes.Template
    references: tuple[Reference | BadReference, ...]

    @property
    def roots(self) -> frozenset[tuple[str, str]]:
        """`(node id, root)` of all data that it names."""
        return frozenset((one.node_id, one.root) for one in self.references if isinstance(one, Reference))


def read_template(source: str) -> ReadTemplate:
    """Parses and checks a template. Raises TemplateWrong for the first problem."""
    if len(source) > MAX_SOURCE:
        raise TemplateWrong(
            f"The template has {len(source):,} characters; with `{{% %}}` it may have {MAX_SOURCE:,}.", 1
        )
    try:
        tree = _READER.parse(_without_tag_lines(source))
    except TemplateSyntaxError as error:
        raise TemplateWrong(_syntax(error), error.lineno) from None
    except RecursionError:
        raise TemplateWrong("The template is nested too deep.", 1) from None
    except (ValueError, OverflowError, SyntaxError) as error:
        raise TemplateWrong(f"The template cannot be read: {error}"[:200] + ".", 1) from None
    return ReadTemplate(tree, tuple(_Check(tree).references))


@lru_cache(maxsize=128)
def template_facts(source: str) -> tuple[TemplateWrong | None, tuple[Reference | BadReference, ...]]:
    """Returns the problem of a template, or the data it names; cached, because a flow is checked after every edit."""
    try:
        return None, read_template(source).references
    except TemplateWrong as wrong:
        return wrong, ()


@dataclass
class _Check:
    """Walks the syntax tree once, without recursion, and collects references. Raises TemplateWrong."""

    tree: nodes.Template
    references: list[Reference | BadReference] = field(default_factory=list)

    def __post_init__(self) -> None:
        found = list(_walk(self.tree))
        own = {part.name for part, _, _ in found if isinstance(part, nodes.Name) and part.ctx == "store"}
        chained: set[int] = set()
        for part, _, loops in found:
            self._allow(part, loops)
            if isinstance(part, nodes.Getattr | nodes.Getitem) and id(part) not in chained:
                self._chain(part, own, chained, loops)
        for part, _, loops in found:
            if not isinstance(part, nodes.Name) or part.ctx != "load" or id(part) in chained:
                continue
            if part.name == "loop" and loops:
                raise TemplateWrong("`loop` is written with what is wanted of it, like `loop.index`.", part.lineno or 1)
            if not _is_own(part.name, own, loops):
                self.references.append(BadReference(part.name))

    def _allow(self, part: nodes.Node, loops: int) -> None:
        line = part.lineno or 1
        if not isinstance(part, _ALLOWED):
            words = next((words for kind, words in _WORDS.items() if isinstance(part, kind)), None)
            raise TemplateWrong(words or f"`{type(part).__name__.lower()}` is not available.", line)
        if isinstance(part, nodes.For) and part.recursive:
            raise TemplateWrong("A loop cannot be `recursive`.", line)
        if loops > MAX_LOOPS:
            raise TemplateWrong(f"Loops may stand inside each other {MAX_LOOPS} deep.", line)
        if isinstance(part, nodes.Filter | nodes.Test) and (part.dyn_args or part.dyn_kwargs):
            raise TemplateWrong("`*` before a value is not available.", line)
        if isinstance(part, nodes.Filter) and (why := filter_problem(part.name, len(part.args))):
            raise TemplateWrong(why, line)
        if isinstance(part, nodes.Test) and (part.name not in TESTS or part.args):
            raise TemplateWrong(f"There is no test `is {part.name}`. There are: {', '.join(TESTS)}.", line)
        if isinstance(part, nodes.Name) and part.ctx == "store" and part.name in {"loop", SYSTEM}:
            raise TemplateWrong(f"`{part.name}` has its own meaning; choose another name.", line)

    def _chain(self, part: nodes.Getattr | nodes.Getitem, own: set[str], chained: set[int], loops: int) -> None:
        """Collects a chain of accesses such as `a.out.items[0].title` as one reference."""
        steps: list[str | int | None] = []
        here: nodes.Node = part
        while isinstance(here, nodes.Getattr | nodes.Getitem):
            chained.add(id(here))
            base = here.node
            if isinstance(base, nodes.Name) and base.name == "loop" and loops:
                chained.add(id(base))
            steps.append(_step_of(here))
            here = here.node
        if not isinstance(here, nodes.Name) or here.ctx != "load" or _is_own(here.name, own, loops):
            return
        chained.add(id(here))
        steps.reverse()
        root, rest = steps[0], steps[1:]
        path = rest[: rest.index(None)] if None in rest else rest
        if not isinstance(root, str) or root not in (SYSTEM_FIELDS if here.name == SYSTEM else ROOTS):
            self.references.append(BadReference(f"{here.name}.{root}" if isinstance(root, str) else here.name))
        else:
            known = tuple(step for step in path if step is not None)
            self.references.append(Reference(here.name, root, () if here.name == SYSTEM or root != "out" else known))


def _is_own(name: str, own: set[str], loops: int) -> bool:
    return name in own or (name == "loop" and loops > 0)


def _step_of(part: nodes.Getattr | nodes.Getitem) -> str | int | None:
    """Returns the key or position of an access; None when it is computed during rendering."""
    if isinstance(part, nodes.Getattr):
        return part.attr
    value = part.arg.value if isinstance(part.arg, nodes.Const) else None
    return (
        value
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)
        else None
    )


def _walk(tree: nodes.Template) -> Iterator[tuple[nodes.Node, int, int]]:
    """Yields every part of the tree with its depth and the number of loops around it."""
    waiting: list[tuple[nodes.Node, int, int]] = [(tree, 0, 0)]
    count = 0
    while waiting:
        part, depth, loops = waiting.pop()
        count += 1
        if count > MAX_PARTS:
            raise TemplateWrong(f"The template has more than {MAX_PARTS:,} parts.", part.lineno or 1)
        if depth > MAX_DEPTH:
            raise TemplateWrong(f"The template is nested deeper than {MAX_DEPTH} levels.", part.lineno or 1)
        yield part, depth, loops
        inner = loops + isinstance(part, nodes.For)
        waiting += [(child, depth + 1, inner) for child in reversed(list(part.iter_child_nodes()))]


def _without_tag_lines(source: str) -> str:
    """Moves the line end of a line that holds only tags into its last tag: it renders no empty line, and line numbers
    stay.
    """
    return source if _RAW.search(source) else _TAG_LINE.sub(r"\1\n%}", source)


def _syntax(error: TemplateSyntaxError) -> str:
    said = (error.message or "It cannot be read").rstrip(".")
    if said.startswith("Encountered unknown tag"):
        tag = said.split("'")[1] if "'" in said else "?"
        return f"There is no tag `{tag}`. There are: if, elif, else, endif, for, endfor, set."
    if said.lower().startswith("unexpected end of template"):
        if "needs to be closed is" not in said:
            return "The template ends inside `{{ }}` or `{% %}`."
        open_tag = said.rpartition("is '")[2].rstrip("'")
        return f"`{{% {open_tag} %}}` is never closed by `{{% end{open_tag} %}}`."
    if said.startswith(("No filter named", "No test named")):
        return f"{said}."
    return f"{said[:200]}."
