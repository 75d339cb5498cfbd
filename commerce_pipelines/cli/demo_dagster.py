"""Runs of the demo: started in Dagster as a person would, and what they left to see there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from commerce_pipelines.cli.demo_shop import DemoFailedError, Shop
from commerce_pipelines.connectors.dagster_webserver import FINISHED, DagsterWebserver

PARTITION_TAG = "dagster/partition"

_NUMBERS = """
query Numbers($key: AssetKeyInput!, $partitions: [String!]) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetMaterializations(partitions: $partitions, limit: 1) {
        metadataEntries { label ... on IntMetadataEntry { intValue } }
      }
    }
  }
}"""
_CHECK = """
query Check($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks { name executionForLatestMaterialization { evaluation { success } } }
        }
      }
    }
  }
}"""


def run_job(shop: Shop, job: str, tags: Mapping[str, str] | None = None) -> None:
    """Starts a job at once, instead of waiting for its schedule, and waits for its end.

    Raises:
        DemoFailedError: It did not end well.
    """
    webserver = DagsterWebserver(shop.addresses.dagster)
    try:
        run_id = webserver.launch(job, run_key=f"demo-{uuid4()}", tags=tags or {})

        def ended() -> str | None:
            status = webserver.run_status(run_id)
            return status if status in FINISHED else None

        status = shop.wait_for(f"the run of {job}", ended)
    finally:
        webserver.close()
    if status != "SUCCESS":
        raise DemoFailedError(f"The run of {job} ended with {status}.")


def numbers_of(shop: Shop, asset: list[str], partition: str) -> dict[str, int]:
    """Returns the whole numbers of a partition's last materialization."""
    found = _ask(shop, _NUMBERS, {"key": {"path": asset}, "partitions": [partition]})
    entries = found["assetMaterializations"][0]["metadataEntries"]
    return {each["label"]: each["intValue"] for each in entries if "intValue" in each}


def check_passed(shop: Shop, asset: list[str], name: str) -> bool:
    """Tells whether a check of an asset is green."""
    found = _ask(shop, _CHECK, {"key": {"path": asset}})
    checks = found["assetChecksOrError"]["checks"]
    (check,) = (each for each in checks if each["name"] == name)
    return bool(check["executionForLatestMaterialization"]["evaluation"]["success"])


def _ask(shop: Shop, query: str, variables: dict[str, Any]) -> Any:
    url = f"{shop.addresses.dagster}/graphql"
    answer = shop.call("POST", url, {"query": query, "variables": variables})
    return answer["data"]["assetNodeOrError"]
