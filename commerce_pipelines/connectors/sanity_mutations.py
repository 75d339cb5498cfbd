"""Mutations of Sanity's Content Lake as bytes: ids, serialising, packing.

Belongs here: what can be decided before anything is sent. Does not belong here:
sending (`sanity`), and which fields are ours (the domain).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commerce_pipelines.errors import InvalidInput

# Sanity takes 4 MB (10^6) a request: https://www.sanity.io/docs/technical-limits
MAX_REQUEST_BYTES = 3_500_000
MAX_MUTATIONS = 2_000
# The braces around the mutations, and a transaction id.
ENVELOPE_BYTES = 256

_MAX_ID_CHARACTERS = 128
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*(\.[A-Za-z0-9_][A-Za-z0-9_-]*)*")


@dataclass(frozen=True, slots=True)
class Mutation:
    """One mutation, serialised once.

    Attributes:
        document_id: The document it changes.
        body: Its JSON, UTF-8.
    """

    document_id: str
    body: bytes


def valid_document_id(document_id: str) -> bool:
    """Tells whether Sanity takes this as a document's id.

    Follows https://www.sanity.io/docs/ids: letters, digits, `._-`, at most 128, no
    empty part between dots and none that starts with `-`.
    """
    return len(document_id) <= _MAX_ID_CHARACTERS and _ID.fullmatch(document_id) is not None


def serialise(document_id: str, mutation: Mapping[str, Any]) -> Mutation:
    """Returns a mutation as it is sent.

    Raises:
        InvalidInput: The id is none, or a value is not JSON (NaN, half a character).
    """
    if not valid_document_id(document_id):
        raise InvalidInput(f"{document_id[:140]!r} cannot be the id of a Sanity document.")
    return Mutation(document_id, to_json(mutation))


def to_json(value: object) -> bytes:
    """Returns compact JSON in UTF-8.

    Raises:
        InvalidInput: The value is not JSON.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode()
    except (ValueError, TypeError, RecursionError) as error:
        raise InvalidInput(f"This cannot be sent as JSON: {error}") from error


def pack(
    mutations: Iterable[tuple[str, Mapping[str, Any]]],
    *,
    max_bytes: int = MAX_REQUEST_BYTES,
    max_count: int = MAX_MUTATIONS,
) -> Iterator[list[Mutation]]:
    """Yields lists that fit into one transaction each, in order.

    A single mutation beyond the limit is yielded alone, so that Sanity names it.

    Args:
        mutations: Document id and mutation.
        max_bytes: The largest request, its envelope included.
        max_count: The most mutations in one.

    Raises:
        InvalidInput: See `serialise`.
    """
    packed: list[Mutation] = []
    size = ENVELOPE_BYTES
    for document_id, content in mutations:
        mutation = serialise(document_id, content)
        needed = len(mutation.body) + 1
        if packed and (len(packed) == max_count or size + needed > max_bytes):
            yield packed
            packed, size = [], ENVELOPE_BYTES
        packed.append(mutation)
        size += needed
    if packed:
        yield packed


def request_body(
    mutations: Sequence[Mutation] | Sequence[Mapping[str, Any]], transaction_id: str
) -> bytes:
    """Returns the body of one transaction's request."""
    bodies = [m.body if isinstance(m, Mutation) else to_json(m) for m in mutations]
    return b'{"mutations":[%b],"transactionId":%b}' % (b",".join(bodies), to_json(transaction_id))
