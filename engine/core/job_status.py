"""The statuses of a job."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job; the value is stored and published."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


#: Final statuses of a job or batch.
ENDED = (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)

#: How many failed runs a person is told of at most; more are "99+".
MOST_TOLD = 99

#: A job under which this many workers died runs alone in a worker the next time.
SHARED_ATTEMPTS = 2
