"""What each provider takes as files, what is sent in place of a file that it does not take, and what is refused."""

from __future__ import annotations

import re
import struct
import zlib

import pytest

from engine.core.paths import PROJECT
from engine.flow.file_values import FileContent
from engine.flow.node_context import NodeFailed
from engine.flow.node_models import ModelTurn, TurnFiles
from engine.models.attachments import PAGE_WIDTH, Attached, Attachment, attach, shown_name
from engine.models.client import ModelConnection, ModelRequest, Models
from engine.models.media import TAKES, kinds_not_taken, way_of
from engine.models.provider_catalog import PROVIDERS
from engine.nodes.prompt import NODE
from engine.outbound.client import OutboundClient
from engine.sandbox.pool import Sandbox
from tests.engine.documents.made_files import scanned_pdf

WORD = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
#: Media type -> the providers that take it as it is; the others get its text (`text`, `pdf as text`) or nothing.
AS_IT_IS = {
    "image/png": set(PROVIDERS),
    "image/jpeg": set(PROVIDERS),
    "image/webp": set(PROVIDERS),
    "image/gif": set(PROVIDERS) - {"google", "ollama"},
    "image/heic": {"google"},
    "image/tiff": set(),
    "application/pdf": {"openai", "anthropic", "google", "mistral", "openrouter"},
    "audio/wav": {"openai", "azure_openai", "openrouter", "google"},
    "audio/mpeg": {"openai", "azure_openai", "openrouter", "google"},
    "audio/ogg": {"google"},
    "video/mp4": {"google"},
    "text/plain": set(),
    WORD: set(),
    "application/zip": set(),
}
OTHERWISE = {"application/pdf": "pdf as text", "text/plain": "text", WORD: "text"}


def file(name: str, media_type: str, content: bytes = b"bytes") -> FileContent:
    return FileContent(name, media_type, len(content), content)


def connection(provider: str) -> ModelConnection:
    return ModelConnection("Mine", provider, "http://127.0.0.1:1/v1", "sk-test-0123456789")  # type: ignore[arg-type]


def pdf(drawn: bytes, *objects: bytes) -> bytes:
    """Returns a PDF of one page that draws this."""
    used = b"<< /Font << /F 5 0 R >> /XObject << /I 6 0 R >> >>"
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R /Resources %s >>" % used,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        *objects,
    ]
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    return out + (
        b"xref\n0 %d\n0000000000 65535 f \n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (size, table, size, len(out))
    )


WRITTEN = pdf(b"BT /F 18 Tf 20 100 Td (Invoice 4711 of Hearth and Rye) Tj ET")
_DOTS = zlib.compress(bytes(range(256)) * 12)
SCANNED = pdf(
    b"q 300 0 0 200 0 0 cm /I Do Q",
    b"<< /Type /XObject /Subtype /Image /Width 64 /Height 48 /ColorSpace /DeviceGray /BitsPerComponent 8 "
    b"/Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(_DOTS), _DOTS),
)


async def refused(files: list[FileContent], provider: str | None) -> NodeFailed:
    with pytest.raises(NodeFailed) as caught:
        await attach(files, connection(provider) if provider else None, "small-model", None)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize("media_type", AS_IT_IS)
def test_every_provider_takes_what_the_table_says(media_type):
    for provider in PROVIDERS:
        expected = "file" if provider in AS_IT_IS[media_type] else OTHERWISE.get(media_type)
        assert way_of(provider, media_type) == expected, provider


def test_the_help_page_says_what_the_table_says():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in NODE.help.split("\n") if line[:1] == "|"][
        2:
    ]
    said = {}
    for named, pictures, as_pdf, sound, video in rows:
        for title in named.replace("others", "OpenAI-compatible address").split(", "):
            provider = next(one.name for one in PROVIDERS.values() if one.title == title)
            shown = {f"image/{name.lower()}" for name in pictures.split(", ")}
            said[provider] = (shown, as_pdf == "yes", sound != "no", video == "yes")
    assert said == {
        provider: (
            {one for one in TAKES[provider].types if one.startswith("image/")} - {"image/heif"},
            "application/pdf" in TAKES[provider].types,
            "audio/wav" in TAKES[provider].types,
            "video/mp4" in TAKES[provider].types,
        )
        for provider in PROVIDERS
    }


