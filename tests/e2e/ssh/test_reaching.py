"""Reaching servers: refused, denied, through jump hosts and proxy commands, with agents, by limits."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
from pathlib import Path

import asyncssh
import pytest

from core.engine.executor import Ended, HttpProbe, NotStarted, Unreachable
from core.ssh.options import ignored_options, resolve
from core.ssh.pool import fetch_host_key
from core.ssh.settings import SshSettings
from providers.base import Server
from tests.e2e.ssh.lab import Recorder, eventually, laboratory, upload_of
from tests.support.ssh_agent import Agent
from tests.support.sshd import Sshd, free_port, lock_key, one_line, write_key


async def failure(server: Server, settings: SshSettings | None = None) -> Unreachable:
    async with laboratory(server, settings) as lab:
        with pytest.raises(Unreachable) as caught:
            await lab.executor.open(server)
    return caught.value


async def works(server: Server, settings: SshSettings | None = None) -> bool:
    async with laboratory(server, settings) as lab:
        return (await lab.run("echo yes"))[1].out == b"yes\n"


def config_file(folder: Path, text: str) -> Path:
    path = folder / "ssh_config"
    path.write_text(text)
    return path


# ---------------------------------------------------------------- nobody there


async def test_a_port_where_nothing_listens(sshd: Sshd) -> None:
    error = await failure(sshd.server(port=free_port()))
    assert "refused the connection" in error.why
    assert not error.credentials


async def test_a_name_that_nobody_knows(sshd: Sshd) -> None:
    error = await failure(sshd.server(address="no-such-host.invalid"))
    assert "no-such-host.invalid" in error.why
    assert "name is not known" in error.why or "name service does not answer" in error.why


async def test_an_address_that_is_none(sshd: Sshd) -> None:
    error = await failure(sshd.server(address="a" * 70 + ".example"))
    assert "no host name" in error.why or "not known" in error.why


async def test_something_that_is_no_ssh_server(sshd: Sshd) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 \x1b[31mmail.example ESMTP\r\n" * 3)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await failure(sshd.server(port=port), SshSettings(connect_attempts=1))
    assert "handshake" in error.why
    assert "\x1b" not in error.why


async def test_a_server_that_says_nothing_is_given_up_in_time(sshd: Sshd) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        error = await failure(sshd.server(port=silent.getsockname()[1]), SshSettings(connect_timeout_s=0.3))
    assert "did not finish the SSH handshake within 0.3 s" in error.why


# ---------------------------------------------------------------- nobody let in


async def test_a_wrong_key_is_a_matter_of_credentials(sshd: Sshd, tmp_path: Path) -> None:
    write_key(tmp_path / "other")
    error = await failure(sshd.server(identity_files=(tmp_path / "other",)))
    assert error.credentials
    assert f"tried {tmp_path}/other (ssh-ed25519)" in error.why
    assert "authorized_keys" in error.hint


async def test_a_missing_key_and_one_with_a_passphrase(sshd: Sshd, tmp_path: Path) -> None:
    write_key(tmp_path / "locked")
    lock_key(tmp_path / "locked")
    error = await failure(sshd.server(identity_files=(tmp_path / "missing", tmp_path / "locked")))
    assert error.credentials
    assert "there was no key to try" in error.why
    assert f"{tmp_path}/missing: does not exist" in error.why
    assert f"{tmp_path}/locked: needs a passphrase" in error.why
    assert f"ssh-add {tmp_path}/locked" in error.hint


async def test_a_key_that_others_can_read_is_not_used(sshd: Sshd) -> None:
    sshd.user_key.chmod(0o644)
    error = await failure(sshd.server())
    assert f"chmod 600 {sshd.user_key}" in error.why


async def test_a_user_who_is_not_allowed(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"AllowUsers": "somebody-else"}) as sshd:
        error = await failure(sshd.server())
    assert error.credentials


async def test_a_server_without_public_keys(tmp_path: Path) -> None:
    with Sshd.start(
        tmp_path / "sshd", {"PubkeyAuthentication": "no", "PasswordAuthentication": "yes"}
    ) as sshd:
        error = await failure(sshd.server())
    assert error.credentials
    assert "does not take keys" in error.why


async def test_no_algorithm_in_common(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"Ciphers": "aes256-ctr"}) as sshd:
        config = config_file(tmp_path, "Ciphers aes128-gcm@openssh.com\n")
        error = await failure(sshd.server(ssh_config=config, use_ssh_config=True))
    assert "no algorithm in common" in error.why


# ---------------------------------------------------------------- the agent


async def test_keys_of_the_agent(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    server = sshd.server(identity_files=())
    with Agent.start() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        error = await failure(server)
        assert error.credentials
        assert "no key to try" in error.why
        agent.add(sshd.user_key)
        assert await works(server)


async def test_a_locked_file_is_used_through_the_agent(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Agent.start() as agent:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        for number in range(8):  # more than a server lets us try
            write_key(tmp_path / f"k{number}")
            agent.add(tmp_path / f"k{number}")
        agent.add(sshd.user_key)
        lock_key(sshd.user_key)
        assert await works(sshd.server())
        error = await failure(sshd.server(identity_files=()))
        assert error.credentials
        assert "IdentitiesOnly" in error.hint


async def test_an_agent_that_is_gone_is_told(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with Agent.start() as agent:
        agent.add(sshd.user_key)
        agent.stop()
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        error = await failure(sshd.server(identity_files=()))
    assert error.credentials
    assert "agent does not answer" in error.why
    assert "ssh-add -l" in error.hint


async def test_an_agent_that_does_not_sign_is_told(sshd: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    with Agent.start() as agent:
        agent.add(sshd.user_key, "-c")  # wants a confirmation that nobody can give
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        error = await failure(sshd.server(identity_files=()))
    assert error.credentials
    assert "did not sign" in error.why


async def test_the_agent_is_forwarded_only_where_ssh_config_asks(
    sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Agent.start() as agent:
        agent.add(sshd.user_key)
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent.socket))
        text = 'test -S "$SSH_AUTH_SOCK" && ssh-add -l | wc -l'
        async with laboratory(sshd.server()) as lab:
            assert isinstance(answer := (await lab.run(text))[0], Ended) and answer.exit_status == 1
        config = config_file(tmp_path, "Host *\n  ForwardAgent yes\n")
        async with laboratory(sshd.server(ssh_config=config, use_ssh_config=True)) as lab:
            facts = await lab.executor.open(lab.server)
            assert facts.notes == (f"the agent is forwarded, as {config}:2 asks",)
            assert (await lab.run(text))[1].out.strip() == b"1"


async def test_user_certificates(sshd: Sshd, tmp_path: Path) -> None:
    authority = asyncssh.generate_private_key("ssh-ed25519")
    (sshd.folder / "authorized_keys").write_text(f"cert-authority {one_line(authority)}\n")
    key = write_key(tmp_path / "certified")
    assert (await failure(sshd.server(identity_files=(tmp_path / "certified",)))).credentials
    certificate = authority.generate_user_certificate(key, "id", principals=[sshd.server().ssh.user or ""])
    (tmp_path / "certified-cert.pub").write_bytes(certificate.export_certificate())
    assert await works(sshd.server(identity_files=(tmp_path / "certified",)))
    (tmp_path / "certified-cert.pub").rename(tmp_path / "elsewhere.pub")
    config = config_file(tmp_path, f"CertificateFile {tmp_path}/elsewhere.pub\n")
    assert await works(
        sshd.server(identity_files=(tmp_path / "certified",), ssh_config=config, use_ssh_config=True)
    )


# ---------------------------------------------------------------- ssh_config


async def test_a_server_known_to_ssh_config_only(sshd: Sshd, tmp_path: Path) -> None:
    config = config_file(
        tmp_path,
        f"""# comment
