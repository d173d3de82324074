"""Data types for a question to a model, its answer, and each call with tokens, price and duration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct, field

from engine.flow.file_values import FileContent
from engine.flow.job_checks import JobChecks
from engine.flow.node_context import Json, JsonSchema
from engine.flow.node_models import ModelQuestion
from engine.models.connections import split_model
from engine.models.price import Price


class ModelCall(Struct, frozen=True):
    """One call of a model.

    `cost_nanos` None: unknown. `error` is a code when the call failed or its answer was unusable.
    """

    model: str
    connection: str
    attempt: int
    #: The connection's provider, a name in `engine.models.provider_catalog`.
    provider: str = "simulated"
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nanos: int | None = None
    price: Price | None = None
    seconds: float = 0.0
    simulated: bool = False
    error: str | None = None

    @property
    def duration_ms(self) -> int:
        """`seconds` in milliseconds, as stored."""
        return round(self.seconds * 1000)


class CallTotals:
    """What the calls of an answer or a reply took together."""

    calls: tuple[ModelCall, ...]

    @property
    def input_tokens(self) -> int:
        """Input tokens of all calls."""
        return sum(call.input_tokens for call in self.calls)

    @property
    def output_tokens(self) -> int:
        """Output tokens of all calls."""
        return sum(call.output_tokens for call in self.calls)

    @property
    def cost_nanos(self) -> int | None:
        """Cost of all calls in nano-dollars; None when the cost of any call is unknown."""
        costs = [call.cost_nanos for call in self.calls]
        return None if None in costs else sum(cost for cost in costs if cost is not None)


class ModelRequest(Struct, frozen=True):
    """A question to a model.

    `timeout_seconds` limits all attempts together; `max_attempts` applies only with `output_schema`. `on_delta`
    receives text as it arrives (only without a schema); `on_call` receives each call when it ends.
    """

    prompt: str
    system: str = ""
    model_name: str = "simulated"
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0
    files: tuple[FileContent, ...] = ()
    on_delta: Callable[[str], None] | None = None
    on_call: Callable[[ModelCall], None] | None = None
    #: Those of the job that asks.
    checks: JobChecks = field(default_factory=JobChecks)

    @classmethod
    def of(
        cls,
        question: ModelQuestion,
        *,
        on_delta: Callable[[str], None] | None = None,
        on_call: Callable[[ModelCall], None] | None = None,
        checks: JobChecks | None = None,
    ) -> ModelRequest:
        """Creates the request for a node's question."""
        return cls(
            prompt=question.prompt,
            system=question.system,
            model_name=split_model(question.model)[1],
            temperature=question.temperature,
            max_tokens=question.max_tokens,
            output_schema=question.output_schema,
            max_attempts=question.max_attempts,
            timeout_seconds=question.timeout_seconds,
            files=question.files,
            on_delta=on_delta,
            on_call=on_call,
            checks=checks or JobChecks(),
        )


@dataclass(frozen=True)
class ModelAnswer(CallTotals):
    """The answer to a question.

    `value` is the text or the object, `text` what the model wrote; totals cover all calls. `notes`: which files went to
    the model, and how.
    """

    value: Json
    text: str
    model: str
    connection: str
    calls: tuple[ModelCall, ...]
    simulated: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
