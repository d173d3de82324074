"""The limit of files and connections that this process may have open at the same time."""

from __future__ import annotations

import contextlib

try:
    import resource
except ImportError:  # Windows has no such limit
    resource = None

#: The highest limit that is set. More is useless, and some programs loop over all possible descriptors.
ENOUGH = 65_536


def raise_limit() -> int:
    """Raises the soft limit as far as the hard limit allows; child processes inherit it.

    Returns the limit that applies now.
    """
    if resource is None:
        return ENOUGH
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            return wanted
    return ENOUGH if soft == resource.RLIM_INFINITY else soft
