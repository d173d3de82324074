"""The filters of the list of jobs. The page's URL contains them, and the CSV file applies the same filters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from urllib.parse import urlencode

from msgspec import Struct, field

from engine.core.job_status import STATUSES
from storage.jobs import PUBLIC, JobFilters
from ui.kit.parts import ENVIRONMENTS
from ui.kit.text import _
from ui.parts.time_range import Span, span_of

#: The entry of the filter for completed jobs of which a step failed.
STEPS_FAILED = "steps_failed"
#: That for completed jobs in which a person refused what was asked.
REFUSED = "refused_by_person"
#: The entry of the filter for all environments but the Playground, which are those that Monitoring counts.
BUT_PLAYGROUND = "public"
ANY = ""


def environment_words() -> dict[str, str]:
    """Returns the entries of the filter of environments."""
    return {
        ANY: _("Any environment"),
        BUT_PLAYGROUND: _("Not Playground"),
        **{name: word for name, (word, *_rest) in ENVIRONMENTS.items()},
    }


class Narrowed(Struct, frozen=True):
    """The filters as the URL contains them; empty means no filter."""

    status: str = ""
    flow: str = ""
    environment: str = ""
    key: str = ""
    q: str = ""
    trigger: str = ""
    #: The code of the error with which jobs failed.
    error: str = ""
    span: Span = field(default_factory=Span)
    cursor: str = ""

    @classmethod
    def of(cls, said: Mapping[str, str]) -> Narrowed:
        """Reads the filters from the query of a URL."""
        return cls(
            status=said.get("status", ""),
            flow=said.get("flow", ""),
            environment=said.get("environment", ""),
            key=said.get("key", ""),
            q=said.get("q", "")[:200].strip(),
            trigger=said.get("trigger", "")[:100],
            error=said.get("error", "")[:100],
            span=span_of(said),
            cursor=said.get("cursor", ""),
        )

    def filters(self, now: int, zone: tzinfo) -> JobFilters:
        """Returns the filters for the database query."""
        since, until = self.span.limits(now, zone)
        completed = self.status in (STEPS_FAILED, REFUSED)
        return JobFilters(
            statuses=(self.status,) if self.status in STATUSES else ("completed",) if completed else (),
            steps_failed=self.status == STEPS_FAILED,
            refused=self.status == REFUSED,
            environments=self._environments,
            flow_id=self.flow or None,
            key_id=self.key or None,
            created_after=None if since is None else since - 1,
            created_before=None if until is None else until + 1,
            text=self.q,
            trigger=self.trigger or None,
            error_code=self.error or None,
        )

    @property
    def _environments(self) -> tuple[str, ...]:
        if self.environment == BUT_PLAYGROUND:
            return PUBLIC
        return (self.environment,) if self.environment in ENVIRONMENTS else ()

    @property
    def empty(self) -> bool:
        """True when no filter is set."""
        return not self.query()

    def query(self) -> str:
        """Returns the filters as a query string with its question mark, without the position in the list."""
        return _query(self._said())

    def path(self) -> str:
        """The URL of this view."""
        return "/jobs" + _query({**self._said(), "cursor": self.cursor})

    def _said(self) -> dict[str, str]:
        mine = {name: getattr(self, name) for name in ("status", "flow", "environment", "key", "q", "trigger", "error")}
        return {**mine, **self.span.said()}


def _query(said: Mapping[str, str]) -> str:
    kept = {name: value for name, value in said.items() if value}
    return f"?{urlencode(kept)}" if kept else ""
