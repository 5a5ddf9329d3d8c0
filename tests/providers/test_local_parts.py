"""Parts of the local provider that need no server: process table, environment, log, state file, ports."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from providers.local import processes as table
from providers.local.environment import is_accepted, search_path, session_environment
from providers.local.host import PORTS, bind
from providers.local.layout import (
    MARKER,
    Layout,
    ServerRecord,
    State,
    is_served,
    read_state,
    short_path,
    try_lock,
    write_state,
)
from providers.local.logfile import BoundedLog
from providers.local.processes import Belonging, Process, ancestors, end, start_of

# ---------------------------------------------------------------- which processes belong


def test_marks_and_descent_tell_what_belongs() -> None:
    processes = [
        Process(1, 0, "0"),
        Process(10, 1, "1", mark="m/web-1"),
        Process(11, 10, "2"),
        Process(12, 1, "3", mark="m/web-2"),
        Process(13, 1, "4", mark="other/web-1"),
        Process(14, 11, "5"),
    ]

    def pids(belonging: Belonging) -> set[int]:
        return {process.pid for process in belonging.of(processes)}

    assert pids(Belonging(frozenset({"m/web-1"}))) == {10, 11, 14}
    assert pids(Belonging(frozenset({"m"}))) == {10, 11, 12, 14}
    assert {process.pid for process in Belonging(frozenset({"m"})).of(processes, {11})} == {10, 12, 14}


def test_a_folder_counts_only_for_adopted_processes() -> None:
    processes = [
        Process(5, 1, "0"),
        Process(20, 5, "1", directory="/s/web-1/home"),
        Process(21, 5, "2", directory="/s/web-10"),
        Process(22, 1, "3", directory="/s/web-1"),
        Process(23, 20, "4", directory="/"),
    ]

    def pids(everything: bool) -> set[int]:
        belonging = Belonging(frozenset(), adopter=5, folders=("/s/web-1",), everything=everything)
        return {process.pid for process in belonging.of(processes)}

    assert pids(False) == {20, 23}
    assert pids(True) == {20, 21, 23}


def test_ancestors_survive_a_loop() -> None:
    assert ancestors([Process(3, 2, ""), Process(2, 3, "")], 3) == {2, 3}


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_ps_tells_the_same_as_proc() -> None:
    marked = subprocess.Popen(["sleep", "60"], env={MARKER: "abc/web-1", "PATH": os.environ["PATH"]})
    try:
        by_ps = {process.pid: process for process in table._from_ps()}[marked.pid]
        by_proc = {process.pid: process for process in table._from_proc()}[marked.pid]
        assert by_ps.mark == by_proc.mark == "abc/web-1"
        assert by_ps.parent == by_proc.parent == os.getpid()
    finally:
        marked.kill()
        marked.wait()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
def test_ps_does_not_find_itself() -> None:
    child = subprocess.Popen(["sleep", "60"])
    try:
        everything = Belonging(frozenset(), adopter=os.getpid(), everything=True)
        assert {process.pid for process in everything.of(list(table._from_ps()))} == {child.pid}
    finally:
        child.kill()
        child.wait()


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")
async def test_without_proc_processes_are_ended_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marked = subprocess.Popen(["sleep", "60"], env={MARKER: "abcd/web-1", "PATH": os.environ["PATH"]})
    monkeypatch.setattr(table, "PROC", tmp_path)
    try:
        assert start_of(marked.pid)
        belonging = Belonging(frozenset({"abcd"}))
        assert await end(lambda: belonging.of(table.processes())) == []
        assert marked.wait(5) == -15
    finally:
        marked.kill()
        marked.wait()


async def test_a_later_process_with_the_same_pid_is_spared() -> None:
    other = subprocess.Popen(["sleep", "60"])
    try:
        stale = Process(other.pid, os.getpid(), "1")
        assert await end(lambda: [stale], grace_s=0.05, limit_s=0.2) == [stale]
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_dead_process_has_no_start() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    assert start_of(process.pid) == ""
    assert start_of(os.getpid())


# ---------------------------------------------------------------- environment


def test_the_search_path_ends_with_our_python() -> None:
    assert search_path("/a:relative::/b", "/venv/bin/python") == "/a:/b:/venv/bin"
    assert search_path("/venv/bin:/a", "/venv/bin/python") == "/venv/bin:/a"
    assert search_path(None, "/venv/bin/python").startswith("/usr/local/sbin:")


@pytest.mark.parametrize(
    ("key", "accepted"),
    [
        ("LANG", True),
        ("LC_TIME", True),
        ("WINDLASS_RUN", True),
        ("LANGUAGE", False),
        ("PATH", False),
        ("", False),
    ],
)
def test_which_variables_clients_may_set(key: str, accepted: bool) -> None:
    assert is_accepted(key) is accepted


def _environment(client: dict[bytes, bytes], tmp_path: Path) -> dict[str, str]:
    return session_environment(
        user="u",
        home=tmp_path,
        mark=(MARKER, "m/n"),
        client=client,
        connection=("127.0.0.1", 1, "127.0.0.1", 2),
        inherited={"PATH": "/bin", "TZ": "UTC", "SECRET": "hush"},
    )


def test_client_variables_are_bounded(tmp_path: Path) -> None:
    many = {f"WINDLASS_{number}".encode(): b"x" for number in range(1000)}
    assert sum(key.startswith("WINDLASS_") for key in _environment(many, tmp_path)) == 257  # and the marker
    assert "WINDLASS_BIG" not in _environment({b"WINDLASS_BIG": b"x" * 2_000_000}, tmp_path)
    assert "WINDLASS_N" not in _environment({b"WINDLASS_N": b"a\0b"}, tmp_path)


def test_bytes_that_are_no_text_pass_unchanged(tmp_path: Path) -> None:
    value = _environment({b"WINDLASS_X": b"\xff\xfe"}, tmp_path)["WINDLASS_X"]
    assert os.fsencode(value) == b"\xff\xfe"


def test_nothing_else_is_inherited(tmp_path: Path) -> None:
    found = _environment({}, tmp_path)
    assert found["TZ"] == "UTC"
    assert "SECRET" not in found


# ---------------------------------------------------------------- state, locks, log, ports


def test_the_state_file_is_read_as_written(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    state = State(7, "123", {"web-1": ServerRecord(22000, "ssh-ed25519 AAAA", True)})
    write_state(layout, state)
    assert read_state(layout) == state


@pytest.mark.parametrize("text", ["", "[]", "{", '{"pid": 1, "started": "", "servers": {"a": 1}}', "\xff"])
def test_a_state_file_that_makes_no_sense_is_an_empty_state(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text, encoding="latin-1")
    assert read_state(Layout(tmp_path)) == State()


def test_only_a_held_lock_means_life(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert not is_served(layout)
    descriptor = try_lock(layout.daemon_lock)
    assert descriptor is not None
    assert is_served(layout)
    assert try_lock(layout.daemon_lock) is None
    os.close(descriptor)
    assert not is_served(layout)


def test_long_socket_paths_get_a_short_name(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with short_path(folder / "control.sock") as name:
        assert len(name) < 100
        Path(name).write_text("here")
    assert (folder / "control.sock").read_text() == "here"
    assert not Path(name).exists()


def test_the_log_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "daemon.log"
    script = (
        "import logging, sys\n"
        "from providers.local.logfile import BoundedLog\n"
        "logging.basicConfig(handlers=[BoundedLog(sys.argv[1], max_bytes=10_000)])\n"
        "for number in range(1000): logging.error('line %d %s', number, 'x' * 100)\n"
    )
    with path.open("ab") as file:
        subprocess.run([sys.executable, "-c", script, str(path)], stderr=file, check=True)
    assert path.stat().st_size <= 11_000
    old = path.with_name("daemon.log.1")
    assert old.stat().st_size <= 11_000
    assert old.stat().st_mode & 0o777 == 0o600
    assert "line 999" in path.read_text() + old.read_text()
    assert BoundedLog(str(path)).level == logging.NOTSET


def test_ports_lie_below_those_of_outgoing_connections() -> None:
    with bind(0) as first, bind(first.getsockname()[1]) as second:
        assert first.getsockname()[1] in PORTS
        assert second.getsockname()[1] in PORTS
        assert first.getsockname() != second.getsockname()


def test_a_free_port_is_taken_as_wanted() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with bind(port) as listener:
        assert listener.getsockname()[1] == port


async def test_an_input_pipe_keeps_order_and_bounds() -> None:
    from providers.local.streams import InputPipe

    reading, writing = os.pipe()
    calls: list[str] = []
    pipe = InputPipe(writing, lambda: calls.append("pause"), lambda: calls.append("resume"))
    data = os.urandom(1_000_000)
    for start in range(0, len(data), 50_000):
        pipe.feed(data[start : start + 50_000])
    pipe.end()
    assert calls == ["pause"]
    read = await asyncio.to_thread(_read_all, reading)
    assert read == data
    assert calls == ["pause", "resume"]
    assert not pipe.open


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as file:
        return file.read()
