"""What a person sends to finish a parked step by hand: requests to the CMS, SQL for products.

They do what the undo would do with things as they are now, under the same
guards: what somebody changed in between is refused, never overwritten. The id of
a request stays the same while others are sent.
"""

from __future__ import annotations

from commerce_pipelines.connectors.sanity import Sanity, seal_of
from commerce_pipelines.saga.step import JSON
from commerce_pipelines.services.document_steps import UndoPlan
from commerce_pipelines.services.erp_product_sync import WATERMARK, StorePage
from commerce_pipelines.services.product_steps import UpsertProducts
from commerce_pipelines.store.catalog_undo import leave_script, undo_script
from commerce_pipelines.store.product_changes import announce_script
from commerce_pipelines.store.watermarks import take_back_script

PRODUCT = "PRODUCT_ID"


def store_requests(step: JSON) -> list[JSON]:
    """Returns the SQL that undoes a saga's products, and what leaves one of them out."""
    script, leaving = undo_script(step["saga_id"]), leave_script(step["saga_id"], PRODUCT)
    if step["name"] != UpsertProducts.name:
        # No word of the PIM follows that would bring the document.
        leaving = announce_script(PRODUCT) + leaving
    if step["name"] == StorePage.name and step["result"]["watermark"]:
        script += take_back_script(WATERMARK, step["result"]["watermark"])
    return [
        {"id": f"{step['seq']}-sql", "why": "undoes the step", "sql": script},
        {
            "id": f"{step['seq']}-leave",
            "why": "leaves one product as it is now, if you want that: put its id in, then retry",
            "sql": leaving,
            "optional": True,
        },
    ]


def sanity_requests(sanity: Sanity, step: JSON, undo: UndoPlan) -> list[JSON]:
    """Returns the transactions that undo a step, sealing it first where it is in doubt."""
    key = step["idem_key"]
    requests = [
        {
            "id": f"{step['seq']}-{one.transaction_id.removeprefix(f'{key}-')}",
            "why": _why(list(one.outcomes.values())),
            **_request(sanity, one.mutations, one.transaction_id),
        }
        for one in undo.transactions
    ]
    if step["result"] is not None:
        return requests
    seal = {"id": f"{step['seq']}-seal", "why": _SEALS, **_request(sanity, [seal_of(key)], key)}
    return [seal, *requests]


def _why(outcomes: list[str]) -> str:
    deleted, restored = outcomes.count("deleted"), outcomes.count("restored")
    parts = [f"deletes {deleted}"] * bool(deleted) + [f"restores {restored}"] * bool(restored)
    return (
        f"{' and '.join(parts)} of our documents; 409 means that somebody changed or refers to "
        "one: show the saga again"
    )


_SEALS = (
    "makes sure that the write in doubt never lands; 409 means that it has landed: if no request "
    "to undo it follows here, show the saga again"
)


def _request(sanity: Sanity, mutations: list[JSON], transaction_id: str) -> JSON:
    headers = {
        "Authorization": "Bearer $SANITY_SECRET_TOKEN",
        "Content-Type": "application/json",
    }
    body = {"mutations": mutations, "transactionId": transaction_id}
    return {
        "method": "POST",
        "url": sanity.mutate_url,
        "headers": headers,
        "body": body,
    }
