"""Standard output and error of a server or worker, whose writes never fail.

A log on a full disk, a pipe whose reader has ended and a pipe that is full and does not block would otherwise raise where
a line is written, and once more at the end of the process, which gives it the exit code 120: what could not be written
waits in a buffer.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_INPUT, _OUTPUT, _ERROR = 0, 1, 2


def open_standard_streams() -> None:
    """Makes stdout and stderr of this process drop what cannot be written. Streams that the process replaced are kept.

    A descriptor from 0 to 2 that is closed leads to nowhere afterwards: the next file or connection would get its number,
    and the lines meant for the log.
    """
    for number in (_INPUT, _OUTPUT, _ERROR):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # gets the lowest free number
    if sys.stdout is sys.__stdout__:
        sys.stdout = _unfailing(sys.stdout, _OUTPUT)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _unfailing(sys.stderr, _ERROR)


def _unfailing(before: TextIO | None, number: int) -> TextIO:
    """Returns a stream to the descriptor in the place of `before`, which is None when the descriptor was closed."""
    encoding = "utf-8"
    if before is not None:
        encoding = before.encoding
        with contextlib.suppress(OSError, ValueError):
            before.flush()
    return io.TextIOWrapper(DroppingFile(number), encoding, "backslashreplace", write_through=True)


class DroppingFile(io.RawIOBase):
    """A descriptor that takes whole lines or drops them. `number` stays open when this object is closed."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        #: True when a line was written in part: the next one begins with a line end.
        self._is_cut = False

    def writable(self) -> bool:
        return True

    @property
    def name(self) -> int:
        """Its number, as that of any file that was opened by a descriptor."""
        return self._number

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: ReadableBuffer) -> int:
        """Writes all of it, or as much as the descriptor takes; returns its length, as if all had been written."""
        text = bytes(data)
        left = b"\n" + text if self._is_cut else text
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._number, left) :]
                self._is_cut = bool(left)
        return len(text)
