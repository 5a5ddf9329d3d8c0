"""The guide to batch documents: its examples load, its faulty example tells what it says, every key is in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.batch import model
from core.batch.load import load_batch
from core.errors import InputError
from core.template import FILTERS

GUIDE = Path(__file__).resolve().parents[3] / "docs" / "guides" / "batch-documents.md"
TEXT = GUIDE.read_text()
BLOCK = re.compile(r"(?:<!-- (?P<mark>.*?) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)```", re.DOTALL)


def blocks(language: str) -> Iterator[tuple[str, str]]:
    for match in BLOCK.finditer(TEXT):
        if match["language"] == language:
            yield match["mark"] or "", match["text"]


EXAMPLES = [text for mark, text in blocks("yaml") if not mark]


@pytest.mark.parametrize(
    "text", EXAMPLES, ids=lambda text: f"line {TEXT[: TEXT.index(text)].count(chr(10)) + 1}"
)
def test_every_example_loads(text: str) -> None:
    assert load_batch(text, "example.yaml").batch.steps


def test_the_faulty_example_tells_what_the_guide_says() -> None:
    ((mark, faulty),) = [(mark, text) for mark, text in blocks("yaml") if mark]
    ((_, told),) = [(mark, text) for mark, text in blocks("text") if mark == "told"]
    with pytest.raises(InputError) as raised:
        load_batch(faulty, mark.removeprefix("faulty: "))
    assert "\n".join(map(str, raised.value.faults)) == told.rstrip("\n")


def tables() -> str:
    """The first cells of all tables: where keys are explained."""
    return "\n".join(line.split("|")[1] for line in TEXT.splitlines() if line.startswith("| "))


@pytest.mark.parametrize(
    "kind",
    [
        model.Batch, model.Step, model.Strategy, model.Param, model.Retries, model.Guard, model.Undo,
        model.Need, model.Register, model.UploadSpec, model.WaitSpec, model.HttpSpec,
    ],
)  # fmt: skip
def test_every_key_is_explained(kind: type) -> None:
    internal = {("Step", "name"), ("Param", "required")}
    keys = {
        field.alias or name
        for name, field in kind.model_fields.items()  # type: ignore[attr-defined]
        if (kind.__name__, name) not in internal
    }
    explained = set(re.findall(r"`([a-z_]+)`", tables()))
    assert keys <= explained


def test_every_key_is_used_in_an_example() -> None:
    examples = "\n".join(EXAMPLES)
    for kind in (
        model.Step,
        model.Strategy,
        model.Param,
        model.Retries,
        model.UploadSpec,
        model.WaitSpec,
        model.HttpSpec,
    ):
        for name, field in kind.model_fields.items():
            key = field.alias or name
            if (kind, key) not in {(model.Step, "name"), (model.Param, "required")}:
                assert re.search(rf"\b{key}:", examples), key


def test_every_filter_is_listed() -> None:
    listed = re.search(r"only filters: (.*?)\.\n", TEXT, re.DOTALL)
    assert listed is not None
    assert sorted(re.findall(r"`(\w+)`", listed[1])) == sorted([*FILTERS, "quote"])


def test_the_limits_are_those_of_the_code() -> None:
    from core.batch.yaml_source import Limits

    assert Limits() == Limits(max_bytes=8 * 1024 * 1024, depth=50, aliases=100, nodes=1_000_000)
    assert "at most 8 MiB,\n50 levels, 100 aliases and a million nodes" in TEXT
