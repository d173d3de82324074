"""Actions on model connections and on the owner's own prices."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypedDict, Unpack

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy.orm import Session

from engine.actions.principal import Principal, require_may
from engine.actions.secrets import put_secret
from engine.actions.stale_forms import refuse_stale
from engine.core.errors import Conflict, FieldError, Invalid
from engine.core.same_server import keeps_its_key
from engine.core.web_addresses import LONGEST_ADDRESS, split_url
from engine.models.price import MAX_PRICE
from engine.models.provider_catalog import AZURE_API_VERSION, MAX_CONCURRENCY, PROVIDERS
from engine.secrets.sealing import Vault
from storage.audit import add_entry
from storage.connections import (
    SIMULATED,
    ConnectionRow,
    delete_connection,
    delete_price,
    find_connection,
    get_connection,
    hold_connection,
    insert_connection,
    put_price,
)
from storage.secrets import delete_secret, hold_secret

if TYPE_CHECKING:
    from storage.tables import Connection

#: Names contain no colon, because a Prompt node refers to a model as `CONNECTION:model-name`.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_VERSION = re.compile(r"v1|20\d\d-\d\d-\d\d(-preview)?")
#: Limits: models that an owner may name, characters of a model name, and stored models of a provider's list.
MAX_NAMED = 100
MAX_MODEL = 200
MAX_MODELS = 1_000


class ConnectionSettings(TypedDict, total=False):
    """The settings of a connection besides its name, provider and key.

    `base_url` None: the provider's default address. `api_version` is for Azure only, None for the default version.
    `named_models` are models that the provider does not list (deployments of Azure). `max_concurrency` limits
    concurrent calls, None for the default.
    """

    base_url: str | None
    api_version: str | None
    named_models: Iterable[str]
    max_concurrency: int | None


def add_connection(
    session: Session,
    principal: Principal,
    vault: Vault,
    name: str,
    provider: str,
    *,
    key: str | None = None,
    models: Iterable[str] = (),
    **settings: Unpack[ConnectionSettings],
) -> str:
    """Adds a connection and returns its id. `models` are the model names that its server lists.

    Raises Invalid with every wrong field, and Conflict when the name is taken.
    """
    require_may(principal, "manage connections")
    normal = _NormalSettings.of(settings)
    _check(name, provider, normal)
    if find_connection(session, principal.workspace_id, name) is not None:
        raise Conflict(
            f"A model connection called `{name}` exists already",
            remedy="Choose another name, or remove that one first.",
        )
    connection_id = insert_connection(
        session,
        principal.workspace_id,
        name,
        provider,
        base_url=normal.base_url,
        secret_id=put_secret(session, principal, vault, f"Key of {name}", key) if key else None,
        local=is_local(provider, normal.base_url),
        models=_listed(models),
        named_models=list(normal.named_models) or None,
        api_version=normal.api_version,
        max_concurrency=normal.max_concurrency,
    )
    add_entry(session, principal, "add connection", connection_id, f"{name}: {_where(provider, normal.base_url)}")
    return connection_id


def change_connection(
    session: Session,
    principal: Principal,
    vault: Vault,
    name: str,
    *,
    key: str | None = None,
    began: ConnectionRow | None = None,
    **settings: Unpack[ConnectionSettings],
) -> None:
    """Replaces all settings of a connection. `began`: the connection as the form began with it.

    `key` None keeps the stored key, "" removes it, any other value replaces it.

    A changed address clears the stored model list, and on another host the stored key is dropped unless a new one is
    given: it may be another server (`keeps_its_key`). Raises Invalid with every wrong field, NotFound, and
    VersionConflict when the connection has another key or other settings by now than `began`.
    """
    require_may(principal, "manage connections")
    connection = hold_connection(session, principal.workspace_id, name)
    normal = _NormalSettings.of(settings)
    _check(name, connection.provider, normal)
    if began is not None:
        refuse_stale(_written(began), _written(get_connection(session, principal.workspace_id, name)))
    if normal.base_url != connection.base_url:
        connection.models = []
    default = PROVIDERS[connection.provider].address
    moved = not keeps_its_key(connection.base_url or default, normal.base_url or default)
    if key is None and moved and connection.secret_id is not None:
        key = ""
    _set(connection, normal)
    if key is not None:
        was = connection.secret_id
        connection.secret_id = put_secret(session, principal, vault, f"Key of {name}", key) if key else None
        _drop_secret(session, principal, was)
    detail = f"{name}: {_where(connection.provider, normal.base_url)}"
    if key is not None:
        detail += ", with another key" if key else ", without a key"
    add_entry(session, principal, "change connection", connection.id, detail)


def remove_connection(session: Session, principal: Principal, name: str) -> None:
    """Deletes a connection, its key and its prices. Flows that use it fail when they run. Raises NotFound."""
    require_may(principal, "manage connections")
    connection = hold_connection(session, principal.workspace_id, name)
    delete_connection(session, connection)
    _drop_secret(session, principal, connection.secret_id)
    add_entry(session, principal, "remove connection", connection.id, name)


def remember_models(session: Session, principal: Principal, name: str, models: Iterable[str]) -> None:
    """Stores the model names that the connection's server listed."""
    require_may(principal, "manage connections")
    hold_connection(session, principal.workspace_id, name).models = _listed(models)


