"""What a node may use from outside: its context, and the values that it gives to it and gets from it.

`engine.run.step` implements the context; `engine.jobs.worker.step_services` is what stands behind it in a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from engine.core.error_codes import JobErrorCode
from engine.flow.references import Json, Scope

JsonSchema = dict[str, Any]
Result = TypeVar("Result")


class NodeFailed(Exception):
    """A node could not do its work; the message is a sentence for the designer.

    `code`: a `JobErrorCode` (`http_status`, `page_not_found`, ...). `passing`: another try
    may succeed. `retry_after`: the seconds that the other side asked to wait. `pointer`: the field to correct
    (`/inputs/url`).
    """

    def __init__(
        self,
        message: str,
        *,
        code: str = JobErrorCode.NODE_FAILED,
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
class SecretValue:
    """A secret for a request. `hosts`: the hosts it may be sent to; None allows every host."""

    name: str
    value: str = field(repr=False)
    hosts: tuple[str, ...] | None


#: Which addresses a request may reach: also those the owner allows for flows, or the public web only.
Reach = Literal["flows", "public"]


class HttpAnswer(Protocol):
    """The answer to an outbound request. `listed`: the owner's allow-list names its host."""

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
    """A page after its scripts have run (`engine.browser.browser`).

    `refused`: how many of its requests were blocked or failed.
    """

    @property
    def url(self) -> str: ...
    @property
    def html(self) -> str: ...
    @property
    def refused(self) -> int: ...


class SiteRules(Protocol):
    """The rules in a site's robots.txt (`engine.outbound.robots`). `failed_status`: the HTTP status when it could not
    be read.

    `listed`: it came from a host that the owner's allow-list names.
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
    """The outbound client as nodes see it (`engine.outbound.client.OutboundClient`).

    Refusals and faults are raised as NodeFailed.
    """

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
        max_bytes: int = 10 << 20,
        reach: Reach = "flows",
    ) -> HttpAnswer: ...

    async def site_rules(self, url: str, *, timeout_seconds: float = 30.0, reach: Reach = "flows") -> SiteRules:
        """Returns the robots.txt of a page's site, which is cached. Raises NodeFailed."""
        ...

    async def draw(self, answer: Any, *, timeout_seconds: float = 30.0) -> DrawnPage:  # noqa: ANN401 - its own answers
        """Renders the page of an answer in a browser.

        Raises NodeFailed, also when there is no browser (`page_needs_browser`).
        """
        ...

    def turn(self, url: str, *, delay_seconds: float = 0.0, at_once: int = 10) -> AbstractAsyncContextManager[None]:
        """A context manager around a request that waits until the host may be asked again."""
        ...


class DatasetPage(Protocol):
    """Some rows of a dataset in order, the characters of their JSON text, the id after which the next rows start, and
    the name of the dataset.
    """

    @property
    def rows(self) -> Sequence[dict[str, Json]]: ...
    @property
    def size(self) -> int: ...
    @property
    def after(self) -> int: ...
    @property
    def name(self) -> str: ...


class Datasets(Protocol):
    """The present datasets of the flow's workspace. A dataset is named by id or name."""

    async def read(self, dataset: str, after: int = 0) -> DatasetPage:
        """Returns the next rows, none at the end. Raises NodeFailed."""
        ...

    async def write(
        self,
        dataset: str,
        mode: str,
        key_column: str,
        row: Mapping[str, Json],
        step: str,
        numbers: Collection[str] = (),
    ) -> str:
        """Writes a row by the mode of Save rows, once for each `step`.

        Returns `added`, `updated`, `unchanged`, `kept` or `not_found`.
        """
        ...


class Knowledge(Protocol):
    """The collections of knowledge of the flow's workspace. A collection is named by id or name."""

    async def search(
        self, collection: str, query: str, limit: int = 5, min_score: float = 0.0, filters: Sequence[str] = ()
    ) -> list[dict[str, Json]]:
        """Returns the best pieces, each with `number` (from 1), `text`, `source`, `address`, `place`, `heading`, `score`
        (0 to 1), `words` and `likeness`. `filters`: names of sources, or texts in the names of their documents.

        Raises NodeFailed.
        """
        ...

    async def add(self, collection: str, text: str, source: str = "") -> dict[str, Json]:
        """Adds a text, once for each step; a text of the same source is replaced. Returns `action`, `source` and
        `pieces`. Raises NodeFailed.
        """
        ...


@dataclass(frozen=True)
class FileContent:
    """A file with its bytes. `size` is their number; `media_type` was found from content and name."""

    name: str
    media_type: str
    size: int
    content: bytes = field(repr=False)


