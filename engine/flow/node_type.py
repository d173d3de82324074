"""The protocol of a node type: one file declares it, everything else (palette, form, checks, docs, tests) derives from it.

A node file has: a module docstring (first line = tooltip, the rest = its help page, markdown), `Config`, `Inputs`,
`async def run(config, inputs, context)` returning the JSON value of `out`, and `NODE = NodeType(...)`.

A node keeps no state and does no I/O of its own: everything outside comes through `context`. It raises `NodeFailed` for what
it understands and lets the rest fly; the runner wraps that once.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, BeforeValidator, ConfigDict

from engine.core.errors import Problem
from engine.flow.document import Document, Node
from engine.flow.references import BadReference, Reference, Scope, as_text

Json = Any  # a JSON value: None, bool, int, float, str, list or dict of these
JsonSchema = dict[str, Any]

Group = Literal["io", "web", "ai", "lists", "transform", "logic"]
GROUPS: dict[Group, str] = {
    "io": "Input/Output",
    "web": "Web",
    "ai": "AI",
    "lists": "Lists",
    "transform": "Transform",
    "logic": "Logic",
}
#: Groups whose nodes count as "a processing node" for a deployment.
PROCESSING: frozenset[Group] = frozenset({"web", "ai", "lists", "transform", "logic"})


#: The time limit of a node that may take as long as its job: more than any job has.
THE_JOBS = 86_400.0

#: An input that wants text takes any JSON value by the rule of `as_text`.
Text = Annotated[str, BeforeValidator(as_text)]


@dataclass(frozen=True)
class SecretValue:
    """A secret as a request carries it. `hosts`: entries of the hosts it may be sent to; None allows every host."""

    name: str
    value: str = field(repr=False)
    hosts: tuple[str, ...] | None


class NodeConfig(BaseModel):
    """Settings fixed at design time. Every field has a title and a description: they are the form and the docs."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class NodeInputs(BaseModel):
    """Values bound to data, as they are after rendering. A field without default must be bound before a deploy."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FreeInputs(BaseModel):
    """Inputs with names of the designer's choosing (API Output, Set Fields): read them from `model_extra`."""

    model_config = ConfigDict(extra="allow", frozen=True)

    @property
    def values(self) -> dict[str, Json]:
        """Name -> value in the designer's order."""
        return dict(self.model_extra or {})


class NodeFailed(Exception):  # noqa: N818 - reads as the fact it is
    """A node could not do its work, in a sentence for the designer.

    `code` is a word of api.md (`http_status`, `page_not_found`, ...); `passing` says that another try may help;
    `retry_after` is how many seconds the other side asked to wait; `pointer` is the field to mend (`/inputs/url`).
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = "node_failed",
        why: str = "",
        remedy: str = "",
        passing: bool = False,
        retry_after: float | None = None,
        pointer: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.why = why
        self.remedy = remedy
        self.passing = passing
        self.retry_after = retry_after
        self.pointer = pointer


@dataclass(frozen=True)
class Routed:
    """What a node with several ports returns: `out` is `value`, and the flow goes on by `port` only."""

    port: str
    value: Json


#: What a request may reach: also what the owner allows flows to reach, or the public web alone.
Reach = Literal["flows", "public"]


class HttpAnswer(Protocol):
    """What the outbound door answers. `listed`: its host is one that the owner allows."""

    @property
    def url(self) -> str: ...
    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...
    @property
    def content_type(self) -> str: ...
    @property
    def listed(self) -> bool: ...
    def text(self) -> str: ...


class DrawnPage(Protocol):
    """A page after its scripts ran (`engine.browser.browser`). `refused`: how many of its requests were not answered."""

    @property
    def url(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def refused(self) -> int: ...


class SiteRules(Protocol):
    """What a site's robots.txt says (`engine.outbound.robots`). `failed_status`: it could not be had just now.

    `listed`: it came from a host that the owner allows.
    """

    @property
    def failed_status(self) -> int | None: ...
    @property
    def answer_headers(self) -> Mapping[str, str]: ...
    @property
    def crawl_delay(self) -> float: ...
    @property
    def sitemaps(self) -> Sequence[str]: ...
    @property
    def listed(self) -> bool: ...
    def may_read(self, url: str) -> bool: ...


class Http(Protocol):
    """The outbound door as a node sees it (`engine.outbound.client.OutboundClient`). Refusals and faults come as NodeFailed."""

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        secret_headers: Mapping[str, SecretValue] | None = None,
        query: Mapping[str, str] | None = None,
        content: bytes | None = None,
        timeout_seconds: float = 30.0,
        reach: Reach = "flows",
    ) -> HttpAnswer: ...

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> SiteRules:
        """The robots.txt of a page's site, asked for once in a while. Raises NodeFailed."""
        ...

    async def draw(self, answer: Any, *, timeout_seconds: float = 30.0) -> DrawnPage:
        """Draws the page of an answer in a browser. Raises NodeFailed, also when there is none (`page_needs_browser`)."""
        ...

    def turn(self, url: str, *, delay_seconds: float = 0.0, at_once: int = 10) -> AbstractAsyncContextManager[None]:
        """Enter it around a request: it waits until the page's host may be asked again."""
        ...


class DatasetPage(Protocol):
    """Some rows of a dataset in order, how many characters they are as JSON, and where the next ones begin."""

    @property
    def rows(self) -> Sequence[dict[str, Json]]: ...
    @property
    def size(self) -> int: ...
    @property
    def after(self) -> int: ...


