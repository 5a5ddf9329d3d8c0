"""The engine in the background, as processes: it outlives who started it, is refused twice, ends as it is asked."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from cli.version import __version__
from core.engine.api import PlanRequest, RunRequest
from core.engine.lease import read_owner
from core.errors import WorkspaceOwned
from core.model.events import Event
from core.model.states import RunState, TaskState
from core.model.views import OwnerInfo
from daemon.on_demand import OnDemandEngine
from tests.support.painted import Painted
from tests.support.program import REPOSITORY, WAIT_S, Program, json_lines

pytestmark = pytest.mark.xdist_group("background")

MARKED = 'echo "{{ server.name }}" >> ran-{{ step.name }}'
SLOW = f"""
steps:
  one: {{run: '{MARKED}; sleep 2'}}
  two: {{run: '{MARKED}; sleep 2'}}
  three: {{run: '{MARKED}'}}
"""


def owner_of(program: Program) -> OwnerInfo | None:
    return read_owner(program.path / ".windlass")


def gone(pid: int) -> None:
    """Waits until a process is gone; a zombie that waits for its parent counts."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return
        if state == "Z":
            return
        time.sleep(0.05)
    raise AssertionError(f"{pid} does not end")


def free(program: Program) -> None:
    """Waits until nobody owns the workspace: a killed process lets go when the last of its threads is gone."""
    until = time.monotonic() + WAIT_S
    while owner_of(program) is not None:
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """A workspace whose servers run; whoever owns it at the end is ended."""
    program = Program(tmp_path_factory.mktemp("background") / "lab", servers=("a", "b"))
    program.batch(SLOW)
    program.call("servers", "start")
    try:
        yield program
    finally:
        end(program)
        program.call("servers", "stop")


@pytest.fixture
def program(running: Program) -> Iterator[Program]:
    """The same, without an engine and without what earlier runs left."""
    end(running)  # one that was being started when the test before ended
    for server in running.servers:
        for file in running.home(server).glob("ran-*"):
            file.unlink()
    yield running
    end(running)


def end(program: Program) -> None:
    owner = owner_of(program)
    if owner is not None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(owner.pid, signal.SIGKILL)
        gone(owner.pid)
        free(program)


def newest(program: Program) -> int:
    found = json_lines(program.call("runs", "list", "--json").stdout)
    return int(found[0]["run"]) if found else 0


def test_it_starts_once_serves_privately_and_stops(program: Program) -> None:
    begun = time.monotonic()
    assert "the engine runs" in program.call("engine", "start").stderr
    assert time.monotonic() - begun < 60
    owner = owner_of(program)
    assert owner is not None and owner.background
    assert os.getsid(owner.pid) == owner.pid, "it has a session of its own"
    assert os.readlink(f"/proc/{owner.pid}/fd/0") == "/dev/null"
    path = Path(owner.socket)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    log = program.path / ".windlass" / "logs" / "engine.log"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert "it runs already" in program.call("engine", "start").stderr
    refused = program.call("engine", "start", "--foreground", status=3)
    assert f"pid {owner.pid}" in refused.stderr
    status = program.call("engine", "status").stdout
    assert "background:  yes" in status
    told = json.loads(program.call("engine", "status", "--json").stdout)
    assert (told["background"], told["socket"]) == (True, owner.socket)
    assert "owns" in program.call("engine", "logs").stdout
    assert "it ended after" in program.call("engine", "stop").stderr
    assert owner_of(program) is None
    assert not path.exists()
    assert "no engine owns" in program.call("engine", "stop").stderr


def test_what_it_cannot_open_is_told_by_whoever_starts_it(tmp_path: Path) -> None:
    program = Program(tmp_path / "lab")
    (program.path / "workspace.yaml").write_text("name: lab\nformat: 99\n")
    done = program.call("engine", "start", status=2)
    assert "newer" in done.stderr and "Traceback" not in done.stderr


def test_a_detached_run_outlives_the_command_and_is_attached_to(program: Program) -> None:
    started = program.call("run", "work", "--detach")
    number = int(started.stdout)
    assert f"windlass -w {program.path} attach {number}" in started.stderr
    attached = json_lines(program.call("attach", str(number), "--json", "--after", "0").stdout)
    assert attached[-1]["type"] == "result" and attached[-1]["state"] == "done"
    seqs = [one["seq"] for one in attached[:-1]]
    assert seqs == sorted(set(seqs)), "no gap is made and nothing told twice"
    stored = program.events(number)
    assert len(seqs) == len(stored)
    for server in program.servers:
        for step in ("one", "two", "three"):
            assert program.lines(server, f"ran-{step}") == [server]


