"""Whatever the text: a batch, or InputError with faults that lie in it; nothing else, and in bounded time."""

from __future__ import annotations

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from core.batch.load import load_batch
from core.batch.schema import batch_schema
from core.errors import InputError


def check(text: str) -> None:
    try:
        loaded = load_batch(text, "fuzz.yaml")
    except InputError as error:
        faults = error.faults
    else:
        assert loaded.batch.steps
        assert all(step.name == name for name, step in loaded.batch.steps.items())
        return
    assert faults
    lines = text.count("\n") + text.count("\r") + 2
    for fault in faults:
        assert fault.message
        assert "\n" not in str(fault)
        assert 0 <= fault.line <= lines
    assert list(faults) == sorted(faults, key=lambda fault: (fault.line, fault.column))


@given(st.text(max_size=200))
@settings(deadline=5000)
def test_any_text(text: str) -> None:
    check(text)


WORDS = r"""
a b steps: run: on: needs: check: when: env: wait: upload: params: strategy: name: {{ }} {% %} { } [ ] , : - ?
& &a * *a ! !!str | |- > ' " # % @ ` ~ << --- ... 0 1 -1 1.5 0x1f true no null 10% 5m group:web and or ( )
params.x registered['r'] server.name \n \x00 \ud800
"""
PIECES = st.sampled_from([*WORDS.split(), "\t"])
LAYOUT = st.sampled_from(["\n", "\n  ", "\n    ", "\n      ", " ", " ", ""])


@given(st.lists(st.tuples(PIECES, LAYOUT), max_size=60))
@settings(deadline=5000)
def test_words_of_the_format_in_any_order(pieces: list[tuple[str, str]]) -> None:
    check("".join(word + layout for word, layout in pieces))


KEYS = sorted(
    {
        key
        for definition in batch_schema()["$defs"].values()
        for option in [definition, *definition.get("anyOf", ())]
        for key in option.get("properties", ())
    }
)
VALUES = st.recursive(
    st.one_of(
        st.sampled_from(
            [
                "0",
                "1",
                "-1",
                "1.5",
                "true",
                "no",
                "all",
                "a",
                "b",
                "'{{ params.p }}'",
                "'{{ x'",
                "10%",
                "5m",
                "1e999",
            ]
        ),
        st.integers(-(10**18), 10**18).map(str),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
        ),
    ),
    max_leaves=8,
)


@given(
    st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["params", "strategy", "env", "name"]), VALUES, max_size=3),
)
@example([{"run": "a", "needs": "[b, b]"}, {"run": "a", "needs": "a"}], {})
@settings(deadline=5000, suppress_health_check=[HealthCheck.too_slow])
def test_right_keys_with_any_values(steps: list[dict[str, str]], more: dict[str, str]) -> None:
    lines = [f"{key}: {value}" for key, value in more.items()]
    lines.append("steps:")
    for name, step in zip("abc", steps, strict=False):
        lines.append(f"  {name}:")
        lines.extend(f"    {key}: {value}" for key, value in step.items())
    check("\n".join(lines) + "\n")