def set_price(
    session: Session, principal: Principal, connection: str, model: str, input_nanos: int, output_nanos: int
) -> None:
    """Sets the owner's price of a model in nano-dollars per million tokens.

    It overrides the price table for later calls.
    """
    require_may(principal, "manage connections")
    if min(input_nanos, output_nanos) < 0:
        raise Invalid("A price cannot be below 0", remedy="Set it to 0 for a model that costs nothing.")
    if len(model) > MAX_MODEL:
        raise Invalid(
            f"The name of a model has at most {MAX_MODEL} characters", remedy="Enter the name that the provider uses."
        )
    if max(input_nanos, output_nanos) > MAX_PRICE:
        raise Invalid(
            f"A price can be ${MAX_PRICE // 10**9:,} for a million tokens at most",
            remedy="Check the unit: it is dollars for a million tokens, not for a thousand or for one.",
        )
    hold_connection(session, principal.workspace_id, connection)
    put_price(session, principal.workspace_id, connection, model, input_nanos, output_nanos)
    rates = f"${input_nanos / 1e9:g} in, ${output_nanos / 1e9:g} out"
    add_entry(
        session, principal, "set price", f"{connection}:{model}", f"{connection}:{model}: {rates} a million tokens"
    )


def remove_price(session: Session, principal: Principal, connection: str, model: str) -> None:
    """Deletes the owner's price, so that the price table applies again. Does nothing when there is none."""
    require_may(principal, "manage connections")
    hold_connection(session, principal.workspace_id, connection)
    if delete_price(session, principal.workspace_id, connection, model):
        add_entry(session, principal, "remove price", f"{connection}:{model}", f"{connection}:{model}")


def is_local(provider: str, base_url: str | None) -> bool:
    """Tells whether the model server is on this machine or in a private network, so that its calls cost nothing.

    Always False for providers that require a key: they charge for calls behind a private address too.
    """
    known = PROVIDERS.get(provider)
    if known is None or known.needs_key:
        return False
    host = split_url(base_url or known.address).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return bool(host) and ("." not in host or host.endswith((".local", ".internal", ".lan", ".localhost")))
    return address.is_private or address.is_loopback


class _NormalSettings(Struct, frozen=True):
    """The settings in normal form: without surrounding blanks, trailing slash and duplicate model names."""

    base_url: str | None
    api_version: str | None
    named_models: tuple[str, ...]
    max_concurrency: int | None

    @classmethod
    def of(cls, settings: ConnectionSettings) -> _NormalSettings:
        named = (model.strip() for model in settings.get("named_models", ()))
        return cls(
            (settings.get("base_url") or "").strip().rstrip("/") or None,
            (settings.get("api_version") or "").strip() or None,
            tuple(dict.fromkeys(model for model in named if model)),
            settings.get("max_concurrency"),
        )


def _written(row: ConnectionRow) -> ConnectionRow:
    """Returns what people chose: a test of the connection, which lists its models, is no change."""
    return replace(row, models=())


def _set(connection: Connection, normal: _NormalSettings) -> None:
    connection.base_url = normal.base_url
    connection.local = is_local(connection.provider, normal.base_url)
    connection.named_models = list(normal.named_models) or None
    connection.api_version = normal.api_version
    connection.max_concurrency = normal.max_concurrency


def _listed(models: Iterable[str]) -> list[str]:
    return sorted({model for model in models if len(model) <= MAX_MODEL})[:MAX_MODELS]


def _check(name: str, provider: str, normal: _NormalSettings) -> None:
    wrong = [error for error in (_wrong_name(name), _wrong_version(provider, normal.api_version)) if error]
    if provider not in PROVIDERS:
        wrong.append(FieldError("/provider", "enum", f"the provider is one of {', '.join(PROVIDERS)}"))
    elif PROVIDERS[provider].needs_address and normal.base_url is None:
        hint = PROVIDERS[provider].address_hint
        wrong.append(FieldError("/base_url", "required", f"say where the server is, like {hint}"))
    if normal.base_url is not None and not _is_address(normal.base_url):
        wrong.append(
            FieldError(
                "/base_url",
                "format",
                f"the address is like https://host:port/v1, without a name or password, and has at most {LONGEST_ADDRESS:,} characters",
            )
        )
    if len(normal.named_models) > MAX_NAMED or any(len(model) > MAX_MODEL for model in normal.named_models):
        wrong.append(
            FieldError("/named_models", "max_items", f"at most {MAX_NAMED} models of {MAX_MODEL} characters each")
        )
    if normal.max_concurrency is not None and not 1 <= normal.max_concurrency <= MAX_CONCURRENCY:
        wrong.append(
            FieldError("/max_concurrency", "minimum", f"calls at once are a whole number from 1 to {MAX_CONCURRENCY}")
        )
    if wrong:
        raise Invalid("; ".join(error.detail for error in wrong), errors=tuple(wrong))


def _wrong_name(name: str) -> FieldError | None:
    if _NAME.fullmatch(name) and name != SIMULATED:
        return None
    return FieldError(
        "/name", "pattern", "the name has 1 to 63 letters, digits, dots, dashes or underscores (not `simulated`)"
    )


def _wrong_version(provider: str, version: str | None) -> FieldError | None:
    if version is None:
        return None
    if provider in PROVIDERS and PROVIDERS[provider].wire != "azure":
        return FieldError("/api_version", "unknown_field", "only Azure OpenAI has an API version")
    if _VERSION.fullmatch(version):
        return None
    return FieldError("/api_version", "pattern", f"the API version is a date like {AZURE_API_VERSION}, or v1")


def _is_address(base_url: str) -> bool:
    try:
        parts = split_url(base_url)
        return (
            len(base_url) <= LONGEST_ADDRESS
            and parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and (parts.port or 1) > 0
            and "@" not in parts.netloc
            and not parts.query
            and not parts.fragment
        )
    except ValueError:  # the port is not a number
        return False


def _drop_secret(session: Session, principal: Principal, secret_id: str | None) -> None:
    if secret_id is not None:
        delete_secret(session, hold_secret(session, principal.workspace_id, secret_id))


def _where(provider: str, base_url: str | None) -> str:
    return PROVIDERS[provider].title + (f" at {base_url}" if base_url else "")
