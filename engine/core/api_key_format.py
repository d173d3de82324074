"""The shape of an API key: `fp_live_`, `fp_test_` or `fp_dev_`, 32 random base62 characters, 6 of CRC32 over all before them.

The check sum refuses a mistyped key without a look-up (api.md, Keys). Only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import re
import zlib

from engine.core.environments import ENVIRONMENTS, Environment
from engine.core.ids import BASE62, random_base62

_SECRET_LENGTH = 32
_CHECK_LENGTH = 6
#: Two base62 digits each.
_PAIRS = [first + second for first in BASE62 for second in BASE62]
_SHAPE = re.compile(rf"fp_(?:{'|'.join(ENVIRONMENTS)})_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}")


def new_key_text(environment: Environment) -> str:
    """A fresh key; 190 random bits."""
    body = f"{key_prefix(environment)}{random_base62(_SECRET_LENGTH)}"
    return body + _check(body)


def parse_key(text: str) -> str | None:
    """The key's SHA-256 in hexadecimal, or None when it cannot be a key."""
    if not _SHAPE.fullmatch(text) or _check(text[:-_CHECK_LENGTH]) != text[-_CHECK_LENGTH:]:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def key_prefix(environment: str) -> str:
    """What every key of this environment begins with."""
    return f"fp_{environment}_"


def _check(body: str) -> str:
    rest, low = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
