"""The reasons why a model gave no usable answer, with messages for the person who designed the flow.

`message` says what happened; `why` and `remedy` say why and what to do. No message contains an API key: text from a
provider is shortened, and everything that looks like a key is removed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import httpcore2

from engine.core.error_codes import JobErrorCode
from engine.core.redaction import cut
from engine.flow.node_context import NodeFailed
from engine.models.connections import ModelConnection
from engine.outbound.connection_pools import NameNotFound
from engine.outbound.errors import OutboundFailed, OutboundRefused, TimedOut, outbound_fault

if TYPE_CHECKING:
    from engine.models.usage import ModelCall

_KEY_SHAPED = re.compile(r"\b(?:(?:sk|pk|rk|gsk|xai|key)[-_]|AIza|Bearer )[A-Za-z0-9*._-]{4,}")


#: The texts, thoughts and calls of tools that are read of one reply.
MAX_PARTS = 100
#: The characters of the arguments of all calls of tools in one reply: the library looks at some of them one by one, which
#: takes up to 10 microseconds each.
LONGEST_ARGUMENTS = 200_000


class ModelFailed(NodeFailed):
    """A model call did not return what was requested.

    `calls` are the calls that were made, so that their cost is recorded.

    `maybe_billed`: the request was sent and the provider may have processed it, so its cost is unknown. Codes:
    model_unreachable, model_key_missing, model_key_refused, model_rate_limited, output_invalid, address_not_allowed,
    response_too_large, timeout, node_failed.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        why: str = "",
        remedy: str = "",
        passing: bool = False,
        retry_after: float | None = None,
        maybe_billed: bool = False,
    ) -> None:
        super().__init__(message, code=code, why=why, remedy=remedy, passing=passing, retry_after=retry_after)
        self.maybe_billed = maybe_billed
        self.calls: tuple[ModelCall, ...] = ()

    @property
    def sentence(self) -> str:
        """The message, the reason and the remedy as one text."""
        return " ".join(part for part in (self.message, self.why, self.remedy) if part)


def key_missing(connection: ModelConnection) -> ModelFailed:
    """The connection has no API key although its provider requires one."""
    return ModelFailed(
        JobErrorCode.MODEL_KEY_MISSING,
        f"The connection “{connection.name}” has no API key.",
        why="The provider answers only with one.",
        remedy="The owner can add it under Settings → Models and secrets.",
    )


def too_slow(connection: ModelConnection, model: str, seconds: float) -> ModelFailed:
    """The time limit ended before the answer was complete."""
    return ModelFailed(
        JobErrorCode.TIMEOUT,
        f"{_who(connection, model)} did not finish its answer within {seconds:g} seconds.",
        why="The time limit of this node ended first.",
        remedy="Raise the node's time limit, ask for less, or choose a faster model.",
        passing=True,
    )


def no_turn(connection: ModelConnection, model: str, seconds: float) -> ModelFailed:
    """The time limit ended while the call waited for the connection's concurrency limit."""
    count = "1 call" if connection.at_once == 1 else f"{connection.at_once} calls"
    return ModelFailed(
        JobErrorCode.TIMEOUT,
        f"{_who(connection, model)} was not asked within {seconds:g} seconds.",
        why=f"The connection makes {count} at once, and others were in front.",
        remedy="Raise the node's time limit, run fewer items at once, or let the owner raise the connection's calls at once "
        "under Settings → Models and secrets.",
        passing=True,
    )


def asked_to_wait(connection: ModelConnection, model: str, seconds: float) -> ModelFailed:
    """The provider asked for a pause after another call of this model, and the pause is longer than this call can
    wait.
    """
    return ModelFailed(
        JobErrorCode.MODEL_RATE_LIMITED,
        f"{_who(connection, model)} takes no more requests for {seconds:.0f} seconds.",
        why="Its rate limit is reached; another call of this model was told how long to wait.",
        remedy="Flowport waits and tries again if the node has retries; else run fewer jobs at once.",
        passing=True,
        retry_after=seconds,
    )


def unusable(model: str, attempts: int, complaints: list[str], *, cut_off: bool) -> ModelFailed:
    """No attempt returned an object that fits the schema. `complaints` are the validation errors of the last answer."""
    tries = "one attempt" if attempts == 1 else f"{attempts} attempts"
    return ModelFailed(
        JobErrorCode.OUTPUT_INVALID,
        f"{model} gave no object that fits the output fields, in {tries}.",
        why=f"Last answer: {cut('; '.join(complaints[:5]), 600).rstrip('.')}.",
        remedy="The answer was cut off: raise the longest answer (max tokens) or ask for fewer fields."
        if cut_off
        else "Describe the fields more clearly, ask for fewer, or choose a stronger model.",
    )


