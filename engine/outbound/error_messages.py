"""Converts low-level network exceptions into the errors of `engine.outbound.errors`, whose messages users read."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Iterator

import httpcore2
import httpx2

from engine.outbound.addresses import ENCODED_RULE, Forbidden, port_of, shown_url
from engine.outbound.allow_list import Reach
from engine.outbound.connection_pools import CONNECT_SECONDS, LookUpTimeout, NameNotFound
from engine.outbound.decompression import BodyTooLong, BodyUnreadable
from engine.outbound.errors import (
    ALLOW_REMEDY,
    CALLERS_REMEDY,
    REDIRECT_REMEDY,
    AddressNotAllowed,
    AnswerUnreadable,
    BadHeader,
    ConnectFailed,
    ResponseTooLarge,
    TimedOut,
)
from engine.outbound.http_connection import UnreadableResponse


@contextlib.contextmanager
def converted_errors(url: httpx2.URL, came_from: str | None, reach: Reach) -> Iterator[None]:
    """Context manager around the network operations for `url` that converts their exceptions.

    `came_from` is the URL that redirected to `url`, or None for the first request. Raises OutboundRefused and
    OutboundFailed.
    """
    try:
        yield
    except Forbidden as error:
        raise AddressNotAllowed(_refusal(url, error.rule, came_from, reach)) from error
    except NameNotFound as error:
        raise ConnectFailed(
            f"`{shown_url(url)}` could not be opened: no address is known for {url.host}. "
            "Check how the name is written, and whether this server reaches the internet, then try again.",
            passing=error.passing,
        ) from error
    except BodyTooLong as error:
        raise ResponseTooLarge(
            f"The answer of `{shown_url(url)}` is larger than the {error.limit / 1024 / 1024:.3g} MiB that are read. Ask for less at once."
        ) from error
    except (BodyUnreadable, UnreadableResponse) as error:
        raise AnswerUnreadable(
            f"The answer of `{shown_url(url)}` cannot be read: {error}. Try again; if it stays, the other server has to mend it.",
            passing="early" in str(error),
        ) from error
    except httpcore2.LocalProtocolError as error:
        raise BadHeader(
            f"The request to `{shown_url(url)}` cannot be sent: {error}. Check the method and the headers."
        ) from error
    except httpcore2.ConnectTimeout as error:
        not_looked_up = isinstance(error, LookUpTimeout)
        what = f"the name {url.host} was not looked up" if not_looked_up else f"{url.host} did not take a connection"
        raise TimedOut(
            f"`{shown_url(url)}` could not be opened: {what} within {CONNECT_SECONDS:g} seconds. Try again later."
        ) from error
    except httpcore2.TimeoutException as error:
        raise TimedOut(f"`{shown_url(url)}` did not answer in time. Try again, or raise the time limit.") from error
    except httpcore2.ProxyError as error:
        raise ConnectFailed(
            f"`{shown_url(url)}` could not be opened: the company proxy did not let it through. "
            "Ask whoever runs the proxy (FLOWPORT_OUTBOUND_PROXY). For https it is asked for the IP address that was checked "
            "here; one that wants names needs FLOWPORT_OUTBOUND_PROXY_NAMES=proxy."
        ) from error
    except httpcore2.ConnectError as error:
        if _is_about_certificates(error):
            raise ConnectFailed(
                f"`{shown_url(url)}` was not opened: {url.host} could not prove who it is (its TLS certificate is not valid here). "
                "Check the address, or have the certificate renewed.",
                passing=False,
            ) from error
        raise ConnectFailed(
            f"`{shown_url(url)}` could not be opened: {url.host} does not take connections right now. Check the address or try again."
        ) from error
    except (httpcore2.NetworkError, httpcore2.RemoteProtocolError, OSError) as error:
        raise ConnectFailed(
            f"The connection to {url.host} broke off before `{shown_url(url)}` had come in full. Try again."
        ) from error


def _refusal(url: httpx2.URL, rule: str, came_from: str | None, reach: Reach) -> str:
    if came_from is not None:
        remedy = REDIRECT_REMEDY if reach == "public" else ALLOW_REMEDY
        return f"`{shown_url(came_from)}` sent the request on to an address that is not opened: {rule}. {remedy}."
    entry = f"[{url.host}]" if ":" in url.host else url.host
    if rule == ENCODED_RULE:
        return f"`{shown_url(url)}` is not opened: {rule}. Write it as four numbers, or use a name."
    if reach == "public":
        return f"`{shown_url(url)}` is not opened: {rule}. {REDIRECT_REMEDY}."
    remedy = CALLERS_REMEDY if reach == "callers" else ALLOW_REMEDY
    return f"`{shown_url(url)}` is not opened: {rule}. {remedy}, for example with `{entry}:{port_of(url)}`."


def _is_about_certificates(error: BaseException | None) -> bool:
    for _ in range(5):
        if error is None or isinstance(error, ssl.SSLCertVerificationError):
            break
        error = error.__cause__ or error.__context__
    return error is not None and isinstance(error, ssl.SSLCertVerificationError)
