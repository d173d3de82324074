"""All refusals of Flowport, as a tree of classes. The docstring of a class is the title that a reader sees.

Refusal
├── NotFound                    an id that is unknown, deleted or somebody else's (they look the same)
│   └── NotDeployed             the caller's own flow, but its API is switched off
├── NotAllowed                  the caller's own thing, but this key or role may not do that
├── FileSpaceFull               the workspace's space for files is used up
├── Unauthorized                no key, a wrong, an expired or a revoked key: always the same answer
├── SignatureInvalid            a call of a webhook that does not prove where it comes from
├── Invalid                     what was sent is wrong; every wrong field is named
│   ├── InvalidJson
│   ├── InvalidUpload           a form that holds no file, more than one, or is cut off
│   ├── PayloadInvalid          the body does not fit what the call takes
│   ├── ParameterInvalid        a query parameter or header is wrong
│   └── FlowInvalid             a flow document has problems
├── Conflict                    true a moment ago, not any more
│   ├── VersionConflict         somebody saved a newer version meanwhile
│   ├── JobNotCancellable       the job is completed or failed
│   ├── BatchNotCancellable     its items had ended before it was cancelled
│   ├── BatchDataGone           no row of this Playground batch can run again
│   ├── BatchRunning            a flow has one Playground batch at a time
│   ├── JobNotEnded             it, or a run made again from it, has not ended
│   ├── HookPaused              the webhook takes no calls at the moment
│   ├── IdempotencyInProgress
│   └── IdempotencyKeyReused
├── LimitReached                something is full; it says what, and when to come back
│   ├── ConcurrencyLimitExceeded
│   ├── MonthlyQuotaExceeded
│   └── RateLimited
├── SignInFailed                a wrong e-mail address or password: always the same answer
├── LinkNotValid                a set-up or reset link that is used up, too old or unknown
├── SecretUnreadable            a sealed value and the server's key do not belong together
├── BackupUnreadable            a backup that is cut off, damaged, of another key, or no backup at all
├── PassphraseWrong             a backup and the passphrase given for it do not belong together
├── FolderNotEmpty              only an empty data folder takes a backup, or what is moved
├── DatabaseNotEmpty            the same for a PostgreSQL database
├── InUse                       a server or worker uses what is to be moved
├── MoveFailed                  a move that was given up; nothing was changed
├── Expired                     it was here, but its time is over
├── TooLarge
│   └── FileTooLarge            more than a file may have
└── Unavailable                 not now: the store cannot be written, the server is stopping or full
    ├── StorageUnavailable
    │   └── DatabaseAway        PostgreSQL, its disk or the network to it
    ├── TooManyConnections
    └── ShuttingDown

HTTP statuses live in `api/http/problem_json.py` only; sentences on screen come from here.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Self

from msgspec import Struct

from engine.core.error_codes import RefusalCode


class FieldError(Struct, frozen=True):
    """One wrong field. `pointer`: a JSON pointer (RFC 6901) into what was sent; `code`: a code of the public API.

    `sent`: the JSON type of an unknown field's value, so that the flow's designer can add the field; it is not
    published.
    """

    pointer: str
    code: str
    detail: str
    sent: str = ""


#: How many errors of one body are kept and told. One body may have ten million: each is only counted then.
MAX_ERRORS = 100


class WrongFields(list[FieldError]):
    """The first MAX_ERRORS errors of a body, as a list. `total`: how many there are, with those that are not kept.
    `at_least`: whether a part of the body was not looked at, so that there may be more.
    """

    def __init__(self, errors: Iterable[FieldError] = (), more: int = 0) -> None:
        """`more`: how many there are beside `errors`."""
        super().__init__()
        self.total = more
        self.at_least = False
        self.extend(errors)

    @property
    def full(self) -> bool:
        """Tells whether the next error is only counted."""
        return len(self) >= MAX_ERRORS

    def append(self, error: FieldError, /) -> None:
        """Counts an error, and keeps it when there is room."""
        self.total += 1
        if not self.full:
            super().append(error)

    def extend(self, errors: Iterable[FieldError], /) -> None:
        """Does what `append` does for each error, and counts those that `errors` has counted."""
        for error in errors:
            self.append(error)
        if isinstance(errors, WrongFields):
            self.total += errors.total - len(errors)
            self.at_least = self.at_least or errors.at_least

    def __iadd__(self, errors: Iterable[FieldError], /) -> Self:
        """Does what `extend` does."""
        self.extend(errors)
        return self

    @property
    def in_words(self) -> str:
        """Returns for example `2 fields are wrong` or `At least 100 fields are wrong`."""
        told = "1 field is wrong" if self.total == 1 else f"{self.total:,} fields are wrong"
        return f"At least {told}" if self.at_least else told


class Refusal(Exception):  # an expected answer, not an error of the program
    """Flowport said no."""

    code: ClassVar[str] = RefusalCode.REFUSED
    #: What to do, when it is the same for every refusal of the class.
    remedy: str = ""

    def __init__(
        self,
        detail: str = "",
        *,
        remedy: str | None = None,
        errors: Sequence[FieldError] = (),
        retry_after: int | None = None,
    ) -> None:
        self.detail = detail
        self.errors = tuple(errors)
        #: How many fields are known to be wrong; `errors` may hold only the first ones.
        self.error_count = errors.total if isinstance(errors, WrongFields) else len(self.errors)
        self.retry_after = retry_after
        if remedy is not None:
            self.remedy = remedy
        super().__init__(detail or self.title)

    @property
    def title(self) -> str:
        """The first line of the class's docstring, without a full stop."""
        return (inspect.getdoc(type(self)) or "").split("\n")[0].rstrip(".")

    def __str__(self) -> str:
        parts = [self.title, self.detail, self.remedy]
        return ". ".join(part.rstrip(".") for part in parts if part) + "."


