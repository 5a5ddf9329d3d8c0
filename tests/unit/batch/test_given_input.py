"""What a person gives beside the document: a selector, parameters. Wrong ones are bad input, never a traceback."""

from __future__ import annotations

import pytest

from core.batch.params import resolve_params
from core.batch.selector import SelectorError, parse_selector
from core.errors import InputError
from tests.unit.batch.support import batch


def test_a_selector_that_cannot_be_read_is_bad_input() -> None:
    with pytest.raises(InputError) as raised:
        parse_selector("group:web or")
    assert isinstance(raised.value, SelectorError)
    assert (raised.value.exit_status, raised.value.offset) == (2, 12)
    assert str(raised.value) == "the selector ends too early"


@pytest.mark.parametrize("given", ["nan", "inf", "-inf", "1e999"])
def test_a_number_is_finite(given: str) -> None:
    whole = batch("params: {n: {type: number, min: 0, max: 1}}\nsteps: {a: {run: x}}")
    with pytest.raises(InputError):
        resolve_params(whole, {"n": given}, "batch.yaml")
