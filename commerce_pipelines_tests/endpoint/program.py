"""The endpoint as a process of its own, set up by its environment."""

from __future__ import annotations

from commerce_pipelines.endpoint.server import serve
from commerce_pipelines.settings import Settings


def announce(url: str) -> None:
    print(url, flush=True)


if __name__ == "__main__":
    serve(Settings(), announce)
