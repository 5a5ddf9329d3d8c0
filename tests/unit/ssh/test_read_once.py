"""What is the same for many servers is read once: configuration, known_hosts, keys, algorithms."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from core.ssh import dial
from core.ssh.hostkeys import trust_of
from core.ssh.keys import KeyRing, Tried
from core.ssh.knownhosts import Entry, KnownHosts
from core.ssh.options import Resolved, resolve
from core.ssh.sshconfig import Condition, ConfigFile, Item, Setting, load
from providers.base import Server, SshTarget
from tests.support.sshd import one_line, write_key

SERVERS = 20


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened through pathlib, which is how the SSH side opens files."""
    counts: Counter[str] = Counter()
    plain = io.open

    def counting(file: Any, *arguments: Any, **keywords: Any) -> Any:
        counts[str(file)] += 1
        return plain(file, *arguments, **keywords)

    monkeypatch.setattr(io, "open", counting)
    return counts


@pytest.fixture
def lab(tmp_path: Path) -> list[Server]:
    """Servers that share one configuration, one known_hosts and one key."""
    host_key = one_line(asyncssh.generate_private_key("ssh-ed25519"))
    write_key(tmp_path / "user")
    names = [f"web{number}" for number in range(SERVERS)]
    blocks = "".join(f"Host {name}\n  HostName {name}.example\n" for name in names)
    (tmp_path / "config").write_text(
        f"{blocks}Host *\n  IdentityFile {tmp_path}/user\n  UserKnownHostsFile {tmp_path}/known\n"
    )
    (tmp_path / "known").write_text("".join(f"{name}.example {host_key}\n" for name in names))
    return [
        Server(name=name, provider="test", ssh=SshTarget(address=name, ssh_config=tmp_path / "config"))
        for name in names
    ]


async def test_each_file_is_read_once_for_many_servers(
    lab: list[Server], tmp_path: Path, opened: Counter[str]
) -> None:
    ring = KeyRing()
    for server in lab:
        resolved = resolve(server)
        assert resolved.address == f"{server.name}.example"
        assert len(trust_of(resolved, None).keys) == 1
        candidates = [pairs async for pairs in ring.candidates(resolved, Tried())]
        assert len(candidates) == 1
    for name in ("config", "known", "user"):
        assert opened[str(tmp_path / name)] == 1, opened


def test_servers_with_the_same_algorithms_share_one_options_object(lab: list[Server]) -> None:
    resolved: list[Resolved] = [resolve(server) for server in lab]
    assert len({id(dial._shared_options(found.algorithms)) for found in resolved}) == 1


def test_a_name_that_is_known_is_not_looked_up_in_files_that_revoke_nothing(
    lab: list[Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hashed names, the usual form on Debian, cost a digest for each line."""
    workspace = tmp_path / "workspace"
    workspace.write_text((tmp_path / "known").read_text())
    asked: list[str] = []
    plain = KnownHosts.of

    def noting(self: KnownHosts, name: str) -> list[Entry]:
        asked.append(name)
        return plain(self, name)

    monkeypatch.setattr(KnownHosts, "of", noting)
    trust = trust_of(resolve(lab[0]), workspace)
    assert [known.place for known in trust.keys] == [f"{workspace}:1"]
    assert asked == ["web0.example"]


# ---------------------------------------------------------------- the index of a configuration


def test_hosts_of_other_names_are_not_even_tested(lab: list[Server], tmp_path: Path) -> None:
    parsed = load(tmp_path / "config")
    found = [item.setting.name for item in parsed.for_host("WEB3")]
    assert found == ["hostname", "identityfile", "userknownhostsfile"]
    assert [item.setting.name for item in parsed.for_host("other")] == ["identityfile", "userknownhostsfile"]


@pytest.mark.parametrize(
    ("text", "host", "holds"),
    [
        ("Host a b", "b", True),
        ("Host a b", "B", True),
        ("Host A", "a", True),
        ("Host a b", "c", False),
        ("Host a !b *", "c", True),
        ("Host a,b", "b", True),
        ("Match host a", "a", True),
        ("Match all", "z", True),
        ('Host "a b"', "a", False),
    ],
)
def test_the_index_leaves_out_nothing_that_applies(tmp_path: Path, text: str, host: str, holds: bool) -> None:
    config = tmp_path / "config"
    config.write_text(f"Port 1\n{text}\n  Port 2\n  User deploy\n")
    server = Server(
        name="s", provider="test", ssh=SshTarget(address=host, ssh_config=config, identity_files=(config,))
    )
    resolved = resolve(server)
    assert resolved.port == 1, "the first value wins, also where the index took the file apart"
    assert (resolved.user == "deploy") is holds


def test_an_include_under_a_host_keeps_both_conditions() -> None:
    outer = Condition((("name", "a", False),), "Host a", "f", 1)
    inner = Condition((("name", "b", False),), "Host b", "f", 2)
    setting = Setting("user", ("x",), "f", 3)
    file = ConfigFile.of([Item((outer, inner), setting)], [], False)
    assert file.named == {}
    assert file.general == (0,)
