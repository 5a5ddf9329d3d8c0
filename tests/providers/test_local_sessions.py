"""Sessions on a local server, seen through asyncssh: commands, signals, streams, terminals, SFTP, forwarding."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from providers.base import Server
from tests.providers.conftest import Running
from tests.providers.support import connect, daemon_pid, lives, wait_until

TEN_MB = 10 * 1024 * 1024


@pytest.fixture
async def connection(server: Server) -> AsyncIterator[asyncssh.SSHClientConnection]:
    connection = await connect(server)
    yield connection
    connection.close()
    await connection.wait_closed()


# ---------------------------------------------------------------- who gets in


async def test_only_the_workspaces_key_gets_in(server: Server) -> None:
    stranger = asyncssh.generate_private_key("ssh-ed25519")
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(server, client_keys=[stranger])


async def test_only_the_configured_user_gets_in(server: Server) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(server, username="somebody-else")


async def test_passwords_are_not_offered(server: Server) -> None:
    with pytest.raises(asyncssh.PermissionDenied):
        await connect(
            server, client_keys=[], password="deploy", preferred_auth="password,keyboard-interactive"
        )


async def test_a_wrong_host_key_is_noticed(server: Server, running: Running) -> None:
    other = asyncssh.import_public_key(running.servers[1].ssh.host_keys[0])
    with pytest.raises(asyncssh.HostKeyNotVerifiable):
        await connect(server, known_hosts=([other], [], []))


# ---------------------------------------------------------------- how commands end


@pytest.mark.parametrize("status", [0, 1, 3, 126, 127, 255])
async def test_exit_statuses_are_told(connection: asyncssh.SSHClientConnection, status: int) -> None:
    answer = await connection.run(f"exit {status}")
    assert (answer.exit_status, answer.exit_signal) == (status, None)


@pytest.mark.parametrize("name", ["KILL", "TERM", "HUP", "INT", "USR1", "SEGV"])
async def test_death_by_signal_is_told(connection: asyncssh.SSHClientConnection, name: str) -> None:
    answer = await connection.run(f"kill -{name} $$")
    assert answer.exit_status == -1
    assert answer.exit_signal is not None
    assert answer.exit_signal[0] == name


async def test_a_signal_without_a_standard_name_is_told(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("kill -XCPU $$")
    assert answer.exit_signal is not None
    assert answer.exit_signal[0] == "XCPU@openssh.com"


async def test_a_command_that_is_not_there(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("no-such-command")
    assert answer.exit_status == 127
    assert "not found" in str(answer.stderr)


@pytest.mark.parametrize("command", ["echo a\0b", "x" * 200_000])
async def test_a_command_that_cannot_be_started_says_why(
    connection: asyncssh.SSHClientConnection, command: str
) -> None:
    answer = await connection.run(command)
    assert answer.exit_status == 1
    assert str(answer.stderr).startswith("/bin/sh: ")
    assert (await connection.run("echo alive")).stdout == "alive\n"


async def test_the_end_waits_for_the_output_but_not_longer(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("(sleep 0.3; echo late) & echo early")
    assert answer.stdout == "early\nlate\n"
    process = await connection.create_process("sleep 300 </dev/null >/dev/null 2>&1 & echo $!")
    answer = await asyncio.wait_for(process.wait(), 60)
    os.kill(int(str(answer.stdout)), signal.SIGKILL)


# ---------------------------------------------------------------- what commands find


async def test_the_environment_is_that_of_a_fresh_login(
    connection: asyncssh.SSHClientConnection, server: Server, running: Running
) -> None:
    answer = await connection.run("env; echo CWD=$(pwd); echo UMASK=$(umask)")
    found = dict(line.split("=", 1) for line in str(answer.stdout).splitlines())
    home = str(running.home())
    assert found["HOME"] == found["CWD"] == home
    assert found["USER"] == found["LOGNAME"] == "deploy"
    assert found["SHELL"] == "/bin/sh"
    assert found["UMASK"] in ("0022", "022")
    assert re.fullmatch(rf"127\.0\.0\.1 \d+ 127\.0\.0\.1 {server.ssh.port}", found["SSH_CONNECTION"])
    assert found["WINDLASS_LOCAL_SERVER"].endswith("/web-1")
    assert not {name for name in found if name.startswith(("PYTHON", "PYTEST", "XDG_"))}


async def test_python_is_found(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("python3 -c 'print(6 * 7)'")
    assert answer.stdout == "42\n"


async def test_a_client_may_set_some_variables_only(server: Server) -> None:
    wanted = {
        "WINDLASS_RUN": "7",
        "LC_ALL": "C",
        "LANG": "C.UTF-8",
        "LD_PRELOAD": "/evil",
        "PATH": "/evil",
        "WINDLASS_LOCAL_SERVER": "forged",
    }
    async with await connect(server) as connection:
        answer = await connection.run("env", env=wanted)
    found = dict(line.split("=", 1) for line in str(answer.stdout).splitlines())
    assert (found["WINDLASS_RUN"], found["LC_ALL"], found["LANG"]) == ("7", "C", "C.UTF-8")
    assert "LD_PRELOAD" not in found
    assert found["PATH"] != "/evil"
    assert found["WINDLASS_LOCAL_SERVER"].endswith("/web-1")


async def test_commands_have_groups_and_sessions_of_their_own(
    connection: asyncssh.SSHClientConnection,
) -> None:
    answer = await connection.run("echo $$; ps -o pid=,pgid=,sid= -p $$")
    pid, row = str(answer.stdout).splitlines()
    assert row.split() == [pid, pid, pid]


async def test_commands_inherit_no_descriptors(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("ls /proc/self/fd | sort -n | tr '\\n' ' '")
    assert answer.stdout == "0 1 2 3 "  # 3 is the folder that ls reads


async def test_signals_have_their_defaults(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("grep -E '^Sig(Blk|Ign)' /proc/self/status")
    # Signals 32 to 34 belong to the C library; who started the tests may have them ignored.
    library = 0b111 << 31
    assert [int(line.split()[1], 16) & ~library for line in str(answer.stdout).splitlines()] == [0, 0]


# ---------------------------------------------------------------- bytes


async def test_ten_megabytes_go_both_ways_exactly(connection: asyncssh.SSHClientConnection) -> None:
    data = os.urandom(TEN_MB)
    answer = await connection.run("cat", input=data, encoding=None)
    assert answer.exit_status == 0
    assert isinstance(answer.stdout, bytes)
    assert hashlib.sha256(answer.stdout).digest() == hashlib.sha256(data).digest()


async def test_both_outputs_are_apart_and_exact(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run(
        "head -c 3000000 /dev/zero; head -c 2000000 /dev/zero | tr '\\0' x >&2; printf '\\377\\000\\n'",
        encoding=None,
    )
    assert answer.stdout == b"\0" * 3_000_000 + b"\xff\0\n"
    assert answer.stderr == b"x" * 2_000_000


async def test_the_first_line_arrives_before_the_command_ends(
    connection: asyncssh.SSHClientConnection,
) -> None:
    process = await connection.create_process("echo first; read line; echo got $line")
    assert await process.stdout.readline() == "first\n"
    assert process.exit_status is None
    process.stdin.write("second\n")
    assert await process.stdout.readline() == "got second\n"
    await process.wait()


async def test_the_end_of_input_arrives(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("wc -c; echo after")
    process.stdin.write("12345")
    process.stdin.write_eof()
    answer = await process.wait()
    assert str(answer.stdout).split() == ["5", "after"]


async def test_a_command_that_reads_nothing_holds_the_sender(
    connection: asyncssh.SSHClientConnection,
) -> None:
    process = await connection.create_process("sleep 0.5; wc -c", encoding=None)
    process.stdin.write(b"x" * TEN_MB)
    process.stdin.write_eof()
    answer = await process.wait()
    assert int(answer.stdout) == TEN_MB  # type: ignore[arg-type]


async def test_a_client_that_reads_nothing_holds_the_command(
    connection: asyncssh.SSHClientConnection, running: Running
) -> None:
    def resident_kib() -> int:
        text = Path(f"/proc/{daemon_pid(running.context)}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", text)
        assert found
        return int(found.group(1))

    before = resident_kib()
    process = await connection.create_process("echo $$; exec cat /dev/zero", encoding=None)
    pid = int(await process.stdout.readline())

    def written() -> int:
        return int(Path(f"/proc/{pid}/io").read_text().split("wchar: ")[1].split()[0])

    seen = -1
    while seen != (seen := written()):
        await asyncio.sleep(0.3)
    assert seen < 64 * 1024 * 1024
    assert resident_kib() - before < 32 * 1024
    process.kill()
    process.close()
    await process.wait_closed()


async def test_a_closed_output_does_not_stop_the_command(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("exec >&- 2>&-; sleep 0.2; exit 5")
    assert answer.exit_status == 5


async def test_input_for_a_command_that_has_closed_it_is_dropped(
    connection: asyncssh.SSHClientConnection,
) -> None:
    process = await connection.create_process("exec <&-; sleep 0.3; echo done", encoding=None)
    process.stdin.write(b"x" * TEN_MB)
    answer = await process.wait()
    assert (answer.exit_status, answer.stdout) == (0, b"done\n")


async def test_many_commands_run_at_the_same_time(connection: asyncssh.SSHClientConnection) -> None:
    processes = await asyncio.gather(*(connection.create_process("read x; echo $x") for _ in range(60)))
    for number, process in enumerate(processes):
        process.stdin.write(f"{number}\n")
    answers = await asyncio.gather(*(process.wait() for process in processes))
    assert [str(answer.stdout).strip() for answer in answers] == [str(number) for number in range(60)]


async def test_more_sessions_than_allowed_are_refused(connection: asyncssh.SSHClientConnection) -> None:
    processes: list[asyncssh.SSHClientProcess[str]] = []
    with pytest.raises(asyncssh.ChannelOpenError):
        for _ in range(200):
            processes.append(await connection.create_process("read x"))
    assert len(processes) == 128
    for process in processes:
        process.stdin.write_eof()
    await asyncio.gather(*(process.wait() for process in processes))
    assert (await connection.run("echo again")).stdout == "again\n"


# ---------------------------------------------------------------- signals and lost clients


async def test_signals_reach_the_process_group(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("sh -c 'echo $$; exec sleep 100' & echo $!; wait")
    child = int(await process.stdout.readline())
    await process.stdout.readline()
    process.send_signal("TERM")
    answer = await process.wait()
    assert answer.exit_signal is not None
    assert answer.exit_signal[0] == "TERM"
    wait_until(lambda: not lives(child), "the child ends")


async def test_unknown_signals_are_ignored(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("echo up; read x; echo $x")
    await process.stdout.readline()
    process.send_signal("STOP")
    process.send_signal("NONSENSE")
    process.stdin.write("fine\n")
    assert (await process.wait()).stdout == "fine\n"


async def test_a_command_outlives_its_client(server: Server, running: Running) -> None:
    connection = await connect(server)
    mark = running.home() / "outlived"
    go = running.home() / "go"
    process = await connection.create_process(
        f"trap 'echo hup >{mark}; exit' HUP; echo $$; while [ ! -e {go} ]; do sleep 0.05; done; echo lived >{mark}"
    )
    pid = int(await process.stdout.readline())
    connection.abort()
    await connection.wait_closed()
    assert lives(pid)
    go.touch()
    wait_until(lambda: not lives(pid), "the command ends by itself")
    assert mark.read_text() == "lived\n"


async def test_a_lost_client_closes_the_pipes(server: Server, running: Running) -> None:
    connection = await connect(server)
    mark = running.home() / "piped"
    process = await connection.create_process(
        f"echo $$; cat; (trap '' PIPE; echo x || echo broken >{mark}) 2>/dev/null"
    )
    await process.stdout.readline()
    connection.abort()
    await connection.wait_closed()
    wait_until(mark.exists, "the command finds its pipes closed")


async def test_a_command_with_a_terminal_is_hung_up(server: Server) -> None:
    connection = await connect(server)
    process = await connection.create_process("echo $$; sleep 100; sleep 100", term_type="xterm")
    pid = int(await process.stdout.readline())
    connection.abort()
    await connection.wait_closed()
    wait_until(lambda: not lives(pid), "the command is hung up")


# ---------------------------------------------------------------- terminals


async def test_a_terminal_is_real(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process(
        "tty; echo $TERM $SSH_TTY; stty size; ps -o pid=,sid=,tty= -p $$; echo $$",
        term_type="vt220",
        term_size=(100, 40),
    )
    answer = await process.wait()
    device, names, size, row, pid = str(answer.stdout).split("\r\n")[:5]
    assert device.startswith("/dev/")
    assert names == f"vt220 {device}"
    assert size == "40 100"
    assert row.split() == [pid, pid, device.removeprefix("/dev/")]


async def test_the_window_changes(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process(
        "trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done", term_type="xterm"
    )
    assert await process.stdout.readline() == "ready\r\n"
    process.change_terminal_size(132, 50)
    assert await process.stdout.readline() == "50 132\r\n"
    process.change_terminal_size(2**31, 2**31)
    assert (await process.wait()).exit_status == 0


async def test_a_login_shell_answers(connection: asyncssh.SSHClientConnection, running: Running) -> None:
    (running.home() / ".profile").write_text("echo profile read\nPS1='ready> '\n")
    process = await connection.create_process(term_type="xterm")
    await process.stdout.readuntil("profile read")
    await process.stdout.readuntil("ready> ")
    process.stdin.write("echo $((6 * 7)); sleep 50\n")
    await process.stdout.readuntil("42\r\n")
    process.stdin.write("\x03")  # the terminal turns it into an interrupt
    await process.stdout.readuntil("ready> ")
    process.stdin.write("exit 4\n")
    assert (await process.wait()).exit_status == 4
    (running.home() / ".profile").unlink()


async def test_a_shell_without_a_terminal_reads_commands(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run(input="echo $((6 * 7)); exit 3\n")
    assert (answer.stdout, answer.exit_status) == ("42\n", 3)


async def test_a_break_interrupts_what_has_a_terminal(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("echo ready; exec sleep 300", term_type="xterm")
    await process.stdout.readline()
    process.send_break(100)
    answer = await process.wait()
    assert answer.exit_signal is not None or answer.exit_status == 130


async def test_background_work_does_not_keep_a_terminal(connection: asyncssh.SSHClientConnection) -> None:
    process = await connection.create_process("(trap '' HUP; sleep 300) & echo $!; exit 6", term_type="xterm")
    answer = await asyncio.wait_for(process.wait(), 60)
    assert answer.exit_status == 6
    with contextlib.suppress(ProcessLookupError):
        os.kill(int(str(answer.stdout)), signal.SIGKILL)


async def test_all_output_of_a_terminal_arrives(connection: asyncssh.SSHClientConnection) -> None:
    answer = await connection.run("stty -opost; seq 1 200000", term_type="xterm")
    assert answer.stdout == "".join(f"{number}\n" for number in range(1, 200_001))


# ---------------------------------------------------------------- files


async def test_sftp_starts_at_home_and_reaches_the_machine(
    connection: asyncssh.SSHClientConnection, running: Running, tmp_path: Path
) -> None:
    async with connection.start_sftp_client() as sftp:
        assert await sftp.realpath(".") == str(running.home())
        async with sftp.open("notes", "wb") as file:
            await file.write(b"hello\0")
        assert (running.home() / "notes").read_bytes() == b"hello\0"
        assert (running.home() / "notes").stat().st_mode & 0o777 == 0o644
        await sftp.chmod("notes", 0o600)
        await sftp.posix_rename("notes", str(tmp_path / "moved"))
        assert (tmp_path / "moved").read_bytes() == b"hello\0"
        await sftp.mkdir("folder")
        await sftp.symlink("target", "folder/link")
        assert os.readlink(running.home() / "folder/link") == "target"
        with pytest.raises(asyncssh.SFTPNoSuchFile):
            await sftp.stat("not-there")


async def test_sftp_moves_ten_megabytes_exactly(
    connection: asyncssh.SSHClientConnection, running: Running, tmp_path: Path
) -> None:
    source = tmp_path / "data"
    source.write_bytes(os.urandom(TEN_MB))
    async with connection.start_sftp_client() as sftp:
        await sftp.put(source, "data")
        await sftp.get("data", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == source.read_bytes()
    (running.home() / "data").unlink()


async def test_a_named_pipe_does_not_stop_the_servers(
    connection: asyncssh.SSHClientConnection, running: Running
) -> None:
    os.mkfifo(running.home() / "pipe")
    async with connection.start_sftp_client() as sftp:
        with pytest.raises(asyncssh.SFTPFailure, match="not a regular file"):
            await sftp.open("pipe", "rb")
    assert (await connection.run("echo alive")).stdout == "alive\n"


async def test_other_subsystems_are_refused(connection: asyncssh.SSHClientConnection) -> None:
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.create_process(subsystem="netconf")


# ---------------------------------------------------------------- forwarding


async def test_forwarding_reaches_loopback_only(connection: asyncssh.SSHClientConnection) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello " + await reader.readline())
        writer.close()

    service = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = service.sockets[0].getsockname()[1]
    reader, writer = await connection.open_connection("localhost", port)
    writer.write(b"you\n")
    assert await reader.read() == b"hello you\n"
    writer.close()
    service.close()
    await service.wait_closed()
    for host in ("192.0.2.1", "example.com", "0.0.0.0"):
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection(host, port)
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.open_unix_connection("/tmp/x")
    with pytest.raises(asyncssh.ChannelListenError):
        await connection.forward_remote_port("127.0.0.1", 0, "127.0.0.1", port)


# ---------------------------------------------------------------- long life


async def test_nothing_leaks_over_two_hundred_sessions(server: Server, running: Running) -> None:
    pid = daemon_pid(running.context)

    def open_descriptors() -> int:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))

    async with await connect(server) as connection:
        await connection.run(":")
        before = open_descriptors()
        for round_number in range(10):
            kinds: tuple[dict[str, str], ...] = ({}, {"term_type": "xterm"})
            await asyncio.gather(
                *(connection.run("echo hello", **kinds[number % 2]) for number in range(18))  # type: ignore[arg-type]
            )
            async with connection.start_sftp_client() as sftp:
                await sftp.listdir()
            process = await connection.create_process("cat", encoding=None)
            process.close()
            await process.wait_closed()
            assert round_number >= 0
        wait_until(lambda: open_descriptors() <= before, "descriptors are closed")
    # A child that has just ended is a zombie until its parent's next turn; a leak is one that stays.
    wait_until(lambda: not zombies_of(pid), "every child is reaped")


def zombies_of(pid: int) -> list[Path]:
    """The ended children that a process has not reaped."""
    return [path for path in Path("/proc").glob("[0-9]*/stat") if f" Z {pid} " in _read(path)]


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


async def test_broken_clients_harm_nobody(server: Server) -> None:
    assert server.ssh.port
    for junk in (b"", b"GET / HTTP/1.1\r\n\r\n", b"SSH-2.0-x\r\n" + b"\xff" * 4096, b"\0" * 100_000):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.ssh.port)
        writer.write(junk)
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.write_eof()
            await reader.read()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    async with await connect(server) as connection:
        assert (await connection.run("echo alive")).stdout == "alive\n"