class Datasets(Protocol):
    """The datasets of the flow's workspace, as they are now. A dataset is named by id or name."""

    async def read(self, dataset: str, after: int = 0) -> DatasetPage:
        """The next rows; none at the end. Raises NodeFailed."""
        ...

    async def write(self, dataset: str, mode: str, key_column: str, row: Mapping[str, Json], step: str) -> str:
        """Appends, updates or upserts a row, once for each `step`; `added`, `updated`, `unchanged` or `not_found`."""
        ...


@dataclass(frozen=True)
class ModelQuestion:
    """What a Prompt asks. `model` is `CONNECTION:model-name` or `simulated`; `output_schema` asks for an object."""

    model: str
    prompt: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0


class ModelReply(Protocol):
    """A model's answer: `value` is text, or an object that fits the schema."""

    @property
    def value(self) -> Json: ...
    @property
    def simulated(self) -> bool: ...


class NodeContext(Protocol):
    """Everything a node may use from outside. Model calls, warnings and log lines are kept with the step."""

    @property
    def http(self) -> Http: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def idempotency_key(self) -> str:
        """`job:step:item`, the same on every try: sent with HTTP POST so that a repeated call can be recognised."""
        ...

    @property
    def timeout_seconds(self) -> float:
        """How long this try may take."""
        ...

    @property
    def payload(self) -> Mapping[str, Json]:
        """The job's payload with defaults applied."""
        ...

    @property
    def scope(self) -> Scope:
        """What references may see; for inputs that are source and render themselves."""
        ...

    @property
    def bindings(self) -> Mapping[str, Json]:
        """The inputs as the designer wrote them; for messages that name a reference."""
        ...

    async def ask_model(self, question: ModelQuestion) -> ModelReply: ...
    async def in_thread(self, work: Callable[..., Any], *args: Any) -> Any:
        """Runs CPU-heavy pure work off the event loop."""
        ...

    async def render_template(self, template: str, data: Mapping[str, Mapping[str, Json]]) -> str:
        """A template with `{% %}` as text, rendered in a process that can be killed; `data` is `{node id: {"out": value}}`."""
        ...

    async def read_apart(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """A reader of `engine.pages.readers` in a process that can be killed: `{"value"}`, or `{"wrong", "message"}`."""
        ...

    async def call_flow(self, flow_id: str, version: int | None, values: Mapping[str, Json]) -> Json:
        """Runs another flow of this workspace as part of this step and gives its result. Raises NodeFailed."""
        ...

    def secret(self, secret_id: str) -> SecretValue:
        """A secret of this workspace, for a header. Raises NodeFailed when there is none."""
        ...

    def warn(self, message: str) -> None:
        """A warning shown with the step."""
        ...

    def log(self, message: str) -> None:
        """A line in the step's log."""
        ...


Run = Callable[[Any, Any, NodeContext], Coroutine[Any, Any, Json]]


def _no_extra_problems(node: Node, document: Document) -> list[Problem]:
    return []


@dataclass(frozen=True)
class NodeType:
    """A node type, declared once by its file.

    `out_schema` is a pure function from the node's config and inputs (as stored, maybe wrong) to the JSON Schema of `out`, or
    None when anything may come out. `source_inputs` are inputs handed over untouched because they are source, not bindings; `source_references` finds the
    references in such a source.
    `out_from` is for types that pass data on: it is also given the schemas of the values bound to the inputs. `source_input` is
    the input that, while unbound, takes the `out` of the node before it (`all_sources`: a list, of every node before it that
    ran). Of a list in `without_skipped`, entries that use a skipped node are left out.
    `summary` makes the one line on the canvas from settings and inputs, whose references are in words by then.
    `check` adds problems only this type knows. `example` is a pair (config, inputs) that works on the practice site.
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
    version: int = 1
    ports: tuple[str, ...] = ("out",)
    accepts_input: bool = True
    timeout_seconds: float = 60.0
    #: For a type whose usual limit follows from its settings (as stored, maybe wrong): seconds, in place of the one above.
    time_limit: Callable[[Mapping[str, Any]], float] | None = None
    source_inputs: frozenset[str] = frozenset()
    source_references: Callable[[str], Sequence[Reference | BadReference]] | None = None
    out_from: Callable[[Mapping[str, Any], Mapping[str, Any], Mapping[str, JsonSchema]], JsonSchema | None] | None = (
        None
    )
    source_input: str | None = None
    all_sources: bool = False
    without_skipped: frozenset[str] = frozenset()
    check: Callable[[Node, Document], list[Problem]] = _no_extra_problems
    example: tuple[dict[str, Any], dict[str, Any]] = field(default_factory=lambda: ({}, {}))

    @property
    def free_form(self) -> bool:
        """True when the designer names the inputs."""
        return issubclass(self.inputs, FreeInputs)

    @property
    def processing(self) -> bool:
        """True for the groups that count as a processing node."""
        return self.group in PROCESSING

    @property
    def tooltip(self) -> str:
        """One sentence: the first line of the file's docstring."""
        return self._doc().split("\n")[0]

    @property
    def help(self) -> str:
        """The help page in markdown: the rest of the file's docstring."""
        return "\n".join(self._doc().split("\n")[1:]).strip()

    @property
    def required_inputs(self) -> tuple[str, ...]:
        """Inputs that must be bound."""
        return tuple(name for name, info in self.inputs.model_fields.items() if info.is_required())

    def limit_for(self, config: Mapping[str, Any]) -> float:
        """Seconds one try may take when the node sets no limit of its own."""
        return self.timeout_seconds if self.time_limit is None else self.time_limit(config)

    def _doc(self) -> str:
        module = inspect.getmodule(self.run)
        return inspect.getdoc(module) or self.title


Catalog = Mapping[str, NodeType]
