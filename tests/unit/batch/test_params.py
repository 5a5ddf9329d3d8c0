"""The parameters of a run: text read by the declared type, defaults, bounds, and every fault at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from core.batch.params import resolve_params
from core.errors import InputError
from tests.unit.batch.support import batch

WHOLE = batch(
    """
    params:
      version: {type: string, pattern: "[0-9.]+", description: the release}
      workers: {type: integer, default: 4, min: 1, max: 8}
      ratio: {type: number, default: 0.5, min: 0}
      debug: false
      names: {type: list, default: [a]}
      level: {default: low, choices: [low, high]}
    steps: {a: {run: x}}
    """
)


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    return resolve_params(WHOLE, {"version": "1", **given}, "batch.yaml")


def refused(given: Mapping[str, Any]) -> list[str]:
    with pytest.raises(InputError) as raised:
        resolve_params(WHOLE, given, "batch.yaml")
    assert all((fault.file, fault.line) == ("batch.yaml", 0) for fault in raised.value.faults)
    return [f"{fault.message} | {fault.hint}" for fault in raised.value.faults]


def test_defaults_stand_where_nothing_is_given() -> None:
    assert read({}) == {
        "version": "1",
        "workers": 4,
        "ratio": 0.5,
        "debug": False,
        "names": ["a"],
        "level": "low",
    }


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("version", "1.10", "1.10"), ("version", "007", "007"),
        ("workers", "8", 8), ("workers", " 8 ", 8), ("workers", 3, 3),
        ("ratio", "1e3", 1000.0), ("ratio", "2", 2.0), ("ratio", 2, 2),
        ("debug", "true", True), ("debug", "False", False), ("debug", True, True),
        ("names", "a,b , c", ["a", "b", "c"]), ("names", "", []), ("names", ["x"], ["x"]),
        ("level", "high", "high"),
    ],
)  # fmt: skip
def test_text_is_read_by_the_declared_type(name: str, given: Any, value: Any) -> None:
    found = read({name: given})[name]
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"version": "x"}, "parameter 'version': 'x' does not match [0-9.]+"),
        ({"version": 1}, "parameter 'version': 1 is no string"),
        ({"workers": "four"}, "parameter 'workers': 'four' is no integer"),
        ({"workers": "1.5"}, "parameter 'workers': '1.5' is no integer"),
        ({"workers": True}, "parameter 'workers': True is no integer"),
        ({"workers": "9"}, "parameter 'workers': 9 is above 8"),
        ({"workers": "0"}, "parameter 'workers': 0 is below 1"),
        ({"workers": "9" * 5000}, "parameter 'workers': "),
        ({"ratio": "-1"}, "parameter 'ratio': -1.0 is below 0"),
        ({"debug": "maybe"}, "parameter 'debug': 'maybe' is no boolean"),
        ({"debug": 1}, "parameter 'debug': 1 is no boolean"),
        ({"names": [1]}, "parameter 'names': [1] is no list of strings"),
        ({"level": "middle"}, "parameter 'level': 'middle' is none of low, high"),
        ({"wrokers": "2"}, "there is no parameter 'wrokers' | did you mean workers?"),
        ({"zzz": "2"}, "there is no parameter 'zzz' | this batch has version, workers"),
    ],
)
def test_what_does_not_fit(given: Mapping[str, Any], told: str) -> None:
    (found,) = refused({"version": "1", **given})
    assert found.startswith(told)


def test_a_parameter_without_a_default_must_be_given() -> None:
    assert refused({}) == ["parameter 'version' must be given (the release) | --param version=…"]


def test_every_fault_at_once() -> None:
    assert len(refused({"workers": "x", "debug": "x", "nope": "1"})) == 4


def test_a_value_is_never_a_template() -> None:
    assert read({"names": "{{ 1 }},b"})["names"] == ["{{ 1 }}", "b"]
