"""Which runs need someone, which are running, which are over: the order of the dashboard.

Pure functions of the engine's views. A run that failed needs someone until a newer run of the same batch exists.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import Fault
from core.model.states import RunState
from core.model.views import RunInfo, ServerInfo
from tui import words
from tui.actions import is_executing
from tui.doubts import doubts


@dataclass(frozen=True, slots=True)
class Overview:
    """Runs by what they ask of the reader, newest first in each."""

    needs: tuple[RunInfo, ...]
    running: tuple[RunInfo, ...]
    recent: tuple[RunInfo, ...]


def overview(runs: Sequence[RunInfo]) -> Overview:
    """Sorts runs, each into exactly one place."""
    needs: list[RunInfo] = []
    running: list[RunInfo] = []
    recent: list[RunInfo] = []
    newest: dict[str, int] = {}
    for run in sorted({run.number: run for run in runs}.values(), key=lambda run: -run.number):
        first = newest.setdefault(run.batch, run.number) == run.number
        if needs_someone(run, newest_of_batch=first):
            needs.append(run)
        elif is_executing(run):
            running.append(run)
        else:
            recent.append(run)
    return Overview(tuple(needs), tuple(running), tuple(recent))


def needs_someone(run: RunInfo, *, newest_of_batch: bool) -> bool:
    """True where the run stands still until a person acts, or has tasks in doubt."""
    if run.state.open:
        return not is_executing(run) or doubts(run) > 0
    return newest_of_batch and run.state in {RunState.FAILED, RunState.ROLLBACK_FAILED}


def what_is_needed(run: RunInfo) -> str:
    """What happened to a run, in words, for one line."""
    told = words.undo_trouble(run.undo_counts) or words.trouble(run.counts)
    if run.interrupted and run.state.open:
        return f"no engine executes it{'; ' + told if told else ''}: resume it"
    if run.state is RunState.PAUSED:
        return f"paused at {run.ended_tasks}/{run.tasks}" + (f", {told}" if told else "")
    if told:
        return f"{told} of {run.tasks}"
    return run.why or run.state.word


@dataclass(frozen=True, slots=True)
class ProviderLine:
    """The servers of one provider, counted by state; `unreachable` by the last run, `never` without any session yet."""

    provider: str
    total: int
    states: Mapping[str, int]
    unreachable: int = 0
    never: int = 0

    @property
    def stopped(self) -> int:
        """How many could be started."""
        return self.states.get("stopped", 0)


def by_provider(servers: Sequence[ServerInfo]) -> list[ProviderLine]:
    """One line for each provider, by name."""
    found: dict[str, Counter[str]] = {}
    lost: Counter[str] = Counter()
    never: Counter[str] = Counter()
    for server in servers:
        found.setdefault(server.provider, Counter())[server.state] += 1
        lost[server.provider] += bool(server.unreachable)
        never[server.provider] += server.reached is None and not server.unreachable
    return [
        ProviderLine(name, sum(states.values()), dict(states), lost[name], never[name])
        for name, states in sorted(found.items())
    ]


@dataclass(frozen=True, slots=True)
class Standing:
    """How the configuration stands in one environment ("" in none): `layers` counts its values by the layer that gives
    them, lowest first; `faults` are why it cannot be used.
    """

    environment: str
    layers: Mapping[str, int]
    faults: tuple[Fault, ...] = ()

    @property
    def untouched(self) -> bool:
        """True where nobody has written anything yet."""
        return not (self.environment or self.faults or self.layers.keys() - {"defaults"})
