"""`import`: formats, columns, what is seen in the end."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.product_documents import document_id
from commerce_pipelines_tests.cli.conftest import Ask, Commands
from commerce_pipelines_tests.cli.effects import count_mutations
from commerce_pipelines_tests.cli.product_files import (
    PRODUCTS,
    write_csv,
    write_json,
    write_ndjson,
    write_parquet,
)

DUMMYJSON = Path(__file__).parents[3] / "shared/catalogues/dummyjson/products.json"

WRITERS: dict[str, Callable[[Path, list[dict[str, Any]]], Path]] = {
    "products.csv": write_csv,
    "semicolons.csv": lambda path, rows: write_csv(path, rows, ";"),
    "products.json": write_json,
    "wrapped.json": lambda path, rows: write_json(path, {"total": 3, "products": rows, "skip": 0}),
    "products.ndjson": write_ndjson,
    "products.parquet": write_parquet,
}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", WRITERS)
def test_every_format_brings_the_same_products(
    name: str, run: Commands, ask: Ask, tmp_path: Path
) -> None:
    path = WRITERS[name](tmp_path / name, PRODUCTS)

    report = run("import", path, "--currency", "eur", "--json").json()

    assert (report["created"], report["rejected"], report["products"]) == (3, 0, 3)
    assert ask("""
        SELECT external_id.external_id, product.title, brand.name, sku, amount::text, currency_code
        FROM product JOIN external_id ON internal_id = product.id AND entity = 'product'
        LEFT JOIN brand ON brand.id = brand_id
        JOIN variant ON variant.product_id = product.id JOIN price ON variant_id = variant.id
        ORDER BY 1""") == [
        ("1", "Mug", "Kiln", "MUG", "9.9900", "EUR"),
        ("2", "Tasse à café", None, "TASSE", "12.0000", "EUR"),
        ("3", "影師", "Kiln", "YING", "0.5000", "EUR"),
    ]


@pytest.mark.usefixtures("worker")
def test_importing_a_file_again_finds_everything_unchanged_and_sends_nothing(
    run: Commands, sandbox: RunningSandbox, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "products.json", PRODUCTS)
    run("import", path, "--currency", "EUR")
    before = count_mutations(sandbox)

    said = run("import", path, "--currency", "EUR", "--json")

    report = said.json()
    assert (report["created"], report["updated"], report["unchanged"]) == (0, 0, 3)
    assert said.exit_code == 0
    assert count_mutations(sandbox) == before > 0


@pytest.mark.usefixtures("worker")
def test_a_changed_file_updates_what_changed(run: Commands, tmp_path: Path) -> None:
    path = write_json(tmp_path / "products.json", PRODUCTS)
    run("import", path, "--currency", "EUR")
    write_json(path, [{**PRODUCTS[0], "price": 8}, *PRODUCTS[1:]])

    report = run("import", path, "--currency", "EUR", "--json").json()

    assert (report["created"], report["updated"], report["unchanged"]) == (0, 1, 2)


@pytest.mark.usefixtures("worker")
def test_without_a_currency_prices_are_left_out_with_a_warning(
    run: Commands, ask: Ask, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "products.json", PRODUCTS)

    said = run("import", path, "--json")

    assert said.json()["prices_left_out"] == 3
    assert said.json()["created"] == 3
    assert "--currency" in said.stderr
    assert ask("SELECT count(*) FROM price") == [(0,)]


@pytest.mark.usefixtures("worker")
def test_columns_are_mapped_as_told(run: Commands, ask: Ask, tmp_path: Path) -> None:
    row = {"code": "A-1", "label": "Mug", "name": "not this", "colour": "red", "status": "on"}
    path = write_csv(tmp_path / "odd.csv", [row])
    maps = ["external_id=code", "title=label", "metadata.colour=colour", "status="]

    said = run("import", path, "--json", *[part for one in maps for part in ("--map", one)])

    assert said.json()["created"] == 1, said
    assert ask("SELECT title, metadata->>'colour' FROM product") == [("Mug", "red")]
    assert ask("SELECT external_id FROM external_id") == [("A-1",)]


@pytest.mark.usefixtures("worker")
def test_cells_hold_json_and_lists_of_addresses(run: Commands, ask: Ask, tmp_path: Path) -> None:
    variant = {
        "sku": "M-S",
        "options": {"Size": "S"},
        "prices": [{"amount": 3, "currency_code": "EUR"}],
    }
    row = {
        "title": "Mug",
        "options": json.dumps([{"title": "Size", "values": ["S"]}]),
        "variants": json.dumps([variant]),
        "images": "https://a.example/1.png | https://a.example/2.png",
        "metadata": '{"weight": 1.5}',
        "description": "",
    }
    path = write_csv(tmp_path / "nested.csv", [row])

    said = run("import", path, "--json")

    assert said.json()["created"] == 1, said
    assert ask("SELECT images, metadata, description FROM product") == [
        (["https://a.example/1.png", "https://a.example/2.png"], {"weight": 1.5}, None)
    ]
    assert ask("SELECT sku, amount::text FROM variant JOIN price ON variant_id = id") == [
        ("M-S", "3.0000")
    ]


@pytest.mark.usefixtures("worker")
def test_a_large_file_goes_in_parts_and_positions_count_through(
    run: Commands, ask: Ask, tmp_path: Path
) -> None:
    rows: list[dict[str, Any]] = [{"title": f"Product {number}"} for number in range(2_100)]
    rows[1_500] = {"title": "Bad", "status": "sold"}
    path = write_ndjson(tmp_path / "products.jsonl", rows)

    said = run("import", path, "--json")

    assert said.json()["rejections"][0]["position"] == 1_500
    assert (said.json()["created"], said.json()["rejected"], said.json()["parts"]) == (2_099, 1, 3)
    assert ask("SELECT count(*) FROM message") == [(3,)]


def test_without_waiting_the_products_are_only_stored(
    run: Commands, ask: Ask, work: Callable[[], None], tmp_path: Path
) -> None:
    path = write_json(tmp_path / "products.json", PRODUCTS)

    said = run("import", path, "--no-wait")

    assert said.exit_code == 0
    assert "messages show" in said.stdout
    assert ask("SELECT state, item_count FROM message") == [("new", 3)]
    work()
    assert ask("SELECT count(*) FROM product") == [(3,)]


@pytest.mark.usefixtures("worker")
def test_the_real_catalogue_is_in_store_and_sanity(run: Commands, ask: Ask, sanity: Sanity) -> None:
    if not DUMMYJSON.exists():
        pytest.skip("the catalogue lies beside the project, and is not there")

    report = run("import", DUMMYJSON, "--currency", "USD", "--json").json()

    assert (report["created"], report["rejected"]) == (194, 0)
    assert ask("SELECT count(*) FROM price WHERE currency_code = 'USD'") == [(194,)]
    ids = [document_id(id_) for (id_,) in ask("SELECT id FROM product")]
    assert len(sanity.fetch_documents(ids)) == 194
