"""The local provider: the conformance suite, and the life of its supervising process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest

from providers.base import InputError, ProviderContext, ProviderError, ProviderFactory, ServerState
from providers.local import control
from providers.local.layout import Layout, is_served, read_state
from providers.local.provider import LocalProvider, create
from providers.testing import ProviderConformance
from tests.providers.support import connect, daemon_pid, kill_daemon, lives, make_context, wait_until

SETTINGS = """\
provider: local
servers:
  web-[1-3]: {groups: [web], labels: {role: web, zone: a}}
  db-1:
    groups: [db]
"""


@pytest.fixture
def context(tmp_path: Path) -> ProviderContext:
    return make_context(tmp_path, SETTINGS)


@pytest.fixture
async def provider(context: ProviderContext) -> AsyncIterator[LocalProvider]:
    provider = create(context)
    yield provider
    await provider.stop()


class TestConformance(ProviderConformance):
    @pytest.fixture
    def factory(self) -> ProviderFactory:
        return create

    @pytest.fixture
    def context(self, tmp_path: Path) -> ProviderContext:
        return make_context(tmp_path, SETTINGS)

    @pytest.fixture
    def faulty_context(self, tmp_path: Path) -> ProviderContext:
        return make_context(
            tmp_path, "provider: local\nuser: -x\nservers:\n  a: {gruops: [b]}\n  'b c': {labels: {x: 1}}\n"
        )


# ---------------------------------------------------------------- what it says


async def test_settings_become_servers(provider: LocalProvider) -> None:
    servers = await provider.list()
    assert [server.name for server in servers] == ["web-1", "web-2", "web-3", "db-1"]
    assert servers[0].groups == ("web",)
    assert servers[0].labels == {"role": "web", "zone": "a"}
    assert servers[3].source == "servers/local.yaml:4"
    assert "not a sandbox" in servers[0].note


async def test_every_fault_is_told_in_order(tmp_path: Path) -> None:
    context = make_context(
        tmp_path,
        "provider: local\n"
        "usr: me\n"
        "servers:\n"
        "  web-[3-1]:\n"
        "  web-1: {groups: [a b], labels: {role: 1}}\n"
        "  engine:\n"
        "  wéb:\n"
        "  x: [1]\n"
        "  web-[1-2]:\n",
    )
    with pytest.raises(InputError) as caught:
        await create(context).list()
    assert [str(fault) for fault in caught.value.faults] == [
        "servers/local.yaml:2:1: unknown key 'usr'; did you mean 'user'?",
        "servers/local.yaml:4:3: '[3-1]' counts downwards; write [1-3]",
        "servers/local.yaml:5:20: a group's name cannot hold a space; letters, digits and . _ - are allowed",
        "servers/local.yaml:5:35: the label 'role' is text, not the number 1 (quote it)",
        "servers/local.yaml:6:3: 'engine' is reserved: it stands for the engine itself",
        "servers/local.yaml:7:3: a server's name cannot hold U+00E9 (LATIN SMALL LETTER E WITH ACUTE); "
        "letters, digits and . _ - are allowed",
        "servers/local.yaml:8:3: the server 'x' is a mapping, not a list",
        "servers/local.yaml:9:3: the server 'web-1' is there already, on line 5",
    ]


async def test_too_many_servers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 500"):
        await create(make_context(tmp_path, "provider: local\nservers: {'x-[1-501]': }\n")).list()


async def test_a_server_that_never_ran_cannot_be_mistaken_for_a_real_one(provider: LocalProvider) -> None:
    target = (await provider.list())[0].ssh
    assert target.address == "127.0.0.1"
    assert target.port not in (None, 22)
    assert not target.use_ssh_config
    assert target.identity_files


def test_listing_needs_no_ssh_library(context: ProviderContext) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from providers.base import ProviderContext\n"
        "from providers.local.provider import create\n"
        "w = Path(sys.argv[1])\n"
        "c = ProviderContext(w, w / 'state', w / 's.yaml', {'provider': 'local', 'servers': {'a': None}})\n"
        "assert len(asyncio.run(create(c).list())) == 1\n"
        "print(sorted({'asyncssh', 'cryptography', 'pydantic', 'ruamel'} & set(sys.modules)))\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script, str(context.workspace)], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


# ---------------------------------------------------------------- what it keeps


async def test_private_files_are_private(provider: LocalProvider, context: ProviderContext) -> None:
    await provider.start(["web-1"])
    root = context.state_dir

    def mode(path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    assert mode(root) == mode(root / "servers") == mode(root / "servers/web-1") == 0o700
    assert mode(root / "servers/web-1/home") == 0o700
    for name in ("id_ed25519", "state.json", "daemon.log", "control.sock", "servers/web-1/host_key"):
        assert mode(root / name) == 0o600, name


async def test_keys_differ_and_ports_and_keys_are_kept(provider: LocalProvider) -> None:
    await provider.start()
    before = [server.ssh for server in await provider.list()]
    assert len({target.host_keys for target in before}) == 4
    assert len({target.port for target in before}) == 4
    await provider.stop()
    await provider.start()
    assert [server.ssh for server in await provider.list()] == before


async def test_a_port_that_is_taken_is_replaced_and_recorded(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1"])
    before = (await provider.list())[0].ssh
    await provider.stop()
    assert before.port is not None
    with socket.create_server(("127.0.0.1", before.port)):
        await provider.start(["web-1"])
        after = (await provider.list())[0]
        assert after.ssh.port != before.port
        assert after.ssh.host_keys == before.host_keys
        connection = await connect(after)
        connection.close()
        await connection.wait_closed()
    assert f"port {before.port} is taken" in Layout(context.state_dir).log.read_text()


async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    provider = create(make_context(deep, SETTINGS))
    try:
        assert list(await provider.start(["db-1"])) == ["db-1"]
        assert list(await provider.stop(["db-1"])) == ["db-1"]
    finally:
        await provider.stop()


async def test_the_process_inherits_no_secrets(
    context: ProviderContext, provider: LocalProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUD_TOKEN", "hush")
    await provider.start(["web-1"])
    assert b"hush" not in Path(f"/proc/{daemon_pid(context)}/environ").read_bytes()
    connection = await connect((await provider.list())[0])
    answer = await connection.run("env")
    connection.close()
    await connection.wait_closed()
    assert "hush" not in str(answer.stdout)


async def test_links_are_not_followed_out_of_the_workspace(
    tmp_path: Path, provider: LocalProvider, context: ProviderContext
) -> None:
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    outside.mkdir()
    context.state_dir.parent.mkdir(parents=True)
    context.state_dir.symlink_to(outside)
    with pytest.raises(ProviderError, match="out of the workspace"):
        await provider.start()
    assert list(outside.iterdir()) == []
    context.state_dir.unlink()
    (context.state_dir / "servers").mkdir(parents=True)
    (context.state_dir / "servers/web-1").symlink_to(outside)
    with pytest.raises(ProviderError, match="not started: web-1") as caught:
        await provider.start()
    assert "is a symbolic link" in str(caught.value)
    assert list(outside.iterdir()) == []


async def test_settings_without_servers_start_nothing(tmp_path: Path) -> None:
    context = make_context(tmp_path, "provider: local\n")
    assert list(await create(context).start()) == []
    assert not context.state_dir.exists()


# ---------------------------------------------------------------- one process, found again


async def test_the_process_is_detached(provider: LocalProvider, context: ProviderContext) -> None:
    await provider.start(["web-1"])
    pid = daemon_pid(context)
    assert os.getsid(pid) == pid
    assert Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[4] == "0"  # no terminal
    for descriptor in (1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{descriptor}") == str(context.state_dir / "daemon.log")
    assert os.readlink(f"/proc/{pid}/fd/0") == "/dev/null"


def test_servers_survive_their_starter_and_are_found_again(context: ProviderContext) -> None:
    script = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from tests.providers.support import make_context\n"
        "from providers.local.provider import create\n"
        "w = Path(sys.argv[1])\n"
        "asyncio.run(create(make_context(w, (w / 'servers/local.yaml').read_text())).start())\n"
        "os.kill(os.getpid(), 9)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, str(context.workspace)],
        cwd=Path(__file__).parent.parent.parent,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL

    async def again() -> None:
        provider = create(context)
        try:
            servers = await provider.list()
            assert {server.state for server in servers} == {ServerState.STARTED}
            pid = daemon_pid(context)
            await provider.start()
            assert daemon_pid(context) == pid
            connection = await connect(servers[0])
            assert (await connection.run("echo there")).stdout == "there\n"
            connection.close()
            await connection.wait_closed()
        finally:
            await provider.stop()

    asyncio.run(again())


async def test_the_process_ends_with_its_last_server(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1", "web-2"])
    pid = daemon_pid(context)
    await provider.stop(["web-1"])
    assert lives(pid)
    await provider.stop(["web-2"])
    assert not is_served(Layout(context.state_dir))
    wait_until(lambda: not lives(pid), "the process ends")
    assert not (context.state_dir / "control.sock").exists()
    assert read_state(Layout(context.state_dir)).pid == 0


async def test_starters_at_the_same_time_make_one_process(context: ProviderContext) -> None:
    script = (
        "import asyncio, sys\n"
        "from pathlib import Path\n"
        "from tests.providers.support import make_context\n"
        "from providers.local.layout import Layout, read_state\n"
        "from providers.local.provider import create\n"
        "from core.inventory import Inventory\n"
        "w = Path(sys.argv[1])\n"
        "async def main():\n"
        "    inventory = await Inventory.load(w, w / '.windlass')\n"
        "    print(sorted(await inventory.start([sys.argv[2]])))\n"
        "asyncio.run(main())\n"
    )
    names = ["web-1", "web-2", "web-3", "db-1"]
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(context.workspace), name],
            cwd=Path(__file__).parent.parent.parent,
            stdout=subprocess.PIPE,
        )
        for name in names
    ]
    provider = create(context)
    try:
        for starter in starters:
            await asyncio.to_thread(starter.communicate)
            assert starter.returncode == 0
        assert {server.state for server in await provider.list()} == {ServerState.STARTED}
        assert Layout(context.state_dir).log.read_text().count("serving as process") == 1
    finally:
        await provider.stop()


async def test_a_killed_process_is_noticed_and_replaced(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start()
    before = [server.ssh for server in await provider.list()]
    killed = kill_daemon(context)
    assert {server.state for server in await provider.list()} == {ServerState.STOPPED}
    await provider.start()
    assert daemon_pid(context) != killed
    assert [server.ssh for server in await provider.list()] == before
    connection = await connect((await provider.list())[0])
    assert (await connection.run("echo again")).stdout == "again\n"
    connection.close()
    await connection.wait_closed()


async def _leave_a_process(provider: LocalProvider) -> int:
    """Starts something on web-1 that outlives its connection; its pid."""
    connection = await connect((await provider.list())[0])
    answer = await connection.run("setsid sleep 987 </dev/null >/dev/null 2>&1 & echo $!")
    connection.close()
    await connection.wait_closed()
    pid = int(str(answer.stdout))
    wait_until(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "sleep runs")
    return pid


async def test_stop_ends_what_was_started(provider: LocalProvider) -> None:
    await provider.start()
    pid = await _leave_a_process(provider)
    assert lives(pid)
    await provider.stop(["web-2"])
    assert lives(pid)
    await provider.stop(["web-1"])
    assert not lives(pid)


async def test_stop_ends_what_a_killed_process_left(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start()
    pid = await _leave_a_process(provider)
    kill_daemon(context)
    assert lives(pid)
    await provider.stop(["web-2"])
    assert lives(pid)
    await provider.stop()
    assert not lives(pid)


async def test_the_next_start_ends_what_a_killed_process_left(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start()
    pid = await _leave_a_process(provider)
    kill_daemon(context)
    await provider.start(["web-2"])
    assert not lives(pid)


async def test_stop_ends_what_ignores_it_and_what_shed_its_marker(provider: LocalProvider) -> None:
    await provider.start(["web-1", "web-2"])
    connection = await connect((await provider.list())[0])
    answer = await connection.run(
        "env -i /usr/bin/env setsid /bin/sh -c 'trap \"\" TERM HUP; echo $$; exec >/dev/null 2>&1; while :; do sleep 1; done' &"
        " sleep 0.3"
    )
    pid = int(str(answer.stdout))
    assert b"WINDLASS" not in Path(f"/proc/{pid}/environ").read_bytes()
    await provider.stop(["web-1"])
    assert not lives(pid)
    await connection.wait_closed()


async def test_nothing_new_starts_on_a_server_that_is_being_stopped(provider: LocalProvider) -> None:
    await provider.start(["web-1", "web-2"])
    connection = await connect((await provider.list())[0])
    process = await connection.create_process("trap 'echo told' TERM; echo up; while :; do sleep 0.05; done")
    await process.stdout.readline()
    stopping = asyncio.ensure_future(provider.stop(["web-1"]))
    assert await process.stdout.readline() == "told\n"
    with pytest.raises(asyncssh.ChannelOpenError):
        await connection.run("echo late")
    assert list(await stopping) == ["web-1"]
    answer = await process.wait()
    assert answer.exit_signal is not None
    assert answer.exit_signal[0] == "KILL"
    await connection.wait_closed()


async def test_a_person_standing_in_a_home_is_left_alone(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1"])
    home = context.state_dir / "servers/web-1/home"
    bystander = subprocess.Popen(["sleep", "60"], cwd=home)
    try:
        await provider.stop()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


async def test_a_hung_process_is_replaced(
    provider: LocalProvider, context: ProviderContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "CONNECT_S", 0.3)
    await provider.start(["web-1"])
    pid = daemon_pid(context)
    os.kill(pid, signal.SIGSTOP)
    assert list(await provider.start(["web-1"])) == ["web-1"]
    assert not lives(pid)
    assert daemon_pid(context) != pid


async def test_a_deleted_workspace_ends_its_servers(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1"])
    pid = daemon_pid(context)
    context.state_dir.rename(context.state_dir.with_name("moved"))
    wait_until(lambda: not lives(pid), "the process ends")


async def test_a_start_while_the_process_ends_gets_a_new_one(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1"])
    pid = daemon_pid(context)
    connection = await connect((await provider.list())[0])
    process = await connection.create_process("trap 'echo told' TERM; echo up; while :; do sleep 0.05; done")
    await process.stdout.readline()
    os.kill(pid, signal.SIGTERM)
    assert await process.stdout.readline() == "told\n"
    assert list(await provider.start(["web-2"])) == ["web-2"]
    assert daemon_pid(context) != pid
    await connection.wait_closed()


async def test_a_term_signal_ends_everything(provider: LocalProvider, context: ProviderContext) -> None:
    await provider.start()
    left = await _leave_a_process(provider)
    pid = daemon_pid(context)
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: not lives(pid), "the process ends")
    assert not lives(left)
    assert {server.state for server in await provider.list()} == {ServerState.STOPPED}


async def test_a_failed_start_says_what_the_log_says(
    provider: LocalProvider, context: ProviderContext
) -> None:
    context.state_dir.mkdir(parents=True)
    (context.state_dir / "id_ed25519").mkdir()
    with pytest.raises(ProviderError, match="did not come up"):
        await provider.start()
    (context.state_dir / "id_ed25519").rmdir()


async def test_a_damaged_state_file_costs_only_the_ports(
    provider: LocalProvider, context: ProviderContext
) -> None:
    await provider.start(["web-1"])
    key = (await provider.list())[0].ssh.host_keys
    await provider.stop()
    (context.state_dir / "state.json").write_text('{"servers": [')
    assert (await provider.list())[0].state is ServerState.STOPPED
    await provider.start(["web-1"])
    assert (await provider.list())[0].ssh.host_keys == key


@pytest.mark.parametrize(
    "line", [b"nonsense\n", b'{"op": "fly"}\n', b'{"op": "start", "servers": [1]}\n', b"[]\n", b"\n"]
)
async def test_a_wrong_order_is_answered_and_harms_nothing(
    provider: LocalProvider, context: ProviderContext, line: bytes
) -> None:
    await provider.start(["web-1"])
    from providers.local.layout import short_path

    with short_path(context.state_dir / "control.sock") as path:
        reader, writer = await asyncio.open_unix_connection(path)
    writer.write(line)
    assert "error" in json.loads(await reader.readline())
    writer.close()
    await writer.wait_closed()
    assert list(await provider.stop()) == ["web-1"]
