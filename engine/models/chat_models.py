"""Models that speak OpenAI's chat completions, with what the SDK does not know of the providers.

Importing this takes a second or more (`engine.models.providers` imports it in a thread).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from openai import Omit
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.profiles import merge_profile
from pydantic_ai.profiles.openai import OpenAIModelProfile

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion
    from pydantic_ai.messages import BinaryContent


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
        return super()._validate_completion(response)


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


def _empty_message() -> Any:
    from openai.types.chat import ChatCompletionMessage

    return ChatCompletionMessage(role="assistant", content="")