class Files(Protocol):
    """The stored files of the flow's workspace (`engine.flow.file_values` describes their values)."""

    async def read(self, value: Json) -> FileContent:
        """Returns the file that a file value (or the id alone) names. Raises NodeFailed."""
        ...

    async def keep(self, name: str, media_type: str, content: bytes) -> Json:
        """Stores a file made by this step and returns its file value.

        The name is cleaned. `media_type` counts when neither content nor name show one. It stays as long as the job's
        data, or longer while something else names it. Raises NodeFailed.
        """
        ...

    async def note_payload(self, payload: Mapping[str, Json]) -> None:
        """Stores the payload of the job anew, with files in place of the data that was sent with it."""
        ...


@dataclass(frozen=True)
class ModelQuestion:
    """A Prompt's request to a model.

    `model` is `CONNECTION:model-name` or `simulated`; `output_schema` asks for an object; `files` are sent with it.
    """

    model: str
    prompt: str
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0
    files: tuple[FileContent, ...] = ()


class ModelReply(Protocol):
    """A model's answer: `value` is text, or an object that fits the schema.

    `warnings` and `notes` are for the step: what the model did not get, and which files went to it.
    """

    @property
    def value(self) -> Json: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def warnings(self) -> Sequence[str]: ...
    @property
    def notes(self) -> Sequence[str]: ...


#: What happens when nobody answers a question in time: it counts as refused, as approved, or the step fails.
OnExpiry = Literal["refuse", "approve", "fail"]


@dataclass(frozen=True)
class PersonQuestion:
    """A question that a step asks a person.

    `key` tells the questions of one step apart. `title` says what is asked; `values` is what the person reads before
    they decide, name -> JSON value, and `editable` names those of them that they may change. Nobody can answer later
    than `expires_after_seconds` after the question was asked; then `on_expiry` applies.
    """

    key: str
    title: str
    values: Mapping[str, Json]
    editable: tuple[str, ...] = ()
    expires_after_seconds: float = 7 * 86_400.0
    on_expiry: OnExpiry = "refuse"


@dataclass(frozen=True)
class PersonAnswer:
    """The answer to a question. `values`: those of the question with the person's changes.

    `by`: the name of who answered, for people; empty when nobody did and the question `expired`.
    """

    approved: bool
    values: dict[str, Json]
    note: str = ""
    by: str = ""
    expired: bool = False


class SetAside(BaseException):
    """Raised by `NodeContext.ask_person` while there is no answer: the step ends, and begins again after it."""


@dataclass(frozen=True)
class ToolSpec:
    """A tool that a model may call. `schema`: the JSON Schema of its arguments, an object.

    `changes`: a call may change something outside Flowport, so the Simulated model leaves it alone.
    """

    name: str
    description: str
    schema: JsonSchema
    changes: bool = False


@dataclass(frozen=True)
class ToolCall:
    """A call that a model asks for. `arguments` is what the model wrote: an object, or text that is no JSON object."""

    id: str
    name: str
    arguments: Json


@dataclass
class TurnFiles:
    """The files of a conversation's first message.

    `prepared`: what the model gets of them, kept for the next turns: a document is read once, not with each turn.
    """

    files: tuple[FileContent, ...] = ()
    prepared: Any = None


@dataclass(frozen=True)
class ModelTurn:
    """One request of a conversation in which a model may call tools.

    `history` holds the conversation after the first message, as JSON: `{"message": ...}` is a `TurnReply.message`,
    `{"results": [{"id", "name", "text"}]}` answers its calls, and `{"text": ...}` is something more that it is told.
    `may_call` false: the model is told of the tools, but must answer without a call.
    """

    model: str
    message: str
    system: str = ""
    history: tuple[Mapping[str, Json], ...] = ()
    tools: tuple[ToolSpec, ...] = ()
    may_call: bool = True
    files: TurnFiles = field(default_factory=TurnFiles)
    #: The schema of the final answer, for the Simulated model; other models read it in `system`.
    output_schema: JsonSchema | None = None
    timeout_seconds: float = 180.0


class TurnReply(Protocol):
    """A model's reply: its text and the calls it asks for. `message` is the whole reply as JSON, for `history`.

    `cost_nanos` None: unknown.
    """

    @property
    def text(self) -> str: ...
    @property
    def asked(self) -> Sequence[ToolCall]: ...
    @property
    def message(self) -> Json: ...
    @property
    def simulated(self) -> bool: ...
    @property
    def input_tokens(self) -> int: ...
    @property
    def output_tokens(self) -> int: ...
    @property
    def cost_nanos(self) -> int | None: ...
    @property
    def warnings(self) -> Sequence[str]: ...


@dataclass(frozen=True)
class FlowOffer:
    """A flow as a tool: its title, its description, and the schema of its fields."""

    title: str
    description: str
    schema: JsonSchema


@dataclass(frozen=True)
class FlowAnswer:
    """The result of a flow that a model called, or why it failed, and what its model calls took. `cost_nanos` None:
    unknown.
    """

    value: Json
    failed: NodeFailed | None = None
    cost_nanos: int | None = 0
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True)
class ServerTool:
    """A tool of an MCP server as the server listed it. `reads`: the server says that a call changes nothing."""

    name: str
    description: str
    schema: JsonSchema
    reads: bool = False


