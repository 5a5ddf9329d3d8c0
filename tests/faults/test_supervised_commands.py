"""Rows 2, 3, 25, 29 and 52 for commands under the supervisor, asked as the next engine asks: by record alone.

Effects are lines that commands append to a file on the server, so that a command that ran twice shows.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.engine.executor import Command, Ended, InDoubt, NotStarted, Unreachable
from core.model.ids import new_run_id
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import PATIENCE_S, Lab, Recorder, eventually, laboratory, new_ref
from tests.e2e.ssh.records import Record, attach, record_in_flight, record_of
from tests.support.hosts import KINDS, Host, running_host
from tests.support.sshd import alive
from tests.support.wire import Wire


@pytest.fixture(scope="module", params=KINDS)
def host(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A server of each kind."""
    with running_host(request.param, tmp_path_factory.mktemp(request.param)) as made:
        yield made


@pytest.fixture
async def wire(host: Host) -> AsyncIterator[Wire]:
    """The way to the server."""
    async with Wire.to(host.server.ssh.port) as made:
        yield made


@pytest.fixture
async def lab(host: Host, wire: Wire) -> AsyncIterator[Lab]:
    """An executor that reaches the server over the wire."""
    async with laboratory(wire.server(host.server), host.settings, run_id=new_run_id()) as made:
        yield made


@pytest.fixture
async def next_engine(host: Host) -> AsyncIterator[Lab]:
    """Another executor, over a way of its own."""
    async with laboratory(host.server, host.settings, run_id=new_run_id()) as made:
        yield made