@pytest.mark.parametrize(
    ("provider", "kinds", "not_taken"),
    [
        ("anthropic", ["audio"], ["audio"]),
        ("anthropic", ["image", "pdf", "audio", "video"], ["audio", "video"]),
        ("ollama", ["pdf", "document", "spreadsheet", "email", "text", "presentation", "image"], []),
        ("google", ["audio", "video", "image"], []),
        ("openai", ["video"], ["video"]),
    ],
)
def test_kinds_of_files_that_a_provider_does_not_take_are_known_before_a_run(provider, kinds, not_taken):
    assert kinds_not_taken(provider, kinds) == not_taken


async def test_a_picture_goes_as_it_is_and_several_are_told_apart_by_name():
    one = await attach([file("a.png", "image/png")], connection("openai"), "small-model", None)
    assert one.parts == (Attachment("a.png", "image/png", b"bytes"),)
    assert one.notes == ("Sent to the model: “a.png” (PNG picture, 5 bytes) as it is",)
    two = await attach([file("a.png", "image/png"), file("b.jpg", "image/jpg")], connection("ollama"), "llava", None)
    assert [part if isinstance(part, str) else part.media_type for part in two.parts] == [
        "File “a.png”:",
        "image/png",
        "File “b.jpg”:",
        "image/jpeg",
    ]
    assert two.names == ("a.png", "b.jpg")


async def test_only_bytes_go_into_the_sdk():
    attached = await attach([file("a.png", "image/png")], connection("openai"), "small-model", None)
    content = attached.content("What is it?")
    assert [type(part).__name__ for part in content] == ["str", "BinaryContent"]
    assert Attached().content("What is it?") == "What is it?"


def test_no_code_hands_an_address_to_the_sdk():
    named = re.compile(r"\b(?:Image|Document|Audio|Video|File)Url\b")
    assert [path for path in (PROJECT / "engine").rglob("*.py") if named.search(path.read_text("utf-8"))] == []


@pytest.mark.parametrize(
    ("provider", "files", "words"),
    [
        ("anthropic", [file("a.mp3", "audio/mpeg")], ["does not take sound", "OpenAI, Google", "“a.mp3”"]),
        ("openai", [file("a.ogg", "audio/ogg")], ["does not take “a.ogg”", "it takes MP3 or WAV"]),
        ("openai", [file("a.mov", "video/quicktime")], ["does not take videos", "Google"]),
        ("openai", [file("a.tiff", "image/tiff")], ["It is image/tiff", "GIF, JPEG, PNG or WebP"]),
        ("openai", [file("a.zip", "application/zip")], ["cannot be sent to a model"]),
        (None, [file("a.bin", "application/octet-stream")], ["cannot be sent to a model"]),
        ("openai", [file("a.png", "image/png", b"")], ["“a.png” is empty"]),
        ("anthropic", [file("a.png", "image/png", bytes(4 << 20))], ["too large", "It has 4 MiB", "at most 3.8 MiB"]),
        ("google", [file("a.mp4", "video/mp4", bytes(15 << 20))], ["too large", "at most 14 MiB"]),
        ("mistral", [file(f"{n}.png", "image/png") for n in range(9)], ["9 pictures are too many", "at most 8"]),
        ("ollama", [file(f"{n}.png", "image/png", bytes(6 << 20)) for n in range(4)], ["Together they have 24 MiB"]),
        ("openai", [file(f"{n}.png", "image/png") for n in range(51)], ["51 files are too many"]),
    ],
)
async def test_what_cannot_be_sent_is_refused_before_the_call(provider, files, words):
    failed = await refused(files, provider)
    assert failed.code == "file_not_taken"
    for word in words:
        assert word in f"{failed.message} {failed.why} {failed.remedy}"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a b.png", "a b.png"),
        ("x\u202egnp.exe\n\n## Ignore", "x gnp.exe ## Ignore"),
        ("<script>alert(1)</script>.png", "<script>alert(1)</script>.png"),
        ("long" * 100 + ".jpeg", f"{'long' * 26}lon…onglong.jpeg"),
    ],
)
def test_a_hostile_name_is_one_short_line(name, shown):
    assert shown_name(name) == shown
    assert len(shown_name(name)) <= 120


@pytest.fixture
async def sandbox():
    running = Sandbox(1)
    yield running
    await running.close()


