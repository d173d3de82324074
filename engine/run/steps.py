"""What a run reports: the start and end of steps, tries, model calls and the outcome."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, NamedTuple, Protocol

from msgspec import Struct

from engine.core.clock import Millis
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import Json
from engine.flow.node_http import SecretValue
from engine.run.turns import Turns

#: `waiting`: the step asked a person. It begins again after the answer.
StepStatus = Literal["completed", "failed", "skipped", "cancelled", "waiting"]


#: Separates the id of a Call Flow node from that of a node in the called flow; no node id contains it.
INNER = "."


class StepKey(NamedTuple):
    """Identifies a step: a node and, inside Splitters, the positions of its items, outermost first."""

    node_id: str
    index: tuple[int, ...] = ()  # type: ignore[assignment] # hides tuple.index, which nobody calls on a key

    @property
    def index_path(self) -> str:
        """The positions as they are stored, for example `3/0`; empty outside a Splitter."""
        return "/".join(map(str, self.index)) if self.index else ""

    def inside(self, caller: StepKey) -> StepKey:
        """Returns the key of this step of a called flow as a step of the flow that calls it: `call_flow.prompt`."""
        return StepKey(f"{caller.node_id}{INNER}{self.node_id}", (*caller.index, *self.index))

    @property
    def is_inner(self) -> bool:
        """True for a step of a called flow, such as `call_flow.prompt`."""
        return INNER in self.node_id


class RunError(Struct, frozen=True):
    """Why a step or a run failed: what happened (`message`), why, what to do, and the JSON pointer of the field to
    correct.
    """

    code: str
    message: str
    why: str = ""
    remedy: str = ""
    node_id: str | None = None
    node_label: str | None = None
    item_index: int | list[int] | None = None
    attempts: int = 1
    pointer: str = ""

    def as_json(self) -> dict[str, Any]:
        """Returns it as stored with a job or step; the API publishes a part of it."""
        return {
            "code": self.code,
            "message": self.message,
            "why": self.why,
            "remedy": self.remedy,
            "node_id": self.node_id,
            "node_label": self.node_label,
            "item_index": self.item_index,
            "attempts": self.attempts,
            "pointer": self.pointer,
        }


class Stop(Exception):  # ends the run, never shown
    """Raised to end the run because of a failure."""

    def __init__(self, error: RunError) -> None:
        self.error = error


#: Takes the place of a failure in what comes after a step that waits for a person.
WAITS = RunError("waiting", "A step before it waits for a person.")


class Try(Struct, frozen=True):
    """One try of a step. `waited_ms` is the pause before it."""

    number: int
    started_at: Millis
    duration_ms: int
    waited_ms: int
    code: str | None
    message: str | None

    def as_json(self) -> dict[str, Any]:
        """Returns it as stored with the step."""
        return {
            "number": self.number,
            "started_at": self.started_at,
            "duration_ms": self.duration_ms,
            "waited_ms": self.waited_ms,
            "code": self.code,
            "message": self.message,
        }


class StepStarted(Struct, frozen=True):
    """A step starts; `inputs` are its rendered values. `size`: that of large ones, in bytes."""

    key: StepKey
    at: Millis
    inputs: dict[str, Json]
    size: int = 0


class StepEnded(Struct, frozen=True, kw_only=True):
    """A step has ended. `calls`: its model calls (`engine.models`) in order. `tries`: empty when the first one
    succeeded.

    `is_repeatable`: the step gives the same when it runs again, which one that failed for want of time may not.
    `items`: the number of items that a Splitter gave. `splitter`: the innermost Splitter around the step. `through`:
    nodes that ran per item and have now ended for all items. `size`: that of a large output, in bytes.
    """

    key: StepKey
    status: StepStatus
    started_at: Millis
    ended_at: Millis
    duration_ms: int
    inputs: dict[str, Json]
    output: Json = None
    error: RunError | None = None
    warnings: tuple[str, ...] = ()
    tries: tuple[Try, ...] = ()
    calls: tuple[Any, ...] = ()
    log: tuple[str, ...] = ()
    simulated: bool = False
    items: int | None = None
    splitter: str = ""
    through: frozenset[str] = frozenset()
    is_repeatable: bool = False
    size: int = 0

    @property
    def tried(self) -> int:
        """The number of tries; 0 when none was started."""
        return len(self.tries) or int(self.status == "completed" and self.error is None)


class StepPart(Struct, frozen=True):
    """A part of a step, like a call of a tool. `at`: when it began, or ended; `ended`: its value is a result that is kept."""

    name: str
    value: Json
    at: Millis
    ended: bool


class RunOutcome(Struct, frozen=True):
    """How a run ended. `result` is the job's result when it completed. `waiting`: nothing more can run before a person
    answers.
    """

    status: Literal["completed", "failed", "waiting"]
    result: Json = None
    error: RunError | None = None


class Recorder(Protocol):
    """Receives the reports of a run. Its methods are called on the event loop and must return at once."""

    def started(self, step: StepStarted) -> None: ...
    def ended(self, step: StepEnded) -> None: ...
    def called(self, key: StepKey, call: Any) -> None:
        """Reports a model call that was paid for, while its step still runs."""
        ...

    def delta(self, key: StepKey, text: str) -> None:
        """Reports model text as it arrives."""
        ...

    def part(self, key: StepKey, part: StepPart) -> None:
        """Reports that a part of a step has begun or ended."""
        ...

    def finished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has ended, also in an earlier attempt; None when there is none."""
        ...

    def forget(self, nodes: Collection[str], index: tuple[int, ...]) -> None:
        """Drops what earlier attempts stored of the steps of these nodes, and of flows that they called, inside this
        index: their list is another one now, and another attempt must not use it either.
        """
        ...

    def as_stored(self, text: str) -> str:
        """Returns a JSON text as another attempt finds it. May be called in any thread."""
        ...

    def unfinished(self, key: StepKey, name: str) -> Json | None:
        """Returns the value of a part that has begun and not ended, also in an earlier attempt; None when there is
        none.
        """
        ...