async def asked_until_known(lab: Lab, record: Record, ref: object, recorder: Recorder) -> object:
    """What the record says, once the server can be asked."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                answer = await attach(lab, ref, record, recorder)  # type: ignore[arg-type]
            except Unreachable:
                continue
            if not isinstance(answer, InDoubt) or not answer.lost:
                return answer


async def test_f02_what_was_never_handed_over_is_voided_and_a_new_attempt_runs(
    lab: Lab, next_engine: Lab, tmp_path: Path
) -> None:
    effect, old, new = tmp_path / "effect", new_ref(), new_ref()
    record = await record_of(lab, old)  # the intent is durable, and then the engine is gone
    answer = await attach(next_engine, old, record)
    assert isinstance(answer, NotStarted) and "never will" in answer.why
    command = Command(f"echo ran >>{effect}; exit 3")
    assert await lab.executor.start(lab.server, new, command, Recorder(), record.trace) == Ended(3)
    late = await lab.executor.start(lab.server, old, command, Recorder(), record.trace)
    assert isinstance(late, NotStarted)
    assert effect.read_text() == "ran\n"


async def test_f03_an_end_that_nobody_heard_of_is_found_with_all_its_output(
    lab: Lab, next_engine: Lab, wire: Wire, tmp_path: Path
) -> None:
    effect = tmp_path / "effect"
    flying = await lab.begin(f"echo once >>{effect}; sleep 0.3; seq 5000; echo err >&2; exit 7")
    record = await record_in_flight(lab, flying)
    wire.cut()
    wire.refuse()
    await record.ended()
    recorder = Recorder()
    assert await attach(next_engine, flying.ref, record, recorder) == Ended(7)
    assert recorder.out == b"ready\n" + b"".join(b"%d\n" % number for number in range(1, 5001))
    assert recorder.err == b"err\n"
    assert effect.read_text() == "once\n"
    wire.accept()


async def test_f25_a_connection_lost_in_mid_command_is_made_again_and_the_status_fetched(
    lab: Lab, wire: Wire, tmp_path: Path
) -> None:
    effect, go = tmp_path / "effect", tmp_path / "go"
    flying = await lab.begin(
        f"echo once >>{effect}; echo before; until [ -e {go} ]; do sleep 0.02; done; echo after; exit 9"
    )
    await flying.recorder.until(b"before\n")
    record = await record_in_flight(lab, flying)
    wire.cut()
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and answer.lost, "the server could not be asked"
    assert alive(record.pid)
    following = asyncio.ensure_future(asked_until_known(lab, record, flying.ref, flying.recorder))
    go.touch()
    assert await following == Ended(9)
    assert flying.recorder.out == b"ready\nbefore\nafter\n"
    assert effect.read_text() == "once\n"


async def test_f25_cut_at_any_moment_a_command_runs_once_or_certainly_never(
    lab: Lab, wire: Wire, tmp_path: Path
) -> None:
    """Around the hand-over too: what is said to have never run has no effect, and what ran is found."""
    effect = tmp_path / "effect"
    ran, never = [], []
    for number in range(24):
        try:
            await lab.executor.open(lab.server)
            ref = new_ref()
            record = await record_of(lab, ref)
        except Unreachable:
            continue
        recorder = Recorder()
        starting = asyncio.ensure_future(
            lab.executor.start(
                lab.server,
                ref,
                Command(f"echo {number} >>{effect}; sleep 0.02; echo {number}"),
                recorder,
                record.trace,
            )
        )
        await asyncio.sleep(number * 0.002)
        wire.cut()
        answer: object = await starting
        if isinstance(answer, InDoubt):
            answer = await asked_until_known(lab, record, ref, recorder)
        if isinstance(answer, NotStarted):
            never.append(number)
        else:
            assert answer == Ended(0)
            assert recorder.out == b"%d\n" % number
            ran.append(number)
    effects = [int(line) for line in effect.read_text().split()] if effect.exists() else []
    assert effects == ran
    assert not set(effects) & set(never)
    assert len(ran) + len(never) >= 12


async def test_f29_a_server_that_was_rebooted_is_in_doubt_and_its_old_claims_prove_nothing(
    lab: Lab, next_engine: Lab, wire: Wire
) -> None:
    flying = await lab.begin("sleep 300")
    record = await record_in_flight(lab, flying)
    pid, boot_id = record.pid, record.words[4]
    wire.cut()
    wire.refuse()
    answer = await flying.answer
    assert isinstance(answer, InDoubt) and answer.lost, "gone, and nobody knows for how long"
    with pytest.raises(Unreachable):
        await attach(lab, flying.ref, record)
    # It comes back with another boot id: what it had started is interrupted, and nothing of it runs.
    record.falsify(4, "0" * 36)
    answer = await attach(next_engine, flying.ref, record)
    assert isinstance(answer, InDoubt) and "rebooted" in answer.evidence and answer.over
    # What has no claim may have lost it: it is not voided, and not run again.
    other = replace(record, trace=replace(record.trace, boot_id="0" * 36), name="r" + "0" * 24)
    ref = new_ref()
    answer = await attach(next_engine, ref, other)
    assert isinstance(answer, InDoubt) and "rebooted" in answer.evidence and not answer.over
    record.falsify(4, boot_id)
    wire.accept()
    os.killpg(pid, signal.SIGKILL)


async def test_f52_start_bytes_that_arrive_after_the_void_do_nothing(
    lab: Lab, next_engine: Lab, wire: Wire, tmp_path: Path
) -> None:
    """They were on their way while the connection stood still; the next engine was faster."""
    effect, ref = tmp_path / "effect", new_ref()
    record = await record_of(lab, ref)
    wire.freeze()
    starting = asyncio.ensure_future(
        lab.executor.start(lab.server, ref, Command(f"echo ran >>{effect}"), Recorder(), record.trace)
    )
    await eventually(
        lambda: ref in lab.executor._ledger and lab.executor._ledger[ref].handed_over, "its bytes are sent"
    )
    assert isinstance(await attach(next_engine, ref, record), NotStarted)
    wire.thaw()
    answer = await starting
    assert isinstance(answer, NotStarted) and "voided" in answer.why
    assert (await lab.run("true"))[0] == Ended(0)
    assert not effect.exists()
    assert record.there() == {"c"}


async def test_f54_what_a_command_left_on_the_server_goes_when_its_outcome_is_durable(host: Host) -> None:
    async with laboratory(host.server, SshSettings(shell=host.settings.shell), run_id=new_run_id()) as lab:
        folder = Path((await lab.trace()).folder)
        for _ in range(60):
            ref = new_ref()
            await lab.start(Command("seq 2000"), Recorder(), ref)
            await lab.executor.forget(lab.server, ref)
        await eventually(lambda: len(list(folder.glob("*.o"))) <= 24, "outputs go in batches")
        claims = list(folder.glob("*.c"))
        assert len(claims) == 60 and sum(path.stat().st_size for path in claims) < 60 * 10
        await lab.executor.close(over=True)
        await eventually(lambda: not folder.exists(), "the folder goes with the run")