Host other
  Port 1
Host web1
  HostName 127.0.0.1
  Port {sshd.port}
  IdentityFile "{sshd.user_key}"
  SetEnv GREETING=hello
  KnownHostsCommand /bin/true
""",
    )
    server = sshd.server(
        address="web1", port=None, user=None, identity_files=(), ssh_config=config, use_ssh_config=True
    )
    resolved = resolve(server)
    assert (resolved.address, resolved.port) == ("127.0.0.1", sshd.port)
    assert ignored_options(server) == [
        f"{config}:9: KnownHostsCommand /bin/true is not honoured: host keys are looked up in files only"
    ]
    assert await works(server)


async def test_a_configuration_that_ssh_would_refuse_is_not_connected_by(sshd: Sshd, tmp_path: Path) -> None:
    config = config_file(tmp_path, 'Host *\n  ProxyJump "bastion\n')
    server = sshd.server(ssh_config=config, use_ssh_config=True)
    error = await failure(server)
    assert f"{config}:2:1: a quote is not closed" in error.why
    assert ignored_options(server) == [f"{config}:2:1: a quote is not closed"]


# ---------------------------------------------------------------- jump hosts and proxy commands


@pytest.fixture
def jump_config(sshd: Sshd, tmp_path: Path) -> Path:
    """`bastion` is the test's sshd, and everybody goes through it."""
    known = tmp_path / "jump_known"
    known.write_text(f"[127.0.0.1]:{sshd.port} {one_line(sshd.host_keys[0])}\n")
    return config_file(
        tmp_path,
        f"""Host bastion
  HostName 127.0.0.1
  Port {sshd.port}
  IdentityFile {sshd.user_key}
  UserKnownHostsFile {known}
Host *
  ProxyJump bastion
""",
    )