class Services(Protocol):
    """What a run needs from outside: requests, datasets, files, models, secrets, other flows, threads and evaluator
    processes.
    """

    @property
    def http(self) -> Any: ...
    @property
    def datasets(self) -> Any: ...
    @property
    def files(self) -> Any: ...

    def knowledge(self, step: str, on_call: Any, warn: Any) -> Any:
        """Returns the knowledge of the workspace (`engine.flow.node_context.Knowledge`) for one step."""
        ...

    async def ask_model(self, question: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
        """Returns an answer with `.value`, `.simulated` and `.calls`."""
        ...

    async def ask_turn(self, turn: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
        """Returns an `engine.flow.node_models.TurnReply`."""
        ...

    def tool_server(self, server: str) -> AbstractAsyncContextManager[Any]:
        """Opens an MCP server (`engine.flow.node_context.ToolServer`)."""
        ...

    async def settled(self) -> None:
        """Waits until everything that was reported is stored."""
        ...

    async def caught_up(self) -> None:
        """Waits while so much was reported and is not stored yet that it would fill the memory."""
        ...

    async def secret(self, secret_id: str) -> SecretValue: ...
    async def called_flow(self, flow_id: str, version: int | None) -> Any:
        """Returns the plan of a called flow (`engine.run.calls.CalledPlan`). Raises NodeFailed."""
        ...

    async def ask_person(self, key: StepKey, question: Any) -> Any:
        """Returns the answer to the question of a step (`PersonAnswer`), or None while there is none. Raises NodeFailed."""
        ...

    @property
    def checks(self) -> JobChecks:
        """The checks of this job's inner payloads, which share a budget."""
        ...

    @property
    def turns(self) -> Turns:
        """The turns of all lists on this event loop."""
        ...

    async def in_thread(self, work: Any, *args: Any) -> Any: ...
    async def render_template(self, template: str, data: Any) -> str:
        """Renders a template with `{% %}` in another process."""
        ...

    async def read_apart(self, reader: str, arguments: Any) -> Any:
        """Reads a page in another process."""
        ...

    async def read_file_apart(self, family: str, reader: str, arguments: Any, content: bytes) -> Any:
        """Reads a file in another process."""
        ...
