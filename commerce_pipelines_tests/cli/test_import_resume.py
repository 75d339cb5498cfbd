"""An import that is interrupted, or given up, and called again."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from commerce_pipelines.connectors.feed_files import FeedFormat
from commerce_pipelines.domain.feed_mapping import FeedMapping
from commerce_pipelines.services.file_import import FeedFile
from commerce_pipelines_tests.cli.conftest import Ask, Commands


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three parts."""
    path = tmp_path / "products.ndjson"
    path.write_text("\n".join(json.dumps({"title": f"Product {n}"}) for n in range(2_500)))
    return path


@contextmanager
def somebody_writes_part(engine: Engine, path: Path, part: int) -> Iterator[None]:
    """Holds the place of one part, so that an import must wait there."""
    digest = FeedFile(path, FeedFormat.NDJSON, FeedMapping()).examine().digest
    with engine.connect() as connection:
        connection.execute(
            text("""
                INSERT INTO message (source, webhook_id, part, topic, body, body_sha256)
                VALUES ('file', :id, :part, 'products', '', '')"""),
            {"id": digest, "part": part},
        )
        yield
        connection.rollback()


def wait_for(condition: Callable[[], bool]) -> None:
    while not condition():
        time.sleep(0.05)


def test_an_import_killed_between_two_parts_goes_on_where_it_stopped(
    run: Commands, ask: Ask, engine: Engine, work: Callable[[], None], path: Path
) -> None:
    with somebody_writes_part(engine, path, 1), run.running("import", path) as child:
        wait_for(lambda: ask("SELECT part FROM message") == [(0,)])
        child.kill()
        child.wait()
    first = ask("SELECT id FROM message")

    said = run("import", path, "--no-wait", "--json")
    work()

    assert said.json()["parts_stored_before"] == 1
    assert said.json()["message_id"] == first[0][0]
    assert ask("SELECT part, parts, state FROM message ORDER BY part") == [
        (0, 3, "done"),
        (1, 3, "done"),
        (2, 3, "done"),
    ]
    assert ask("SELECT count(*), count(DISTINCT title) FROM product") == [(2_500, 2_500)]


def test_an_import_that_nobody_works_on_is_not_stored_twice(
    run: Commands, ask: Ask, path: Path
) -> None:
    run("import", path, "--no-wait")

    again = run("import", path, "--no-wait", "--json")

    assert again.json()["parts_stored_before"] == 3
    assert ask("SELECT count(*) FROM message") == [(3,)]


def test_a_finished_import_is_done_again_under_a_new_id(
    run: Commands, ask: Ask, work: Callable[[], None], path: Path
) -> None:
    for _ in range(3):
        run("import", path, "--no-wait")
        work()

    ids = ask("SELECT DISTINCT webhook_id FROM message ORDER BY webhook_id")
    assert [id_.partition(":")[2] for (id_,) in ids] == ["", "2", "3"]


def test_an_import_with_other_options_is_another_one(run: Commands, ask: Ask, path: Path) -> None:
    run("import", path, "--no-wait")

    run("import", path, "--no-wait", "--map", "description=title")

    assert ask("SELECT count(DISTINCT webhook_id) FROM message") == [(2,)]


def test_interrupted_while_it_waits_an_import_leaves_its_products_to_others(
    run: Commands, ask: Ask, work: Callable[[], None], path: Path
) -> None:
    with run.running("import", path) as child:
        wait_for(lambda: ask("SELECT count(*) FROM message") == [(3,)])
        child.send_signal(signal.SIGINT)
        _, told = child.communicate()

    work()
    assert child.returncode == 130
    assert "goes on from here" in told

    assert ask("SELECT count(*) FROM product") == [(2_500,)]


def test_products_given_up_are_told_with_their_place_and_the_exit_code(
    run: Commands, engine: Engine, worker: None, path: Path
) -> None:
    with somebody_writes_part(engine, path, 1), run.running("import", path) as child:
        wait_for(lambda: _bury_first_part(engine))
        child.kill()
        child.wait()

    said = run("import", path, "--json")

    report = said.json()
    assert said.exit_code == 1
    assert (report["created"], report["dead"]) == (1_500, 1_000)
    (given_up,) = report["rejections"]
    assert (given_up["position"], given_up["products"]) == (0, 1_000)
    assert given_up["reason"] == "poison"


def _bury_first_part(engine: Engine) -> bool:
    """Makes the first part dead once it is there, as ten failed tries would."""
    with engine.begin() as connection:
        buried = connection.execute(
            text("""
                UPDATE message SET state = 'dead', finished_at = now(), last_error = 'poison',
                    outcome = NULL
                WHERE part = 0 AND state = 'done' RETURNING id""")
        )
        return buried.rowcount == 1