class NotFound(Refusal):
    """This was not found."""

    code = RefusalCode.NOT_FOUND


class NotDeployed(NotFound):
    """This flow is not deployed."""

    code = RefusalCode.FLOW_NOT_DEPLOYED
    remedy = "Deploy it on the flow's page, then call again."


class NotAllowed(Refusal):
    """This is not allowed."""

    code = RefusalCode.NOT_ALLOWED


class Unauthorized(Refusal):
    """The API key is missing or not valid."""

    code = RefusalCode.UNAUTHORIZED
    remedy = "Send a valid key as `Authorization: Bearer YOUR_API_KEY`. Keys are made under Settings, API Keys."


class SignatureInvalid(Refusal):
    """The call does not prove where it comes from."""

    code = RefusalCode.SIGNATURE_INVALID


class Invalid(Refusal):
    """What was sent is not valid."""

    code = RefusalCode.VALIDATION_FAILED


class InvalidJson(Invalid):
    """The request body is not valid JSON."""

    code = RefusalCode.INVALID_JSON


class InvalidUpload(Invalid):
    """The form with the file cannot be used."""

    code = RefusalCode.INVALID_UPLOAD


class PayloadInvalid(Invalid):
    """The request body does not fit what this call takes."""


def wrong_fields(errors: WrongFields) -> PayloadInvalid:
    """Returns the refusal of a body with these errors."""
    return PayloadInvalid(errors.in_words, errors=errors)


class ParameterInvalid(Invalid):
    """A parameter of the request is not valid."""

    code = RefusalCode.INVALID_PARAMETER


class FlowInvalid(Invalid):
    """The flow has problems."""

    code = RefusalCode.FLOW_INVALID

    def __init__(self, problems: list[Problem], detail: str = "") -> None:
        self.problems = problems
        count = len(problems)
        super().__init__(detail or ("1 problem was found" if count == 1 else f"{count:,} problems were found"))


class Conflict(Refusal):
    """This does not fit what is stored."""

    code = RefusalCode.CONFLICT


class VersionConflict(Conflict):
    """Somebody saved a newer version meanwhile."""

    code = RefusalCode.VERSION_CONFLICT
    remedy = "Look at the newer version, then save again to put yours on top."


class JobNotCancellable(Conflict):
    """The job has ended and cannot be cancelled."""

    code = RefusalCode.JOB_NOT_CANCELLABLE


class BatchNotCancellable(Conflict):
    """The batch has ended and cannot be cancelled."""

    code = RefusalCode.BATCH_NOT_CANCELLABLE


class BatchRunning(Conflict):
    """A batch of this flow is running."""

    remedy = "Stop it before you start another."


class BatchDataGone(Conflict):
    """The data of this batch are not kept any more, so none of its rows can run again."""

    remedy = "Run the rows as a new batch."


class QuestionClosed(Conflict):
    """This question has been answered or is not open any more."""

    code = RefusalCode.QUESTION_CLOSED
    remedy = "Look at the job to see what became of it."


class QuestionLinkNotValid(NotFound):
    """This link leads to no question."""

    code = RefusalCode.QUESTION_LINK_NOT_VALID
    remedy = "Check that the whole link was copied, or ask whoever sent it for a new one."


class JobNotEnded(Conflict):
    """The job has not ended."""

    code = RefusalCode.JOB_NOT_ENDED
    remedy = "Cancel it or wait until it has ended, then erase its data."


class HookPaused(Conflict):
    """This webhook is paused."""

    code = RefusalCode.HOOK_PAUSED
    remedy = "Resume it on the flow's page, then send the call again."


class IdempotencyInProgress(Conflict):
    """A request with this Idempotency-Key is still being accepted."""

    code = RefusalCode.IDEMPOTENCY_IN_PROGRESS
    remedy = "Wait a second and send the same request again."