def test_other_commands_act_through_it(program: Program) -> None:
    program.batch(SLOW.replace("sleep 2", "sleep 4", 1), "slow")
    number = int(program.call("run", "slow", "--detach").stdout)
    program.until("one@a", TaskState.RUNNING, number)
    program.call("runs", "pause", str(number), status=4)
    program.call("runs", "resume", str(number))
    events = program.events(number)
    assert [one["to"] for one in events if one["type"] == "run.state"][-1] == "done"
    assert all(program.lines(server, "ran-three") == [server] for server in program.servers)
    owner = owner_of(program)
    assert owner is not None and owner.background, "nobody else came to own the workspace"


def test_a_command_that_follows_is_stopped_and_the_run_goes_on(program: Program) -> None:
    program.call("engine", "start")
    number = newest(program) + 1
    with program.process("run", "work") as process:
        program.until("one@a", TaskState.RUNNING, number)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=WAIT_S)
    assert process.returncode == 130, told
    assert "goes on in the background engine" in told and "runs cancel" in told
    program.call("runs", "wait", str(number))
    assert all(program.lines(server, "ran-three") == [server] for server in program.servers)


def test_a_killed_engine_is_followed_by_the_next_and_nothing_runs_twice(program: Program) -> None:
    number = int(program.call("run", "work", "--detach").stdout)
    program.until("one@a", TaskState.RUNNING, number)
    owner = owner_of(program)
    assert owner is not None
    os.kill(owner.pid, signal.SIGKILL)
    gone(owner.pid)
    free(program)
    assert json_lines(program.call("runs", "list", "--json").stdout)[0]["interrupted"]
    program.call("engine", "start")
    program.call("runs", "resume", str(number))
    for server in program.servers:
        for step in ("one", "two", "three"):
            assert program.lines(server, f"ran-{step}") == [server]


def killed_in_flight(program: Program, *options: str) -> int:
    """Starts a run in an engine that is killed while the first step is in flight; returns its number."""
    program.call("engine", "start")
    number = int(program.call("run", "work", "--detach", *options).stdout)
    until = time.monotonic() + WAIT_S
    while any(not program.lines(server, "ran-one") for server in program.servers):
        assert time.monotonic() < until
        time.sleep(0.01)
    end(program)
    return number


def shows_state(program: Program, number: int, state: str) -> dict[str, Any]:
    """Waits until a run is in a state; returns how `runs list` tells of it."""
    until = time.monotonic() + WAIT_S
    while True:
        (found,) = (
            one for one in json_lines(program.call("runs", "list", "--json").stdout) if one["run"] == number
        )
        if found["state"] == state:
            return found
        assert time.monotonic() < until, found
        time.sleep(0.1)


@pytest.mark.long
def test_the_next_engine_records_what_was_in_flight_and_starts_nothing(program: Program) -> None:
    number = killed_in_flight(program)
    program.call("engine", "start")
    found = shows_state(program, number, "paused")
    assert "resume it to go on" in found["why"]
    states = program.states(number)
    assert [states[f"one@{server}"] for server in program.servers] == ["done", "done"]
    assert [states[f"two@{server}"] for server in program.servers] == ["waiting", "waiting"]
    assert all(not program.lines(server, "ran-two") for server in program.servers)
    log = program.call("engine", "logs").stdout
    assert f"run {number}, which an ended engine left, waits to be resumed (app.engine.resume: manual)" in log
    program.call("runs", "resume", str(number))
    assert ran_once(program)


@pytest.mark.parametrize(
    ("environment", "setting", "why_not"),
    [
        ("dev", "resume: auto", ""),
        pytest.param(
            "dev",
            "{resume: auto, resume_max_age: 0}",
            "app.engine.resume_max_age is 0 s",
            marks=pytest.mark.long,
        ),
        pytest.param("prod", "resume: auto", "never by itself in production", marks=pytest.mark.long),
    ],
    ids=["in time", "too late", "in production"],
)
def test_with_auto_the_next_engine_goes_on_by_itself_in_time_and_never_in_production(
    program: Program, environment: str, setting: str, why_not: str
) -> None:
    config = program.path / "config"
    config.mkdir()
    setting = setting if setting.startswith("{") else "{" + setting + "}"
    (config / "base.yaml").write_text(f"app: {{engine: {setting}}}\n")
    workspace = program.path / "workspace.yaml"
    before = workspace.read_text()
    workspace.write_text(before + "environments: {dev: , prod: {protection: production}}\n")
    try:
        number = killed_in_flight(program, "--environment", environment, "--confirm", "lab/prod")
        program.call("engine", "start")
        shows_state(program, number, "paused" if why_not else "done")
        log = program.call("engine", "logs").stdout
        if not why_not:
            assert f"run {number}, which an ended engine left, goes on by itself" in log
            assert ran_once(program)
        else:
            assert f"run {number}, which an ended engine left, waits to be resumed" in log
            assert why_not in log
            assert all(not program.lines(server, "ran-two") for server in program.servers)
            program.call("runs", "cancel", str(number), status=1)
    finally:
        end(program)
        workspace.write_text(before)
        (config / "base.yaml").unlink()
        config.rmdir()


