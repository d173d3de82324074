"""The head of a response goes out with its body, and alone when the body comes later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from api.joined_writes import JoinedWrites

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"


class Recorded(asyncio.Transport):
    """A transport that keeps what each call of the system would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed
        self.sent.append(bytes(data))

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


@pytest.fixture
async def recorded() -> Recorded:
    return Recorded()


@pytest.fixture
async def writes(recorded: Recorded) -> JoinedWrites:
    return JoinedWrites(recorded, asyncio.get_running_loop(), recorded.close)


async def test_a_body_that_follows_at_once_is_sent_with_the_head(writes: JoinedWrites, recorded: Recorded) -> None:
    writes.write(HEAD)
    writes.write(b"body")
    assert recorded.sent == [HEAD + b"body"]
    await asyncio.sleep(0)
    writes.write(b"more")
    assert recorded.sent == [HEAD + b"body", b"more"]


async def test_the_head_of_a_stream_does_not_wait_for_its_first_piece(writes: JoinedWrites, recorded: Recorded) -> None:
    writes.write(HEAD)
    await asyncio.sleep(0)
    assert recorded.sent == [HEAD]
    writes.write(b"piece")
    assert recorded.sent == [HEAD, b"piece"]


async def test_continue_is_sent_before_the_body_of_the_request_is_read(
    writes: JoinedWrites, recorded: Recorded
) -> None:
    writes.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await asyncio.sleep(0)
    writes.write(HEAD)
    writes.write(b"body")
    assert recorded.sent == [b"HTTP/1.1 100 Continue\r\n\r\n", HEAD + b"body"]


async def test_a_piece_that_looks_like_a_head_is_sent_in_its_place(writes: JoinedWrites, recorded: Recorded) -> None:
    for piece in (HEAD, b"a", b"HTTP/", b"b", b"HTTP/"):
        writes.write(piece)
    await asyncio.sleep(0)
    assert b"".join(recorded.sent) == HEAD + b"aHTTP/bHTTP/"


async def test_what_waits_is_sent_before_the_end_and_not_after_it(writes: JoinedWrites, recorded: Recorded) -> None:
    writes.write(HEAD)
    writes.close()
    assert (recorded.sent, writes.is_closing()) == ([HEAD], True)

    cut = Recorded()
    late = JoinedWrites(cut, asyncio.get_running_loop(), cut.close)
    late.write(HEAD)
    cut.close()  # the client is gone
    await asyncio.sleep(0)
    assert cut.sent == []
