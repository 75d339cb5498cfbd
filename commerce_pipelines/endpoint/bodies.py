"""Reading a request's body: limited, counted and timed while it comes.

Belongs here: what is refused before anything is parsed. Does not belong here:
what the body means.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from tempfile import SpooledTemporaryFile
from typing import Final

from fastapi import Request

from commerce_pipelines.endpoint.problems import ProblemError
from commerce_pipelines.errors import InvalidInput

MOST_MEMORY_BYTES: Final = 1024 * 1024
CHUNK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True)
class BodyLimits:
    """How large a body may be, and how long it may take to come."""

    most_bytes: int
    seconds: float


@dataclass(frozen=True)
class Body:
    """A body that has come whole; a large one lies on disk.

    Attributes:
        file: Its bytes.
        size_bytes: How many they are.
        sha256: Their hash.
    """

    file: SpooledTemporaryFile[bytes]
    size_bytes: int
    sha256: bytes

    def texts(self) -> Iterator[str]:
        """Yields it as text, piece by piece.

        Raises:
            InvalidInput: It is not UTF-8.
        """
        self.file.seek(0)
        pieces = iter(lambda: self.file.read(CHUNK_BYTES), b"")
        try:
            yield from codecs.iterdecode(pieces, "utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidInput("The body is not UTF-8.") from error


@asynccontextmanager
async def open_body(
    request: Request, limits: BodyLimits, feed: Callable[[bytes], None]
) -> AsyncIterator[Body]:
    """Reads a body of JSON; it is gone when the block ends.

    Args:
        request: Where it comes from.
        limits: What is too much.
        feed: Gets each piece as it comes.

    Raises:
        ProblemError: It is too large, too slow, compressed or of another type.
    """
    with SpooledTemporaryFile(MOST_MEMORY_BYTES) as file:
        size_bytes, digest = await _read(request, limits, feed, file.write)
        yield Body(file, size_bytes, digest)


async def read_body(
    request: Request, limits: BodyLimits, feed: Callable[[bytes], None]
) -> tuple[bytes, bytes]:
    """Returns a body of JSON that is small enough for memory, and its hash.

    Args:
        request: Where it comes from.
        limits: What is too much.
        feed: Gets each piece as it comes.

    Raises:
        ProblemError: It is too large, too slow, compressed or of another type.
    """
    pieces: list[bytes] = []
    _, digest = await _read(request, limits, feed, pieces.append)
    return b"".join(pieces), digest


def _check_headers(request: Request, most_bytes: int) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind, _, subtype = media_type.partition("/")
    if kind != "application" or not (subtype == "json" or subtype.endswith("+json")):
        raise ProblemError(415, "The body must be JSON: Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise ProblemError(415, "A compressed body is not taken; send it as it is.")
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > most_bytes:
        raise _too_large(most_bytes)


async def _read(
    request: Request,
    limits: BodyLimits,
    feed: Callable[[bytes], None],
    keep: Callable[[bytes], object],
) -> tuple[int, bytes]:
    """Returns how many bytes came, and their hash."""
    _check_headers(request, limits.most_bytes)
    size_bytes, hashed = 0, sha256()
    try:
        async with asyncio.timeout(limits.seconds):
            async for chunk in request.stream():
                size_bytes += len(chunk)
                if size_bytes > limits.most_bytes:
                    raise _too_large(limits.most_bytes)
                feed(chunk)
                hashed.update(chunk)
                keep(chunk)
    except TimeoutError:
        raise ProblemError(408, f"The body took over {limits.seconds:g} seconds.") from None
    return size_bytes, hashed.digest()


def _too_large(most_bytes: int) -> ProblemError:
    return ProblemError(413, f"The body is larger than {most_bytes} bytes.")