def test_a_signal_drains_and_the_run_is_resumed(program: Program) -> None:
    number = int(program.call("run", "work", "--detach").stdout)
    program.until("one@a", TaskState.RUNNING, number)
    owner = owner_of(program)
    assert owner is not None
    os.kill(owner.pid, signal.SIGTERM)
    gone(owner.pid)
    states = program.states(number)
    assert states["one@a"] == "done", "what was in flight has ended"
    assert states["three@a"] == "waiting"
    program.call("runs", "resume", str(number))
    assert all(program.lines(server, "ran-one") == [server] for server in program.servers)


def test_it_ends_when_it_has_nothing_to_do(program: Program) -> None:
    program.call("engine", "start", "--idle", "1")
    owner = owner_of(program)
    assert owner is not None
    gone(owner.pid)
    free(program)
    assert "nothing to do for 1 s" in program.call("engine", "logs").stdout


def test_a_deep_workspace_has_its_socket_elsewhere(tmp_path: Path) -> None:
    program = Program(tmp_path / ("deep" * 20) / "lab", servers=())
    program.call("engine", "start")
    try:
        owner = owner_of(program)
        assert owner is not None
        path = Path(owner.socket)
        assert not path.is_relative_to(program.path) and len(os.fsencode(path)) <= 107
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        program.call("engine", "stop")
        assert not path.parent.exists()
    finally:
        end(program)


def test_a_token_lets_a_colleague_in_over_tcp_and_the_log_says_who(program: Program) -> None:
    made = json.loads(program.call("token", "create", "ci", "--role", "operator", "--json").stdout)["token"]
    looks = program.call("token", "create", "screen", "--expires", "1h").stdout.strip()
    assert "ci" in program.call("token", "list").stdout and made not in program.call("token", "list").stdout
    address = free_address()
    program.call("engine", "start", "--listen", address)
    with httpx.Client(base_url=f"http://{address}/v1", trust_env=False, timeout=WAIT_S) as client:
        client.headers["authorization"] = f"Bearer {looks}"
        request = {"plan": {"batch": "work"}, "actor": "somebody else"}
        assert client.post("/runs", json=request).status_code == 403
        client.headers["authorization"] = f"Bearer {made}"
        started = client.post("/runs", json=request)
        assert started.status_code == 201, started.text
        number = started.json()["number"]
        while not client.get(f"/runs/{number}/wait").json()["over"]:
            pass
        assert client.get(f"/runs/{number}").json()["state"] == "done"
        program.call("token", "revoke", "ci")
        assert client.get(f"/runs/{number}").status_code == 401
    assert f"{number}" in program.call("runs", "list").stdout
    (listed, *_) = json_lines(program.call("runs", "list", "--json").stdout)
    assert listed["actor"] == "token ci"


