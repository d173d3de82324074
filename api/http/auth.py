"""Authenticates callers by an API key in `Authorization: Bearer ...` or `X-API-Key`.

Missing, malformed, unknown, expired and revoked keys get the same response, so that it reveals nothing about a key.
Headers with two different keys are refused before either is looked up: a proxy may have added one, and it is undefined
which one counts.

Every request looks its key up, so a revoked key is refused from the next request on. Calls that submit a job read the
key again in the transaction that accepts the job, and may use a cached result before it (`Callers.find` with `lately`).
A mistyped key fails its checksum and is not looked up.
"""

from __future__ import annotations

import time

from sqlalchemy.orm import Session
from starlette.requests import Request

from api.http.parameters import single_header
from engine.core.api_key_format import parse_key
from engine.core.errors import ParameterInvalid, Unauthorized
from engine.jobs.submit.accept import Caller
from storage.database import Database
from storage.deferred_writes import Later
from storage.keys import find_caller, note_key_use

_USE_NOTED_EVERY_SECONDS = 60
_KNOWN_SECONDS = 1.0
_MAX_KNOWN = 1_000
_NOBODY: tuple[float, Caller | None] = (0.0, None)


class Callers(Later[str]):
    """Finds callers by their keys, and records when each key was last used: at most once a minute, in a deferred write
    that no request waits for.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database, _write)
        self._noted: dict[str, float] = {}
        self._known: dict[str, tuple[float, Caller]] = {}

    async def find(self, request: Request, *, lately: bool = False) -> Caller:
        """Returns the caller of this request. Raises Unauthorized, and ParameterInvalid for two keys.

        Also sets `request.state.caller`, and `request.state.key_hash` to the hash of the key, valid or not.

        `lately` accepts a caller that was looked up a moment ago. It is for calls that check the key again in their own
        transaction, or that need the caller only for counting.
        """
        request.state.key_hash = key_hash = parse_key(_sent_key(request))
        at = time.monotonic()
        until, caller = self._known.get(key_hash or "", _NOBODY)
        if caller is None or not lately or at >= until:
            caller = await self._look_up(key_hash)
            if len(self._known) >= _MAX_KNOWN:
                self._known.clear()
            self._known[caller.key_hash] = (at + _KNOWN_SECONDS, caller)
        request.state.caller = caller
        return caller

    async def _look_up(self, key_hash: str | None) -> Caller:
        row = None if key_hash is None else await self._database.find(find_caller, key_hash)
        if key_hash is None or row is None:
            raise Unauthorized
        self._note(row.key_id)
        return Caller(
            key_hash=key_hash,
            workspace_id=row.workspace_id,
            key_id=row.key_id,
            environment=row.environment,
            label=row.label,
            prefix=row.prefix,
            flow_ids=row.flow_ids,
            concurrency=row.concurrency,
            monthly=row.monthly,
            requests=row.requests,
        )

    def _note(self, key_id: str) -> None:
        at = time.monotonic()
        if at - self._noted.get(key_id, -_USE_NOTED_EVERY_SECONDS) >= _USE_NOTED_EVERY_SECONDS:
            self._noted[key_id] = at
            self.add(key_id)


def _sent_key(request: Request) -> str:
    """Returns the key that was sent, or an empty string. Raises ParameterInvalid when a header occurs twice or the two
    headers differ.
    """
    own, authorization = single_header(request, "X-API-Key") or "", single_header(request, "Authorization") or ""
    if not authorization:
        return own
    scheme, _, key = (part.strip() for part in authorization.partition(" "))
    is_bearer = scheme.lower() == "bearer"
    if own and not is_bearer:
        said = "`Authorization` does not begin with `Bearer`, and there is an `X-API-Key` beside it"
        raise ParameterInvalid(said, remedy="Send the key in one of them")
    if own and key and own != key:
        raise ParameterInvalid("`Authorization` and `X-API-Key` name two keys", remedy="Send the key in one of them")
    return own or (key if is_bearer else "")


def _write(session: Session, key_ids: list[str]) -> None:
    for key_id in set(key_ids):
        note_key_use(session, key_id)
