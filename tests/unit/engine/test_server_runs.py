"""What an engine tells of a server over all runs."""

from __future__ import annotations

import contextlib
import sqlite3
import time

from core.engine.executor import Ended
from core.model.ids import TaskKey
from core.model.states import RunState, TaskState
from core.store.reader import StoreReader
from core.store.serverpast import contacts
from tests.support.lab import Lab
from tests.support.memory import Reply

BOTH = """
    strategy: {on_failure: continue}
    steps:
      one: {run: x}
      two: {run: y}
      three: {run: z}
"""
ONE = """
    steps:
      only: {on: "name:a", run: x}
"""


async def test_the_newest_come_first_with_the_task_that_tells_most(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(1)) if (ref.step, ref.server) == ("two", "a") else None
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(BOTH))
        await lab.run(engine, lab.batch(ONE, name="single"))
        newest, first = await engine.server_runs("a")
        assert (newest.run, newest.batch, newest.state) == (2, "single", RunState.DONE)
        assert newest.task == TaskKey("only", "a") and newest.counts == {TaskState.DONE: 1}
        assert (first.run, first.state) == (1, RunState.FAILED)
        assert first.task == TaskKey("two", "a") and first.task_state is TaskState.FAILED
        assert sum(first.counts.values()) == 3 and not first.interrupted
        assert [each.run for each in await engine.server_runs("b")] == [1]
        assert [each.run for each in await engine.server_runs("a", limit=1)] == [2]
        assert list(await engine.server_runs("nobody")) == []


async def test_what_is_known_of_reaching_a_server(lab: Lab) -> None:
    lab.memory.unreachable = {"b"}
    batch = "strategy: {max_failures: 1}\nsteps: {one: {run: x}}"
    async with lab.engine() as engine:
        before = {server.name: server for server in await engine.servers()}
        assert before["a"].reached is None and before["b"].reached is None
        assert not before["a"].unreachable and not before["b"].unreachable
        began = time.time()
        await lab.run(engine, lab.batch(batch))
        after = {server.name: server for server in await engine.servers()}
        assert after["a"].reached is not None and after["a"].reached >= began
        assert not after["a"].unreachable
        assert after["b"].reached is None
        assert after["b"].unreachable == (await lab.task(engine, "one@b")).why != ""
        lab.memory.unreachable = set()
        await lab.run(engine, "work")
        again = {server.name: server for server in await engine.servers()}
        assert again["b"].reached is not None and not again["b"].unreachable


async def test_providers_are_told_by_their_files(lab: Lab) -> None:
    async with lab.engine() as engine:
        (only,) = await engine.providers()
        assert (only.kind, only.file, only.line, only.starts_servers) == (
            "static",
            "servers/static.yaml",
            1,
            False,
        )
        assert (only.servers, only.states, only.why, only.faults) == (2, {"unknown": 2}, "", ())
        assert 0 < only.listed <= time.time() and only.took_s >= 0
        servers = lab.path / "servers"
        (servers / "broken.yaml").write_text("provider: local\nservers: {x: {adress: 1}}\n")
        (servers / "none.yaml").write_text("provider: satic\n")
        (servers / "sick.yaml").write_text("\nprovider: static\nssh_config: {file: ./, hosts: ['*']}\n")
        (servers / "twice.yaml").write_text("provider: static\nservers: {c: 127.0.0.1, a: 127.0.0.1}\n")
        assert [each.file for each in await engine.providers()] == ["servers/static.yaml"], "as it was read"
        told = {each.file.removeprefix("servers/"): each for each in await engine.providers(refresh=True)}
        assert sorted(told) == ["broken.yaml", "none.yaml", "sick.yaml", "static.yaml", "twice.yaml"]
        assert told["broken.yaml"].kind == "local" and told["broken.yaml"].listed == 0
        assert "adress" in told["broken.yaml"].faults[0].message
        assert told["none.yaml"].kind == "" and "did you mean 'static'" in told["none.yaml"].faults[0].message
        assert told["sick.yaml"].line == 2 and "cannot be read" in told["sick.yaml"].why
        assert told["static.yaml"].servers == 2 and not told["static.yaml"].faults
        assert "'a' is there already: servers/static.yaml:3" in told["twice.yaml"].faults[0].message


async def test_thousands_of_servers_in_one_run_are_looked_up_one_by_one(own_lab: Lab) -> None:
    """Going through all tasks of the run for each server took seconds."""
    names = [f"web-{number}" for number in range(4000)]
    async with own_lab.engine() as engine:
        await own_lab.run(engine, own_lab.batch("steps: {one: {run: x}}"))
    database = own_lab.path / ".windlass" / "state.db"
    with contextlib.closing(sqlite3.connect(database)) as store:
        rows = [(1, 10 + index, "one", name, "unreachable", 1, 9e9) for index, name in enumerate(names)]
        fields = "run, idx, step, server, state, attempts, ended"
        store.executemany(f"INSERT INTO tasks ({fields}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        store.commit()
    reader = await StoreReader.open(database)
    try:
        began = time.perf_counter()
        found = await contacts(reader, names)
        assert time.perf_counter() - began < 0.7  # some 10 ms; it was over 1 s
    finally:
        await reader.close()
    assert found["web-7"] == (None, "unreachable") and len(found) == len(names)
