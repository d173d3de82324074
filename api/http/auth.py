"""Who calls: an API key as `Authorization: Bearer ...` or `X-API-Key`. Missing, malformed, unknown, expired and revoked look the same.

Headers that name two keys are refused before either is looked up: a proxy may have added one, and nobody can tell which one counts.

A revoked key is refused from the next request on: it is looked up for every request, and by calls that submit a job in the
transaction that accepts it (`Callers.find` with `lately`). A mistyped one is refused by its check sum without a look-up.
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
_MOST_KNOWN = 1_000
_NOBODY: tuple[float, Caller | None] = (0.0, None)


class Callers(Later[str]):
    """Who calls, by the key that was sent. When a key was last used is noted at most once a minute, never on a request's own time."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, _write)
        self._noted: dict[str, float] = {}
        self._known: dict[str, tuple[float, Caller]] = {}

    def find(self, request: Request, *, lately: bool = False) -> Caller:
        """The caller of this request. Raises Unauthorized, and ParameterInvalid for two keys.

        Also kept as `request.state.caller`, and the hash of the key, valid or not, as `request.state.key_hash`.

        `lately`: who called a moment ago is not looked up. For calls whose transaction reads the key again, which makes the
        look-up before it a courtesy.
        """
        request.state.key_hash = key_hash = parse_key(_sent_key(request))
        at = time.monotonic()
        until, caller = self._known.get(key_hash or "", _NOBODY)
        if caller is None or not lately or at >= until:
            caller = self._look_up(key_hash)
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[caller.key_hash] = (at + _KNOWN_SECONDS, caller)
        request.state.caller = caller
        return caller

    def _look_up(self, key_hash: str | None) -> Caller:
        row = None if key_hash is None else self._database.look_up(find_caller, key_hash)
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
    """What was sent as a key; empty when nothing was. Raises ParameterInvalid for two of a header, and when the two differ."""
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