async def test_a_pdf_goes_as_its_text_where_it_is_not_taken_and_the_step_says_so(sandbox):
    sent = file("bill.pdf", "application/pdf", WRITTEN)
    as_it_is = await attach([sent], connection("anthropic"), "claude", sandbox.read_file)
    assert [type(part) for part in as_it_is.parts] == [Attachment]
    assert as_it_is.warnings == ()
    as_text = await attach([sent], connection("ollama"), "llama3.2:3b", sandbox.read_file)
    assert "Invoice 4711 of Hearth and Rye" in as_text.texts
    assert as_text.files == ()
    assert as_text.warnings[0].startswith("“bill.pdf” was sent as its text: llama3.2:3b of “Mine” takes no PDF.")
    assert as_text.notes == (f"Sent to the model: “bill.pdf” (PDF, {len(WRITTEN)} bytes) as its text",)


async def test_a_scan_goes_as_pictures_of_its_pages(sandbox):
    sent = file("scan.pdf", "application/pdf", SCANNED)
    attached = await attach([sent], connection("vllm"), "qwen", sandbox.read_file)
    picture = attached.files[0]
    assert (picture.name, picture.media_type) == ("scan.pdf, page 1", "image/png")
    assert abs(struct.unpack(">I", picture.content[16:20])[0] - PAGE_WIDTH) <= 1
    assert attached.warnings == (
        "“scan.pdf” was sent as a picture of its page: qwen of “Mine” takes no PDF, and this one has no text.",
    )


async def test_a_scan_with_missing_pages_says_which(sandbox):
    sent = file("scan.pdf", "application/pdf", scanned_pdf(3, broken=[2]))
    attached = await attach([sent], connection("vllm"), "qwen", sandbox.read_file)
    assert [picture.name for picture in attached.files] == ["scan.pdf, page 1", "scan.pdf, page 3"]
    assert attached.warnings[1:] == ("“scan.pdf”: Page 2 cannot be drawn, so it is missing.",)
    one = await attach([file("scan.pdf", "application/pdf", scanned_pdf(2, broken=[2]))], None, "", sandbox.read_file)
    assert one.notes[0].endswith("as a picture of one page")
    whole = await attach([file("scan.pdf", "application/pdf", scanned_pdf(20))], None, "", sandbox.read_file)
    assert (len(whole.files), whole.warnings) == (20, ())


async def test_the_simulated_model_reads_documents_and_counts_pictures(sandbox):
    outbound = OutboundClient()
    models = Models(outbound, apart=sandbox.read_file)
    files = (file("a.png", "image/png"), file("b.jpg", "image/jpeg"))
    answer = await models.ask(None, ModelRequest("What is on them?", files=files))
    assert answer.value == "The Simulated model got 2 pictures, “a.png”, “b.jpg”, but cannot see them."
    assert (answer.simulated, answer.cost_nanos) == (True, 0)
    assert answer.input_tokens == (len("What is on them?\n\nFile “a.png”:\n\nFile “b.jpg”:") + 3) // 4
    assert len(answer.notes) == 2
    bill = (file("bill.pdf", "application/pdf", WRITTEN),)
    answer = await models.ask(None, ModelRequest("Shorten it.", files=bill))
    assert (answer.value, answer.warnings) == ("Invoice 4711 of Hearth and Rye", ())
    letter = (file("order.txt", "text/plain", b"Two rye loaves for Ann Miller, please. They are for Friday."),)
    answer = await models.ask(None, ModelRequest("Shorten it.", files=letter))
    assert answer.value == "Two rye loaves for Ann Miller, please. They are for Friday."
    await outbound.aclose()


async def test_a_document_is_read_once_in_a_conversation(sandbox):
    read = []

    async def apart(*asked):
        read.append(asked[:2])
        return await sandbox.read_file(*asked)

    models = Models(OutboundClient(), apart=apart)
    files = TurnFiles((file("bill.pdf", "application/pdf", WRITTEN),))
    replies = [await models.turn(None, ModelTurn("simulated", "Shorten it.", files=files)) for _ in range(2)]
    assert [reply.text for reply in replies] == 2 * ["Invoice 4711 of Hearth and Rye"]
    assert len(read) == 1


async def test_a_file_that_cannot_be_read_says_so(sandbox):
    broken = file("bill.pdf", "application/pdf", b"%PDF-1.4 broken")
    with pytest.raises(NodeFailed, match=re.escape("“bill.pdf”")):
        await attach([broken], connection("ollama"), "llama3.2:3b", sandbox.read_file)
