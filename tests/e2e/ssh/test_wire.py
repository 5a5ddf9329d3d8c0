"""How packets leave: together, and none for nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from asyncssh.connection import SSHConnection
from asyncssh.constants import MSG_IGNORE

from core.engine.executor import Ended
from core.ssh.wire import Gathered
from tests.e2e.ssh.lab import laboratory
from tests.support.odd_ssh import odd_server, run_shell


@pytest.mark.parametrize(("cipher", "expected"), [("aes128-gcm@openssh.com", False), ("aes128-cbc", True)])
async def test_empty_packets_come_with_ciphers_that_need_them_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cipher: str, expected: bool
) -> None:
    ignored = 0
    process_ignore = SSHConnection._packet_handlers[MSG_IGNORE]

    def count(self: Any, *rest: Any) -> Any:
        nonlocal ignored
        ignored += self.is_server()
        return process_ignore(self, *rest)

    monkeypatch.setitem(SSHConnection._packet_handlers, MSG_IGNORE, count)
    config = tmp_path / "config"
    config.write_text(f"Ciphers {cipher}\n")
    async with odd_server(tmp_path, run_shell(), ciphers=[cipher]) as odd:
        server = odd.server()
        target = replace(server.ssh, use_ssh_config=True, ssh_config=config)
        async with laboratory(replace(server, ssh=target)) as lab:
            answer, recorder = await lab.run("echo one; echo two")
    assert (answer, recorder.out) == (Ended(0), b"one\ntwo\n")
    assert (ignored > 0) is expected


class Inner(asyncio.Transport):
    """Notes what reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[bytes | str] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.seen.append(bytes(data))

    def close(self) -> None:
        self.seen.append("close")

    def abort(self) -> None:
        self.seen.append("abort")

    def write_eof(self) -> None:
        self.seen.append("eof")


async def test_what_is_written_in_one_turn_leaves_together_and_in_order() -> None:
    inner = Inner()
    gathered = Gathered(inner)
    gathered.write(b"one ")
    gathered.write(bytearray(b"two "))
    assert inner.seen == []
    await asyncio.sleep(0)
    assert inner.seen == [b"one two "]
    gathered.write(b"three")
    await asyncio.sleep(0)
    assert inner.seen == [b"one two ", b"three"]


@pytest.mark.parametrize(("end", "word"), [("close", "close"), ("abort", "abort"), ("write_eof", "eof")])
async def test_what_was_written_goes_before_the_end(end: str, word: str) -> None:
    inner = Inner()
    gathered = Gathered(inner)
    gathered.write(b"last words")
    getattr(gathered, end)()
    await asyncio.sleep(0)
    assert inner.seen == [b"last words", word]
