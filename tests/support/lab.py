"""A small workspace for tests, with servers of the `static` provider and an executor in memory."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from core.engine.api import Engine, PlanRequest, RunRequest
from core.engine.open import open_engine
from core.model.ids import TaskKey
from core.model.states import TaskState
from core.model.views import RunInfo, TaskInfo
from daemon.client import EngineClient
from tests.support.memory import MemoryServers

ACTOR = "tester@here"


class Lab:
    """A workspace folder, its servers in memory, and short ways to run batches on them."""

    def __init__(
        self, path: Path, servers: Sequence[str] = ("a", "b"), labels: str = "", *, served: bool = False
    ) -> None:
        self.path = path
        self.served = served
        self.memory = MemoryServers()
        (path / "servers").mkdir(parents=True)
        (path / "batches").mkdir()
        (path / "workspace.yaml").write_text("name: lab\nformat: 1\n")
        entries = "".join(
            f"  {name}: {{address: 127.0.0.1, groups: [{'even' if index % 2 else 'odd'}]}}\n"
            for index, name in enumerate(servers)
        )
        (path / "servers" / "static.yaml").write_text(f"provider: static\nservers:\n{entries}")

    def batch(self, text: str, name: str = "work") -> str:
        """Writes a batch and returns its name."""
        (self.path / "batches" / f"{name}.yaml").write_text(textwrap.dedent(text))
        return name

    @asynccontextmanager
    async def engine(self) -> AsyncIterator[Engine]:
        """The workspace's engine, ended at once at the end."""
        engine = await open_engine(self.path, actor=ACTOR, executor_factory=self.memory.executor)
        try:
            if self.served:
                async with client_of(engine) as client:
                    yield client
            else:
                yield engine
        finally:
            await engine.close()

    async def run(self, engine: Engine, batch: str, **params: object) -> RunInfo:
        """Starts a batch and waits until the engine has nothing more to do for it."""
        run = await engine.start(RunRequest(PlanRequest(batch, params), ACTOR))
        return await engine.wait(run.number)

    async def states(self, engine: Engine, run: int = 1) -> dict[str, str]:
        """Every task's state by its name."""
        return {str(task.key): task.state.value for task in await engine.tasks(run, limit=100_000)}

    async def task(self, engine: Engine, name: str, run: int = 1) -> TaskInfo:
        """One task by its name, `step@server`."""
        step, _, server = name.partition("@")
        return await engine.task(run, TaskKey(step, server))


@asynccontextmanager
async def client_of(engine: Engine, role: str = "admin") -> AsyncIterator[EngineClient]:
    """A client of the engine, over TCP, with a token of that role."""
    from daemon.access import Caller, Role
    from daemon.context import Served
    from daemon.server import serving
    from daemon.sockets import Address, bind_tcp

    def authenticate(token: str) -> Caller | None:
        return Caller(ACTOR, Role(role)) if token == "the-token" else None

    listening = bind_tcp(Address("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    async with serving(Served(engine, "0", authenticate, lambda drains: None), [listening]):
        client = EngineClient.over_tcp(url, token="the-token", give_up_after_s=1.0)
        try:
            yield client
        finally:
            await client.close()


async def until(engine: Engine, run: int, name: str, state: TaskState) -> None:
    """Returns when a task has come to a state, as the event log tells it."""
    step, _, server = name.partition("@")
    async for event in engine.follow(0, run=run):
        if (event.step, event.server) == (step, server) and event.data.get("to") == state.value:
            return