async def test_through_a_jump_host(sshd: Sshd, jump_config: Path, tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "inner") as inner:
        server = inner.server(ssh_config=jump_config, use_ssh_config=True)
        assert resolve(server).proxy_jump == ("bastion",)
        async with laboratory(server) as lab:
            assert (await lab.run("echo $SSH_CONNECTION"))[0] == Ended(0)
            assert "Connection from 127.0.0.1 port" in inner.log
            assert sshd.log.count("Accepted publickey") == 1
            others = [
                inner.server(f"srv{number}", ssh_config=jump_config, use_ssh_config=True)
                for number in range(5)
            ]
            await asyncio.gather(*(lab.executor.open(other) for other in others))
            assert sshd.log.count("Accepted publickey") == 1, "the jump host is connected to once"
            assert len(inner.sessions()) == 6
        unpinned = inner.server(pinned=False, ssh_config=jump_config, use_ssh_config=True)
        shown = await fetch_host_key(unpinned, SshSettings())
        assert shown.fingerprint == inner.host_keys[0].get_fingerprint()


async def test_two_jump_hosts_in_a_row(sshd: Sshd, tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "second") as second, Sshd.start(tmp_path / "inner") as inner:
        known = tmp_path / "known"
        known.write_text(
            f"[127.0.0.1]:{sshd.port} {one_line(sshd.host_keys[0])}\n"
            f"[127.0.0.1]:{second.port} {one_line(second.host_keys[0])}\n"
        )
        config = config_file(
            tmp_path,
            f"""Host one
  HostName 127.0.0.1
  Port {sshd.port}
  IdentityFile {sshd.user_key}
Host two
  HostName 127.0.0.1
  IdentityFile {second.user_key}
Host inner
  HostName 127.0.0.1
  ProxyJump one,two:{second.port}
Host *
  UserKnownHostsFile {known}
""",
        )
        server = inner.server(address="inner", ssh_config=config, use_ssh_config=True)
        assert await works(server)
        assert "Accepted publickey" in second.log


async def test_the_jump_host_is_named_where_it_is_the_one_that_fails(
    sshd: Sshd, jump_config: Path, tmp_path: Path
) -> None:
    server = sshd.server("inner", address="127.0.0.2", ssh_config=jump_config, use_ssh_config=True)
    text = jump_config.read_text()
    jump_config.write_text(text.replace(f"Port {sshd.port}", f"Port {free_port()}"))
    error = await failure(server)
    assert error.why.startswith("inner: the jump host bastion (127.0.0.1")
    assert "refused the connection" in error.why
    jump_config.write_text(text.replace("UserKnownHostsFile", "GlobalKnownHostsFile"))
    config = jump_config.read_text() + "  UserKnownHostsFile none\n"
    jump_config.write_text(config.replace("GlobalKnownHostsFile", "#"))
    error = await failure(server)
    assert "the host key of bastion" in error.why and "is not known" in error.why
    assert f"ssh -p {sshd.port}" in error.hint
    assert "windlass servers trust" not in error.hint


async def test_a_server_that_the_jump_host_cannot_reach(sshd: Sshd, jump_config: Path) -> None:
    server = sshd.server("inner", port=free_port(), ssh_config=jump_config, use_ssh_config=True)
    error = await failure(server)
    assert "the jump host bastion could not connect to inner" in error.why


async def test_a_jump_host_that_does_not_forward(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"AllowTcpForwarding": "no"}) as sshd:
        config = config_file(
            tmp_path,
            f"Host bastion\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n"
            f"  UserKnownHostsFile {tmp_path}/known\nHost inner\n  ProxyJump bastion\n",
        )
        (tmp_path / "known").write_text(f"[127.0.0.1]:{sshd.port} {one_line(sshd.host_keys[0])}\n")
        error = await failure(sshd.server(address="inner", ssh_config=config, use_ssh_config=True))
    assert "does not allow a connection on" in error.why


async def test_jump_hosts_that_lead_to_each_other(sshd: Sshd, tmp_path: Path) -> None:
    config = config_file(
        tmp_path, "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\nHost inner\n  ProxyJump a\n"
    )
    error = await failure(sshd.server(address="inner", ssh_config=config, use_ssh_config=True))
    assert "more than 8 jump hosts" in error.why


