"""What a node may use from outside: its context, and the values that it gives to it and gets from it. What it has of the
web is in `node_http.py`, and what it asks language models in `node_models.py`.

`engine.run.step` implements the context; `engine.jobs.worker.step_services` is what stands behind it in a worker.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, Protocol, TypeVar

from msgspec import Struct

from engine.core.error_codes import JobErrorCode
from engine.flow.file_values import FileContent, StoredFile
from engine.flow.job_checks import JobChecks
from engine.flow.node_http import Http, SecretValue
from engine.flow.node_models import ModelQuestion, ModelReply, ModelTurn, TurnReply
from engine.flow.references import Json, JsonSchema, Scope

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


class DatasetPage(Protocol):
    """Some rows of a dataset in order, the characters of their JSON text, the id after which the next rows start, and
    the name and the columns of the dataset. `goes_on`: a row before them is still there; all rows of an import with
    Replace are others.
    """

    @property
    def rows(self) -> Sequence[dict[str, Json]]: ...
    @property
    def size(self) -> int: ...
    @property
    def after(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def columns(self) -> Sequence[str]: ...
    @property
    def goes_on(self) -> bool: ...


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


class Files(Protocol):
    """The stored files of the flow's workspace (`engine.flow.file_values` describes their values)."""

    async def read(self, value: Json) -> FileContent:
        """Returns the file that a file value (or the id alone) names. Raises NodeFailed."""
        ...

    async def look_up(self, value: Json) -> StoredFile:
        """Returns what is known of it, without its bytes. Raises NodeFailed."""
        ...

    def room(self, size: int) -> AbstractAsyncContextManager[None]:
        """Waits until files of so many bytes may be in memory, and keeps them room until the end."""
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


#: What happens when nobody answers a question in time: it counts as refused, as approved, or the step fails.
OnExpiry = Literal["refuse", "approve", "fail"]


class PersonQuestion(Struct, frozen=True):
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


class PersonAnswer(Struct, frozen=True):
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


class FlowOffer(Struct, frozen=True):
    """A flow as a tool: its title, its description, and the schema of its fields."""

    title: str
    description: str
    schema: JsonSchema


class FlowAnswer(Struct, frozen=True):
    """The result of a flow that a model called, or why it failed."""

    value: Json
    failed: NodeFailed | None = None


class Spent(Struct):
    """What the model calls of a flow have taken so far that a model called. `cost_nanos` None: unknown."""

    cost_nanos: int | None = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @classmethod
    def of(cls, part: Mapping[str, Json]) -> Spent:
        """Returns what a part of a step tells of."""
        return cls(part.get("cost_nanos", 0), part.get("input_tokens", 0), part.get("output_tokens", 0))

    def add(self, cost_nanos: int | None, input_tokens: int, output_tokens: int) -> None:
        """Adds a model call."""
        known = self.cost_nanos is not None and cost_nanos is not None
        self.cost_nanos = (self.cost_nanos or 0) + (cost_nanos or 0) if known else None
        self.input_tokens += input_tokens
        self.output_tokens += output_tokens


class ServerTool(Struct, frozen=True):
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
        self, flow_id: str, version: int | None, values: Mapping[str, Json], *, tool: str, number: int, spent: Spent
    ) -> FlowAnswer:
        """Runs another flow of this workspace because a model called it. Raises NodeFailed when it cannot begin.

        Its steps are named after the tool, and `number` tells the calls of a step apart. Its model calls are added to
        `spent`, however it ends.
        """
        ...

    def finished(self, key: str) -> Json | None:
        """Returns what `finish` stored under this key for this step, also in an earlier attempt; None when it stored
        nothing.
        """
        ...

    def unfinished(self, key: str) -> Json | None:
        """Returns what `begin` stored last under this key for this step, also in an earlier attempt; None when it stored
        nothing.
        """
        ...

    async def begin(self, key: str, value: Json) -> None:
        """Shows that a part of the step has begun. `finish` with the same key replaces `value`."""
        ...

    async def finish(self, key: str, value: Json) -> None:
        """Stores the result of a part of the step, which survives a crash and a pause. Keys are unique in the step."""
        ...

    @property
    def checks(self) -> JobChecks:
        """The checks of values inside this job, which share a budget."""
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
