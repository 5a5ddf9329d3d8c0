"""What the storms share: runs of many kinds of tasks, the kills, and the count of effects afterwards.

Every command appends one line to `effects` in its server's home (`SERVER STEP ATTEMPT`), every undo one to
`undone`, so that what ran twice, and what never ran, shows for each attempt. The count is held against the
attempts that the store knows, with the outcome that each has.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from core.engine.lease import read_owner
from core.model.views import OwnerInfo
from tests.support.program import REPOSITORY, WAIT_S, Program, kill
from tests.support.sshd import Sshd, one_line
from tests.unit.store.support import query

LANES = 3
EFFECT = 'echo "$WINDLASS_SERVER $WINDLASS_STEP $WINDLASS_ATTEMPT"'
PRINT = (
    "n=0; while [ $n -lt 60 ]; do "
    'echo "$WINDLASS_STEP prints line $n of sixty, which makes some kB of it"; n=$((n + 1)); '
    "case $n in 20|40) sleep 0.2;; esac; done"
)
BY_EVIDENCE = ("ok", "failed")
NEVER_RAN = ("not started",)

STATIC = """\
provider: static
defaults: {{identity_file: {key}}}
servers:
"""


def printed(step: str) -> bytes:
    """What PRINT prints."""
    return b"".join(
        f"{step} prints line {n} of sixty, which makes some kB of it\n".encode() for n in range(60)
    )


def batch_text(steps: int, seed: int, *, folder: str = ".") -> str:
    """A batch with `steps` steps of every kind in three lanes, which run beside each other on each server.

    The effects go to `folder`.
    """
    effect, undo = f"{EFFECT} >> {folder}/effects", f"{EFFECT} >> {folder}/undone"
    count = f'grep "^$WINDLASS_SERVER $WINDLASS_STEP " {folder}/effects'
    chosen = random.Random(seed)
    made: dict[str, object] = {}
    kinds = ["short", "long", "upload", "check", "verify", "retry", "output", "registers", "uses", "short"]
    if shutil.which("sudo"):
        kinds[-1] = "sudo"
    for number in range(steps):
        name, kind = f"s{number}", kinds[number // LANES % len(kinds)]
        slow = f"{undo}; sleep {round(chosen.uniform(0.0, 0.6), 2)}"
        step: dict[str, object] = {"undo": slow, "timeout": "3m"}
        if number >= LANES:
            step["needs"] = [{"step": f"s{number - LANES}", "scope": "server"}]
        else:
            step["needs"] = []
        pause_s = round(chosen.uniform(0.2, 2.0), 2)
        match kind:
            case "long":
                step["run"] = f"{effect}; sleep {pause_s}"
            case "upload":
                step["upload"] = {"from": "files/page", "to": f"page-{{{{ server.name }}}}-{number}"}
            case "check":
                step |= {"check": count, "run": effect}
            case "verify":
                step |= {"run": effect, "verify": count}
            case "retry":
                step["retries"] = {"attempts": 60, "delay": "20ms", "backoff": 1}
                step["run"] = f'{effect}; [ "$({count} | grep -c .)" -ge 2 ]'
            case "output":
                step["run"] = f"{effect}; {PRINT}"
            case "registers":
                step |= {"run": f"{effect}; {PRINT}", "register": f"r{number}"}
                step["verify"] = "sleep 0.1"
            case "uses":
                value = f"{{{{ registered['r{number - LANES}'].output }}}}"
                step |= {"env": {"VALUE": value}}
                step["run"] = f'{effect}; printf "%s\\n" "$VALUE"'
            case "sudo":
                step |= {"sudo": True, "run": effect}
            case _:
                step["run"] = effect
        made[name] = step
    document = {
        "strategy": {"order": "free", "parallel": 12, "per_server": LANES},
        "steps": made,
    }
    return json.dumps(document, indent=1)  # which is YAML as well


@dataclass
class Count:
    """What a storm left: effects held against the attempts that the store knows."""

    kills: int = 0
    tasks: int = 0
    attempts: int = 0
    doubled: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    in_doubt: set[str] = field(default_factory=set)

    def __str__(self) -> str:
        return (
            f"{self.kills} faults, {self.tasks} tasks, {self.attempts} attempts: {len(self.doubled)} doubled, "
            f"{len(self.lost)} lost, {len(self.in_doubt)} in doubt"
        )


class Storm:
    """A run that is hit again and again until it has ended all the same. `seed` makes it what it is."""

    def __init__(self, program: Program, seed: int, homes: Sequence[Path] = ()) -> None:
        self.program = program
        self.seed = seed
        self.moments = random.Random(seed)
        self.count = Count()
        self._homes = homes
        (program.path / "files" / "page").write_text("a page\n" * 100)
        print(f"storm of seed {seed}")

    @property
    def database(self) -> Path:
        """The workspace's database."""
        return self.program.path / ".windlass" / "state.db"

    def life(self, words: Sequence[str], command: Sequence[str] = (), most: int = 40) -> int | None:
        """One life of an engine, ended with -9 at a random moment; its exit status where it ended before."""
        starts_up = self.moments.random() < 0.15
        with self.program.process(*words, "--json", command=command) as process:
            if starts_up:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=self.moments.uniform(0.1, 2.0))
            else:
                self.hear(process, self.moments.randint(1, most))
                time.sleep(
                    self.moments.choice((0.0, self.moments.uniform(0, 0.05), self.moments.uniform(0, 0.5)))
                )
            if process.poll() is not None:
                return process.returncode
            kill(process)
        self.count.kills += 1
        return None

    def hear(self, process: subprocess.Popen[str], events: int) -> None:
        """Returns when an engine has told of so many events, or ended."""
        assert process.stdout is not None
        for _ in range(events):
            if not process.stdout.readline():
                process.wait(timeout=WAIT_S)
                return

    def kill_until_still(self, first: Sequence[str], kills: int, most: int = 40) -> None:
        """Starts a run, kills each engine that carries it on, at last lets one carry it to where it stays."""
        words, before = list(first), self.state
        while self.count.kills < kills:
            status = self.life(words, most=most)
            if self.state != before:
                words = ["runs", "resume", "1"]
                if status is not None:
                    return
        self.program.call(*words, status=None)

    def go_on(self) -> None:
        """Lets one engine carry the run to where it stays."""
        self.program.call("runs", "resume", "1", status=None)

    def break_connections(self, words: Sequence[str], breaks: int, *ways: Callable[[], object]) -> None:
        """Carries the run on in one engine, and breaks its connections at random moments, in random ways."""
        with self.program.process(*words, "--json") as process:
            while self.count.kills < breaks:
                self.hear(process, self.moments.randint(1, 25))
                time.sleep(self.moments.choice((0.0, self.moments.uniform(0, 0.3))))
                if process.poll() is not None:
                    break
                self.moments.choice(ways)()
                self.count.kills += 1
            process.communicate(timeout=WAIT_S)

    def freeze(self, fault: str, words: Sequence[str], trigger: Path) -> subprocess.Popen[str] | None:
        """An engine that freezes at a random moment of its work (see planted); None where it ended before."""
        process = subprocess.Popen(
            self.program.planted(fault, trigger, *words, "--json"),
            cwd=REPOSITORY,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.hear(process, self.moments.randint(5, 60))
        trigger.touch()
        ends_at = time.monotonic() + WAIT_S
        while process.poll() is None:
            if "\nState:\tT" in Path(f"/proc/{process.pid}/status").read_text():
                self.count.kills += 1
                return process
            assert time.monotonic() < ends_at, "it did not freeze"
            time.sleep(0.02)
        process.communicate()
        trigger.unlink(missing_ok=True)
        return None

    @property
    def state(self) -> str:
        """The run's state as stored, "" where there is none."""
        made = "SELECT 1 FROM sqlite_master WHERE name = 'runs'"
        if not self.database.exists() or not query(self.database, made):
            return ""  # the first engine may die before it has made a table
        rows = query(self.database, "SELECT state FROM runs WHERE number = 1")
        return str(rows[0][0]) if rows else ""

    def lines(self, file: str) -> list[str]:
        """What the commands of all servers wrote to a file."""
        homes = self._homes or [self.program.home(server) for server in self.program.servers]
        paths = [home / file for home in homes]
        return [line for path in paths if path.exists() for line in path.read_text().splitlines()]

    def settle_doubts(self, most: int) -> None:
        """Counts what is left in doubt, which is what a person would decide, and goes on past it."""
        for _ in range(most + 1):
            doubts = {name for name, state in self.program.states().items() if state == "in_doubt"}
            undos = query(self.database, "SELECT step, server FROM tasks WHERE undo = 'in_doubt'")
            doubts |= {f"undo of {step}@{server}" for step, server in undos}
            if not doubts:
                return
            self.count.in_doubt |= doubts
            assert len(self.count.in_doubt) <= most, f"too many in doubt: {self.count.in_doubt}"
            self.program.call("runs", "decide", "1", "--all", "done", "--reason", "counted", status=None)
        raise AssertionError("there is no end to the doubts")

    def hold_against_the_store(self, purpose: str = "run", file: str = "effects") -> Count:
        """Counts the effects of every attempt: exactly one where it ended by evidence, else one at most."""
        lines = Counter(self.lines(file))
        attempts = query(
            self.database,
            "SELECT t.server || ' ' || t.step || ' ' || a.attempt, a.outcome, s.kind FROM attempts a "
            "JOIN tasks t ON t.run = a.run AND t.idx = a.idx JOIN steps s ON s.run = t.run AND s.name = t.step "
            "WHERE a.purpose = ?",
            purpose,
        )
        count = self.count
        known = set()
        for name, outcome, kind in attempts:
            if kind != "run" and purpose == "run":
                continue
            known.add(name)
            ran = lines[name]
            if ran > 1 or (ran and outcome in NEVER_RAN):
                count.doubled.append(f"{name} ({outcome}) ran {ran} times")
            if not ran and outcome in BY_EVIDENCE:
                count.lost.append(f"{name} ({outcome}) never ran")
        count.doubled += [f"{name} has no intent" for name in lines if name not in known]
        count.attempts += len(known)
        count.tasks = query(self.database, "SELECT count(*) FROM tasks")[0][0]
        print(f"storm of seed {self.seed}: {count}")
        assert not count.doubled + count.lost, count.doubled + count.lost
        return count

    def hold_effects_once(self) -> None:
        """Every task's effect happened once: as often as it should, whatever attempts that took.

        At most so often where the task was in doubt.
        """
        lines = Counter(line.rpartition(" ")[0] for line in self.lines("effects"))
        batch = json.loads((self.program.path / "batches" / "work.yaml").read_text())["steps"]
        for name, state in self.program.states().items():
            step, _, server = name.partition("@")
            expected = 0 if "upload" in batch[step] else 2 if "retries" in batch[step] else 1
            ran = lines[f"{server} {step}"]
            if name in self.count.in_doubt:
                assert ran <= expected, f"{name} was in doubt and ran {ran} times"
            else:
                assert ran == expected, f"{name} is {state} and ran {ran} times"

    def hold_output(self) -> int:
        """What was stored of what the commands printed is exactly that, no piece twice, none missing."""
        batch = json.loads((self.program.path / "batches" / "work.yaml").read_text())["steps"]
        rows = query(
            self.database,
            "SELECT t.step, t.server, a.attempt, o.start, o.end, o.data FROM attempts a "
            "JOIN tasks t ON t.run = a.run AND t.idx = a.idx "
            "LEFT JOIN output o ON o.run = a.run AND o.idx = a.idx AND o.purpose = a.purpose "
            "AND o.attempt = a.attempt AND o.stream = 'stdout' WHERE a.purpose = 'run' AND a.outcome = 'ok' "
            "ORDER BY t.idx, a.attempt, o.id",
        )
        stored: dict[tuple[str, str, int], bytes] = {}
        for step, server, attempt, start, end, data in rows:
            run = str(batch[step].get("run", ""))
            if PRINT not in run and "VALUE" not in run:
                continue
            before = stored.setdefault((step, server, attempt), b"")
            if data is not None:
                assert (start, end - start) == (len(before), len(data)), f"{step}@{server}: {start} to {end}"
                stored[step, server, attempt] = before + data
        for (step, server, _), data in stored.items():
            of = step if PRINT in str(batch[step]["run"]) else f"s{int(step[1:]) - LANES}"
            assert data == printed(of), f"{step}@{server}"
        return len(stored)


class BackgroundStorm(Storm):
    """As a storm, over the engine in the background and the commands that follow it: either dies, or both."""

    def __init__(self, program: Program, seed: int, homes: Sequence[Path] = ()) -> None:
        super().__init__(program, seed, homes)
        self.killed: Counter[str] = Counter()

    def life(self, words: Sequence[str], command: Sequence[str] = (), most: int = 40) -> int | None:
        """Until somebody is killed; the exit status of the command where its engine let it end before."""
        if self.owner is None:
            self.program.call("engine", "start")
        owner = self.owner
        assert owner is not None and owner.background
        victims = self.moments.choice(("engine", "engine", "command", "both"))
        with self.program.process(*words, "--json") as process:
            self.hear(process, self.moments.randint(1, most))
            time.sleep(
                self.moments.choice((0.0, self.moments.uniform(0, 0.05), self.moments.uniform(0, 0.5)))
            )
            if process.poll() is not None:
                return process.returncode
            if victims != "engine":
                kill(process)
            if victims != "command":
                os.kill(owner.pid, signal.SIGKILL)
                ends_at = time.monotonic() + WAIT_S
                while self.owner is not None:
                    assert time.monotonic() < ends_at, "its lease is still held"
                    time.sleep(0.01)
        self.killed[victims] += 1
        self.count.kills += 1
        return None

    @property
    def owner(self) -> OwnerInfo | None:
        """Who owns the workspace."""
        return read_owner(self.program.path / ".windlass")


def sshd_servers(sshd: Sshd, names: Sequence[str], port: int | None = None) -> str:
    """What servers/static.yaml says where all servers are one sshd, reached at `port`."""
    target = f"{{address: 127.0.0.1, port: {port or sshd.port}, host_key: {one_line(sshd.host_keys[0])}}}"
    return STATIC.format(key=sshd.user_key) + "".join(f"  {name}: {target}\n" for name in names)


def on_sshd(path: Path, sshd: Sshd, names: Sequence[str], port: int | None = None) -> Program:
    """The program on a workspace whose servers are all one sshd, reached at `port`."""
    program = Program(path, servers=names)
    (path / "servers" / "local.yaml").unlink()
    (path / "servers" / "static.yaml").write_text(sshd_servers(sshd, names, port))
    return program