class IdempotencyKeyReused(Conflict):
    """This Idempotency-Key was used with another request."""

    code = RefusalCode.IDEMPOTENCY_KEY_REUSED
    remedy = "Use a new key for a new request."


class LimitReached(Refusal):
    """A limit is reached."""

    code = RefusalCode.RATE_LIMITED


class ConcurrencyLimitExceeded(LimitReached):
    """Too many jobs are running at once."""

    code = RefusalCode.CONCURRENCY_LIMIT_EXCEEDED


class MonthlyQuotaExceeded(LimitReached):
    """Not enough of this month's requests are left."""

    code = RefusalCode.MONTHLY_QUOTA_EXCEEDED


class RateLimited(LimitReached):
    """Too many requests in a short time."""


class SignInFailed(Refusal):
    """The e-mail address or the password is wrong."""

    code = RefusalCode.SIGN_IN_FAILED
    remedy = "Check both and try again."


class LinkNotValid(Refusal):
    """This link is used up or too old."""

    code = RefusalCode.LINK_NOT_VALID
    remedy = "Ask for a new one: `.venv/bin/python app.py setup-link` on the server prints it."


class SecretUnreadable(Refusal):
    """A stored secret cannot be opened with this server's key."""

    code = RefusalCode.SECRET_UNREADABLE
    remedy = "Bring back the `secret.key` it was sealed with, or enter the secret again."


class BackupUnreadable(Refusal):
    """This backup cannot be read."""

    code = RefusalCode.BACKUP_UNREADABLE


class PassphraseWrong(Refusal):
    """The passphrase is wrong."""

    code = RefusalCode.PASSPHRASE_WRONG
    remedy = "Check it and try again. Nothing was changed, and there is no other way to open this backup."


class FolderNotEmpty(Refusal):
    """The data folder is not empty."""

    code = RefusalCode.FOLDER_NOT_EMPTY


class DatabaseNotEmpty(Refusal):
    """The database is not empty."""

    code = RefusalCode.DATABASE_NOT_EMPTY


class InUse(Refusal):
    """This is in use."""

    code = RefusalCode.IN_USE


class MoveFailed(Refusal):
    """Nothing was moved."""

    code = RefusalCode.MOVE_FAILED


class Expired(Refusal):
    """This was deleted because its time is over."""

    code = RefusalCode.JOB_EXPIRED


class TooLarge(Refusal):
    """This is too large."""

    code = RefusalCode.BODY_TOO_LARGE


class FileTooLarge(TooLarge):
    """This file is too large."""

    code = RefusalCode.FILE_TOO_LARGE
    remedy = "Send a smaller file."


class FileSpaceFull(Refusal):
    """The space for files is used up."""

    code = RefusalCode.FILE_SPACE_FULL
    remedy = (
        "The owner can raise it under Settings, Data. Files are removed when no job, sample, dataset or "
        "collection names them any more."
    )


class Unavailable(Refusal):
    """Flowport cannot do this right now."""

    code = RefusalCode.STORAGE_UNAVAILABLE


class StorageUnavailable(Unavailable):
    """What is stored cannot be read or written right now."""

    remedy = "Nothing was lost. Try again in a few seconds; if it stays, free some disk space on the server."


class DatabaseAway(StorageUnavailable):
    """What is stored cannot be read or written right now."""

    #: False when it is known that nothing of a write was committed.
    may_be_stored = True
    #: False when trying again within minutes is no use, like on a full disk.
    may_pass = True
    remedy = (
        "Nothing that was accepted is lost. Try again in a few seconds; if it stays, the log of the server says more to "
        "whoever runs it."
    )


class TooManyConnections(Unavailable):
    """The server has no place for another connection right now."""

    code = RefusalCode.TOO_MANY_CONNECTIONS
    remedy = "Send the request again in a few seconds, and use open connections again instead of making more."


class ShuttingDown(Unavailable):
    """The server is stopping."""

    code = RefusalCode.SHUTTING_DOWN
    remedy = "Send the request again in a few seconds."


@dataclass(frozen=True)
class Problem:
    """A problem of a flow that its designer must correct.

    `node_id`: the node (None: the whole flow). `pointer`: the field inside the node (`/inputs/url`,
    `/config/fields/0/name`). `code`: for programs. `message`: a sentence for people.
    """

    code: str
    message: str
    node_id: str | None = None
    pointer: str = ""
    #: False for problems that only stop a deployment; an import reports those as warnings.
    blocks_import: bool = field(default=True, compare=False)

    def as_json(self) -> dict[str, str | None]:
        """Returns the published form: `{code, message, node_id, pointer}`."""
        return {"code": self.code, "message": self.message, "node_id": self.node_id, "pointer": self.pointer}