class ToolServer(Protocol):
    """An MCP server of this workspace, and its tools that the owner allows."""

    @property
    def name(self) -> str: ...
    @property
    def tools(self) -> Sequence[ServerTool]: ...
    async def call(self, tool: str, arguments: Mapping[str, Json], timeout_seconds: float) -> Json:
        """Calls a tool, one call at a time. Raises NodeFailed, also for what the tool reports as an error."""
        ...


class NodeContext(Protocol):
    """Everything that a node may use from outside. Model calls, warnings and log lines are stored with the step."""

    @property
    def http(self) -> Http: ...
    @property
    def datasets(self) -> Datasets: ...
    @property
    def files(self) -> Files: ...
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def idempotency_key(self) -> str:
        """`job:step:item`, the same for every try.

        HTTP POST requests send it, so that the receiver can recognise repeats.
        """
        ...

    @property
    def timeout_seconds(self) -> float:
        """The time limit of this try in seconds."""
        ...

    @property
    def payload(self) -> Mapping[str, Json]:
        """The job's payload with defaults applied."""
        ...

    @property
    def scope(self) -> Scope:
        """The values that references can see, for nodes that render source code inputs themselves."""
        ...

    @property
    def bindings(self) -> Mapping[str, Json]:
        """The inputs as the designer wrote them, for messages that name a reference."""
        ...

    @property
    def number_inputs(self) -> Collection[str]:
        """The inputs whose data is described as a number that may have decimals; known for Save rows only."""
        ...

    async def ask_model(self, question: ModelQuestion) -> ModelReply: ...
    async def ask_turn(self, turn: ModelTurn) -> TurnReply:
        """Asks a model that may answer with calls of tools. Raises NodeFailed."""
        ...

    def tool_server(self, server: str) -> AbstractAsyncContextManager[ToolServer]:
        """Opens an MCP server of this workspace by its name; it is connected at the first call. Raises NodeFailed."""
        ...

    async def look_at_flow(self, flow_id: str, version: int | None) -> FlowOffer:
        """Returns what another flow of this workspace takes. Raises NodeFailed."""
        ...

    async def run_tool_flow(
        self, flow_id: str, version: int | None, values: Mapping[str, Json], *, tool: str, number: int
    ) -> FlowAnswer:
        """Runs another flow of this workspace because a model called it. Raises NodeFailed when it cannot begin.

        Its steps are named after the tool, and `number` tells the calls of a step apart.
        """
        ...

    def finished(self, key: str) -> Json | None:
        """Returns what `finish` stored under this key for this step, also in an earlier attempt; None when nothing
        was.
        """
        ...

    async def begin(self, key: str, value: Json) -> None:
        """Shows that a part of the step has begun. `finish` with the same key replaces `value`."""
        ...

    async def finish(self, key: str, value: Json) -> None:
        """Stores the result of a part of the step, which survives a crash and a pause. Keys are unique in the step."""
        ...

    async def in_thread(self, work: Callable[..., Result], *args: object) -> Result:
        """Runs CPU-heavy pure code off the event loop."""
        ...

    async def render_template(self, template: str, data: Mapping[str, Mapping[str, Json]]) -> str:
        """Renders a template with `{% %}` in an evaluator process, which can be killed.

        `data` is `{node id: {"out": value}}`.
        """
        ...

    async def read_apart(self, reader: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
        """Runs a reader of `engine.pages.readers` in an evaluator process: returns `{"value"}`, or `{"wrong",
        "message"}`.
        """
        ...

    async def read_file_apart(
        self, family: str, reader: str, arguments: Mapping[str, Json], content: bytes
    ) -> tuple[dict[str, Json], bytes]:
        """Reads a file in an evaluator process of its own; `engine.documents.reading` is built on it.

        Returns `{"value"}` and the bytes of pictures, or `{"wrong", "facts"}`.
        """
        ...

    async def call_flow(self, flow_id: str, version: int | None, values: Mapping[str, Json]) -> Json:
        """Runs another flow of this workspace as a part of this step and returns its result. Raises NodeFailed."""
        ...

    async def ask_person(self, question: PersonQuestion) -> PersonAnswer:
        """Asks a person and returns their answer.

        While there is no answer, the call does not return: it ends the step, and the job is set aside once nothing
        else of it can run. After the answer the step begins again, and the same call returns the answer. A question is
        the same when its `key`, title, values and editable values are; with others it is asked anew. A step may ask
        several questions, also at the same time. The node must let SetAside pass.

        Raises NodeFailed when the question expired and `on_expiry` is `fail`, and when it cannot be asked.
        """
        ...

    async def secret(self, secret_id: str) -> SecretValue:
        """Returns a secret of this workspace, for a header. Raises NodeFailed when there is none."""
        ...

    def warn(self, message: str) -> None:
        """Adds a warning that is shown with the step."""
        ...

    def log(self, message: str) -> None:
        """Adds a line to the step's log."""
        ...
