"""Commands under sudo: the environment reaches them, a refusal is told, a stop reaches them."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.engine.executor import Ended, Stopped
from core.ssh.settings import SshSettings
from tests.e2e.ssh.lab import Lab, laboratory
from tests.support.hosts import Host
from tests.support.sshd import alive


@pytest.fixture(autouse=True)
def needs_sudo() -> None:
    if shutil.which("sudo") is None:
        pytest.skip("sudo is not installed")
    if os.geteuid() != 0:
        pytest.skip("only root may use sudo without a password here")


@pytest.fixture
async def lab(host: Host, shell_for_all: str) -> AsyncIterator[Lab]:
    async with laboratory(host.server, SshSettings(shell=shell_for_all)) as made:
        yield made


@pytest.fixture(params=["dash", "bash", "ash"])
def shell_for_all(request: pytest.FixtureRequest) -> str:
    """A shell that another user can reach too: a path that is open to everybody."""
    program = {"dash": "/bin/dash", "bash": "/bin/bash", "ash": shutil.which("busybox")}[request.param]
    if program is None or not Path(program).exists():
        pytest.skip(f"{request.param} is not installed")
    return f"{program} sh" if request.param == "ash" else program


async def test_root_and_another_user(lab: Lab) -> None:
    assert (await lab.run("id -un", sudo="root"))[1].out == b"root\n"
    answer, recorder = await lab.run("id -un; echo err >&2; exit 4", sudo="nobody")
    assert answer == Ended(4)
    assert (recorder.out, recorder.err) == (b"nobody\n", b"err\n")


async def test_the_environment_reaches_the_command(lab: Lab) -> None:
    env = {"WINDLASS_RUN": "7", "NASTY": "a 'b'\n$c `d` \\ ä"}
    answer, recorder = await lab.run(
        """sh -c 'printf "%s|%s" "$WINDLASS_RUN" "$NASTY"'""", env, sudo="nobody"
    )
    assert answer == Ended(0)
    assert recorder.out.decode() == "7|" + env["NASTY"]


async def test_large_commands_and_no_input(lab: Lab) -> None:
    text = "x=" + "y" * 300_000 + "; echo ${#x}; cat"
    answer, recorder = await lab.run(text, sudo="nobody")
    assert (answer, recorder.out) == (Ended(0), b"300000\n")


async def test_nothing_of_the_command_stands_in_the_process_list(lab: Lab) -> None:
    _, recorder = await lab.run(
        "for f in /proc/[0-9]*/cmdline; do tr '\\0' ' ' <$f 2>/dev/null; echo; done; : the-marker",
        {"SECRET": "hush-hush"},
        sudo="nobody",
    )
    assert b"sudo -n -u nobody" in recorder.out
    assert b"hush-hush" not in recorder.out
    assert b"the-marker" not in recorder.out


async def test_a_refusal_of_sudo_is_told_and_nothing_ran(lab: Lab) -> None:
    answer, recorder = await lab.run("echo ran", sudo="no-such-user-here")
    assert isinstance(answer, Ended)
    assert answer.exit_status == 1
    assert "sudo did not start it as no-such-user-here" in answer.why
    assert "unknown user" in answer.why
    assert answer.evidence == "the server ended it before the command began"
    assert b"unknown user" in recorder.err
    assert recorder.out == b""


async def test_a_password_is_never_asked_for(lab: Lab) -> None:
    """As nobody, who may not use sudo: it wants a password, and gets none."""
    answer, recorder = await lab.run("sudo -n -u root -- id", sudo="nobody")
    assert answer == Ended(1)
    assert b"password is required" in recorder.err


@pytest.mark.parametrize("user", ["nobody", "root"])
async def test_a_stop_reaches_what_runs_under_sudo(lab: Lab, user: str) -> None:
    flying = await lab.begin("trap '' TERM; sleep 300 & echo $! pid; wait; wait", sudo=user)
    await flying.recorder.until(b" pid\n")
    pid = int(flying.recorder.out.split()[1])
    assert alive(pid)
    answer = await lab.executor.stop(lab.server, flying.ref, 0.3)
    assert isinstance(answer, Stopped), answer
    assert not alive(pid)
    ended = await flying.answer
    assert isinstance(ended, Ended)
    assert ended.exit_status > 128
