"""Whom the endpoint believes.

Belongs here: which requests must be signed, and what the unsigned mode of a
local stack asks of a request instead. Does not belong here: how a signature is
made (`signatures.py`).

The unsigned mode is for one machine with imitated systems. A page in the
machine's browser could reach it too, so a request must name this machine (a
rebound DNS name does not) and must not come from another site.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from fastapi import Request

from commerce_pipelines.endpoint import signatures
from commerce_pipelines.endpoint.problems import ProblemError
from commerce_pipelines.endpoint.signatures import SignedDelivery
from commerce_pipelines.errors import ConfigurationError, InvalidSignature
from commerce_pipelines.settings import Settings

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_SAME_SITE = frozenset({"same-origin", "none"})


@dataclass(frozen=True)
class Callers:
    """The rules of one endpoint.

    Attributes:
        keys: Of the PIM's active secrets.
        unsigned_loopback: Whether unsigned requests from this machine are taken.
        erp_keys: Of the ERP's active secrets.
    """

    keys: list[bytes] = field(repr=False)
    unsigned_loopback: bool
    erp_keys: list[bytes] = field(default_factory=list, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Callers:
        """Returns the rules that the settings ask for.

        Raises:
            ConfigurationError: They would let in anybody, or nobody.
        """
        keys = signatures.keys_from(settings.pim_webhook_secret, "PIM_WEBHOOK_SECRET")
        erp_keys = signatures.keys_from(settings.erp_webhook_secret, "ERP_WEBHOOK_SECRET")
        if settings.endpoint_unsigned_loopback:
            if not is_loopback(settings.endpoint_host):
                raise ConfigurationError(
                    "ENDPOINT_UNSIGNED_LOOPBACK needs a loopback address in ENDPOINT_HOST."
                )
        elif not keys:
            raise ConfigurationError("Set PIM_WEBHOOK_SECRET: the endpoint takes nothing unsigned.")
        return cls(keys, settings.endpoint_unsigned_loopback, erp_keys)

    def signed(self, request: Request, keys: list[bytes] | None = None) -> SignedDelivery:
        """Returns the delivery that a request claims to be.

        Args:
            request: The request.
            keys: Of the one who must have signed it; the PIM's if not given.

        Raises:
            InvalidSignature: Its headers show already that it is none.
        """
        headers = request.headers
        names = (signatures.ID, signatures.TIMESTAMP, signatures.SIGNATURE)
        if any(len(headers.getlist(name)) > 1 for name in names):
            raise InvalidSignature("A header of the signature appears twice.")
        keys = self.keys if keys is None else keys
        if not keys:
            raise InvalidSignature("No secret is set here, so no signature can be right.")
        return SignedDelivery(keys, headers)

    def signed_or_local(self, request: Request) -> SignedDelivery | None:
        """Returns the delivery that a request claims to be; None for an unsigned one taken here.

        Raises:
            InvalidSignature: It has to be signed, and is not rightly.
        """
        named = any(name.startswith("webhook-") for name in request.headers)
        peer = request.client.host if request.client else ""
        if self.unsigned_loopback and not named and is_loopback(peer):
            return None
        return self.signed(request)

    def check_origin(self, request: Request) -> None:
        """Refuses what only a browser under a stranger's control would send.

        Raises:
            ProblemError: In unsigned mode, it names another host or comes from another site.
        """
        if not self.unsigned_loopback:
            return
        host = request.headers.get("host", "")
        if not is_loopback(_host_name(host)):
            raise ProblemError(403, "In unsigned mode, ask for localhost or 127.0.0.1.")
        if request.method not in _READING and not _same_site(request, host):
            raise ProblemError(403, "In unsigned mode, no other site may send requests.")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Tells whether a host is this machine, by address or as localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


@lru_cache(maxsize=256)
def _host_name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _same_site(request: Request, host: str) -> bool:
    origin = request.headers.get("origin")
    site = request.headers.get("sec-fetch-site", "none")
    return site in _SAME_SITE and origin in {None, f"http://{host}"}
