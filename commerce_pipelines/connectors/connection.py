"""How a `requests` session is set up, and what its failures tell about the wire.

Belongs here: what we check and change before the first request. Does not belong
here: sending and judging (`http`).
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError, SSLError

from commerce_pipelines.errors import ConfigurationError

CONNECTIONS = 10


class _UnredirectedSession(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Sees no redirect; requests would read its body without a limit to remember it."""


def open_session(base_url: str) -> requests.Session:
    """Returns a session that keeps connections, but no cookies and no state."""
    session = _UnredirectedSession()
    adapter = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    # A company's proxy and certificates count for other hosts only: no proxy can
    # reach a server on our own loopback.
    session.trust_env = not _is_loopback(urlsplit(base_url).hostname or "")
    return session


def checked_url(base_url: str) -> str:
    """Returns the address without a slash at its end.

    Raises:
        ConfigurationError: It is not one, or holds a password, query or fragment.
    """
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.password or parts.query or parts.fragment:
        raise ConfigurationError("An address must look like https://host[:port][/path].")
    return base_url.rstrip("/")


def checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Returns the headers.

    Raises:
        ConfigurationError: A value cannot be sent. requests would print it.
    """
    for name, value in headers.items():
        if not (value.isascii() and value.isprintable() and value == value.strip()):
            raise ConfigurationError(f"The value for the header {name} holds odd characters.")
    return dict(headers)


def secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Returns what must never be shown: each value, and each without its scheme."""
    values = [value for value in headers.values() if value]
    return (*values, *(value.split()[-1] for value in values))


def never_sent(failure: Exception) -> bool:
    """Tells whether the request certainly did not leave this machine."""
    if isinstance(failure, (requests.ConnectTimeout, requests.exceptions.ProxyError)):
        return True
    cause = failure.args[0] if failure.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    if isinstance(reason, SSLError):
        return any(isinstance(part, ssl.SSLCertVerificationError) for part in reason.args)
    return isinstance(reason, (NewConnectionError, ConnectTimeoutError))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
