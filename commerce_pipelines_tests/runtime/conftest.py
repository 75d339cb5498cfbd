"""Homes for stacks and servers, emptied afterwards wherever their data went."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from commerce_pipelines.runtime.room import remove_room


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home that does not exist yet, in a directory that others may not enter."""
    path = tmp_path / "home"
    yield path
    remove_room(path)


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory of ours that every user may enter, whatever pytest's own allow."""
    path = Path(tempfile.mkdtemp(prefix="open-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def as_root() -> None:
    """Skips the test unless it runs as root."""
    if os.geteuid() != 0:
        pytest.skip("only root runs PostgreSQL as another user")
