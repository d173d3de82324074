"""The statuses of a job."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """What a job is, as it is stored and published."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: Statuses that a job or batch keeps for ever.
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)
