from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from sqlalchemy import Engine

from commerce_pipelines_tests.services.cart_machine import CartMachine


@pytest.mark.parametrize(
    ("examples", "steps"),
    [(12, 35), pytest.param(300, 60, marks=pytest.mark.whole)],
    ids=["some", "whole"],
)
@pytest.mark.timeout(3600)
def test_a_cart_does_what_a_plain_model_of_it_does(
    engine: Engine, examples: int, steps: int
) -> None:
    CartMachine.engine = engine

    run_state_machine_as_test(
        CartMachine, settings=settings(max_examples=examples, stateful_step_count=steps)
    )
