"""One stack for all tests of this folder that leave it whole."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines_tests.processes.own_code_server import own_code_server
from commerce_pipelines_tests.processes.running import QUICK, RunningStack, running


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A running stack whose imports give up at the first failure of Sanity."""
    home = tmp_path_factory.mktemp("shared") / "home"
    with running(home, **QUICK, SANITY_PATIENCE_SECONDS="0") as stack:
        yield stack


@pytest.fixture(scope="package")
def own_jobs(stack: RunningStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The jobs of `own_jobs` beside the stack's."""
    with own_code_server(stack, tmp_path_factory.mktemp("own") / "log"):
        yield
