"""Sanity's Content Lake.

Belongs here: reading documents, sending transactions, sealing a doubtful one. Does
not belong here: which fields are ours and what an undo looks like (`services`).

Transactions and `/data/doc` are strongly consistent, queries are not, so nothing
here queries. A transaction's id is unique in its dataset for ever, which makes
every repeat harmless: https://www.sanity.io/docs/http-mutations
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from commerce_pipelines.connectors.http import HttpSession
from commerce_pipelines.connectors.rate_budget import RateBudget
from commerce_pipelines.connectors.retry import RetryPolicy
from commerce_pipelines.connectors.sanity_errors import mutation_error_for, transaction_exists
from commerce_pipelines.connectors.sanity_mutations import (
    Mutation,
    request_body,
    valid_document_id,
)
from commerce_pipelines.errors import Fenced, InvalidInput, Refused, Unauthorised

API_VERSION = "v2025-02-19"
MAX_IDS = 100
MAX_IDS_CHARACTERS = 6_000
PARALLEL_READS = 4
SEAL_TYPE = "sagaSeal"

# `async` answers once the transaction is committed, before queries show it: `sync`
# would wait for an index that we never ask, `deferred` would keep editors waiting.
_MUTATE_PARAMS = {"visibility": "async", "returnIds": "false"}

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class MutationAnswer:
    """A transaction that is in.

    Attributes:
        transaction_id: Its id, and the `_rev` of each document it wrote last.
        already_applied: Whether an earlier request had brought it in.
    """

    transaction_id: str
    already_applied: bool


class Sanity:
    """One dataset.

    Threads may share it. Texts and reprs never hold the token.

    Args:
        http: A session whose base address ends with the API's version.
        dataset: Name of the dataset.
        budget: What mutation requests take from; reads have a limit of their own,
            twenty times as high.
    """

    def __init__(self, http: HttpSession, dataset: str, budget: RateBudget) -> None:
        self._http = http
        self._dataset = dataset
        self._budget = budget

    @classmethod
    def open(
        cls,
        *,
        url: str | None,
        project_id: str,
        dataset: str,
        token: str,
        budget: RateBudget,
        retry: RetryPolicy | None = None,
    ) -> Self:
        """Returns a dataset with a session of its own; connects when first used.

        Args:
            url: Base address without version; the project's hosted one by default.
            project_id: Sanity project.
            dataset: Name of the dataset.
            token: API token with write access.
            budget: What mutation requests take from.
            retry: How requests are repeated.

        Raises:
            ConfigurationError: The address or the token cannot be used.
        """
        host = (url or f"https://{project_id}.api.sanity.io").rstrip("/")
        http = HttpSession(
            f"{host}/{API_VERSION}",
            secret_headers={"Authorization": f"Bearer {token}"},
            headers={"X-Sanity-Project-ID": project_id},
            retry=retry,
        )
        return cls(http, dataset, budget)

    @property
    def mutate_url(self) -> str:
        """Returns the address that transactions are sent to."""
        return f"{self._http.base_url}/data/mutate/{self._dataset}"

    def close(self) -> None:
        """Closes all connections."""
        self._http.close()

    def fetch_documents(self, ids: Iterable[str]) -> dict[str, Document]:
        """Fetches documents by id; what does not exist is not in the answer.

        Strongly consistent: sees every transaction answered before.

        Raises:
            InvalidInput: An id is none.
            Unauthorised: The token may not read one of them.
            CommerceError: See `HttpSession.get`.
        """
        groups = list(_groups(ids))
        pool = ThreadPoolExecutor(PARALLEL_READS)
        try:
            pages = pool.map(self._fetch_group, groups)
            return {key: found for page in pages for key, found in page.items()}
        finally:
            # Who is interrupted must not wait for reads that nobody answers.
            pool.shutdown(wait=False, cancel_futures=True)

    def mutate(
        self, mutations: Sequence[Mutation] | Sequence[Mapping[str, Any]], transaction_id: str
    ) -> MutationAnswer:
        """Applies all mutations in one transaction, or none; repeats on transient errors.

        Sending the same transaction again, also from another process, has no effect.

        Args:
            mutations: Serialised or not; at most 4 MB (10^6) together.
            transaction_id: The step's idempotency key.

        Raises:
            DocumentsConflict: A revision differs, a document exists or is gone.
            DocumentsRefused: Sanity takes it in no state; it had no effect.
            Unauthorised: The token is no good, or may not write.
            Fenced: The transaction was sealed: it never had and will have no effect.
            Unknown: It may have had its effect.
            Unavailable: It had none, nor will have.
            Busy: It met another transaction and was rolled back each time.
        """
        answer = self._send(mutations, transaction_id)
        if answer.already_applied and self._sealed(transaction_id):
            raise Fenced(f"Transaction {transaction_id} was sealed; it never had its effect.")
        return answer

    def seal(self, transaction_id: str) -> bool:
        """Makes sure that a transaction in doubt is in, or can never get in.

        Sends a transaction under the same id that creates one small document of
        ours, hidden from anonymous readers: whichever comes first wins.

        Returns:
            True if the transaction can never have its effect any more, False if it
            had it before.

        Raises:
            CommerceError: Still in doubt, see `mutate`.
        """
        answer = self._send([seal_of(transaction_id)], transaction_id)
        return not answer.already_applied or self._sealed(transaction_id)

    def _send(
        self, mutations: Sequence[Mutation] | Sequence[Mapping[str, Any]], transaction_id: str
    ) -> MutationAnswer:
        answer = self._http.send(
            "POST",
            f"/data/mutate/{self._dataset}",
            params=_MUTATE_PARAMS,
            body=request_body(mutations, transaction_id),
            repeatable=True,
            judge=mutation_error_for,
            before_attempt=self._budget.acquire,
        )
        return MutationAnswer(transaction_id, already_applied=transaction_exists(answer))

    def _sealed(self, transaction_id: str) -> bool:
        identity = seal_id(transaction_id)
        return identity in self.fetch_documents([identity])

    def _fetch_group(self, ids: list[str]) -> dict[str, Document]:
        body = self._http.get(f"/data/doc/{self._dataset}/{','.join(ids)}")
        found: dict[str, Document] = {d["_id"]: d for d in _listed(body, "documents")}
        omitted = {o.get("id"): o.get("reason") for o in _listed(body, "omitted")}
        for identity in ids:
            if identity not in found and omitted.get(identity) != "existence":
                raise _unread(identity, omitted.get(identity))
        return found


def seal_id(transaction_id: str) -> str:
    """Returns the id of the document that seals a transaction."""
    return f"saga.seal.{sha256(transaction_id.encode()).hexdigest()[:40]}"


def seal_of(transaction_id: str) -> dict[str, Any]:
    """Returns the mutation that, sent under a transaction's id, keeps that one out for ever."""
    seal = {"_id": seal_id(transaction_id), "_type": SEAL_TYPE, "transaction": transaction_id}
    return {"createIfNotExists": seal}


def _unread(document_id: str, reason: object) -> Refused | Unauthorised:
    """Returns the error for a document that is neither there nor said to be missing."""
    if reason in {"permission", "permissions"}:
        return Unauthorised(f"The token may not read the Sanity document {document_id}.")
    return Refused(f"Sanity does not say whether the document {document_id} exists.")


def _groups(ids: Iterable[str]) -> Iterator[list[str]]:
    group: list[str] = []
    length = 0
    for identity in dict.fromkeys(ids):
        if not valid_document_id(identity):
            raise InvalidInput(f"{identity[:140]!r} cannot be the id of a Sanity document.")
        if group and (len(group) == MAX_IDS or length + len(identity) >= MAX_IDS_CHARACTERS):
            yield group
            group, length = [], 0
        group.append(identity)
        length += len(identity) + 1
    if group:
        yield group


def _listed(body: object, name: str) -> list[dict[str, Any]]:
    listed = body.get(name, []) if isinstance(body, dict) else []
    return [item for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
