"""What waits for what, in large documents and in faulty ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.batch.model import Need
from core.batch.needs import Reach, find_cycles, transitive_needs
from tests.unit.batch.support import faults, only


def test_every_circle_is_told() -> None:
    text = """\
    steps:
      a: {run: x, needs: b}
      b: {run: x, needs: a}
      c: {run: x, needs: [d]}
      d: {run: x, needs: c}
      e: {run: x, needs: e}
    """
    assert faults(text) == [
        "2:22: steps need each other in a circle: a → b → a",
        "4:23: steps need each other in a circle: c → d → c",
        "6:22: step e needs itself",
    ]


def test_a_step_that_needs_itself_hides_no_circle() -> None:
    assert (
        len(faults("steps:\n  e: {run: x, needs: e}\n  a: {run: x, needs: b}\n  b: {run: x, needs: a}\n"))
        == 2
    )


def test_a_circle_over_an_implied_need_says_so() -> None:
    assert "needs the one before it" in only(
        "steps:\n  a: {run: x, needs: c}\n  b: {run: x}\n  c: {run: x}\n"
    )


def test_the_env_of_the_document_has_no_results() -> None:
    text = "env: {A: \"{{ registered['m'].output }}\"}\nsteps:\n  a: {run: x, register: m}\n"
    assert only(text).startswith("1:10: the env of the whole batch cannot use results")


def test_an_undo_may_use_what_its_own_step_registered() -> None:
    text = "steps:\n  a:\n    run: mktemp\n    register: m\n    %s: rm {{ registered['m'].output }}\n"
    assert faults(text % "undo") == []
    assert "does not wait for" in only(text % "verify")


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.booleans()), max_size=30))
def test_reach_says_what_walking_the_needs_says(edges: list[tuple[int, int, bool]]) -> None:
    needs = {
        str(step): [
            Need(step=str(to), scope="all" if everywhere else "server")
            for at, to, everywhere in edges
            if at == step and to < step
        ]
        for step in range(10)
    }
    reach = Reach(needs)

    def through_all(step: str, other: str) -> bool:
        """By every path, one need after the other."""
        return any(
            (need.scope == "all" and (need.step == other or other in transitive_needs(needs, need.step)))
            or through_all(need.step, other)
            for need in needs[step]
        )

    for step in needs:
        for other in needs:
            assert reach.waits_for(step, other) == (other in transitive_needs(needs, step))
            assert reach.waits_for_all(step, other) == through_all(step, other)


def test_reach_needs_no_order_and_no_recursion() -> None:
    count = 10_000
    needs = {f"s{n}": [Need(step=f"s{n + 1}")] if n + 1 < count else [] for n in range(count)}
    assert Reach(needs).waits_for_all("s0", f"s{count - 1}")


def test_no_more_circles_than_anybody_reads() -> None:
    needs = {f"s{n}": [Need(step=f"s{n ^ 1}")] for n in range(1000)}
    assert len(find_cycles(needs)) == 20


@pytest.mark.long
def test_thousands_of_results_along_a_chain() -> None:
    lines = ["steps:", "  s0: {run: x, register: r0}"]
    lines += [
        f"  s{n}: {{run: x, register: r{n}, env: {{A: \"{{{{ registered['r0'].output }}}}\", "
        f"B: \"{{{{ servers['a'].registered['r{n - 1}'].output }}}}\"}}}}"
        for n in range(1, 3000)
    ]
    assert faults("\n".join(lines) + "\n") == []
