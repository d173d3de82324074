"""Models that speak OpenAI's chat completions, with what the SDK does not know of the providers.

Importing this takes a second or more (`engine.models.providers` imports it in a thread).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import Omit
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse
from pydantic_ai.profiles import DEFAULT_THINKING_TAGS, merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile

from engine.models.errors import LONGEST_ARGUMENTS, MAX_PARTS, arguments_too_long, too_many_parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable

    from openai.types.chat import ChatCompletion, ChatCompletionChunk
    from pydantic_ai.messages import BinaryContent

#: The characters of a refusal that are kept before the next piece of it.
LONGEST_REFUSAL = 1_000


class ChatModel(OpenAIChatModel):
    """A model of OpenAI, Azure or a server with the same protocol."""

    def _validate_completion(self, response: ChatCompletion) -> Any:
        """Azure sends no message when its content filter stopped an answer; several servers leave out the type of tool
        calls.
        """
        for choice in response.choices or ():
            message: Any = getattr(choice, "message", None)
            if message is None and choice.finish_reason == "content_filter":
                choice.message = _empty_message()
            for call in getattr(message, "tool_calls", None) or ():
                if getattr(call, "type", None) is None:
                    call.type = "function"
        if _argued(choice.message for choice in response.choices or ()) > LONGEST_ARGUMENTS:
            raise arguments_too_long(self.model_name)
        completion = super()._validate_completion(response)
        begin, _ = self.profile.get("thinking_tags", DEFAULT_THINKING_TAGS)
        if (completion.choices[0].message.content or "").count(begin) > MAX_PARTS:  # each is cut out of what follows
            raise too_many_parts(self.model_name)
        return completion

    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return _ChatStream


class _ChatStream(OpenAIStreamedResponse):
    """A stream that keeps no second text of the answer: the library joins it anew with each piece, for citations."""

    def _validate_response(self) -> AsyncIterable[ChatCompletionChunk]:
        return self._forgetting(super()._validate_response())

    async def _forgetting(self, chunks: AsyncIterable[ChatCompletionChunk]) -> AsyncIterator[ChatCompletionChunk]:
        argued = 0
        async for chunk in chunks:
            argued += _argued(choice.delta for choice in chunk.choices or ())
            if argued > LONGEST_ARGUMENTS:
                raise arguments_too_long(self.model_name)
            self._raw_text_content, self._refusal_text = "", self._refusal_text[:LONGEST_REFUSAL]
            yield chunk


class MistralModel(ChatModel):
    """A model of Mistral.

    Mistral answers 422 to the unknown fields `max_completion_tokens` and sometimes `stream_options`, and takes PDFs in a
    part of its own.
    """

    @classmethod
    def of(cls, model_name: str, provider: Any) -> MistralModel:
        """Creates the model."""
        profile = merge_profile(
            provider.model_profile(model_name), OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False)
        )
        return cls(model_name, provider=provider, profile=profile)

    def _get_stream_options(self, model_settings: Any) -> Any:
        return Omit()  # Mistral reports the token counts of a stream without this option

    async def _map_binary_content_item(self, item: BinaryContent) -> Any:
        if item.media_type == "application/pdf":
            return {"type": "document_url", "document_url": item.data_uri}
        return await super()._map_binary_content_item(item)


def _argued(messages: Iterable[Any]) -> int:
    """Returns the characters of the arguments in all calls of tools."""
    calls = (call for message in messages for call in getattr(message, "tool_calls", None) or ())
    functions = (getattr(call, "function", None) for call in calls)
    return sum(len(getattr(function, "arguments", None) or "") for function in functions)


def _empty_message() -> Any:
    from openai.types.chat import ChatCompletionMessage

    return ChatCompletionMessage(role="assistant", content="")
