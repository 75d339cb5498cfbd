"""The sandbox as a process of its own: `python -m … PORT STATE_FILE TOKEN SECRET`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from commerce_pipelines.sandbox.server import Addresses, SandboxOptions, serve


def announce(addresses: Addresses) -> None:
    print(json.dumps(addresses), flush=True)


if __name__ == "__main__":
    port, state_file, token, secret = sys.argv[1:]
    options = SandboxOptions(
        port=int(port),
        rate_limit=False,
        sanity_token=token,
        webhook_secret=secret,
        state_file=Path(state_file),
    )
    serve(options, announce)