def empty_answer(
    model: str, *, refused: bool, cut_off: str = "", said: str = "", tool: str | None = None
) -> ModelFailed:
    """The model answered without any text.

    `cut_off`: what to do about its longest length, when it reached that. `said`: how it refused, in its own words. `tool`: the name of a tool that it called, though none was offered.
    """
    if refused:
        return ModelFailed(
            JobErrorCode.NODE_FAILED,
            f"{model} refused to answer.",
            why=f"It said: {_sentence(cut(said, 300))}"
            if said.strip()
            else "The provider's content filter stopped it.",
            remedy="Change the prompt or the data in it.",
        )
    if tool is not None:
        return ModelFailed(
            JobErrorCode.OUTPUT_INVALID,
            f"{model} answered with no text.",
            why=f"It wanted to call a tool, `{cut(tool, 60)}`, and a prompt has none.",
            remedy="Change the prompt, so that it asks for an answer only.",
            passing=True,
        )
    return ModelFailed(
        JobErrorCode.OUTPUT_INVALID,
        f"{model} answered with no text.",
        why="It used up its longest answer before it wrote any." if cut_off else "Nobody knows why.",
        remedy=cut_off or "Try again, or change the prompt.",
        passing=not cut_off,
    )


def too_many_parts(model: str) -> ModelFailed:
    """The reply has more than MAX_PARTS texts, thoughts and calls of tools."""
    return ModelFailed(
        JobErrorCode.OUTPUT_INVALID,
        f"{model} gave a reply of more than {MAX_PARTS} calls of tools and pieces of text.",
        why="So many are not read.",
        remedy="Ask for fewer things at once, or choose another model.",
        maybe_billed=True,
    )


def arguments_too_long(model: str) -> ModelFailed:
    """The calls of tools in the reply have more than LONGEST_ARGUMENTS."""
    return ModelFailed(
        JobErrorCode.RESPONSE_TOO_LARGE,
        f"{model} wrote more than {LONGEST_ARGUMENTS:,} characters into calls of tools in one reply.",
        why="So much is not read.",
        remedy="Ask for fewer things at once, or choose another model.",
        maybe_billed=True,
    )


def model_fault(  # noqa: C901, PLR0911, PLR0912 - one case per kind of error
    error: Exception, connection: ModelConnection, model: str, *, files: Sequence[str] = ()
) -> ModelFailed:
    """Converts an exception of a provider, its SDK or the OutboundClient to a ModelFailed.

    `files`: the names of the files that were sent with the question.
    """
    if isinstance(error, ModelFailed):
        return error
    if (fault := outbound_fault(error)) is not None:
        return _outbound_failure(fault, connection, model)
    from pydantic_ai import exceptions as seen

    who, detail = _who(connection, model), _provider_message(error, connection)
    retry_after = getattr(error, "retry_after", None)
    match error:
        case seen.ModelAuthenticationError():
            return key_refused(connection, detail)
        case seen.ModelRateLimitError():
            return ModelFailed(
                JobErrorCode.MODEL_RATE_LIMITED,
                f"{who} took no more requests.",
                why=f"Its rate limit is reached. {detail}".strip(),
                remedy="Flowport waits and tries again if the node has retries; else run fewer jobs at once.",
                passing=True,
                retry_after=retry_after,
            )
        case seen.ModelQuotaExceededError():
            return ModelFailed(
                JobErrorCode.MODEL_RATE_LIMITED,
                f"{who} took no more requests.",
                why=f"The account's credit or quota is used up. {detail}".strip(),
                remedy="Add credit or raise the limit on the provider's page.",
            )
        case seen.ModelNotFoundError():
            return not_found(connection, model, detail)
        case seen.ModelContextWindowExceededError():
            return ModelFailed(
                JobErrorCode.NODE_FAILED,
                f"The prompt is too long for {model}.",
                why=detail,
                remedy=("Send fewer files, shorten" if files else "Shorten")
                + " the data in the prompt, or choose a model with a longer context.",
            )
        case seen.ModelRequestRejectedError():
            return ModelFailed(
                JobErrorCode.NODE_FAILED,
                f"{who} did not accept the request.",
                why=detail,
                remedy=_without_files(files) if files else "Check the model's name and the node's settings.",
            )
        case seen.ModelServerError() | seen.ModelUnavailableError():
            return ModelFailed(
                JobErrorCode.MODEL_UNREACHABLE,
                f"{who} is out of order right now (status {getattr(error, 'status_code', 'unknown')}).",
                why=detail,
                remedy="Try again in a minute; if it stays, look at the provider's status page.",
                passing=True,
                retry_after=retry_after,
            )
        case seen.ModelTimeoutError() | seen.ModelConnectionError():
            return _broke_off(who)
        case seen.ModelHTTPError():
            return ModelFailed(
                JobErrorCode.MODEL_UNREACHABLE if error.status_code == 408 else JobErrorCode.NODE_FAILED,
                f"{who} answered with status {error.status_code}.",
                why=detail,
                remedy="Check the connection's address under Settings → Models and secrets.",
                passing=error.status_code == 408,
            )
        case seen.ContentFilterError():
            return empty_answer(model, refused=True)
        case seen.AgentRunError() if _was_redirected(error):
            return ModelFailed(
                JobErrorCode.NODE_FAILED,
                f"{who} sent the request on to another address, and model calls are not sent on.",
                remedy="Save the address it ends at in the connection under Settings → Models and secrets.",
            )
        case seen.AgentRunError():
            return ModelFailed(
                JobErrorCode.MODEL_UNREACHABLE,
                f"{who} gave an answer that cannot be read.",
                why=f"It does not speak the provider's protocol. {detail}".strip(),
                remedy="Check the connection's address and kind under Settings → Models and secrets.",
                maybe_billed=True,
            )
    return ModelFailed(
        JobErrorCode.NODE_FAILED,
        f"The call of {model} stopped because of a fault.",
        why=cut(without_keys(f"{type(error).__name__}: {error}", connection), 400),
        remedy="Try again. If it stays, report it with the technical detail.",
        maybe_billed=True,
    )


