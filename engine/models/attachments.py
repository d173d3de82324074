"""The files of a question: what goes to the model, in which form, and what the step says about it.

    attached = await attach(files, connection, model_name, apart)
    attached.parts        # what follows the prompt: texts and Attachments, in the order of the files
    attached.notes        # lines for the step's log: which file went to the model, and how
    attached.warnings     # what the model does not see

Everything is checked before the call: kind, size and number (`engine.models.media`). No address is handed on: an SDK
would look it up itself, past the outbound client.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from engine.core.error_codes import JobErrorCode
from engine.core.media_types import plain_media_type
from engine.documents.reading import Apart, page_images, read_document
from engine.flow.file_values import FileContent, media_type_in_words, size_in_words
from engine.flow.node_context import NodeFailed
from engine.models.connections import ModelConnection
from engine.models.errors import ModelFailed
from engine.models.media import PDF, TAKES, Takes, check_count, taken_in_words, way_of
from engine.models.provider_catalog import PROVIDERS

if TYPE_CHECKING:
    from pydantic_ai.messages import UserContent

#: The width of the pictures of a scanned PDF's pages, in pixels.
PAGE_WIDTH: Final = 1_240
#: Characters of one file's text, and of all texts of a question.
MAX_TEXT, MAX_TEXTS = 400_000, 1_200_000
_LONGEST_NAME: Final = 120


@dataclass(frozen=True)
class Attachment:
    """A file that is sent as it is, or the picture of a page."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


