"""`import`: files, options and products that are not taken, and how that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from commerce_pipelines_tests.cli.conftest import Ask, Commands
from commerce_pipelines_tests.cli.product_files import PRODUCTS, write_csv, write_json


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
