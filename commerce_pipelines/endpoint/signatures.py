"""Signatures of deliveries: Standard Webhooks 1.0.0, over the bytes as they come.

Belongs here: the secrets, and whether a body was signed with one of them. Does
not belong here: which routes ask for it.

The `standardwebhooks` package is not used to verify, only in tests to sign: it
wants the body as one text (ours may be 256 MiB), parses it a second time without
our limits, and takes a timestamp of "1.5" for the signed "1".
"""

from __future__ import annotations

import binascii
import hmac
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pydantic import SecretStr

from commerce_pipelines.errors import ConfigurationError, InvalidSignature

ID = "webhook-id"
TIMESTAMP = "webhook-timestamp"
SIGNATURE = "webhook-signature"
TOLERANCE_SECONDS = 300
# As the specification has it; a shorter secret can be guessed.
SHORTEST_SECRET_BYTES = 24
LONGEST_ID = 256

_PREFIX: Final = "whsec_"
_VERSION: Final = "v1,"

Keys = Sequence[bytes]


def keys_from(secrets: SecretStr | None, setting: str) -> list[bytes]:
    """Returns the keys of a setting that holds one secret, or several while one is replaced.

    Raises:
        ConfigurationError: One of them is no such secret.
    """
    given = (secrets.get_secret_value() if secrets else "").split()
    return [_key(secret, setting) for secret in given]


def _key(secret: str, setting: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) < SHORTEST_SECRET_BYTES:
        raise ConfigurationError(
            f"{setting} must be whsec_ and at least {SHORTEST_SECRET_BYTES} bytes "
            "in base64; several are separated by spaces."
        )
    return key


class SignedDelivery:
    """A delivery on its way in: its headers are right, its body is still to come.

    Args:
        keys: Every active secret's key.
        headers: Lower-case names; each of ours exactly once.
        clock: Seconds since 1970.

    Attributes:
        id: The sender's id of the delivery.

    Raises:
        InvalidSignature: A header is missing or malformed, or the timestamp is too far off.
    """

    def __init__(
        self, keys: Keys, headers: Mapping[str, str], clock: Callable[[], float] = time.time
    ) -> None:
        self.id = _checked_id(headers.get(ID, ""))
        timestamp = _checked_timestamp(headers.get(TIMESTAMP, ""), clock())
        self._given = _signatures(headers.get(SIGNATURE, ""))
        start = f"{self.id}.{timestamp}.".encode()
        self._macs = [hmac.new(key, start, "sha256") for key in keys]

    def feed(self, chunk: bytes) -> None:
        """Takes the next piece of the body."""
        for mac in self._macs:
            mac.update(chunk)

    def verify(self) -> None:
        """Compares the signatures, now that the body was fed.

        Raises:
            InvalidSignature: No active secret made one of them.
        """
        expected = [b64encode(mac.digest()) for mac in self._macs]
        fits = [hmac.compare_digest(one, given) for one in expected for given in self._given]
        if not any(fits):
            raise InvalidSignature


def _checked_id(text: str) -> str:
    if not (0 < len(text) <= LONGEST_ID and text.isascii() and text.isprintable()):
        raise InvalidSignature(f"The header {ID} is missing or malformed.")
    return text


def _checked_timestamp(text: str, now_seconds: float) -> str:
    if not (text.isascii() and text.isdigit() and len(text) <= 12):
        raise InvalidSignature(f"The header {TIMESTAMP} is missing or malformed.")
    if abs(int(text) - now_seconds) > TOLERANCE_SECONDS:
        raise InvalidSignature(f"The timestamp is more than {TOLERANCE_SECONDS} seconds off.")
    return text


def _signatures(text: str) -> list[bytes]:
    """Returns the signatures of the version that we know; others may stand beside it."""
    given = [each.removeprefix(_VERSION) for each in text.split(" ") if each.startswith(_VERSION)]
    if not given or not text.isascii():
        raise InvalidSignature(f"The header {SIGNATURE} is missing or malformed.")
    return [each.encode() for each in given]
