"""What is asked of a model, what came back, and each call on the way with its tokens, price and time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from engine.flow.node_type import Json, JsonSchema, ModelQuestion
from engine.models.connections import split_model
from engine.models.price import Price


@dataclass(frozen=True)
class ModelCall:
    """One call of a model. `cost_nanos` None: unknown; `error` is a code when the call or its answer was no use."""

    model: str
    connection: str
    attempt: int
    #: Of the connection: a name of `engine.models.provider_catalog`.
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
        """`seconds` as stored."""
        return round(self.seconds * 1000)


@dataclass(frozen=True)
class ModelRequest:
    """What is asked. `timeout_seconds` bounds all attempts together; `max_attempts` counts only with `output_schema`.

    `on_delta` gets text as it arrives (answers without a schema only); `on_call` gets each call the moment it is over.
    """

    prompt: str
    system: str = ""
    model_name: str = "simulated"
    temperature: float | None = None
    max_tokens: int | None = None
    output_schema: JsonSchema | None = None
    max_attempts: int = 3
    timeout_seconds: float = 180.0
    on_delta: Callable[[str], None] | None = None
    on_call: Callable[[ModelCall], None] | None = None

    @classmethod
    def of(
        cls,
        question: ModelQuestion,
        *,
        on_delta: Callable[[str], None] | None = None,
        on_call: Callable[[ModelCall], None] | None = None,
    ) -> ModelRequest:
        """The request for a node's question."""
        return cls(
            prompt=question.prompt,
            system=question.system,
            model_name=split_model(question.model)[1],
            temperature=question.temperature,
            max_tokens=question.max_tokens,
            output_schema=question.output_schema,
            max_attempts=question.max_attempts,
            timeout_seconds=question.timeout_seconds,
            on_delta=on_delta,
            on_call=on_call,
        )


@dataclass(frozen=True)
class ModelAnswer:
    """`value` is text or an object, `text` what the model wrote; tokens and cost are those of all calls together."""

    value: Json
    text: str
    model: str
    connection: str
    calls: tuple[ModelCall, ...]
    simulated: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def input_tokens(self) -> int:
        """Tokens sent, all calls."""
        return sum(call.input_tokens for call in self.calls)

    @property
    def output_tokens(self) -> int:
        """Tokens written, all calls."""
        return sum(call.output_tokens for call in self.calls)

    @property
    def cost_nanos(self) -> int | None:
        """Nano-dollars of all calls; None as soon as one is unknown."""
        costs = [call.cost_nanos for call in self.calls]
        return None if None in costs else sum(cost for cost in costs if cost is not None)
