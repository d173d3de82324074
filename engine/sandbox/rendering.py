"""Renders one template inside the evaluator process. `engine.flow.template_language` checks what a template may
contain.

The data is JSON. Attribute access reads only this data, and every operation that Jinja passes to Python (attributes,
items, loops, filters, tests, arithmetic, joining, output) is replaced by one for JSON values only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from jinja2 import nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from engine.flow.references import as_text
from engine.flow.template_filters import FILTERS, apply_filter, bounded
from engine.flow.template_language import LOOP_FIELDS, TESTS, ReadTemplate, TemplateWrong, read_template

#: Integers must stay below this, so that arithmetic cannot grow without limit.
_LARGEST = 1 << 63
_FILE = "<template>"
_MAX_ITEMS = 1_000_000


class Renderer:
    """Renders templates with at most `longest` bytes of output."""

    def __init__(self, longest: int) -> None:
        self.longest = longest
        self._language = _Language()

    def render(self, source: str, data: Mapping[str, Any]) -> str:
        """Returns the text. `data` is `{node id: {"out": value, ...}}`. Raises TemplateWrong or ValueError with a
        sentence.
        """
        read = read_template(source)
        code = self._language.compile(_prepared(read), filename=_FILE)
        template = self._language.template_class.from_code(self._language, code, {})
        context = template.new_context({f"n_{name}": value for name, value in data.items()})
        pieces: list[str] = []
        size = 0
        try:
            for piece in template.root_render_func(context):
                size += len(piece) if piece.isascii() else len(piece.encode("utf-8", "surrogatepass"))
                if size > self.longest:
                    raise ValueError(f"The text is longer than {self.longest // 1024:,} KiB")
                pieces.append(piece)
        except (MemoryError, RecursionError):
            raise
        except Exception as error:  # noqa: BLE001 - raised again as a sentence with its line
            line = _line_of(error.__traceback__, template)
            raise TemplateWrong(_sentence(error), line) from None
        return "".join(pieces)


class _Language(ImmutableSandboxedEnvironment):
    """Jinja's sandboxed environment, restricted to JSON values."""

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "%", "**"})
    intercepted_unops = frozenset({"+", "-"})

    def __init__(self) -> None:
        super().__init__(
            keep_trailing_newline=True,
            autoescape=False,  # text, no HTML
            optimized=False,
            finalize=_written,
            cache_size=0,
        )
        self.globals.clear()
        self.undefined = _nothing  # type: ignore[assignment] - Jinja calls it for an undefined name
        self.filters = {name: _filter(name) for name in FILTERS}
        self.filters |= {"_each": _each, "_joined": _joined}
        self.tests = {name: _test(name) for name in TESTS}

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, LoopContext):
            return getattr(obj, attribute) if attribute in LOOP_FIELDS else None
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:
        if type(obj) is dict and isinstance(argument, str):
            return obj.get(argument)
        if type(obj) in {list, str} and type(argument) is int and -len(obj) <= argument < len(obj):
            return obj[argument]
        return None

    def is_safe_callable(self, obj: Any) -> bool:
        return False

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        return False

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        left, right = _plain(left), _plain(right)
        if operator == "+" and isinstance(left, str) and isinstance(right, str):
            bounded(len(left) + len(right))
            return left + right
        if operator == "+" and isinstance(left, list) and isinstance(right, list):
            if len(left) + len(right) > _MAX_ITEMS:
                raise ValueError(f"A list may have {_MAX_ITEMS:,} items here")
            return left + right
        for value in (left, right):
            if not _is_number(value):
                raise ValueError(f"`{operator}` works with numbers, and {_shown(value)} is none")
            if isinstance(value, int) and abs(value) > _LARGEST:
                raise ValueError("The numbers become too large")
        result = self.binop_table[operator](left, right)
        if isinstance(result, float) and not math.isfinite(result):
            raise ValueError("The numbers become too large")
        return result

    def call_unop(self, context: Any, operator: str, arg: Any) -> Any:
        value = _plain(arg)
        if not _is_number(value):
            raise ValueError(f"`{operator}` works with numbers, and {_shown(value)} is none")
        return self.unop_table[operator](value)


def _nothing(*_: Any, **_names: Any) -> None:
    """The value of an undefined name: null."""


def _prepared(read: ReadTemplate) -> nodes.Template:
    """Returns the syntax tree with loops and joins for JSON values only, and with names that Jinja has no
    meaning for.
    """
    tree = read.tree
    own = {part.name for part in tree.find_all(nodes.Name) if part.ctx == "store"} | {"loop"}
    for part in list(tree.find_all(nodes.Name)):
        if part.name not in own:
            part.name = f"n_{part.name}"
        elif part.name != "loop":
            part.name = f"l_{part.name}"
    for part in list(tree.find_all(nodes.For)):
        part.iter = nodes.Filter(part.iter, "_each", [], [], None, None, lineno=part.lineno)
    _replace_joins(tree)
    return tree


def _replace_joins(tree: nodes.Node) -> None:
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        for name in part.fields:
            value = getattr(part, name)
            if isinstance(value, nodes.Concat):
                setattr(part, name, _join_of(value))
            elif isinstance(value, list):
                value[:] = [_join_of(one) if isinstance(one, nodes.Concat) else one for one in value]
        waiting += part.iter_child_nodes()


def _join_of(part: nodes.Concat) -> nodes.Filter:
    listed = nodes.List(part.nodes, lineno=part.lineno)
    return nodes.Filter(listed, "_joined", [], [], None, None, lineno=part.lineno)


def _plain(value: Any) -> Any:
    """Returns a JSON value: an undefined name is null, a tuple in the template a list, and the loop object null."""
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, str | int | float | list | dict) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _filter(name: str) -> Any:
    def call(value: Any, *arguments: Any) -> Any:
        return apply_filter(name, _plain(value), [_plain(one) for one in arguments])

    return call


def _test(name: str) -> Any:
    ask = TESTS[name]

    def call(value: Any) -> bool:
        return ask(_plain(value))

    return call


def _each(value: Any) -> list[Any]:
    value = _plain(value)
    if value is None:
        return []
    if isinstance(value, list | dict):
        return list(value)
    raise ValueError(f"A loop goes over a list, and {_shown(value)} is none")


def _joined(values: list[Any]) -> str:
    texts = [_written(value) for value in values]
    bounded(sum(map(len, texts)))
    return "".join(texts)


def _written(value: Any) -> str:
    return as_text(_plain(value))


def _shown(value: Any) -> str:
    if value is None:
        return "an empty value"
    text = as_text(value)
    return f"a value of {len(text):,} characters" if len(text) > 40 else f"`{text}`"


def _sentence(error: Exception) -> str:
    words = str(error).rstrip(".")
    if isinstance(error, ZeroDivisionError):
        words = "A number is divided by zero"
    elif isinstance(error, TypeError) and "not supported between" in words:
        words = "Two values of different kinds are compared, like a text and a number"
    elif isinstance(error, TypeError) and "is not iterable" in words:
        words = "`in` looks into a list, an object or a text, and the value is none"
    elif isinstance(error, TypeError | ValueError) and "unpack" in words:
        words = "A loop with several names needs items that are lists of as many values, like those of `| items`"
    return f"{words[:1].upper()}{words[1:]}."


def _line_of(trace: TracebackType | None, template: Any) -> int:
    line = 1
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == _FILE:
            line = template.get_corresponding_lineno(trace.tb_lineno)
        trace = trace.tb_next
    return line
