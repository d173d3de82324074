"""The program of an evaluator process: it reads requests with JSON data from stdin and writes results to stdout, in a
loop.

A process renders templates, reads pages, or reads one document or table. `pool.py` starts it as `python -I -S -B <this file>
<kind> <project folder> <folder of jinja2>`, with an empty environment, in the folder `/`, with no file descriptors
except the standard three. `<kind>` is `templates`, `pages`, or `documents` or `tables` with `:<family>`. The process permanently gives up
what it does not need: memory above the limit, writing files, core dumps, opening anything, files and sockets included,
and, where the system has the filter for it, all system calls but some thirty. A call that takes too long ends the
process from inside (two timers, one of them of CPU time), so nothing is left running when the worker has ended; the end
of stdin ends it too.

A first byte says that it is ready. A frame in either direction is two lengths of four bytes (big-endian), then JSON,
then bytes that are no JSON: a document, or pictures. An answer has `"spent"` when the process should not be used again.

    templates: request `{"template", "data"}`, answer `{"text"}` or `{"wrong"}`
    pages: request `{"reader", "arguments"}`, answer `{"value"}` or `{"wrong", "message"}`; `wrong` is the name of an error
    documents, tables: request `{"reader", "arguments"}` and the file, answer `{"value"}` and pictures or rows, or
        `{"wrong", "facts"}`;
        `wrong` is a key of `engine.documents.sentences`
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

#: Templates that use every feature, and every kind of error, once, so that all imports are done before the process is
#: locked.
WARM_UP_TEMPLATES = (
    "{% for x in ['é', \"a\"] %}{{ x | json }}{{ x | urlencode | upper }}{{ [1.5, 2] | sort | json }}{% endfor %}",
    "{% if true %}{{ 'a' | round }}{% endif %}",
    "{% if true %}{{ 1 / 0 }}{% endif %}",
    "{% if",
    "{% nothing %}",
)

#: The sentences that are sent; the other process shortens them further, once no secret is in them.
_LONGEST_MESSAGE = 10_000

Answer = tuple[dict[str, Any], bytes]


def main() -> None:
    """Answers requests until stdin ends."""
    kind, *sys.path[:0] = sys.argv[1:]
    kind, _, family = kind.partition(":")
    from engine.sandbox.limits import LIMITS

    limits = LIMITS[kind]  # type: ignore[index] - the pool passes a valid kind
    # imports everything that is needed later: nothing can be opened after `lock_up`
    if kind == "templates":
        answer_to = _templates(limits.output)
    elif kind == "pages":
        answer_to = _pages(limits.output)
    else:
        answer_to = _documents(family, limits.seconds, limits.output, limits.content)
    lock_up(limits.memory)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(b"!")  # ready
    answers.flush()
    while (frame := _read(asked)) is not None:
        _give_up_after(limits.seconds)
        value, content = answer_to(*frame)
        answer = json.dumps(value).encode("ascii")
        del frame, value
        answers.write(struct.pack(">II", len(answer), len(content)) + answer)
        answers.write(content)
        answers.flush()
        _give_up_after(0)


def lock_up(memory: int) -> None:
    """Sets limits that this process cannot raise again. `memory`: bytes of address space.

    Where the system has no filter of system calls, the other limits hold alone (`app.py check` tells it).
    """
    from engine.sandbox.system_calls import allow_only_listed_calls

    os.umask(0o777)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if hasattr(resource, "RLIMIT_NPROC"):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    with contextlib.suppress(OSError):
        allow_only_listed_calls()


def _give_up_after(seconds: float) -> None:
    """Sets timers of real time and of CPU time, whose signals end the process even inside C code; 0 stops both.

    The pool kills it a little earlier.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds and seconds + 0.5)
    signal.setitimer(signal.ITIMER_PROF, seconds and seconds + 2)


def _templates(longest: int) -> Callable[[bytes, bytes], Answer]:
    from engine.sandbox.rendering import Renderer

    renderer = Renderer(longest)
    for template in WARM_UP_TEMPLATES:
        with contextlib.suppress(ValueError):
            renderer.render(template, {})

    def answer(frame: bytes) -> dict[str, Any]:
        try:
            asked = json.loads(frame)
            return {"text": renderer.render(asked["template"], asked["data"])}
        except MemoryError:
            return {"wrong": "It needs more memory than a template may use.", "spent": True}
        except RecursionError:
            return {"wrong": "It is nested too deep.", "spent": True}
        except Exception as error:  # noqa: BLE001 - every error of a template is answered with a sentence
            return {"wrong": str(error)[:_LONGEST_MESSAGE]}

    return lambda frame, _: (answer(frame), b"")


def _pages(longest: int) -> Callable[[bytes, bytes], Answer]:
    from engine.pages.readers import READERS, WRONG, warm_up

    warm_up()

    def answer(frame: bytes) -> dict[str, Any]:
        tangled = "PageTooTangled"
        try:
            asked = json.loads(frame)
            value = READERS[asked["reader"]](**asked["arguments"])
            if len(json.dumps(value)) > longest:
                return {"wrong": tangled, "message": "What it says is far longer than the page.", "spent": True}
        except MemoryError:
            message = "Reading it needs more memory than a page may use."
            return {"wrong": "ReadingStopped", "message": message, "spent": True}
        except RecursionError:
            return {"wrong": tangled, "message": "Its elements are nested too deep.", "spent": True}
        except Exception as error:  # noqa: BLE001 - every error of a page is answered with a sentence
            name = type(error).__name__
            return {"wrong": name if name in WRONG else tangled, "message": str(error)[:_LONGEST_MESSAGE]}
        return {"value": value}

    return lambda frame, _: (answer(frame), b"")


def _documents(family: str, seconds: float, longest: int, largest: int) -> Callable[[bytes, bytes], Answer]:
    from engine.documents.readers import read, warm_up

    warm_up(family)

    def answer(frame: bytes, content: bytes) -> Answer:
        asked = json.loads(frame)
        value, pictures = read(family, asked["reader"], asked["arguments"], content, seconds=seconds)
        if len(json.dumps(value)) > longest or len(pictures) > largest:
            return {"wrong": "says_too_much", "facts": {}}, b""
        return value, pictures

    return answer


def _read(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    head = stream.read(8)
    if len(head) < 8:
        return None
    sizes = struct.unpack(">II", head)
    frame, content = (stream.read(size) for size in sizes)
    return (frame, content) if (len(frame), len(content)) == sizes else None


if __name__ == "__main__":
    main()