def free_address() -> str:
    with socket.socket() as free_port:
        free_port.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free_port.getsockname()[1]}"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "windlass test")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = folder / "cert.pem", folder / "key.pem"
    files[0].write_bytes(made.public_bytes(Encoding.PEM))
    files[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


def test_a_colleague_attaches_over_tls_with_a_token_from_a_private_file(
    program: Program, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.touch(0o600)
    file.write_text(program.call("token", "create", "colleague").stdout)
    cert, key = certificate(tmp_path)
    address = free_address()
    refused = program.call("engine", "start", "--listen", address, "--tls", str(key), str(cert), status=2)
    assert "cannot be used for TLS" in refused.stderr
    program.call("engine", "start", "--listen", address, "--tls", str(cert), str(key))
    number = int(program.call("run", "work", "--detach").stdout)

    def attach(url: str, *options: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """From outside of any workspace."""
        done = subprocess.run(
            [sys.executable, "-m", "cli", "attach", "--url", url, *options, str(number)],
            cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=WAIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == status, done.stderr
        return done

    mine = ("--token-file", str(file), "--ca", str(cert))
    told = attach(f"https://{address}", *mine, "--json")
    events = json_lines(told.stdout)
    assert [one["state"] for one in events if one["type"] == "result"] == ["done"]
    stored = [(one["type"], one["step"], one["server"]) for one in program.events(number)]
    assert [(one["event"], one["step"], one["server"]) for one in events if one["type"] == "event"] == stored
    assert "does not answer" in attach(f"https://{address}", "--token-file", str(file), status=6).stderr
    file.chmod(0o644)
    assert "may be read by others" in attach(f"https://{address}", *mine, status=2).stderr
    file.chmod(0o600)
    file.write_text("no-such-token")
    assert "not known here" in attach(f"https://{address}", *mine, status=2).stderr
    assert "in clear" in attach("http://10.0.0.1:80", *mine, status=2).stderr
    assert "is no address of an engine" in attach("http://[::1", *mine, status=2).stderr
    assert "is no address of an engine" in attach("https://me:pw@127.0.0.1", *mine, status=2).stderr


# ---------------------------------------------------------------- the interface


async def test_looking_starts_nothing_and_the_first_change_starts_the_engine(program: Program) -> None:
    looking = await OnDemandEngine.open(program.path, actor="me", version=__version__)
    try:
        await looking.servers()
        assert (await looking.plan(PlanRequest("work"))).tasks == 6
        info = await looking.workspace()
        assert (info.owned, info.owner, owner_of(program)) == (True, None, None)

        started = await looking.start(RunRequest(PlanRequest("work"), "me"))
        owner = owner_of(program)
        assert owner is not None and owner.background and owner.pid != os.getpid()
        assert [event.run async for event in _first(looking, started.number)] == [started.number]
        assert (await looking.wait(started.number)).state is RunState.DONE

        os.kill(owner.pid, signal.SIGKILL)  # it is started again where it is needed
        gone(owner.pid)
        free(program)
        again = await looking.start(RunRequest(PlanRequest("work"), "me"))
        assert again.number == started.number + 1
        assert (await looking.wait(again.number)).state is RunState.DONE
    finally:
        await looking.close()
    assert owner_of(program) is not None, "leaving ends no engine"


async def _first(engine: OnDemandEngine, run: int) -> AsyncIterator[Event]:
    async for event in engine.follow(0, run=run):
        yield event
        return


async def test_the_engine_of_another_terminal_is_watched_only(program: Program) -> None:
    with running_in_foreground(program):
        looking = await OnDemandEngine.open(program.path, actor="me", version=__version__)
        try:
            info = await looking.workspace()
            assert not info.owned and info.owner is not None
            with pytest.raises(WorkspaceOwned):
                await looking.start(RunRequest(PlanRequest("work"), "me"))
        finally:
            await looking.close()


@contextlib.contextmanager
def running_in_foreground(program: Program) -> Iterator[None]:
    """A `windlass run` that owns the workspace while it lasts."""
    process = subprocess.Popen(
        program.command("run", "work", "--yes"), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd=REPOSITORY,
    )  # fmt: skip
    try:
        until = time.monotonic() + WAIT_S
        while (owner := owner_of(program)) is None or owner.pid != process.pid:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.01)
        yield
    finally:
        process.wait(WAIT_S)


@contextlib.contextmanager
def in_a_terminal(
    program: Program, *words: str
) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[str], None], int]]:
    """A command in a terminal of its own: the process, a reader up to a text that was written or is on the screen, and
    the terminal's other side.
    """
    master, slave = pty.openpty()
    process = subprocess.Popen(
        program.command(*words),
        cwd=REPOSITORY,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        env={**os.environ, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "COLUMNS": "120", "LINES": "40"},
    )
    os.close(slave)
    seen, screen = b"", Painted()

    def shows(text: str) -> None:
        nonlocal seen
        until = time.monotonic() + WAIT_S
        while text.encode() not in seen and not screen.shows(text):
            assert time.monotonic() < until, f"{seen[-2000:]!r}\n{screen}"
            if select.select([master], [], [], 0.2)[0]:
                data = os.read(master, 65536)
                seen += data
                screen.take(data)
        seen = seen.partition(text.encode())[2]  # what is asked for next comes behind it

    try:
        yield process, shows, master
    finally:
        process.kill()
        process.wait(WAIT_S)
        with contextlib.suppress(OSError):
            os.close(master)


def ran_once(program: Program) -> bool:
    """Whether each server did each step exactly once."""
    return all(
        program.lines(server, f"ran-{step}") == [server]
        for server in program.servers
        for step in ("one", "two", "three")
    )


