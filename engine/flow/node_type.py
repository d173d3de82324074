"""The protocol of a node type: one file declares it; palette, form, checks, docs and tests are derived from the
declaration.

A node file contains a module docstring (first line: tooltip, rest: help page in Markdown), `Config`, `Inputs`, `async
def run(config, inputs, context)`, which returns the JSON value of `out`, and `NODE = NodeType(...)`.

A node keeps no state and does no I/O of its own; it reaches everything through `context`. It raises `NodeFailed` for
failures that it can explain. It does not catch other exceptions; the runner turns them into a failure.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Annotated, Any, Literal

from msgspec import Struct, field
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict

from engine.core.errors import Problem
from engine.core.lone_surrogates import without_lone_surrogates
from engine.flow.document import Document, Node
from engine.flow.node_context import Json, JsonSchema, NodeContext
from engine.flow.references import BadReference, Reference, as_text

Group = Literal["io", "web", "ai", "lists", "transform", "logic"]
GROUPS: dict[Group, str] = {
    "io": "Input/Output",
    "web": "Web",
    "ai": "AI",
    "lists": "Lists",
    "transform": "Transform",
    "logic": "Logic",
}
#: The groups of which a flow needs at least one node to be deployed.
PROCESSING: frozenset[Group] = frozenset({"web", "ai", "lists", "transform", "logic"})


#: The time limit in seconds of a node that may run as long as its job; no job's limit is longer.
THE_JOBS = 86_400.0

#: The type of an input for text; it takes any JSON value and converts it with `as_text`. It can always be encoded, which
#: texts inside inputs of other types cannot (`without_lone_surrogates`).
Text = Annotated[str, BeforeValidator(as_text), AfterValidator(without_lone_surrogates)]


class NodeConfig(BaseModel):
    """Settings that are fixed at design time. Every field has a title and a description for the form and the docs."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeInputs(BaseModel):
    """Input values after rendering. A field without a default must be bound before a deployment."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FreeInputs(BaseModel):
    """Inputs whose names the designer chooses (API Output, Set Fields); read them from `values`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def values(self) -> dict[str, Json]:
        """Name -> value, in the designer's order."""
        return dict(self.model_extra or {})


class Routed(Struct, frozen=True):
    """The result of a node with several ports: `out` is `value`, and only edges from `port` are followed."""

    port: str
    value: Json


Run = Callable[[Any, Any, NodeContext], Coroutine[Any, Any, Json]]


def _no_extra_problems(node: Node, document: Document) -> list[Problem]:
    return []


class NodeType(Struct, frozen=True):
    """A node type, declared once by its file.

    `out_schema` is a pure function from the node's config and inputs (as stored, possibly invalid) to the JSON Schema
    of `out`; it returns None when the output can be anything. `source_inputs` are inputs that are passed on without
    rendering, because they hold source code; `source_references` finds the references in it. `out_from` is for types
    that pass data on: it also gets the schemas of the values bound to the inputs.

    `kept_port` is for types with several ports whose output says which one was chosen: it returns the port. Then the
    step does not run again in another attempt of the job.

    `asks_person` tells whether a step with these settings (as stored, possibly invalid) asks a person; None for types
    that never do.

    `is_repeatable` is for types that compute their output from their inputs and the payload alone: running such a step
    again after a crash changes nothing, so no later step waits until it is stored, unless something was sent out before.

    `source_input` is the input that, when nothing is bound to it, takes the `out` of the node before it (with
    `all_sources`: a list of the outputs of all nodes before it that ran). Of a list input in `without_skipped`, entries
    that use a skipped node are left out.

    A required input in `takes_null` must be bound, but may be null when the step runs.

    `summary` makes the line on the canvas from settings and inputs; references in the inputs are already in their shown
    form. `check` adds problems that only this type knows. `example` is a pair (config, inputs) that works on the
    practice site. `synonyms` are the words and phrases, beside title and tooltip, that people search this type by: in
    small letters, with commas between them; former titles are among them.
    """

    type: str
    title: str
    group: Group
    icon: str
    config: type[BaseModel]
    inputs: type[BaseModel]
    run: Run
    out_schema: Callable[[Mapping[str, Any], Mapping[str, Any]], JsonSchema | None]
    summary: Callable[[Mapping[str, Any], Mapping[str, Any]], str]
    synonyms: str = ""
    version: int = 1
    ports: tuple[str, ...] = ("out",)
    accepts_input: bool = True
    timeout_seconds: float = 60.0
    #: For a type whose default limit depends on its settings (as stored, possibly invalid): returns seconds, and
    #: replaces `timeout_seconds`.
    time_limit: Callable[[Mapping[str, Any]], float] | None = None
    source_inputs: frozenset[str] = frozenset()
    source_references: Callable[[str], Sequence[Reference | BadReference]] | None = None
    out_from: Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, JsonSchema]], JsonSchema | None] | None = (
        None
    )
    kept_port: Callable[[Json], str] | None = None
    asks_person: Callable[[Mapping[str, Any]], bool] | None = None
    is_repeatable: bool = False
    source_input: str | None = None
    all_sources: bool = False
    without_skipped: frozenset[str] = frozenset()
    takes_null: frozenset[str] = frozenset()
    check: Callable[[Node, Document], list[Problem]] = _no_extra_problems
    example: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))

    @property
    def free_form(self) -> bool:
        """True when the designer chooses the names of the inputs."""
        return issubclass(self.inputs, FreeInputs)

    @property
    def processing(self) -> bool:
        """True for the groups of which a deployment needs a node."""
        return self.group in PROCESSING

    @property
    def tooltip(self) -> str:
        """The first line of the module's docstring."""
        return self._doc().split("\n")[0]

    @property
    def help(self) -> str:
        """The help page in Markdown: the rest of the module's docstring."""
        return "\n".join(self._doc().split("\n")[1:]).strip()

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """The names of the inputs that must be bound."""
        return tuple(name for name, info in self.inputs.model_fields.items() if info.is_required())

    def limit_for(self, config: Mapping[str, Any]) -> float:
        """Returns the seconds that one try may take when the node sets no limit of its own."""
        return self.timeout_seconds if self.time_limit is None else self.time_limit(config)

    def _doc(self) -> str:
        module = inspect.getmodule(self.run)
        return inspect.getdoc(module) or self.title


Catalog = Mapping[str, NodeType]
