"""The environments of a workspace: each has keys, limits and webhooks of its own."""

from __future__ import annotations

from enum import StrEnum


class Environment(StrEnum):
    """What a key, and each job it starts, belongs to. Stored and published as its value."""

    LIVE = "live"
    TEST = "test"
    DEV = "dev"


ENVIRONMENTS = tuple(Environment)
#: The words of the screens.
ENVIRONMENT_TITLES: dict[str, str] = {
    Environment.LIVE: "Production",
    Environment.TEST: "Staging",
    Environment.DEV: "Development",
}
