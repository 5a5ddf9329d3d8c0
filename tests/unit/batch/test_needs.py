"""What waits for what: implied and explicit needs, cycles, transitive needs, and long chains."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.model import Need
from core.batch.needs import effective_needs, find_cycle, transitive_needs
from tests.unit.batch.support import batch, faults, only


def written(text: str) -> dict[str, list[str]]:
    """The effective needs as `step/scope/kind`."""
    return {
        step: [f"{need.step}/{need.scope}/{need.kind}" for need in needs]
        for step, needs in effective_needs(batch(text)).items()
    }


STEPS = """
steps:
  a: {run: x}
  b: {run: x}
  c: {run: x, needs: []}
  d: {run: x, needs: [{step: a, scope: server}, {step: gone, kind: optional}, {step: b, kind: soft}]}
  web: {wait: {http: "http://x/"}}
  e: {run: x}
  f: {run: x}
"""


def test_linear_order_waits_for_the_step_before_on_all_servers() -> None:
    assert written(STEPS) == {
        "a": [],
        "b": ["a/all/hard"],
        "c": [],
        "d": ["a/server/hard", "b/all/soft"],
        "web": ["d/all/hard"],
        "e": ["web/all/hard"],
        "f": ["e/all/hard"],
    }


def test_free_order_waits_on_the_same_server_but_for_the_engine() -> None:
    free = written("strategy: {order: free}\n" + STEPS)
    assert free["b"] == ["a/server/hard"]
    assert (free["web"], free["e"], free["f"]) == (["d/all/hard"], ["web/all/hard"], ["e/server/hard"])
    assert free["c"] == []


def test_an_optional_need_on_a_step_that_is_there_counts() -> None:
    text = "steps:\n  a: {run: x}\n  b: {run: x}\n  c: {run: x, needs: {step: a, kind: optional}}\n"
    assert written(text)["c"] == ["a/all/optional"]


def test_transitive_needs() -> None:
    needs = effective_needs(batch(STEPS))
    assert transitive_needs(needs, "a") == set()
    assert transitive_needs(needs, "d") == {"a", "b"}
    assert transitive_needs(needs, "f") == {"e", "web", "d", "a", "b"}


def test_a_cycle_is_found_and_closed() -> None:
    assert find_cycle({"a": [Need(step="b")], "b": [Need(step="c")], "c": [Need(step="a")]}) == [
        "a",
        "b",
        "c",
        "a",
    ]
    assert find_cycle({"a": [], "b": [Need(step="a")]}) == []
    assert find_cycle({"a": [Need(step="a")]}) == ["a", "a"]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_cycle_is_told_exactly_where_there_is_one(edges: list[tuple[int, int]]) -> None:
    needs = {str(step): [Need(step=str(to)) for at, to in edges if at == step] for step in range(8)}
    cycle = find_cycle(needs)
    if cycle:
        assert cycle[0] == cycle[-1]
        for step, needed in pairwise(cycle):
            assert needed in {need.step for need in needs[step]}
        assert len(set(cycle)) == len(cycle) - 1
    else:
        ended: set[str] = set()
        while ready := {s for s in needs if s not in ended and {n.step for n in needs[s]} <= ended}:
            ended |= ready
        assert ended == set(needs)


# ---------------------------------------------------------------- faults


def test_unknown_needs_get_a_near_name() -> None:
    text = "steps:\n  prepare: {run: x}\n  fetch:\n    needs: [prepair]\n    run: x\n"
    assert only(text) == "4:13: there is no step 'prepair' (did you mean prepare?)"
    assert (
        only(text.replace("[prepair]", "prepair"))
        == "4:12: there is no step 'prepair' (did you mean prepare?)"
    )
    assert only(text.replace("prepair", "{step: nix}")) == "4:20: there is no step 'nix'"


def test_the_circle_is_printed_in_the_order_of_its_needs() -> None:
    text = "steps:\n  a: {needs: c, run: x}\n  b: {needs: a, run: x}\n  c: {needs: b, run: x}\n"
    assert only(text) == "2:14: steps need each other in a circle: a → c → b → a"


def test_a_circle_over_an_implied_need() -> None:
    text = "steps:\n  a: {needs: c, run: x}\n  b: {run: x}\n  c: {run: x}\n"
    assert "a → c → b → a" in only(text)


def test_a_step_that_needs_itself() -> None:
    assert only("steps:\n  a: {needs: a, run: x}\n") == "2:14: step a needs itself"


def test_a_step_needed_twice() -> None:
    assert only("steps:\n  a: {run: x}\n  b: {needs: [a, a], run: x}\n") == "3:18: 'a' is needed twice"


def test_the_engine_shares_no_server_with_others() -> None:
    text = (
        "steps:\n  a: {run: x}\n  web:\n    wait: {http: 'http://x/'}\n    needs: {step: a, scope: server}\n"
    )
    assert "web and a share no server" in only(text)
    assert faults(text.replace("scope: server", "scope: all")) == []


# ---------------------------------------------------------------- size


@pytest.mark.long
def test_ten_thousand_steps_in_a_chain_are_no_recursion() -> None:
    count = 10_000
    lines = [f"  s{number}: {{run: echo {number}}}" for number in range(count)]
    whole = batch("steps:\n" + "\n".join(lines) + "\n")
    needs = effective_needs(whole)
    assert [need.step for need in needs[f"s{count - 1}"]] == [f"s{count - 2}"]
    assert len(transitive_needs(needs, f"s{count - 1}")) == count - 1
    assert find_cycle(needs) == []


def test_a_circle_of_ten_thousand_steps_is_printed() -> None:
    count = 10_000
    chain = {f"s{number}": [Need(step=f"s{(number + 1) % count}")] for number in range(count)}
    assert len(find_cycle(chain)) == count + 1
