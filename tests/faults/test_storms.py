"""Storms: whatever dies, at any moment, every effect happens once.

Real engine processes are killed with -9 at random moments (seeded) over runs of many tasks on real servers, and
the run is resumed each time until it has ended. Then every attempt's effect is held against the store: exactly
one where the attempt ended by evidence, none where it is said not to have run, one at most where it is in doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.storms import Storm, batch_text, on_sshd
from tests.support.program import Program
from tests.support.sshd import Sshd


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Program]:
    """The program on a workspace with two running local servers."""
    made = Program(tmp_path / "lab", servers=("a", "b"))
    made.call("servers", "start")
    yield made
    made.call("servers", "stop")


def hold(storm: Storm, most_in_doubt: int) -> None:
    """The run has ended, and everything was done once."""
    storm.settle_doubts(most_in_doubt)
    assert storm.state == "done"
    storm.hold_against_the_store()
    storm.hold_effects_once()
    assert storm.hold_output() > 0


def test_f03_f04_killed_at_random_moments_every_effect_happens_once(pair: Program) -> None:
    storm = Storm(pair, seed=3)
    pair.batch(batch_text(30, storm.seed))
    storm.kill_until_still(["run", "work"], kills=7)
    hold(storm, most_in_doubt=0)
    assert storm.count.kills >= 5, "it ended before it could be killed: give it more to do"


def test_f03_f04_killed_at_random_moments_on_openssh(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "20"}) as sshd:
        program = on_sshd(tmp_path / "lab", sshd, ("a", "b"))
        storm = Storm(program, seed=4, homes=[sshd.home])
        program.batch(batch_text(30, storm.seed, folder=str(sshd.home)))
        storm.kill_until_still(["run", "work"], kills=5)
        hold(storm, most_in_doubt=0)
        assert storm.count.kills >= 3
