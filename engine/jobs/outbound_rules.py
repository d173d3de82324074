"""The owner's rules for requests that leave the server: from the environment, and from the lists on the page Server."""

from __future__ import annotations

from sqlalchemy.orm import Session

from engine.core.settings import PROXY_FORM, BadSetting, Settings
from engine.outbound.addresses import Forbidden, Guard, is_localhost, port_of, read_url, shown_url
from engine.outbound.allow_list import Allowed, OutboundRules, kept_entries, parse_allow_list
from engine.outbound.error_messages import converted_errors
from engine.outbound.errors import AddressNotAllowed
from engine.outbound.practice_site import PRACTICE_HOST
from storage.database import Database
from storage.settings import OUTBOUND_ALLOW, SERVER, WEBHOOK_ALLOW, find_setting


def outbound_rules(settings: Settings, database: Database) -> OutboundRules:
    """Returns the present rules, without entries of the page's lists that are not valid any more. Raises BadSetting."""
    return _rules(settings, _kept(database, OUTBOUND_ALLOW)[0], _kept(database, WEBHOOK_ALLOW)[0])


def rules_for_flows(session: Session, settings: Settings) -> OutboundRules:
    """Returns the present rules for flows, read within a transaction. Raises BadSetting."""
    return _rules(settings, _kept_in(session, OUTBOUND_ALLOW)[0], ())


def check_callers_address(rules: OutboundRules, url: str) -> None:
    """Refuses a webhook address that a call names when these rules never allow it, or when it is the practice site. No
    host name is resolved.

    What a name resolves to is checked when the address is called. Raises OutboundRefused with a sentence that says why,
    and what the owner can do.
    """
    address = read_url(url)
    if address.host == PRACTICE_HOST:
        raise AddressNotAllowed(
            f"`{shown_url(address)}` is the practice site, which can only be read: nobody receives what is sent there. "
            "Name an address of your own server."
        )
    guard = Guard(rules.entries("callers"), rules.ports)
    with converted_errors(address, None, "callers"):
        destination = guard.destination(address.raw_host.decode().lower(), port_of(address))
        if is_localhost(destination.host):
            guard.loopback(destination)
        if destination.reachable != "any" and destination.host.rpartition(".")[2] == "invalid":
            raise Forbidden("names that end in .invalid belong to no public server")


def environment_rules(settings: Settings) -> OutboundRules:
    """Returns the rules of the environment alone, without the lists on the page Server. Raises BadSetting."""
    return _rules(settings, (), ())


def entries_that_count_no_more(database: Database) -> list[str]:
    """Returns a sentence for each entry of the page's lists that an earlier release stored and this one does not
    accept.
    """
    return [*_kept(database, OUTBOUND_ALLOW)[1], *_kept(database, WEBHOOK_ALLOW)[1]]


def _kept(database: Database, name: str) -> tuple[tuple[Allowed, ...], tuple[str, ...]]:
    return database.read_now(_kept_in, name)


def _kept_in(session: Session, name: str) -> tuple[tuple[Allowed, ...], tuple[str, ...]]:
    stored = find_setting(session, SERVER, name)
    return kept_entries(stored if isinstance(stored, str) else "")


def _rules(settings: Settings, flows: tuple[Allowed, ...], callers: tuple[Allowed, ...]) -> OutboundRules:
    if settings.outbound_proxy:
        _require_proxy(settings.outbound_proxy)
    return OutboundRules(
        allow=(*_read("FLOWPORT_OUTBOUND_ALLOW", settings.outbound_allow), *flows),
        proxy=settings.outbound_proxy or None,
        callers=(*_read("FLOWPORT_WEBHOOK_ALLOW", settings.webhook_allow), *callers),
        proxy_looks_up=settings.outbound_proxy_names == "proxy",
        browser_sandbox=settings.browser_sandbox,
    )


def _require_proxy(text: str) -> None:
    from engine.outbound.connection_pools import read_proxy  # loaded only where a proxy is set

    try:
        read_proxy(text)
    except ValueError:  # whose text may hold a password
        raise BadSetting(f"FLOWPORT_OUTBOUND_PROXY cannot be read. {PROXY_FORM}") from None


def _read(variable: str, text: str) -> tuple[Allowed, ...]:
    try:
        return parse_allow_list(text)
    except ValueError as error:
        raise BadSetting(f"{variable}: {error}") from None
