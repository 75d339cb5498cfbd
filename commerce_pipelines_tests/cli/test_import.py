"""`import`: formats, columns, what is seen in the end."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from commerce_pipelines.connectors.sanity import Sanity
from commerce_pipelines.sandbox.server import RunningSandbox
from commerce_pipelines.services.product_documents import document_id
from commerce_pipelines_tests.cli.conftest import Commands
from commerce_pipelines_tests.cli.effects import count_mutations

PRODUCTS = [
    {"id": 1, "title": "Mug", "price": 9.99, "sku": "MUG", "vendor": "Kiln"},
    {"id": 2, "title": "Tasse à café", "price": 12, "sku": "TASSE"},
    {"id": 3, "title": "影師", "price": 0.5, "sku": "YING", "vendor": "Kiln"},
]
DUMMYJSON = Path(__file__).parents[3] / "shared/catalogues/dummyjson/products.json"

Ask = Callable[..., list[tuple[Any, ...]]]


def write_csv(path: Path, rows: list[dict[str, Any]], delimiter: str = ",") -> Path:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_json(path: Path, rows: Any) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path


def write_ndjson(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


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


@pytest.mark.usefixtures("worker")
def test_the_table_names_what_was_not_taken_and_the_exit_code_says_so(
    run: Commands, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "p.json", [{"title": "Mug"}, {"title": ""}, {"title": "Pot"}])
    rejections = tmp_path / "rejections.ndjson"

    said = run("import", path, "--rejections", rejections)

    assert said.exit_code == 1
    assert "String should have at least 1 character" in said.stdout
    (rejected,) = map(json.loads, rejections.read_text().splitlines())
    assert (rejected["position"], rejected["field"]) == (1, "title")


def test_a_dry_run_checks_without_a_store(run: Commands, tmp_path: Path) -> None:
    rows = [
        {"title": "Mug", "price": "-1"},
        {"title": "Pot", "sku": "P"},
        {"title": "Pan", "sku": "P"},
    ]
    path = write_csv(tmp_path / "p.csv", rows)
    nowhere = Commands({"COMMERCE_HOME": str(tmp_path)})

    said = nowhere("import", path, "--currency", "EUR", "--dry-run", "--json")

    assert (said.json()["valid"], said.json()["rejected"], said.exit_code) == (1, 2, 1)
    assert [one["field"] for one in said.json()["rejections"]] == [
        "variants[0].prices[0].amount",
        "sku",
    ]


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


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("p.json", '[{"title": "Mug"}, {"title": ', "not JSON"),
        ("p.json", '{"items": []}', "products"),
        ("p.json", "[]", "no products"),
        ("p.ndjson", '{"title": "Mug"}\n{"title": NaN}\n', "line 2"),
        ("p.csv", "title,price\nMug,1,2\n", "line 2 has more cells"),
        ("p.csv", "title,title\nMug,Pot\n", "appears twice"),
        ("p.csv", 'title\n"Mug\n', "line"),
        ("p.csv", b"title\n\xe9t\xe9\n", "UTF-8"),
        ("p.parquet", "no parquet", "Parquet"),
        ("p.xlsx", "what is it", "--format"),
    ],
)
def test_a_broken_file_is_refused_whole(
    name: str, content: str | bytes, said: str, run: Commands, ask: Ask, tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())

    answer = run("import", path)

    assert answer.exit_code == 2
    assert said in answer.stderr
    assert answer.stderr.count("\n") == 1
    assert ask("SELECT count(*) FROM message") == [(0,)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--map", "colour=color"], "no field 'colour'"),
        (["--map", "title"], "target=source"),
        (["--map", "title=heading"], "no column 'heading'"),
        (["--currency", "EURO"], "ISO 4217"),
    ],
)
def test_wrong_options_are_bad_input(
    options: list[str], said: str, run: Commands, tmp_path: Path
) -> None:
    path = write_json(tmp_path / "products.json", PRODUCTS)

    answer = run("import", path, *options)

    assert answer.exit_code == 2
    assert said in answer.stderr


@pytest.mark.usefixtures("worker")
def test_products_that_can_harm_a_part_are_rejected_alone(run: Commands, tmp_path: Path) -> None:
    deep: Any = "x"
    for _ in range(30):
        deep = [deep]
    rows = [
        {"title": "deep", "metadata": {"deep": deep}},
        {"title": "half \ud83d a character"},
        {"title": "nul \x00"},
        "no object",
        {"title": "good"},
    ]
    path = tmp_path / "p.ndjson"
    path.write_text("\n".join(map(json.dumps, rows)))

    report = run("import", path, "--json").json()

    assert (report["created"], report["dead"]) == (1, 0), report
    assert [one["position"] for one in report["rejections"]] == [0, 1, 2, 3]