def _without_files(files: Sequence[str]) -> str:
    sent = f"“{files[0]}”" if len(files) == 1 else f"“{files[0]}” and {len(files) - 1} more"
    return (
        f"{sent} went with it: not every model of a provider takes pictures, PDFs or sound. Choose one that does, or send "
        "the prompt without files."
    )


def turned_down(error: Exception) -> bool:
    """True when the provider rejected the request's parameters (status 400 or 422), so another request mode may
    work.
    """
    from pydantic_ai import exceptions as seen

    other = seen.ModelAuthenticationError | seen.ModelNotFoundError | seen.ModelContextWindowExceededError
    return isinstance(error, seen.ModelRequestRejectedError) and not isinstance(error, other)


def unreadable(error: Exception) -> bool:
    """True when the server answered, but not in the provider's protocol."""
    from pydantic_ai.exceptions import UnexpectedModelBehavior

    return isinstance(error, UnexpectedModelBehavior)


def _was_redirected(error: Exception) -> bool:
    return 300 <= getattr(error.__cause__, "status_code", 0) < 400


def key_refused(connection: ModelConnection, detail: str = "") -> ModelFailed:
    """The provider rejects the key, or requires one that the connection does not have."""
    if not connection.key:
        return key_missing(connection)
    return ModelFailed(
        JobErrorCode.MODEL_KEY_REFUSED,
        f"The key of the connection “{connection.name}” was refused.",
        why=detail,
        remedy="Make a new key on the provider's page and save it under Settings → Models and secrets.",
    )


def not_found(connection: ModelConnection, model: str, detail: str = "") -> ModelFailed:
    """The provider has no such model, or the connection's address is wrong."""
    return ModelFailed(
        JobErrorCode.NODE_FAILED,
        f"The connection “{connection.name}” knows no model “{model}”.",
        why=detail,
        remedy="Choose another model in the node, or check the connection's address under Settings → Models and secrets.",
    )


def _outbound_failure(fault: OutboundRefused | OutboundFailed, connection: ModelConnection, model: str) -> ModelFailed:
    if isinstance(fault, OutboundRefused):
        known = fault.code in {JobErrorCode.ADDRESS_NOT_ALLOWED, JobErrorCode.RESPONSE_TOO_LARGE}
        return ModelFailed(fault.code if known else JobErrorCode.NODE_FAILED, fault.message)
    return ModelFailed(
        JobErrorCode.MODEL_UNREACHABLE,
        f"{_who(connection, model)} could not be reached.",
        why=fault.message,
        remedy="Check that the server runs and that the connection's address is right (Settings → Models and secrets)."
        if not isinstance(fault, TimedOut)
        else "",
        passing=fault.passing,
        retry_after=fault.retry_after,
        maybe_billed=not isinstance(fault.__cause__, httpcore2.ConnectError | httpcore2.ConnectTimeout | NameNotFound),
    )


def _broke_off(who: str) -> ModelFailed:
    return ModelFailed(
        JobErrorCode.MODEL_UNREACHABLE,
        f"{who} could not be reached, or the connection broke off.",
        remedy="Try again; if it stays, check the connection's address under Settings → Models and secrets.",
        passing=True,
        maybe_billed=True,
    )


def _who(connection: ModelConnection, model: str) -> str:
    return f"{model} of “{connection.name}”" if model else f"“{connection.name}”"


def _provider_message(error: Exception, connection: ModelConnection) -> str:
    """Returns the provider's error text as a sentence, shortened and without keys; "" when there is none."""
    text = provider_words(getattr(error, "body", None))
    return f"The provider said: {_sentence(cut(without_keys(text, connection), 300))}" if text else ""


def _sentence(text: str) -> str:
    """Returns a text with a full stop at its end, unless it ends like a sentence."""
    text = " ".join(text.split())
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."


def provider_words(body: Any) -> str:
    """Finds the error text in a response body: `{"error": {"message": ...}}` and its variants of other providers."""
    for _ in range(4):
        if not isinstance(body, Mapping):
            break
        body = next((body[key] for key in ("error", "message", "detail") if body.get(key)), None)
    return " ".join(body.split()) if isinstance(body, str) else ""


def without_keys(text: str, connection: ModelConnection) -> str:
    if connection.key:
        text = text.replace(connection.key, "[key]")
    return _KEY_SHAPED.sub("[key]", text)
