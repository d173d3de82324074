"""The program of an evaluator process: it reads requests with JSON data from stdin and writes results to stdout, in a
loop.

A process either renders templates or reads pages. `pool.py` starts it as `python -I -S -B <this file> <kind> <project
folder> <folder of jinja2>`, with an empty environment, in the folder `/`, with no file descriptors except the standard
three. It permanently gives up what it does not need: memory above the limit, writing files, core dumps, and opening
anything, files and sockets included. A call that takes too long ends the process from inside (timer and CPU limit), so
nothing is left running when the worker has ended; the end of stdin ends it too.

A first byte says that it is ready. A frame in either direction is four bytes of length (big-endian), then JSON; an
answer has `"spent"` when the process should not be used again.

    templates: request `{"template", "data"}`, answer `{"text"}` or `{"wrong"}`
    pages: request `{"reader", "arguments"}`, answer `{"value"}` or `{"wrong", "message"}`; `wrong` is the name of an error
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


def main() -> None:
    """Answers requests until stdin ends."""
    kind, *sys.path[:0] = sys.argv[1:]
    from engine.sandbox.limits import LIMITS

    limits = LIMITS[kind]  # type: ignore[index] - the pool passes a valid kind
    # imports everything that is needed later: nothing can be opened after `lock_up`
    answer_to = _templates(limits.output) if kind == "templates" else _pages(limits.output)
    lock_up(limits.memory)
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    answers.write(b"!")  # ready
    answers.flush()
    while (frame := _read(asked)) is not None:
        _give_up_after(limits.seconds)
        answer = json.dumps(answer_to(frame)).encode("ascii")
        del frame
        answers.write(struct.pack(">I", len(answer)) + answer)
        answers.flush()
        signal.setitimer(signal.ITIMER_REAL, 0)


def lock_up(memory: int) -> None:
    """Sets resource limits that this process cannot raise again. `memory`: bytes of address space."""
    os.umask(0o777)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    if hasattr(resource, "RLIMIT_NPROC"):
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


def _give_up_after(seconds: float) -> None:
    """Sets a timer and a CPU limit, whose signals end the process even inside C code.

    The pool kills it a little earlier.
    """
    signal.setitimer(signal.ITIMER_REAL, seconds + 0.5)
    used = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_CPU, (int(used.ru_utime + used.ru_stime + seconds) + 2, resource.RLIM_INFINITY))


def _templates(longest: int) -> Callable[[bytes], dict[str, Any]]:
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
            return {"wrong": str(error)[:500]}

    return answer


def _pages(longest: int) -> Callable[[bytes], dict[str, Any]]:
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
            return {"wrong": name if name in WRONG else tangled, "message": str(error)[:500]}
        return {"value": value}

    return answer


def _read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    size = struct.unpack(">I", head)[0]
    body = stream.read(size)
    return body if len(body) == size else None


if __name__ == "__main__":
    main()
