"""The evaluator process: reads a template and JSON data on stdin, writes the text on stdout, again and again.

Started by `pool.py` as `python -I -S -B <this file> <project folder> <folder of jinja2>` with an empty environment, in `/`, with
no descriptors but its three. It gives up, for good, what it will not need: memory over the limit, writing files, core dumps
and opening anything at all, files and sockets included. A rendering that takes too long ends the process from inside (timer
and CPU limit), so nothing is left when the one who asked is gone; the end of stdin ends it too.

One byte says that it is ready. Frames, both ways: four bytes of length, then JSON. Asked: `{"template", "data"}`. Answered: `{"text"}` or `{"wrong"}`,
with `"spent"` when the process should not be used again.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from typing import Any, BinaryIO

#: Every kind of thing that a template can do, mistakes included.
WARMING = (
    "{% for x in ['é', \"a\"] %}{{ x | json }}{{ x | urlencode | upper }}{{ [1.5, 2] | sort | json }}{% endfor %}",
    "{% if true %}{{ 'a' | round }}{% endif %}",
    "{% if true %}{{ 1 / 0 }}{% endif %}",
    "{% if",
    "{% nothing %}",
)


def main() -> None:
    """Answers until stdin ends."""
    sys.path[:0] = sys.argv[1:]
    from engine.outside.sandbox import limits
    from engine.outside.sandbox.rendering import Renderer

    renderer = Renderer(limits.OUTPUT)
    for template in WARMING:  # what would be imported later is imported now: nothing can be opened after this
        with contextlib.suppress(ValueError):
            renderer.render(template, {})
    lock_up(limits.MEMORY)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(b"!")  # ready
    answers.flush()
    while (frame := _read(asked)) is not None:
        _give_up_after(limits.SECONDS)
        answer = json.dumps(_answer(renderer, frame)).encode("ascii")
        del frame
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)


def lock_up(memory: int) -> None:
    """What cannot be undone by this process."""
    os.umask(0o777)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if hasattr(resource, "RLIMIT_NPROC"):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _give_up_after(seconds: float) -> None:
    """The default action of both signals ends the process, also inside C code. The pool kills a little earlier."""
    signal.setitimer(signal.ITIMER_REAL, seconds + 0.5)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, resource.RLIM_INFINITY))


def _answer(renderer: Any, frame: bytes) -> dict[str, Any]:
    try:
        asked = json.loads(frame)
        return {"text": renderer.render(asked["template"], asked["data"])}
    except MemoryError:
        return {"wrong": "It needs more memory than a template may use.", "spent": True}
    except RecursionError:
        return {"wrong": "It is nested too deep.", "spent": True}
    except Exception as error:  # noqa: BLE001 - whatever a template does, the answer is a sentence
        return {"wrong": str(error)[:500]}


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = struct.unpack(">I", head)[0]
    body = stream.read(size)
    return body if len(body) == size else None


if __name__ == "__main__":
    main()
