"""S13: 600 MB compressed to less than 1 MB grow a process by less than 20 MB and end with a clear error, in every
encoding.
"""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from tests.engine.nodes.node_in_flow import Services, run_node
from tests.stand_ins.web_server import answer, serve

pytestmark = pytest.mark.process

MIB = 1024 * 1024
ROOT = Path(__file__).parents[3]

#: Content-Encoding -> window bits of each layer, the innermost first.
PACKED = {
    "gzip": (31,),
    "deflate": (15,),
    "x-gzip": (31,),
    "identity, deflate": (-15,),
    "gzip, gzip": (31, 31),
    "deflate, gzip": (15, 31),
    "gzip, deflate": (31, -15),
}


def bomb(*window_bits: int, mebibytes: int = 600) -> bytes:
    """Zeros, compressed once per layer.

    The inner layer repeats one compressed block, so that the test need not compress all of them.
    """
    packer = zlib.compressobj(9, wbits=window_bits[0])
    start = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(MIB)) + packer.flush(zlib.Z_FULL_FLUSH)
    body = start + block * (mebibytes - 1)
    for bits in window_bits[1:]:
        packer = zlib.compressobj(9, wbits=bits)
        body = packer.compress(body) + packer.flush()
    return body


async def attack() -> dict[str, object]:
    """Fetches every bomb; returns how each ended and by how many MiB the process grew at its peak."""
    bombs = {name: bomb(*bits) for name, bits in PACKED.items()}
    assert max(map(len, bombs.values())) < MIB

    async def explodes(asked, write):
        name = asked.headers.get("x-packed", "")
        await write(answer(200, bombs[name], content_encoding=name) if name else answer(200, b"ok"))

    services = Services()
    async with serve(explodes) as web:
        await run_node(services, "http_request", {}, {"url": web.url()})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ends = {}
        for name in bombs:
            inputs = {"url": web.url(), "headers": {"X-Packed": name}}
            error, _ = await run_node(services, "http_request", {}, inputs)
            ends[name] = error.code
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    await services.http.aclose()
    return {"ends": ends, "grown_mib": grown / 1024 if sys.platform != "darwin" else grown / MIB}


@pytest.fixture(scope="module")
def attacked():
    """Runs the attack in a separate process, so that its peak memory can be measured."""
    done = subprocess.run(
        [sys.executable, __file__],
        check=False,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_every_packing_ends_with_a_clear_error(attacked):
    assert attacked["ends"] == dict.fromkeys(PACKED, "response_too_large")


def test_the_process_grows_by_less_than_20_mb(attacked):
    assert attacked["grown_mib"] < 20


@pytest.mark.parametrize("kind", ["page_scraper", "website_mapper"])
async def test_the_other_web_nodes_say_the_same(kind):
    body = bomb(31, mebibytes=30)

    async def explodes(asked, write):
        await write(
            answer(404)
            if asked.target == "/robots.txt"
            else answer(200, body, content_type="text/html", content_encoding="gzip")
        )

    services = Services()
    async with serve(explodes) as web:
        error, step = await run_node(services, kind, {}, {"url": web.url()}, policy={"retries": 3})
    await services.http.aclose()
    assert (error.code, len(step.tries)) == ("response_too_large", 1)
    assert "larger than the 10 MiB that are read" in error.message


if __name__ == "__main__":
    print(json.dumps(asyncio.run(attack())))
