"""HTTP as every connector speaks it.

Belongs here: one session (timeouts, pool, bounded answers, no redirects), and the
one table that says what a status means in our errors. Does not belong here: any
system's own error names; a connector passes its own `judge` for those.

Builders return the exception; `raise … from` stands at the call site.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Mapping
from functools import partial
from types import TracebackType
from typing import Any, Self

import requests
from urllib3.exceptions import HTTPError

from commerce_pipelines.connectors.answer import Answer, one_line, parse_json, parse_retry_after
from commerce_pipelines.connectors.breaker import Breaker
from commerce_pipelines.connectors.connection import (
    checked_headers,
    checked_url,
    never_sent,
    open_session,
    secrets_in,
)
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.errors import (
    CommerceError,
    Conflict,
    NotFound,
    Refused,
    Unauthorised,
    Unavailable,
    Unknown,
)

USER_AGENT = "commerce-pipelines"
SAFE_METHODS = frozenset({"GET", "HEAD"})

# What is not listed: 2xx is success, other 5xx are Unknown, the rest is Refused.
MEANING: dict[int, type[CommerceError]] = {
    401: Unauthorised,
    403: Unauthorised,
    404: NotFound,
    408: Unknown,
    409: Conflict,
    412: Conflict,
    425: Unavailable,
    429: Unavailable,
}

Judge = Callable[[Answer], CommerceError | None]
Query = Mapping[str, str | list[str]]


def error_for(answer: Answer) -> CommerceError | None:
    """Returns the error that an answer means; None for a success."""
    if 200 <= answer.status < 300:
        return Unknown(str(answer)) if answer.fault else None
    meaning = MEANING.get(answer.status, Unknown if answer.status >= 500 else Refused)
    if issubclass(meaning, (Unknown, Unavailable)):
        return meaning(str(answer), retry_after_seconds=answer.retry_after_seconds)
    return meaning(str(answer))


def error_for_failure(request: str, failure: Exception) -> CommerceError:
    """Returns the error for a request without a whole answer.

    The text names the kind of failure only: what the libraries write may hold addresses.
    """
    kind = type(failure).__name__
    if never_sent(failure):
        return Unavailable(f"{request} found no connection ({kind}); nothing was sent.")
    return Unknown(f"{request} was sent, but no whole answer came ({kind}).")


class HttpSession:
    """A pooled session with one system; may be shared by threads.

    Args:
        base_url: Address that paths are appended to.
        secret_headers: Headers with credentials; their values never show in a text.
        headers: Other headers of every request.
        connect_timeout_seconds: How long a connection may take, and each part sent.
        read_timeout_seconds: How long the answer may take to begin, and then to end.
        max_answer_bytes: The largest answer read, after decompression.
        retry: How repeatable calls are repeated.
        breaker: Keeps requests back while the system fails; none if not given.

    Raises:
        ConfigurationError: The address or a header cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        secret_headers: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout_seconds: float = 3.05,
        read_timeout_seconds: float = 60.0,
        max_answer_bytes: int = 64 * 1024 * 1024,
        retry: RetryPolicy | None = None,
        breaker: Breaker | None = None,
    ) -> None:
        self._base_url = checked_url(base_url)
        self._secret_headers = checked_headers(secret_headers or {})
        self._timeouts = (connect_timeout_seconds, read_timeout_seconds)
        self._max_answer_bytes = max_answer_bytes
        self._retry = retry or RetryPolicy()
        self._breaker = breaker
        self._session = open_session(self._base_url)
        self._session.headers.update({**checked_headers(headers or {}), "User-Agent": USER_AGENT})
        self._session.auth = self._authorise
        self._secrets = secrets_in(self._secret_headers)

    def __repr__(self) -> str:
        return f"HttpSession({self._base_url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def base_url(self) -> str:
        """Returns the address that paths are appended to."""
        return self._base_url

    def close(self) -> None:
        """Closes all connections."""
        self._session.close()

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """Fetches JSON; repeats on transient errors.

        Raises:
            CommerceError: What the table makes of the answer; never Unknown.
        """
        return self.send("GET", path, params=params, repeatable=True).body

    def send(
        self,
        method: str,
        path: str,
        *,
        params: Query | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        reads: bool = False,
        repeatable: bool = False,
        judge: Judge = error_for,
        before_attempt: Callable[[], None] | None = None,
    ) -> Answer:
        """Sends one request and returns the answer that `judge` finds no fault with.

        Args:
            method: HTTP method.
            path: Path below the base address.
            params: Query; a list is the same name many times.
            headers: Headers of this request, beside those of the session.
            body: JSON, serialised.
            reads: Whether it changes nothing there, as every GET; it is never Unknown.
            repeatable: Whether sending it twice has one effect.
            judge: What an answer means; the table unless a system knows better.
            before_attempt: Called before each attempt, say to take from a rate budget.

        Raises:
            Unknown: An attempt may have had its effect.
            ConfigurationError: A header cannot be sent.
            CommerceError: None had; what `judge` returns, or Unavailable.
        """
        harmless = reads or method in SAFE_METHODS
        own_headers = checked_headers(headers or {})

        def attempt() -> Answer:
            if before_attempt is not None:
                before_attempt()
            try:
                return self._attempt(method, path, params, body, judge, headers=own_headers)
            except Unknown as error:
                if harmless:
                    raise Unavailable(
                        str(error), retry_after_seconds=error.retry_after_seconds
                    ) from error
                raise

        return self._retry.run(attempt) if repeatable else attempt()

    def _attempt(
        self,
        method: str,
        path: str,
        params: Query | None,
        body: bytes | None,
        judge: Judge,
        *,
        headers: Mapping[str, str],
    ) -> Answer:
        exchange = partial(self._exchange, method, path, params, body, headers)
        try:
            answer = exchange() if self._breaker is None else self._breaker.run(exchange)
            error = judge(answer)
        except (requests.RequestException, HTTPError) as failure:
            error = error_for_failure(_request_line(method, path), failure)
            raise error from failure
        if error is not None:
            raise error
        return answer

    def _exchange(
        self,
        method: str,
        path: str,
        params: Query | None,
        body: bytes | None,
        headers: Mapping[str, str],
    ) -> Answer:
        # A stream, because a whole body would have to go out within the connect timeout.
        stream = None if body is None else io.BytesIO(body)
        content_type = {} if body is None else {"Content-Type": "application/json"}
        with self._session.request(
            method,
            self._base_url + path,
            params=params,
            data=stream,
            headers={**content_type, **headers},
            timeout=self._timeouts,
            allow_redirects=False,
            stream=True,
        ) as response:
            raw, whole = self._read_body(response)
        if not whole and method in SAFE_METHODS:
            raise Refused(f"{_request_line(method, path)} answers more than we read; ask for less.")
        body, fault = parse_json(raw, response.headers.get("Content-Type", ""))
        return Answer(
            request=_request_line(method, path),
            status=response.status_code,
            body=body,
            fault=fault if response.ok else None,
            excerpt=one_line(raw[:16384].decode("utf-8", "replace"), self._secrets),
            retry_after_seconds=parse_retry_after(response.headers.get("Retry-After")),
        )

    def _read_body(self, response: requests.Response) -> tuple[bytes, bool]:
        deadline = time.monotonic() + self._timeouts[1]
        raw = bytearray()
        # Not iter_content: it waits for a full chunk, however slowly that trickles in.
        while chunk := response.raw.read1(65536, decode_content=True):
            raw += chunk
            if len(raw) > self._max_answer_bytes:
                return bytes(raw), False
            if time.monotonic() > deadline:
                raise requests.ReadTimeout("the answer does not end")
        return bytes(raw), True

    def _authorise(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As `auth`, because requests lets ~/.netrc overwrite a plain header.
        request.headers.update(self._secret_headers)
        return request


def _request_line(method: str, path: str) -> str:
    return f"{method} {path if len(path) <= 80 else path[:79] + '…'}"