async def test_a_jump_host_that_is_lost_takes_its_servers_along_and_they_come_back(
    sshd: Sshd, jump_config: Path, tmp_path: Path
) -> None:
    with Sshd.start(tmp_path / "inner") as inner:
        async with laboratory(inner.server(ssh_config=jump_config, use_ssh_config=True)) as lab:
            assert (await lab.run("true"))[0] == Ended(0)
            for pid in sshd.sessions():
                os.kill(pid, 9)
            await eventually(lambda: lab.executor._pool.current(lab.server) is None, "the loss is noticed")
            assert (await lab.run("echo back"))[1].out == b"back\n"


async def test_a_proxy_command(sshd: Sshd, tmp_path: Path) -> None:
    if shutil.which("ssh") is None:
        pytest.skip("ssh is not installed")
    with Sshd.start(tmp_path / "inner") as inner:
        config = config_file(
            tmp_path,
            f"ProxyCommand ssh -F none -i {sshd.user_key} -p {sshd.port} -o StrictHostKeyChecking=no "
            f"-o UserKnownHostsFile=/dev/null -W %h:%p 127.0.0.1 2>/dev/null\n",
        )
        assert await works(inner.server(ssh_config=config, use_ssh_config=True))
        assert "Accepted publickey" in sshd.log
        await eventually(lambda: not sshd.sessions(), "the proxy command ended with the connection")


async def test_a_proxy_command_that_fails_says_why(sshd: Sshd, tmp_path: Path) -> None:
    config = config_file(tmp_path, "ProxyCommand /bin/sh -c 'echo no way to %h >&2; exit 1'\n")
    error = await failure(sshd.server(ssh_config=config, use_ssh_config=True))
    assert "its ProxyCommand ended: no way to 127.0.0.1" in error.why


async def test_a_proxy_command_gets_no_hostile_names(sshd: Sshd, tmp_path: Path) -> None:
    config = config_file(tmp_path, f"ProxyCommand touch {tmp_path}/owned; nc %h %p\n")
    server = sshd.server(address="x;id", ssh_config=config, use_ssh_config=True)
    error = await failure(server)
    assert "not safe in a shell" in error.why
    assert not (tmp_path / "owned").exists()


# ---------------------------------------------------------------- limits


async def test_an_upload_first_where_only_one_session_is_allowed(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "1"}) as sshd:
        async with laboratory(sshd.server()) as lab:
            await lab.executor.open(lab.server)
            (tmp_path / "file").write_text("x")
            uploaded = await lab.start(upload_of(tmp_path / "file", "~/file"), Recorder())
            assert uploaded == Ended(0, evidence="renamed in place")
            assert (await lab.run("echo then"))[1].out == b"then\n"


async def test_waiting_for_a_session_is_bounded(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "1"}) as sshd:
        async with laboratory(sshd.server(), SshSettings(channel_wait_s=0.3)) as lab:
            flying = await lab.begin("sleep 300")
            answer, _ = await lab.run("true")
            assert isinstance(answer, NotStarted)
            assert "none became free" in answer.why or "opens no session" in answer.why
            await lab.executor.stop(lab.server, flying.ref, 1)
            await flying.answer


async def test_no_sessions_at_all(tmp_path: Path) -> None:
    with Sshd.start(tmp_path / "sshd", {"MaxSessions": "0"}) as sshd:
        async with laboratory(sshd.server()) as lab:
            facts = await lab.executor.open(lab.server)
            assert "commands cannot be run" in facts.notes[0]
            answer, _ = await lab.run("true")
            assert isinstance(answer, NotStarted)
            assert "opens no session" in answer.why


async def test_handshakes_at_once_are_bounded(sshd: Sshd) -> None:
    servers = [sshd.server(f"srv{number}") for number in range(12)]
    async with laboratory(servers[0], SshSettings(parallel_connects=2)) as lab:
        most = 0
        semaphore = lab.executor._pool._connecting

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, 2 - semaphore._value)
                await asyncio.sleep(0)

        watching = asyncio.ensure_future(watch())
        await asyncio.gather(*(lab.executor.open(server) for server in servers))
        watching.cancel()
        assert most == 2


async def test_cheap_algorithms_are_negotiated(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        await lab.executor.open(lab.server)
        connection = lab.executor._pool.current(lab.server)
        assert connection is not None
        assert connection.link.connection.get_extra_info("send_cipher") == "aes128-gcm@openssh.com"


async def test_a_command_for_another_kind_of_work_is_not_started(sshd: Sshd) -> None:
    async with laboratory(sshd.server()) as lab:
        answer = await lab.start(HttpProbe("http://127.0.0.1/"), Recorder())
        assert isinstance(answer, NotStarted)
