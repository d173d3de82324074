"""Hashes passwords with argon2id (19 MiB, 2 iterations, parallelism 1) in two dedicated threads (S21)."""

from __future__ import annotations

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from engine.core.counted import counted
from engine.core.errors import FieldError, Invalid

SHORTEST = 8
LONGEST = 500

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_THREADS = ThreadPoolExecutor(2, thread_name_prefix="password")


async def hash_password(password: str) -> str:
    """Returns the hash to store. Raises Invalid for a password that is too short or too long."""
    check_password(password)
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _HASHER.hash, password)


async def fits(stored: str | None, password: str) -> bool:
    """Verifies a password against the stored hash. `stored` None takes the same time and returns False."""
    return await asyncio.get_running_loop().run_in_executor(_THREADS, _fits, stored, password[:LONGEST])


def hash_now(password: str) -> str:
    """Hashes a password synchronously, for program start and the command line, where no event loop runs.

    Raises Invalid.
    """
    check_password(password)
    return _HASHER.hash(password)


def check_password(password: str) -> None:
    """Raises Invalid unless the password has a permitted length."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise Invalid(
            f"The password has {counted(len(password), 'character')}",
            remedy=f"Choose one with {SHORTEST} to {LONGEST} characters; a few words in a row are good.",
            errors=(FieldError("/password", "min_length", f"{SHORTEST} to {LONGEST} characters"),),
        )


def _fits(stored: str | None, password: str) -> bool:
    try:
        _HASHER.verify(stored or _nobodys_hash(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@functools.cache
def _nobodys_hash() -> str:
    return _HASHER.hash("nobody has this password")
