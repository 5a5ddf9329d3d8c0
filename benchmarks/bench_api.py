"""What the REST API costs: how late a client hears of a task's end, and how fast the list of runs is.

    python -m benchmarks.bench_api [--events 5000] [--rate 1000] [--runs 10000] [--folder DIR] [--rounds 3]

An engine serves a Unix socket in this process; clients are processes of their own. Rows of the table:

- `outcome to client`: task outcomes are committed at the rate given (row and event, synchronous=FULL) and a client
  follows the event stream through `EngineClient`. Latency is from when the outcome was made, before its commit, to
  when the client has it as an event.
- `bare stream`: the same events as lines over a Unix socket, without a store and without HTTP: the bound.
- `list of runs`: `GET /v1/runs?limit=50` with the number of runs stored, one request after the other.
- `bare route`: the same bytes from a FastAPI route that returns them ready made: the bound of the framework.

The folder must lie on a real disk: on tmpfs a commit costs nothing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response

from benchmarks import measure
from core.clock import UptimeLoop
from core.engine.local import LocalEngine
from core.engine.open import open_engine
from core.model import events
from core.model.states import RunState, TaskState
from core.store.records import NewRun, NewStep, NewTask
from core.store.tx import Tx
from daemon.client import EngineClient
from daemon.context import Served
from daemon.server import serving
from daemon.sockets import bind

WARM_UP = 50
REQUESTS = 200
PEERS = {"outcome to client": "bare stream", "list of runs": "bare route"}


@dataclass(frozen=True, slots=True)
class Figures:
    """Milliseconds of each event or request, and how many came in a second."""

    times_ms: list[float]
    per_s: float


def new_run(number: int, tasks: int, *, ended: bool) -> Tx:
    """A run with one step."""
    tx = Tx()
    run = NewRun(
        number=number,
        run_id=f"{number:032x}",
        batch="deploy",
        path="batches/deploy.yaml",
        actor="bench@here",
        created=time.time(),
        params={},
        servers=tasks,
        parent=None,
        batch_text="",
        digest=f"{number:064x}",
        document={},
        environment="",
        protection="none",
    )
    step = NewStep(index=0, name="deploy", kind="run", summary="deploy", tasks=tasks, irreversible=False)
    tx.create_run(run, [step], [NewTask(index, "deploy", f"server-{index}", 1) for index in range(tasks)])
    tx.event(events.RUN_CREATED, run=number, actor="bench@here", data={"number": number, "batch": "deploy"})
    if ended:
        tx.run(number, state=RunState.DONE.value, ended=time.time())
    return tx


def outcome(run: int, task: int) -> Tx:
    """A task's end, with the moment it was made in its event."""
    tx = Tx()
    tx.task(run, task, state=TaskState.DONE.value, ended=time.time(), exit_status=0)
    data = {"from": "running", "to": "done", "exit": 0, "made": time.monotonic()}
    tx.event(events.TASK_STATE, run=run, step="deploy", server=f"server-{task}", attempt=1, data=data)
    return tx


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[LocalEngine, Path]]:
    """An engine of a new workspace, and the socket that it serves."""
    (folder / "servers").mkdir()
    (folder / "batches").mkdir()
    (folder / "workspace.yaml").write_text("name: bench\nformat: 1\n")
    engine = await open_engine(folder, actor="bench@here")
    path = folder / "bench.sock"
    try:
        async with serving(Served(engine, "0", lambda token: None, lambda drains: None), [bind(path)]):
            yield engine, path
    finally:
        await engine.close()


async def client(*words: str) -> asyncio.subprocess.Process:
    """A client process of this module."""
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.bench_api", "--client", *words, stdout=asyncio.subprocess.PIPE
    )


async def told(process: asyncio.subprocess.Process) -> list[float]:
    """What a client measured."""
    out, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"a client ended with status {process.returncode}")
    found: list[float] = json.loads(out.splitlines()[-1])
    return found


