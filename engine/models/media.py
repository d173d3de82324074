"""What files each provider takes with a question, and how a file is sent that it does not take.

Pictures, PDFs, sound and videos are sent as they are where the provider takes them. What holds text (Word, Excel, web
pages, e-mails) is sent as its text to every model. A PDF that a provider does not take is sent as its text, and as
pictures of its pages when it has none (a scan). Anything else is refused before the call.

Sources: the providers' pages about vision, documents and sound, and the recordings in `tests/engine/models/recordings`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from engine.core.error_codes import JobErrorCode
from engine.core.media_types import plain_media_type
from engine.flow.file_values import MIB, has_kind, media_type_in_words, size_in_words
from engine.flow.node_context import NodeFailed
from engine.models.provider_catalog import PROVIDERS

PDF: Final = "application/pdf"
_PICTURES: Final = frozenset({"image/png", "image/jpeg", "image/webp", "image/gif"})
_SPOKEN: Final = frozenset({"audio/wav", "audio/mpeg"})
_VIDEOS: Final = frozenset(
    {
        "video/mp4",
        "video/mpeg",
        "video/quicktime",
        "video/x-msvideo",
        "video/x-flv",
        "video/webm",
        "video/x-ms-wmv",
        "video/3gpp",
    }
)
#: Kinds of files whose text is read and sent.
_WITH_TEXT: Final = ("text", "document", "spreadsheet", "presentation", "email")

#: The most files of one question, and their most bytes, also of those that are sent as their text.
MAX_FILES: Final = 50
MAX_BYTES: Final = 100 * MIB

Way = Literal["file", "text", "pdf as text"]


class Takes(Struct, frozen=True):
    """What a provider takes. `largest_picture` and `most_bytes` (of all files of a question) are in bytes, before they
    are written as base64.

    Some providers take more than 20 MB; a request of that size would hold up the worker's event loop for too long.
    """

    types: frozenset[str]
    largest_picture: int = 20 * MIB
    most_pictures: int = 50
    most_bytes: int = 20 * MIB


_PLAIN: Final = Takes(_PICTURES)
TAKES: Final[dict[str, Takes]] = {
    "openai": Takes(_PICTURES | _SPOKEN | {PDF}),
    "anthropic": Takes(_PICTURES | {PDF}, largest_picture=15 * MIB // 4),
    "google": Takes(
        (_PICTURES - {"image/gif"})
        | {"image/heic", "image/heif", PDF, "audio/aiff", "audio/aac", "audio/ogg", "audio/flac"}
        | _SPOKEN
        | _VIDEOS,
        most_bytes=14 * MIB,
    ),
    # PDFs go in a part of its own, see `engine.models.chat_models`
    "mistral": Takes(_PICTURES | {PDF}, largest_picture=7 * MIB, most_pictures=8),
    "azure_openai": Takes(_PICTURES | _SPOKEN),
    "openrouter": Takes(_PICTURES | _SPOKEN | {PDF}),
    "ollama": Takes(_PICTURES - {"image/gif"}),
    "vllm": _PLAIN,
    "openai_compatible": _PLAIN,
    # it is told the names of all pictures, sound and videos, and reads everything else as text
    "simulated": Takes(_PICTURES | _SPOKEN | _VIDEOS, largest_picture=50 * MIB, most_bytes=50 * MIB),
}
assert TAKES.keys() == {*PROVIDERS, "simulated"}


def check_count(count: int) -> None:
    """Raises NodeFailed when so many files are too many for one question."""
    if count > MAX_FILES:
        raise NodeFailed(
            f"{count} files are too many for one question.",
            code=JobErrorCode.FILE_NOT_TAKEN,
            why=f"A prompt sends at most {MAX_FILES} files.",
            remedy="Send fewer, or put the prompt into a list (For each item), so that each file is a question of its own.",
        )


def check_size(size: int) -> None:
    """Raises NodeFailed when files of so many bytes are too much for one question."""
    if size > MAX_BYTES:
        raise NodeFailed(
            "The files are too large for one question.",
            code=JobErrorCode.FILE_NOT_TAKEN,
            why=f"Together they have {size_in_words(size)}, and a question takes at most {size_in_words(MAX_BYTES)}.",
            remedy="Send fewer or smaller files, or ask about each one by itself (For each item).",
        )


def way_of(provider: str, media_type: str) -> Way | None:
    """Returns how a file of this type is sent to a provider's models; None when it cannot be."""
    plain = plain_media_type(media_type)
    if plain in TAKES[provider].types:
        return "file"
    if plain == PDF:
        return "pdf as text"
    if plain == "image/svg+xml" or has_kind(plain, _WITH_TEXT):
        return "text"
    return "file" if provider == "simulated" and has_kind(plain, ("image", "audio", "video")) else None


def kinds_not_taken(provider: str, kinds: Sequence[str]) -> list[str]:
    """Returns those of these kinds of files (`engine.flow.file_values`) of which the provider takes none."""
    types = TAKES[provider].types
    unread = [kind for kind in kinds if kind not in _WITH_TEXT and kind != "pdf"]
    return [kind for kind in unread if not any(has_kind(one, [kind]) for one in types)]


def taken_in_words(provider: str, media_type: str) -> str:
    """Returns what a provider takes in place of a type that it does not, for example `PNG picture or JPEG picture`;
    "" when it takes nothing of that kind.
    """
    begin = plain_media_type(media_type).partition("/")[0] + "/"
    found = sorted(one for one in TAKES[provider].types if one.startswith(begin))
    words = list(dict.fromkeys(_in_words(one) for one in found))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}" if words else ""


def _in_words(media_type: str) -> str:
    known = {"audio/mpeg": "MP3", "audio/wav": "WAV", "image/heic": "HEIC", "image/heif": "HEIF", "image/webp": "WebP"}
    if media_type in known:
        return known[media_type]
    if media_type.startswith("image/"):
        return media_type_in_words(media_type).removesuffix(" picture")
    return media_type.partition("/")[2].removeprefix("x-").upper()
