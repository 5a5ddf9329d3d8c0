"""What a run over SSH costs, next to a bare script that does the same.

    python -m benchmarks.bench_ssh [--servers 200] [--commands 5] [--parallel 50] [--rounds 3] [--json]

One OpenSSH server listens on `--servers` addresses of the loopback network. On each of them `--commands`
short commands are run, one after the other, `--parallel` servers at once; every measurement is a process of
its own, and they take turns. Rows of the table:

- `bare asyncssh`: a script with the same options, keys and algorithms, the host key given: connect, run
  the commands, close.
- `windlass`: the whole engine: a batch with a step for each command, every intent and outcome durable
  (synchronous=FULL), each command under the supervisor, its output stored.
- `windlass, plain`: the same with `supervise: false`, so each command has a channel of its own.
- `pyinfra`: its shell operations over the same servers, as its own command line does it; left out where it
  is not installed.

The client's files are on the disk of `--folder`. The servers' home folder is in memory where the machine has
such a place: two hundred servers have two hundred disks, and here they would share the client's.

Wall time and client CPU are from the first connection (the plan included) to the last; imports are not
counted, for pyinfra the whole process is.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import measure
from tests.support.sshd import Sshd, one_line

ACTOR = "bench"
COMMANDS = ("echo one", "true", "hostname >/dev/null; echo two", "echo a; echo b", "test -d / && echo yes")


@dataclass(frozen=True, slots=True)
class Figures:
    """One measurement. CPU is the client's, its children's included."""

    wall_s: float
    cpu_s: float


def addresses(count: int) -> list[str]:
    """Loopback addresses; the first is where the server always listens."""
    return [f"127.0.{1 + number // 250}.{1 + number % 250}" for number in range(count)]


def command_of(number: int) -> str:
    """A short command, as a step of a rollout has many."""
    return COMMANDS[number % len(COMMANDS)]


# ---------------------------------------------------------------- the bare script


async def bare(place: dict[str, Any]) -> None:
    """Connect, run, close: as short as such a script can be."""
    import asyncssh

    from core.ssh.algorithms import default_ciphers, default_kex
    from core.ssh.settings import SshSettings

    settings = SshSettings()
    options = asyncssh.SSHClientConnectionOptions(
        config=None,
        username=place["user"],
        client_keys=[asyncssh.read_private_key(place["key"])],
        agent_path=None,
        known_hosts=([asyncssh.import_public_key(place["host_key"])], [], []),
        kex_algs=list(default_kex()),
        encryption_algs=list(default_ciphers()),
        compression_algs=["none"],
        server_host_key_algs=["ssh-ed25519"],
        preferred_auth=["publickey"],
        keepalive_interval=settings.keepalive_s,
        keepalive_count_max=settings.keepalive_count,
    )
    gate = asyncio.Semaphore(place["parallel"])

    async def one(address: str) -> None:
        async with gate, asyncssh.connect(address, place["port"], options=options) as connection:
            for number in range(place["commands"]):
                result = await connection.run(command_of(number))
                if result.exit_status != 0:
                    raise RuntimeError(f"{address}: {result.stderr!r}")

    await asyncio.gather(*(one(address) for address in place["addresses"]))


# ---------------------------------------------------------------- windlass


def make_workspace(path: Path, place: dict[str, Any], *, supervise: bool) -> None:
    """A workspace with one static server for each address, and a batch."""
    (path / "servers").mkdir(parents=True)
    (path / "batches").mkdir()
    (path / "workspace.yaml").write_text("name: bench\nformat: 1\n")
    defaults = f"defaults: {{user: {place['user']}, port: {place['port']}, identity_file: {place['key']}}}\n"
    servers = "".join(
        f"  server-{number:04}: {{address: {address}, host_key: {json.dumps(place['host_key'])}}}\n"
        for number, address in enumerate(place["addresses"])
    )
    (path / "servers" / "static.yaml").write_text(f"provider: static\n{defaults}servers:\n{servers}")
    steps = "".join(
        f"  step-{number}:\n    run: {json.dumps(command_of(number))}\n"
        for number in range(place["commands"])
    )
    (path / "batches" / "bench.yaml").write_text(
        f"supervise: {str(supervise).lower()}\n"
        f"strategy: {{parallel: {place['parallel']}, order: free}}\nsteps:\n{steps}"
    )


async def windlass(place: dict[str, Any]) -> None:
    """A whole run, with an engine of its own and one follower."""
    from core.engine.api import PlanRequest, RunRequest
    from core.engine.open import open_engine
    from core.model.states import RunState

    engine = await open_engine(Path(place["workspace"]), actor=ACTOR)
    try:

        async def follow() -> int:
            return sum([1 async for _ in engine.follow(0)])

        following = asyncio.ensure_future(follow())
        await engine.start(RunRequest(PlanRequest("bench"), ACTOR))
        info = await engine.wait(1)
        if info.state is not RunState.DONE:
            raise RuntimeError(f"the run is {info.state}: {info.why}")
        following.cancel()
    finally:
        await engine.close()


def import_all() -> None:
    """Imports what a run imports on its way: not what is measured."""
    for name in (
        "core.batch.load",
        "core.engine.catalogue",
        "core.engine.local",
        "core.engine.recovery",
        "core.ssh.executor",
        "httpx",
        "providers.registry",
        "providers.static.provider",
        "core.store.incarnation",
        "core.engine.run",
        "core.engine.planner",
        "core.engine.local_work",
    ):
        importlib.import_module(name)


# ---------------------------------------------------------------- a process for each


def measured(place: dict[str, Any]) -> None:
    """One measurement in this process; prints what it cost."""
    import_all()
    from core.clock import UptimeLoop

    run: Callable[[dict[str, Any]], Any] = bare if place["variant"] == "bare" else windlass
    begun, cpu = time.perf_counter(), time.process_time()
    with asyncio.Runner(loop_factory=None if run is bare else UptimeLoop) as runner:
        runner.run(run(place))
    print(json.dumps({"wall_s": time.perf_counter() - begun, "cpu_s": time.process_time() - cpu}))


def in_a_process(place: dict[str, Any]) -> Figures:
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.bench_ssh", "--part", json.dumps(place)],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "SSH_AUTH_SOCK": ""},
    ).stdout
    return Figures(**json.loads(output))


def pyinfra(folder: Path, place: dict[str, Any]) -> Figures:
    """Its own command line, the whole process."""
    inventory = folder / "inventory.py"
    known = folder / "known_hosts"
    known.write_text(
        "".join(f"[{address}]:{place['port']} {place['host_key']}\n" for address in place["addresses"])
    )
    data = {
        "ssh_port": place["port"],
        "ssh_user": place["user"],
        "ssh_key": place["key"],
        "ssh_known_hosts_file": str(known),
    }
    inventory.write_text(f"servers = [(address, {data!r}) for address in {place['addresses']!r}]\n")
    (folder / "deploy.py").write_text(
        "from pyinfra.operations import server\n"
        + "".join(
            f"server.shell(name='step {number}', commands=[{command_of(number)!r}])\n"
            for number in range(place["commands"])
        )
    )
    begun, before = time.perf_counter(), os.times()
    subprocess.run(
        [
            shutil.which("pyinfra") or "pyinfra",
            "-y",
            "--parallel",
            str(place["parallel"]),
            "inventory.py",
            "deploy.py",
        ],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "SSH_AUTH_SOCK": ""},
    )
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Figures(time.perf_counter() - begun, cpu)


def main() -> None:
    """Measures and prints."""
    parser = measure.arguments(__doc__.splitlines()[0])
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--commands", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=50)
    parser.add_argument("--part", help="one measurement, told as JSON")
    given = parser.parse_args()
    if given.part:
        measured(json.loads(given.part))
        return
    measure.end_on_signals()
    if not given.json:
        print(measure.machine_line())
    memory = Path("/dev/shm")
    servers = memory if os.access(memory, os.W_OK) else given.folder
    with (
        measure.folder(given.folder, "bench-ssh-") as folder,
        measure.folder(servers, "bench-ssh-") as home,
    ):
        # sshd takes few addresses to listen on, so it listens on all and lets in only what comes from here.
        options = {"ListenAddress": "0.0.0.0", "AllowUsers": "*@127.0.0.0/8", "MaxStartups": "1000"}  # noqa: S104
        with Sshd.start(home / "sshd", {**options, "LogLevel": "INFO"}) as sshd:
            place = {
                "addresses": addresses(given.servers),
                "port": sshd.port,
                "key": str(sshd.user_key),
                "user": sshd.server().ssh.user,
                "host_key": one_line(sshd.host_keys[0]),
                "parallel": given.parallel,
                "commands": given.commands,
            }
            count = 0

            def engine(supervise: bool) -> Figures:
                nonlocal count
                count += 1
                workspace = folder / f"workspace-{count}"
                make_workspace(workspace, place, supervise=supervise)
                return in_a_process({**place, "variant": "windlass", "workspace": str(workspace)})

            variants: dict[str, Callable[[], Figures]] = {
                "bare asyncssh": lambda: in_a_process({**place, "variant": "bare"}),
                "windlass": lambda: engine(True),
                "windlass, plain": lambda: engine(False),
            }
            if shutil.which("pyinfra"):
                (folder / "pyinfra").mkdir()
                variants["pyinfra"] = lambda: pyinfra(folder / "pyinfra", place)
            in_a_process({**place, "variant": "bare"})  # warms the page cache
            found = measure.in_turn(variants, given.rounds)
    tasks = given.servers * given.commands
    bares = found["bare asyncssh"]
    rows, document = [], {}
    for name, figures in found.items():
        wall = measure.median([one.wall_s / other.wall_s for one, other in zip(figures, bares, strict=True)])
        cpu = measure.median([one.cpu_s / other.cpu_s for one, other in zip(figures, bares, strict=True)])
        middle_wall = measure.median([one.wall_s for one in figures])
        middle_cpu = measure.median([one.cpu_s for one in figures])
        rows.append(
            (
                name,
                f"{middle_wall:.2f}",
                f"{wall:.2f}",
                f"{middle_cpu:.2f}",
                f"{cpu:.2f}",
                f"{middle_cpu / tasks * 1e3:.2f}",
            )
        )
        document[name] = {"wall_s": middle_wall, "wall": wall, "cpu_s": middle_cpu, "cpu": cpu}
    measure.show(
        ("what", "wall s", "ratio", "client CPU s", "ratio", "CPU ms a task"),
        rows,
        {"servers": given.servers, "commands": given.commands, "variants": document},
        as_json=given.json,
        notes=() if "pyinfra" in found else ("pyinfra is not installed: left out",),
    )


if __name__ == "__main__":
    main()
