"""The environments of a workspace; each has its own keys, limits and webhooks."""

from __future__ import annotations

from enum import StrEnum


class Environment(StrEnum):
    """The environment of a key and of the jobs it starts. The value is stored and published."""

    LIVE = "live"
    TEST = "test"
    DEV = "dev"


ENVIRONMENTS = tuple(Environment)
#: The names of the environments on the pages.
ENVIRONMENT_TITLES: dict[str, str] = {
    Environment.LIVE: "Production",
    Environment.TEST: "Staging",
    Environment.DEV: "Development",
}