class Attached(Struct, frozen=True):
    """The files of one question, ready to be sent. `names`: those of all the files, however they are sent."""

    parts: tuple[str | Attachment, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[Attachment, ...]:
        """What is not text."""
        return tuple(part for part in self.parts if isinstance(part, Attachment))

    @property
    def texts(self) -> str:
        """The texts of documents, as they are sent."""
        return "\n\n".join(part for part in self.parts if isinstance(part, str))

    def content(self, prompt: str) -> str | list[UserContent]:
        """Returns the prompt with its files as the SDK takes it."""
        if not self.parts:
            return prompt
        from pydantic_ai.messages import BinaryContent

        parts = [
            part if isinstance(part, str) else BinaryContent(data=part.content, media_type=part.media_type)
            for part in self.parts
        ]
        return [prompt, *parts]


async def attach(
    files: Sequence[FileContent], connection: ModelConnection | None, model: str, apart: Apart | None
) -> Attached:
    """Prepares files for a model; `connection` None is the Simulated model. `apart` reads documents in an evaluator
    process (`Sandbox.read_file`). Raises NodeFailed before anything is sent.
    """
    if not files:
        return Attached()
    return await _Attaching(connection, model, apart, several=len(files) > 1).all_of(files)


class _Attaching:
    def __init__(self, connection: ModelConnection | None, model: str, apart: Apart | None, *, several: bool) -> None:
        self.provider = connection.provider if connection else "simulated"
        self.takes: Takes = TAKES[self.provider]
        self.who = f"{model} of “{connection.name}”" if connection else "the Simulated model"
        self.apart = apart
        self.several = several
        self.parts: list[str | Attachment] = []
        self.notes: list[str] = []
        self.warnings: list[str] = []
        self.names: list[str] = []
        self.letters = 0

    async def all_of(self, files: Sequence[FileContent]) -> Attached:
        check_count(len(files))
        for file in files:
            await self._add(file)
        self._check_whole()
        return Attached(tuple(self.parts), tuple(self.notes), tuple(self.warnings), tuple(self.names))

    async def _add(self, file: FileContent) -> None:
        name = shown_name(file.name)
        if not file.content:
            raise _refused(f"“{name}” is empty.", "The file has no bytes.", "Send another file.")
        way = way_of(self.provider, file.media_type)
        too_large = self._too_large(file) if way == "file" else None
        if way is None:
            raise self._not_taken(name, file)
        if too_large and plain_media_type(file.media_type) != PDF:
            raise _refused(
                f"“{name}” is too large for {self.who}.", too_large, "Make it smaller, or take another model."
            )
        if way == "text":
            self._text(name, file, await self._read(file))
        elif way == "pdf as text" or too_large:
            await self._pdf(name, file)
        else:
            self._send(name, file)

    def _send(self, name: str, file: FileContent) -> None:
        self._label(name)
        self.parts.append(Attachment(name, plain_media_type(file.media_type), file.content))
        self._note(name, file, "as it is")

    async def _pdf(self, name: str, file: FileContent) -> None:
        """Sends a PDF as its text, or as pictures of its pages when it has none."""
        why = f"{self.who} takes no PDF" + ("" if PDF not in self.takes.types else " of this size")
        try:
            text = await self._read(file)
        except NodeFailed:
            await self._scan(name, file, why)
        else:
            self._text(name, file, text)
            self._tell(f"“{name}” was sent as its text: {why}. What only its pictures show is not in it.")

    async def _scan(self, name: str, file: FileContent, why: str) -> None:
        assert self.apart is not None, "documents are read in an evaluator process"
        drawn = await page_images(file, width=PAGE_WIDTH, apart=self.apart)
        pages = drawn.pictures
        self._label(name)
        for number, picture in pages.items():
            self.parts.append(Attachment(f"{name}, page {number}", "image/png", picture))
        count = f"pictures of {len(pages)} pages"
        if len(pages) == 1:
            count = "a picture of one page" if drawn.notes else "a picture of its page"
        self._note(name, file, f"as {count}")
        self._tell(f"“{name}” was sent as {count}: {why}, and this one has no text.")
        self.warnings += [f"“{name}”: {note}" for note in drawn.notes]

    def _tell(self, warning: str) -> None:
        """Adds a warning, but for the Simulated model: it looks at nothing, whatever it gets."""
        if self.provider != "simulated":
            self.warnings.append(warning)

    def _text(self, name: str, file: FileContent, text: str) -> None:
        room = min(MAX_TEXT, MAX_TEXTS - self.letters)
        if room <= 0:
            raise _refused(
                "The texts of the files are too long for one question.",
                f"Together they have more than {MAX_TEXTS:,} characters.",
                "Send fewer files, or ask about each one by itself (For each item).",
            )
        if len(text) > room:
            self.warnings.append(f"“{name}” is long: only its first {room:,} of {len(text):,} characters were sent.")
            text = text[:room]
        self.letters += len(text)
        self.parts.append(f"File “{name}”:\n\n{text}\n\nEnd of “{name}”.")
        self._note(name, file, "as its text")

    async def _read(self, file: FileContent) -> str:
        assert self.apart is not None, "documents are read in an evaluator process"
        read = await read_document(file, as_="markdown", apart=self.apart)
        self.warnings += [f"“{shown_name(file.name)}”: {note}" for note in read["notes"]]
        return read["markdown"] or read["text"]

    def _label(self, name: str) -> None:
        """Tells the model the name of the next file, where there are several."""
        if self.several:
            self.parts.append(f"File “{name}”:")

    def _note(self, name: str, file: FileContent, how: str) -> None:
        self.names.append(name)
        what = media_type_in_words(plain_media_type(file.media_type))
        self.notes.append(f"Sent to the model: “{name}” ({what}, {size_in_words(file.size)}) {how}")

    def _too_large(self, file: FileContent) -> str | None:
        picture = file.media_type.startswith("image/")
        most = self.takes.largest_picture if picture else self.takes.most_bytes
        if len(file.content) <= most:
            return None
        kind = "pictures" if picture else "files"
        return f"It has {size_in_words(len(file.content))}, and {kind} may have at most {size_in_words(most)} there."

    def _check_whole(self) -> None:
        sent = [part for part in self.parts if isinstance(part, Attachment)]
        pictures = sum(part.media_type.startswith("image/") for part in sent)
        if pictures > self.takes.most_pictures:
            raise _refused(
                f"{pictures} pictures are too many for {self.who}.",
                f"It takes at most {self.takes.most_pictures} in one question.",
                "Send fewer, or ask about each one by itself (For each item).",
            )
        size = sum(len(part.content) for part in sent)
        if size > self.takes.most_bytes:
            raise _refused(
                f"The files are too large for {self.who}.",
                f"Together they have {size_in_words(size)}, and it takes at most {size_in_words(self.takes.most_bytes)}.",
                "Send fewer or smaller files, or ask about each one by itself (For each item).",
            )

    def _not_taken(self, name: str, file: FileContent) -> ModelFailed:
        plain = plain_media_type(file.media_type)
        taken = taken_in_words(self.provider, plain)
        begin = self.who.replace("the ", "The ", 1) if self.provider == "simulated" else self.who
        kinds = {"image": "pictures", "audio": "sound", "video": "videos"}
        kind = kinds.get(plain.partition("/")[0])
        if kind is None:
            why = "It holds nothing that a model can read: models take pictures, PDFs, sound and documents with text."
            return _refused(f"“{name}” cannot be sent to a model.", why, "Send a file of another kind.")
        if taken:
            return _refused(
                f"{begin} does not take “{name}”.",
                f"It is {plain}; as {kind} it takes {taken}.",
                "Save it as one of these, or choose a model of another provider.",
            )
        hear = [PROVIDERS[one].title for one in PROVIDERS if one in TAKES and plain in TAKES[one].types]
        return _refused(
            f"{begin} does not take {kind}, so “{name}” cannot be sent.",
            f"{kind.capitalize()} like this: {', '.join(hear)}." if hear else "No provider takes files like it.",
            "Choose a model that does, or leave the file out.",
        )


def shown_name(name: str) -> str:
    """Returns the name of a file for sentences and models: one short line."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in name).split())
    return line if len(line) <= _LONGEST_NAME else f"{line[: _LONGEST_NAME - 13]}…{line[-12:]}"


def _refused(message: str, why: str, remedy: str) -> ModelFailed:
    return ModelFailed(JobErrorCode.FILE_NOT_TAKEN, message, why=why, remedy=remedy)
