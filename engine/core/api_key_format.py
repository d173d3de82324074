"""The format of an API key: `fp_live_`, `fp_test_` or `fp_dev_`, 32 random base62 characters, then the CRC32 of all
that as 6.

The checksum refuses a mistyped key without a database query. Only the SHA-256 of a key is stored.
"""

from __future__ import annotations

import hashlib
import re
import zlib

from engine.core.environments import ENVIRONMENTS, Environment
from engine.core.ids import BASE62, random_base62

_SECRET_LENGTH = 32
_CHECK_LENGTH = 6
#: All pairs of base62 digits, so that two digits are written at a time.
_PAIRS = [first + second for first in BASE62 for second in BASE62]
_SHAPE = re.compile(rf"fp_(?:{'|'.join(ENVIRONMENTS)})_[0-9A-Za-z]{{{_SECRET_LENGTH + _CHECK_LENGTH}}}")


def new_key_text(environment: Environment) -> str:
    """Returns a new key with 190 random bits."""
    body = f"{key_prefix(environment)}{random_base62(_SECRET_LENGTH)}"
    return body + _check(body)


def parse_key(text: str) -> str | None:
    """Returns the key's SHA-256 in hexadecimal; None when the text has not the format of a key."""
    if not _SHAPE.fullmatch(text) or _check(text[:-_CHECK_LENGTH]) != text[-_CHECK_LENGTH:]:
        return None
    return hashlib.sha256(text.encode()).hexdigest()


def key_prefix(environment: str) -> str:
    """Returns the first characters of every key of this environment."""
    return f"fp_{environment}_"


def _check(body: str) -> str:
    rest, low = divmod(zlib.crc32(body.encode()), len(_PAIRS))
    high, middle = divmod(rest, len(_PAIRS))
    return _PAIRS[high] + _PAIRS[middle] + _PAIRS[low]
