"""A batch that was read is not read again while its text is the same."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from core.batch import load as load_module
from core.batch.load import _Remembered, load_batch
from core.errors import InputError

TEXT = "steps:\n  a:\n    run: 'true'\n"


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "_REMEMBERED", _Remembered())


def test_the_same_text_of_the_same_file_is_read_once() -> None:
    assert load_batch(TEXT, "a.yaml") is load_batch(TEXT, "a.yaml")


def test_another_text_or_file_is_another_batch() -> None:
    first = load_batch(TEXT, "a.yaml")
    assert load_batch(TEXT.replace("true", "false"), "a.yaml").batch.steps["a"].run == "false"
    other = load_batch(TEXT, "b.yaml")
    assert (first.batch.name, other.batch.name) == ("a", "b")


def test_faults_are_told_each_time() -> None:
    for _ in range(2):
        with pytest.raises(InputError) as caught:
            load_batch("steps:\n  a: {rnu: x}\n", "a.yaml")
        assert caught.value.faults


def test_the_oldest_are_forgotten_when_their_texts_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "REMEMBERED_CHARACTERS", 3 * len(TEXT))
    loaded = {name: load_batch(TEXT, name) for name in "abc"}
    assert load_batch(TEXT, "a") is loaded["a"]  # used again, so b is the oldest now
    load_batch(TEXT, "d")
    assert load_batch(TEXT, "a") is loaded["a"]
    assert load_batch(TEXT, "c") is loaded["c"]
    assert load_batch(TEXT, "b") is not loaded["b"]


def test_a_text_beyond_the_bound_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "REMEMBERED_CHARACTERS", len(TEXT) - 1)
    assert load_batch(TEXT, "a") is not load_batch(TEXT, "a")


def test_threads_may_load_at_once() -> None:
    with ThreadPoolExecutor(8) as pool:
        texts = [TEXT + f"  b{number % 5}:\n    run: 'true'\n" for number in range(200)]
        loaded = list(pool.map(lambda text: load_batch(text, "a.yaml"), texts))
    assert [len(found.batch.steps) for found in loaded] == [2] * 200
