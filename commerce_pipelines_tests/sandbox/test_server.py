from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from commerce_pipelines.sandbox.server import Addresses, RunningSandbox, SandboxOptions
from commerce_pipelines_tests.sandbox.lake import Lake, error_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@contextmanager
def started(state_file: Path) -> Iterator[tuple[subprocess.Popen[str], Addresses]]:
    module = "commerce_pipelines_tests.sandbox.program"
    command = [sys.executable, "-m", module, "0", str(state_file), "sk-kept", SECRET]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        try:
            assert child.stdout is not None
            yield child, json.loads(child.stdout.readline())
        finally:
            child.kill()


def port_of(addresses: Addresses) -> int:
    return int(addresses["faults"]["url"].split(":")[2].split("/")[0])


def test_acknowledged_documents_survive_a_kill(tmp_path: Path) -> None:
    state_file = tmp_path / "with a space" / "state.db"
    with started(state_file) as (child, addresses):
        lake = Lake(addresses)
        kept = lake.create(_id="kept", _type="x", brand={"_ref": "kept"})
        lake.create(_id="gone", _type="x")
        lake.mutate({"delete": {"id": "gone"}}, transaction_id="used")
        changed = addresses["pim"]["url"] + "/products/pim-1001"
        requests.patch(changed, json={"title": "Changed"}, timeout=30)
        child.send_signal(signal.SIGKILL)
        child.wait()
    with started(state_file) as (child, addresses):
        lake = Lake(addresses)
        assert lake.document("kept") == kept
        assert lake.document("gone") is None
        again = lake.mutate({"create": {"_type": "x"}}, transaction_id="used")
        assert error_of(again)["type"] == "transactionAlreadyExistsError"
        history = lake.ask("GET", "history/production/documents/gone?lastRevision=true")
        assert history.json()["documents"][0]["_id"] == "gone"
        title = requests.get(addresses["pim"]["url"] + "/products/pim-1001", timeout=30).json()
        assert title["title"] == "Changed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly_with_connections_open(tmp_path: Path, number: int) -> None:
    with started(tmp_path / "state.db") as (child, addresses):
        lake = Lake(addresses)
        with lake.session:
            lake.create(_id="a", _type="x")
            child.send_signal(number)
            assert child.wait(timeout=60) == 0


def test_tokens_are_the_ones_given(tmp_path: Path) -> None:
    options = SandboxOptions(port=0, sanity_token="sk-mine", webhook_secret=SECRET)
    with RunningSandbox(options) as sandbox:
        assert sandbox.addresses["sanity"]["token"] == "sk-mine"
        assert sandbox.addresses["pim"]["webhook_secret"] == SECRET
    assert "sk-mine" not in repr(options)
    assert SECRET not in repr(options)


def test_two_sandboxes_share_nothing() -> None:
    with RunningSandbox() as one, RunningSandbox() as other:
        Lake(one.addresses).create(_id="a", _type="x")
        assert Lake(other.addresses).document("a") is None
        assert one.addresses["sanity"]["token"] != other.addresses["sanity"]["token"]


def test_the_next_free_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        with RunningSandbox(SandboxOptions(port=wanted)) as sandbox:
            found = port_of(sandbox.addresses)
    assert wanted < found <= wanted + 100


def test_a_reset_also_empties_the_state_file(tmp_path: Path) -> None:
    options = SandboxOptions(port=0, state_file=tmp_path / "state.db")
    with RunningSandbox(options) as sandbox:
        lake = Lake(sandbox.addresses)
        lake.create(_id="a", _type="x")
        lake.forget()
    with RunningSandbox(options) as sandbox:
        assert Lake(sandbox.addresses).document("a") is None
