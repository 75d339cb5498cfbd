from __future__ import annotations

from collections.abc import Iterator

import pytest

from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines_tests.sandbox.lake import Lake


@pytest.fixture(scope="session")
def running() -> Iterator[Addresses]:
    with RunningSandbox(SandboxOptions(port=0, rate_limit=False)) as sandbox:
        yield sandbox.addresses


@pytest.fixture
def lake(running: Addresses) -> Iterator[Lake]:
    lake = Lake(running)
    lake.forget()
    with lake.session:
        yield lake
