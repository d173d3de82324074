"""What a run tells about itself: steps at their start and end, tries, model calls and the outcome."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any, Literal, Protocol

from engine.core.clock import Millis
from engine.flow.node_type import Json, SecretValue

StepStatus = Literal["completed", "failed", "skipped", "cancelled"]


#: Between a Call Flow node and the node of the flow it calls; no node's id has it.
INNER = "."


@dataclass(slots=True, unsafe_hash=True)
class StepKey:
    """A step: a node and, inside a Splitter, the item's position (one number per Splitter around it).

    Never changed, though not `frozen`: one is made per step, and a frozen one takes twice as long to make.
    """

    node_id: str
    index: tuple[int, ...] = ()

    @property
    def index_path(self) -> str:
        """`3/0` as stored; empty outside a Splitter."""
        return "/".join(str(number) for number in self.index)

    @property
    def is_inner(self) -> bool:
        """Whether it is a step of a flow that was called: `call_flow.prompt`."""
        return INNER in self.node_id


@dataclass(frozen=True)
class RunError:
    """Why a step or a run failed: what happened (`message`), why, what to do, and the node's field to mend (`pointer`)."""

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
        """As stored with a job or step; the API publishes part of it."""
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


class Stop(Exception):  # noqa: N818 - ends the run, never shown
    """A failure that ends the run."""

    def __init__(self, error: RunError) -> None:
        self.error = error


@dataclass(slots=True)
class Try:
    """One attempt at a step. `waited_ms` is the pause before it."""

    number: int
    started_at: Millis
    duration_ms: int
    waited_ms: int
    code: str | None
    message: str | None

    def as_json(self) -> dict[str, Any]:
        """As stored with the step."""
        return {
            "number": self.number,
            "started_at": self.started_at,
            "duration_ms": self.duration_ms,
            "waited_ms": self.waited_ms,
            "code": self.code,
            "message": self.message,
        }


@dataclass(slots=True)
class StepStarted:
    """A step begins: `inputs` are its rendered values."""

    key: StepKey
    at: Millis
    inputs: dict[str, Json]


@dataclass(slots=True)
class StepEnded:
    """A step is over. `calls` are model calls (`engine.models`), in order. `tries` is empty when the first one worked.

    `items`: how many items a Splitter gave. `splitter`: the Splitter whose item the step belongs to. `through`: nodes that ran
    per item and are over for all items now.
    """

    key: StepKey
    status: StepStatus
    _: KW_ONLY
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

    @property
    def tried(self) -> int:
        """How often it was tried; 0 when it never got so far."""
        return len(self.tries) or int(self.status == "completed" and self.error is None)


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended. `result` is the job's result when it completed."""

    status: Literal["completed", "failed"]
    result: Json = None
    error: RunError | None = None


class Recorder(Protocol):
    """Where a run reports to. Called on the event loop; must return at once."""

    def started(self, step: StepStarted) -> None: ...
    def ended(self, step: StepEnded) -> None: ...
    def called(self, key: StepKey, call: Any) -> None:
        """A model call was paid for, while its step still runs."""
        ...

    def delta(self, key: StepKey, text: str) -> None:
        """Model text as it arrives."""
        ...


class Services(Protocol):
    """What a run uses from outside."""

    @property
    def http(self) -> Any: ...
    @property
    def datasets(self) -> Any: ...
    async def ask_model(self, question: Any, *, on_call: Any = None, on_text: Any = None) -> Any:
        """Answers with `.value`, `.simulated` and `.calls`."""
        ...

    def secret(self, secret_id: str) -> SecretValue: ...
    async def called_flow(self, flow_id: str, version: int | None) -> Any:
        """The plan of a flow that is called (`engine.run.calls.CalledPlan`). Raises NodeFailed."""
        ...

    async def in_thread(self, work: Any, *args: Any) -> Any: ...
    async def render_template(self, template: str, data: Any) -> str:
        """A template with `{% %}`, rendered outside this process."""
        ...

    async def read_apart(self, reader: str, arguments: Any) -> Any:
        """A page, read outside this process."""
        ...