async def paced(count: int, rate: float) -> AsyncIterator[int]:
    """Counts at a steady rate, catching up after what held it up."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    for index in range(count):
        if (ahead_s := begun + index / rate - clock()) > 0:
            await asyncio.sleep(ahead_s)
        yield index


async def latency(folder: Path, count: int, rate: float) -> Figures:
    """Outcomes at a rate, followed by a client."""
    async with served(folder) as (engine, path):
        await engine.store.commit(new_run(1, count, ended=False))
        after = (await engine.workspace()).last_seq
        process = await client("follow", str(path), str(after), str(count))
        assert process.stdout is not None
        await process.stdout.readline()  # it follows now
        begun = time.monotonic()
        async for index in paced(count, rate):
            engine.store.post(outcome(1, index))
        times = await told(process)
        return Figures(times, count / (time.monotonic() - begun))


async def bare_stream(folder: Path, count: int, rate: float) -> Figures:
    """The same events as lines."""
    path, connected = folder / "bare.sock", asyncio.Event()
    writers: list[asyncio.StreamWriter] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        connected.set()

    server = await asyncio.start_unix_server(accept, str(path))
    async with server:
        process = await client("lines", str(path), "0", str(count))
        await connected.wait()
        begun = time.monotonic()
        async for index in paced(count, rate):
            data = {"from": "running", "to": "done", "exit": 0, "made": time.monotonic()}
            event = {
                "seq": index,
                "type": "task.state",
                "step": "deploy",
                "server": f"server-{index}",
                "data": data,
            }
            writers[0].write(json.dumps(event).encode() + b"\n")
        times = await told(process)
        writers[0].close()
        return Figures(times, count / (time.monotonic() - begun))


async def listing(folder: Path, runs: int) -> Figures:
    """The list of runs."""
    async with served(folder) as (engine, path):
        for number in range(1, runs + 1):
            engine.store.post(new_run(number, 1, ended=True))
        await engine.store.commit(Tx())
        times = await told(await client("get", str(path), "/v1/runs?limit=50", str(REQUESTS)))
    return Figures(times, 1000 * len(times) / sum(times))


async def bare_route(folder: Path, runs: int) -> Figures:
    """As many bytes as the list of runs has, ready made."""
    app = FastAPI()
    body = json.dumps(
        [{"number": number, "state": "done", "text": "x" * 460} for number in range(50)]
    ).encode()

    @app.get("/v1/runs")
    async def answer() -> Response:
        return Response(body, media_type="application/json")

    path = folder / "route.sock"
    server = uvicorn.Server(uvicorn.Config(app, uds=str(path), log_config=None, lifespan="off"))
    task = asyncio.ensure_future(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
        await asyncio.sleep(0.01)
    times = await told(await client("get", str(path), "/v1/runs?limit=50", str(REQUESTS)))
    server.should_exit = True
    await task
    return Figures(times, 1000 * len(times) / sum(times))


# ---------------------------------------------------------------- the clients


async def follow(path: str, after: int, count: int) -> list[float]:
    """Milliseconds from each outcome to here, by our own client."""
    engine = EngineClient.over_socket(Path(path), actor="bench")
    await engine.version()
    print("follows", flush=True)
    times: list[float] = []
    async for event in engine.follow(after):
        if event.type == events.TASK_STATE:
            times.append((time.monotonic() - event.data["made"]) * 1000)
            if len(times) == count:
                break
    return times  # the process ends with it, and its connection


async def lines(path: str, after: int, count: int) -> list[float]:
    """The same of a bare stream of lines."""
    reader, writer = await asyncio.open_unix_connection(path)
    times: list[float] = []
    while len(times) < count:
        event = json.loads(await reader.readline())
        times.append((time.monotonic() - event["data"]["made"]) * 1000)
    writer.close()
    return times


async def get(path: str, route: str, count: int) -> list[float]:
    """Milliseconds of each request on a kept connection."""
    engine = EngineClient.over_socket(Path(path), actor="bench")
    times: list[float] = []
    for index in range(WARM_UP + count):
        begun = time.perf_counter()
        answer = await engine._client.get(route)
        answer.raise_for_status()
        if index >= WARM_UP:
            times.append((time.perf_counter() - begun) * 1000)
    await engine.close()
    return times


def be_client(words: list[str]) -> None:
    """One of the client processes."""
    kind, path, third, count = words
    if kind == "get":
        found = asyncio.run(get(path, third, int(count)))
    else:
        found = asyncio.run((follow if kind == "follow" else lines)(path, int(third), int(count)))
    print(json.dumps(found), flush=True)


# ---------------------------------------------------------------- all of it


def run_in(parent: Path, work: Callable[[Path], Coroutine[Any, Any, Figures]]) -> Figures:
    """One variant in a folder of its own."""
    with measure.folder(parent, "bench-api-") as folder, asyncio.Runner(loop_factory=UptimeLoop) as runner:
        return runner.run(work(folder))


def main() -> None:
    """Runs everything and prints the table."""
    if sys.argv[1:2] == ["--client"]:
        be_client(sys.argv[2:])
        return
    parser = measure.arguments("What the REST API costs.")
    parser.add_argument("--events", type=int, default=5000, help="how many outcomes")
    parser.add_argument("--rate", type=float, default=1000.0, help="outcomes a second")
    parser.add_argument("--runs", type=int, default=10_000, help="how many runs are stored")
    options = parser.parse_args()
    measure.end_on_signals()
    works: dict[str, Callable[[Path], Coroutine[Any, Any, Figures]]] = {
        "outcome to client": partial(latency, count=options.events, rate=options.rate),
        "bare stream": partial(bare_stream, count=options.events, rate=options.rate),
        "list of runs": partial(listing, runs=options.runs),
        "bare route": partial(bare_route, runs=options.runs),
    }
    found = measure.in_turn(
        {name: partial(run_in, options.folder, work) for name, work in works.items()}, options.rounds
    )
    results = {
        name: measure.median_by(each, lambda figures: measure.percentile(figures.times_ms, 0.5))
        for name, each in found.items()
    }
    document, rows = {}, []
    for name, figures in results.items():
        p50, p99 = (measure.percentile(figures.times_ms, share) for share in (0.5, 0.99))
        peer = results.get(PEERS.get(name, ""))
        ratio = p50 / measure.percentile(peer.times_ms, 0.5) if peer is not None else None
        document[name] = {"p50_ms": p50, "p99_ms": p99, "per_s": figures.per_s, "ratio": ratio}
        beside = f"{ratio:.1f} × {PEERS[name]}" if ratio is not None else ""
        rows.append((name, f"{p50:.2f}", f"{p99:.2f}", f"{figures.per_s:.0f}", beside))
    measure.show(
        ("", "p50 ms", "p99 ms", "a second", "p50 beside"),
        rows,
        {
            "benchmark": "api",
            "events": options.events,
            "rate": options.rate,
            "runs": options.runs,
            "variants": document,
        },
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
