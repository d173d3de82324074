"""Static files of the server are compressed once, and sent compressed to clients that accept it."""

from __future__ import annotations

import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ui import request_router
from ui.request_router import Assets

TEXT = "let a = 1;\n" * 1_000


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "a.js").write_text(TEXT)
    (tmp_path / "small.js").write_text("1")
    (tmp_path / "a.woff2").write_bytes(b"x" * 5_000)
    request_router._packed.cache_clear()
    transport = httpx.ASGITransport(Assets(tmp_path))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client
    request_router._packed.cache_clear()


async def test_a_file_is_packed_once_until_it_changes(client: httpx.AsyncClient, tmp_path: Path) -> None:
    answers = [await client.get("/a.js", headers={"accept-encoding": "gzip"}) for _ in range(3)]
    for answer in answers:
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["content-type"].startswith("text/javascript")
        assert int(answer.headers["content-length"]) < len(TEXT) // 10
        assert answer.headers["vary"] == "Accept-Encoding"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.text == TEXT
    assert request_router._packed.cache_info().misses == 1
    (tmp_path / "a.js").write_text("new " * 1_000)
    os.utime(tmp_path / "a.js", (1, 1))
    assert (await client.get("/a.js", headers={"accept-encoding": "gzip"})).text == "new " * 1_000


async def test_whoever_takes_no_gzip_gets_the_file(client: httpx.AsyncClient) -> None:
    answer = await client.get("/a.js?v=1", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.text == TEXT


@pytest.mark.parametrize("path", ["/small.js", "/a.woff2"])
async def test_what_would_not_become_smaller_is_sent_as_it_is(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path, headers={"accept-encoding": "gzip"})
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, None)
    assert request_router._packed.cache_info().misses == 0


async def test_parts_heads_and_known_files_are_answered_without_packing(client: httpx.AsyncClient) -> None:
    takes = {"accept-encoding": "gzip"}
    whole = await client.head("/a.js", headers=takes)
    part = await client.get("/a.js", headers={**takes, "range": "bytes=0-9"})
    known = await client.get("/a.js", headers={**takes, "if-none-match": whole.headers["etag"]})
    assert (whole.status_code, part.status_code, known.status_code) == (200, 206, 304)
    assert (part.text, known.text) == (TEXT[:10], "")
    assert request_router._packed.cache_info().misses == 0


def test_what_is_kept_unpacks_to_the_file(tmp_path: Path) -> None:
    (tmp_path / "b.css").write_text(TEXT)
    assert gzip.decompress(request_router._packed(str(tmp_path / "b.css"), 0, len(TEXT))).decode() == TEXT


async def test_what_is_no_file_is_told_in_a_line_of_text(client: httpx.AsyncClient) -> None:
    for answer, status in ((await client.get("/nope.js"), 404), (await client.post("/a.js"), 405)):
        assert (answer.status_code, answer.headers["content-type"]) == (status, "text/plain; charset=utf-8")
        assert answer.text.endswith(".\n")