@pytest.mark.parametrize(
    "how",
    [
        "Ctrl-C",
        pytest.param("hung up", marks=pytest.mark.long),
        pytest.param("killed", marks=pytest.mark.long),
    ],
)
def test_on_a_terminal_a_run_goes_on_without_the_command_that_started_it(program: Program, how: str) -> None:
    before = newest(program)
    with in_a_terminal(program, "run", "work", "--yes") as (process, shows, master):
        shows("running")
        owner = owner_of(program)
        assert owner is not None and owner.background and owner.pid != process.pid
        if how == "Ctrl-C":
            os.write(master, b"\x03")
            shows("goes on in the background engine")
            shows("runs cancel")
        elif how == "hung up":
            os.close(master)
        else:
            process.kill()
        status = process.wait(WAIT_S)
        assert how != "Ctrl-C" or status == 130
    assert program.call("runs", "wait", str(before + 1)).returncode == 0
    assert ran_once(program)


def test_with_foreground_the_command_is_the_engine_and_is_refused_beside_one(program: Program) -> None:
    with in_a_terminal(program, "run", "work", "--yes", "--foreground") as (process, shows, master):
        shows("running")
        owner = owner_of(program)
        assert owner is not None and not owner.background and owner.pid == process.pid
        os.write(master, b"\x03")
        shows("Carry on with")
        assert process.wait(WAIT_S) == 130
    program.call("engine", "start")
    refused = program.call("runs", "resume", "--foreground", status=3)
    assert "an engine in the background owns this workspace" in refused.stderr
    program.call("runs", "resume")
    assert ran_once(program)


def test_a_plan_that_is_refused_on_a_terminal_starts_no_engine(program: Program) -> None:
    with in_a_terminal(program, "run", "no-such-batch") as (process, shows, _):
        shows("no-such-batch")
        assert process.wait(WAIT_S) == 2
    assert owner_of(program) is None


def test_an_engine_that_ends_with_its_command_is_watched_and_paused_and_takes_no_work(
    program: Program,
) -> None:
    program.batch("steps: {one: {run: 'sleep 12'}, two: {run: 'sleep 12'}}", "long")
    with program.process("run", "long", "--json") as process:
        until = time.monotonic() + WAIT_S
        while (owner := owner_of(program)) is None or not owner.socket:
            assert time.monotonic() < until and process.poll() is None
            time.sleep(0.05)
        assert not owner.background
        assert stat.S_IMODE(Path(owner.socket).stat().st_mode) == 0o600
        number = newest(program)
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=owner.socket), base_url="http://engine/v1"
        ) as client:
            refused = client.post("/runs", json={"plan": {"batch": "work"}, "actor": ""})
            assert refused.status_code == 409 and "takes no other work" in refused.json()["detail"]
            assert client.post(f"/runs/{number}/resume").status_code == 409
            assert client.get(f"/runs/{number}").json()["state"] == "running"
        assert program.call("runs", "pause", str(number), status=4).stderr
        assert process.wait(WAIT_S) == 4
    assert not Path(owner.socket).exists()
    assert program.states(number) == {
        **{f"one@{name}": "done" for name in program.servers},
        **{f"two@{name}": "waiting" for name in program.servers},
    }
    program.call("runs", "cancel", "--yes", str(number), status=1)
    (program.path / "batches" / "long.yaml").unlink()


@pytest.mark.parametrize("how", ["hung up", pytest.param("killed", marks=pytest.mark.long)])
def test_the_interface_goes_and_the_run_it_started_goes_on(program: Program, how: str) -> None:
    with in_a_terminal(program) as (process, shows, master):
        shows("live")
        os.write(master, b"b")
        shows("6 tasks")
        os.write(master, b"s")
        until = time.monotonic() + WAIT_S
        while (owner := owner_of(program)) is None:
            assert time.monotonic() < until
            if select.select([master], [], [], 0.05)[0]:
                os.read(master, 65536)
        assert owner.background
        number = begun(program)
        if how == "killed":
            process.kill()
        else:
            os.close(master)
        process.wait(WAIT_S)
    assert program.call("runs", "wait", str(number)).returncode == 0
    assert ran_once(program)
    assert owner_of(program) is not None


def begun(program: Program) -> int:
    """The number of the newest run, once there is one that is under way."""
    until = time.monotonic() + WAIT_S
    while True:
        found = json_lines(program.call("runs", "list", "--json").stdout)
        if found and found[0]["state"] == "running":
            return int(found[0]["run"])
        assert time.monotonic() < until, found
