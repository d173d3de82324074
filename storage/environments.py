"""Limits and use of each environment of a workspace, for the pages that show them."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy.orm import Session

from storage.usage import Caps, Used, read_usage, usage_subject
from storage.workspaces import Limits

#: The share of the month's requests from which on the pages warn.
NEARLY = 0.8


class EnvironmentUse(Struct, frozen=True):
    """Limits and use of one environment (`live`, `test`, `dev`)."""

    environment: str
    caps: Caps
    used: Used

    @property
    def share(self) -> float:
        """The used share of the month's requests, 1 for all; 0 without a limit."""
        return self.used.month_count / self.caps.monthly if self.caps.monthly else 0.0

    @property
    def full(self) -> bool:
        """True when the month's requests are used up, so that the next call is refused."""
        return self.share >= 1

    @property
    def nearly(self) -> bool:
        """True when the pages should warn."""
        return self.share >= NEARLY


def read_environments(session: Session, workspace_id: str, limits: Limits) -> tuple[EnvironmentUse, ...]:
    """Returns one entry for each environment, Production first."""
    return tuple(
        EnvironmentUse(name, caps, read_usage(session, usage_subject(workspace_id, name)))
        for name, caps in limits.caps.items()
    )
