"""What Dagster loads, and that what we ship for it is what we say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import commerce_pipelines.cli
from commerce_pipelines.definitions import build_defs

ROOT = Path(__file__).parents[2]


def test_definitions_load_in_a_fresh_interpreter_without_any_setting() -> None:
    program = "from commerce_pipelines.definitions import defs; defs.resolve_all_job_defs()"
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, check=False, env={}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_lineage_leads_from_pim_and_erp_over_the_store_to_sanity() -> None:
    graph = build_defs().resolve_asset_graph()
    products = dg.AssetKey(["store", "products"])
    documents = dg.AssetKey(["sanity", "product_documents"])
    assert graph.get(products).parent_keys == {
        dg.AssetKey(["pim", "products"]),
        dg.AssetKey(["erp", "products"]),
    }
    assert graph.get(documents).parent_keys == {products}
    assert all(graph.get(key).owners for key in (products, documents))


def test_a_resource_can_be_replaced() -> None:
    class Other(dg.ConfigurableResource):  # type: ignore[type-arg]
        """Stands for the store."""

    resources = build_defs(resource_overrides={"store": Other()}).resources
    assert resources is not None
    assert isinstance(resources["store"], Other)


def test_jobs_have_an_end_and_run_in_one_process() -> None:
    for job in build_defs().resolve_all_job_defs():
        if not job.name.startswith("__"):
            assert int(job.tags["dagster/max_runtime"]) > 0
            assert job.executor_def.name == "in_process"


@pytest.mark.skipif(not (ROOT / "dagster.yaml").exists(), reason="not in a checkout")
def test_up_uses_the_dagster_yaml_that_lies_at_the_top() -> None:
    shipped = Path(commerce_pipelines.cli.__file__).with_name("dagster.yaml")
    assert shipped.read_text() == (ROOT / "dagster.yaml").read_text()
