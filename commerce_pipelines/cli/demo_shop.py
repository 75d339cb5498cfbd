"""What the demo does and sees, all over HTTP, as a user of the stack would."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import requests

from commerce_pipelines.cli.stack import Addresses
from commerce_pipelines.errors import CommerceError

T = TypeVar("T")

LONGEST_WAIT_SECONDS = 90.0
POLL_SECONDS = 0.05
_TIMEOUT_SECONDS = 30.0


class DemoFailedError(CommerceError):
    """The demo did not see what it should have seen."""


@dataclass(frozen=True)
class Shop:
    """A running stack and its sandbox.

    Attributes:
        addresses: Where everything is.
        meanwhile: Called while waiting; stops the demo by raising.
    """

    addresses: Addresses
    meanwhile: Callable[[], None]

    def wait_for(self, what: str, look: Callable[[], T | None]) -> T:
        """Looks again and again until there is something to see.

        Raises:
            DemoFailedError: It did not appear in time.
        """
        deadline = time.monotonic() + LONGEST_WAIT_SECONDS
        while (seen := look()) is None:
            if time.monotonic() > deadline:
                raise DemoFailedError(f"Waited {LONGEST_WAIT_SECONDS:.0f} s in vain for {what}.")
            self.meanwhile()
            time.sleep(POLL_SECONDS)
        return seen

    def send_products(self, products: list[dict[str, Any]] | None = None) -> int:
        """Lets the PIM send a signed webhook, its whole catalogue if nothing else is given."""
        order: dict[str, Any] = {"url": f"{self.addresses.endpoint}/webhooks/pim"}
        if products is not None:
            order["products"] = products
        delivery = self.call("POST", f"{self._at('pim')}/send", order)["deliveries"][0]
        if delivery.get("status") != 202:
            raise DemoFailedError(f"The webhook was not taken: {delivery}")
        return int(delivery["answer"]["id"])

    def pim_products(self) -> list[dict[str, Any]]:
        """Returns the PIM's catalogue."""
        return list(self.call("GET", f"{self._at('pim')}/products")["products"])

    def message(self, message_id: int) -> dict[str, Any]:
        """Returns a message as the endpoint shows it."""
        return dict(self.call("GET", f"{self.addresses.endpoint}/messages/{message_id}"))

    def finished_message(self, message_id: int) -> dict[str, Any] | None:
        """Returns a message that is done; None before."""
        message = self.message(message_id)
        return message if message["state"] == "done" else None

    def store_titles(self) -> dict[str, str]:
        """Returns the titles of the store's products by external id, else by their own."""
        return {each["external_id"] or each["id"]: each["title"] for each in self.store_products()}

    def store_products(self) -> Iterator[dict[str, Any]]:
        """Yields the store's products, page by page."""
        page = f"{self.addresses.endpoint}/store/products?limit=100"
        after = ""
        while True:
            answer = self.call("GET", page + after)
            yield from answer["products"]
            if not answer["next"]:
                return
            after = f"&after={answer['next']}"

    def documents(self) -> dict[str, dict[str, Any]]:
        """Returns Sanity's product documents by external id."""
        found = self._sanity("GET", "query", params={"query": '*[_type == "product"]'})["result"]
        return {document["externalId"]: document for document in found}

    def edit_document(self, document_id: str, changes: dict[str, Any]) -> None:
        """Changes a document as an editor would."""
        self._sanity(
            "POST", "mutate", {"mutations": [{"patch": {"id": document_id, "set": changes}}]}
        )

    def count_mutations(self, system: str = "sanity") -> int:
        """Returns how many requests have changed something in a system."""
        effects = self.call("GET", f"{self._at('faults')}/effects?system={system}")
        return len(effects)

    def break_sanity(self) -> None:
        """Lets the next write land without an answer, and refuses all that follow."""
        faults: Iterable[dict[str, Any]] = (
            {"kind": "lost_answer", "times": 1},
            {"kind": "unavailable_before", "times": None},
        )
        for fault in faults:
            self.call("POST", self._at("faults"), {**fault, "system": "sanity", "route": "mutate"})

    def mend(self) -> None:
        """Ends all faults."""
        self.call("DELETE", self._at("faults"))

    @property
    def systems(self) -> dict[str, dict[str, str]]:
        """Returns where the sandbox's systems are."""
        return self.addresses.sandbox or {}

    def _at(self, system: str) -> str:
        return self.systems[system]["url"]

    def _sanity(
        self, method: str, what: str, body: Any = None, params: dict[str, str] | None = None
    ) -> Any:
        sanity = self.systems["sanity"]
        url = f"{sanity['url']}/v2025-02-19/data/{what}/{sanity['dataset']}"
        return self.call(method, url, body, params=params, token=sanity["token"])

    def call(
        self,
        method: str,
        url: str,
        body: Any = None,
        *,
        params: dict[str, str] | None = None,
        token: str | None = None,
        key: str | None = None,
    ) -> Any:
        """Sends a request, with a system's token or key, and returns the answer.

        Raises:
            DemoFailedError: It was refused.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if key:
            headers["X-Api-Key"] = key
        answer = requests.request(
            method, url, json=body, params=params, headers=headers, timeout=_TIMEOUT_SECONDS
        )
        if not answer.ok:
            raise DemoFailedError(f"{method} {url}: {answer.status_code} {answer.text[:300]}")
        return answer.json()
