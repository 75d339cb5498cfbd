"""Everything this project raises on purpose.

The tree, permanent or transient decided once:

    CommerceError
    ├── PermanentError          trying again gives the same answer
    │   ├── InvalidInput        the caller sent something we cannot take
    │   │   └── InvalidSignature
    │   ├── NotFound
    │   ├── Conflict            the other side has a newer or competing state
    │   ├── Declined            a rule of the trade says no, with a code for programs
    │   ├── Refused             another system said a definite no
    │   ├── Unauthorised        ... to our credentials, which says nothing of the request
    │   ├── ConfigurationError  a setting is missing or wrong
    │   └── NeedsPerson         only a person may decide; the saga is parked
    ├── TransientError          trying again may help
    │   ├── Unknown             the request may or may not have had its effect
    │   ├── Unavailable         it certainly had none
    │   └── Busy                somebody else is changing the same record
    └── Fenced                  somebody took this saga over: stop at once

A class's docstring is its default message.
"""

from __future__ import annotations

from typing import Any


class CommerceError(Exception):
    """Something went wrong in commerce_pipelines."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class PermanentError(CommerceError):
    """Trying again gives the same answer."""


class InvalidInput(PermanentError):
    """The input cannot be taken; see the reason and send it again corrected."""


class InvalidSignature(InvalidInput):
    """The signature does not fit the body; check the shared secret and the clock."""


class NotFound(PermanentError):
    """There is no such record."""


class Conflict(PermanentError):
    """The record has changed meanwhile; read it again and decide anew."""


class Declined(PermanentError):
    """A rule of the trade says no; nothing was written.

    Attributes:
        code: Which rule, for programs.
        facts: What a program may want to know, as JSON.
    """

    def __init__(self, code: str, message: str, **facts: Any) -> None:
        super().__init__(message)
        self.code = code
        self.facts = facts


class Refused(PermanentError):
    """The other system refused the request."""


class Unauthorised(PermanentError):
    """The other system refused our credentials; check the token in the settings."""


class ConfigurationError(PermanentError):
    """A setting is missing or wrong; see the settings table in the README."""


class NeedsPerson(PermanentError):
    """A person must decide; see `commerce-pipelines sagas show`."""


class TransientError(CommerceError):
    """Trying again may help.

    Attributes:
        retry_after_seconds: How long the other side asked us to wait, if it did.
    """

    def __init__(
        self, message: str | None = None, *, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message or "Trying again may help.")
        self.retry_after_seconds = retry_after_seconds


class Unknown(TransientError):
    """The request may or may not have had its effect."""


class Unavailable(TransientError):
    """The other system is not reachable; nothing was changed there."""


class Busy(TransientError):
    """Somebody else is changing the same record; it will be tried again."""


class Fenced(CommerceError):
    """Another process took this saga over; this one must stop writing."""


def told(error: BaseException) -> str:
    """Returns what a person reads of an error: its kind and its message."""
    return f"{type(error).__name__}: {error}"
