"""The static provider: the conformance suite, and what its settings mean."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from providers.base import InputError, ProviderContext, ProviderError, ProviderFactory, Server
from providers.static.provider import create
from providers.testing import ProviderConformance
from tests.providers.support import make_context

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMmgyY0hJ/gmc00NIYiGKA2i85Ti+mQYly4cGWAfC3HL"

SETTINGS = f"""\
provider: static
servers:
  db-1: {{address: 10.0.0.5, port: 2222, user: root, groups: [db], labels: {{role: db}}, host_key: "{KEY} me@here"}}
  web-[1-2]: {{address: "10.0.0.[11-12]", groups: [web]}}
  lb-1: lb.example.com
"""


class TestConformance(ProviderConformance):
    @pytest.fixture
    def factory(self) -> ProviderFactory:
        return create

    @pytest.fixture
    def context(self, tmp_path: Path) -> ProviderContext:
        return make_context(tmp_path, SETTINGS, provider="static")

    @pytest.fixture
    def faulty_context(self, tmp_path: Path) -> ProviderContext:
        return make_context(
            tmp_path, "provider: static\nservers:\n  a: {adress: b}\n  b: {port: 0}\n", provider="static"
        )


async def _list(tmp_path: Path, text: str) -> list[Server]:
    return list(await create(make_context(tmp_path, text, provider="static")).list())


async def _faults(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(InputError) as caught:
        await _list(tmp_path, text)
    return [str(fault) for fault in caught.value.faults]


# ---------------------------------------------------------------- listed servers


async def test_what_was_parsed_goes_once_the_servers_are_listed(tmp_path: Path) -> None:
    class Parsed(dict[str, Any]):
        """As a dict, and its end can be seen."""

    context = make_context(tmp_path, SETTINGS, provider="static")
    context = replace(context, settings=Parsed(context.settings))
    provider, left = create(context), weakref.ref(context.settings)
    first = await provider.list()
    del context
    gc.collect()
    assert left() is None
    assert await provider.list() == first


async def test_settings_become_servers(tmp_path: Path) -> None:
    servers = {server.name: server for server in await _list(tmp_path, SETTINGS)}
    assert list(servers) == ["db-1", "web-1", "web-2", "lb-1"]
    db = servers["db-1"]
    assert (db.ssh.address, db.ssh.port, db.ssh.user) == ("10.0.0.5", 2222, "root")
    assert db.ssh.host_keys == (KEY,)
    assert (db.groups, db.labels, db.source) == (("db",), {"role": "db"}, "servers/static.yaml:3")
    assert servers["web-2"].ssh.address == "10.0.0.12"
    assert servers["lb-1"].ssh.address == "lb.example.com"
    assert db.ssh.use_ssh_config
    assert db.ssh.ssh_config is None


async def test_a_server_without_settings_is_looked_up_by_its_name(tmp_path: Path) -> None:
    (server,) = await _list(tmp_path, "provider: static\nservers:\n  jump:\n")
    assert (server.ssh.address, server.ssh.ssh_alias) == ("jump", "jump")


async def test_defaults_apply_where_nothing_else_is_said(tmp_path: Path) -> None:
    first, second = await _list(
        tmp_path,
        "provider: static\n"
        "defaults: {user: deploy, port: 2200, identity_file: keys/all, groups: [prod], labels: {zone: a}}\n"
        "servers:\n"
        "  a: {address: 10.0.0.1}\n"
        "  b: {address: 10.0.0.2, user: root, port: 22, identity_file: ~/b, groups: [db], labels: {zone: b}}\n",
    )
    assert (first.ssh.user, first.ssh.port, first.groups, first.labels) == (
        "deploy",
        2200,
        ("prod",),
        {"zone": "a"},
    )
    assert first.ssh.identity_files == (tmp_path / "keys/all",)
    assert (second.ssh.user, second.ssh.port) == ("root", 22)
    assert (second.groups, second.labels) == (("prod", "db"), {"zone": "b"})
    assert second.ssh.identity_files == (Path.home() / "b",)


async def test_an_identity_file_that_is_not_there_is_noted(tmp_path: Path) -> None:
    (tmp_path / "there").touch()
    first, second = await _list(
        tmp_path,
        "provider: static\nservers:\n  a: {identity_file: [there, gone]}\n  b: {identity_file: there}\n",
    )
    assert first.note == f"no such identity file: {tmp_path}/gone"
    assert second.note == ""


async def test_addresses_may_be_of_version_6(tmp_path: Path) -> None:
    (server,) = await _list(tmp_path, 'provider: static\nservers: {a: "fe80::1%eth0"}\n')
    assert server.ssh.address == "fe80::1%eth0"


async def test_a_file_without_servers_is_fine(tmp_path: Path) -> None:
    assert await _list(tmp_path, "provider: static\nservers:\n") == []


async def test_two_thousand_servers_in_two_lines(tmp_path: Path) -> None:
    servers = await _list(
        tmp_path, 'provider: static\nservers:\n  "n-[0001-2000]": {address: "host-[0001-2000].example.com"}\n'
    )
    assert len(servers) == 2000
    assert (servers[-1].name, servers[-1].ssh.address) == ("n-2000", "host-2000.example.com")


async def test_every_fault_is_told_in_order(tmp_path: Path) -> None:
    assert await _faults(
        tmp_path,
        "provider: static\n"
        "server: {}\n"
        "servers:\n"
        "  a: {address: -oProxyCommand=x}\n"
        "  b: {address: 10.0.0.1, port: 70000, user: 'a b'}\n"
        "  web-[1-3]: {address: '10.0.0.[1-2]'}\n"
        "  db-[1-2]: {address: 10.0.0.9}\n"
        "  c: {host_key: ssh-ed25519 AAAA}\n"
        "  d: {address: [1], port: true}\n"
        "  E: 7\n"
        "  'ѕ1': x\n"
        "  a:b: x\n"
        f"  k-[1-2]: {{address: 'k[1-2]', host_key: {KEY}}}\n"
        "ssh_config: {file: x}\n",
    ) == [
        "servers/static.yaml:2:1: unknown key 'server'; did you mean 'servers'?",
        "servers/static.yaml:4:7: '-oProxyCommand=x' is no address; a host name or an IP address is wanted",
        "servers/static.yaml:5:26: port is between 1 and 65535, not 70000",
        "servers/static.yaml:5:39: 'a b' is no login name",
        "servers/static.yaml:6:15: 2 addresses for the 3 servers of 'web-[1-3]'",
        "servers/static.yaml:7:14: 'db-[1-2]' names 2 servers; the address needs a range too",
        "servers/static.yaml:8:7: this is no public host key; it looks like 'ssh-ed25519 AAAA…' "
        "(ssh-keyscan prints it; compare its fingerprint on the server's console)",
        "servers/static.yaml:9:7: address is text, not a list",
        "servers/static.yaml:9:21: port is a whole number, not true or false",
        "servers/static.yaml:10:3: the server 'E' is a mapping, not the number 7",
        "servers/static.yaml:11:3: a server's name cannot hold U+0455 (CYRILLIC SMALL LETTER DZE); "
        "letters, digits and . _ - are allowed",
        "servers/static.yaml:12:3: a server's name cannot hold ':'; letters, digits and . _ - are allowed",
        "servers/static.yaml:13:32: one host key cannot be that of several servers",
        'servers/static.yaml:14:1: ssh_config needs `hosts`: names or patterns such as "web-*"',
    ]


# ---------------------------------------------------------------- hosts of an ssh configuration

CONFIG = """\
Host web-1 web-2
    HostName 10.0.0.1
Host bastion
Host bad_name! web-9
Host *
    User deploy
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "ssh_config"
    file.write_text(CONFIG)
    return file


async def test_hosts_are_taken_from_an_ssh_configuration(tmp_path: Path, config: Path) -> None:
    servers = await _list(
        tmp_path,
        "provider: static\n"
        "servers: {db-1: 10.0.0.5}\n"
        "ssh_config:\n"
        "  - {file: ssh_config, hosts: ['web-*', '!web-9'], groups: [web], labels: {zone: a}}\n"
        "  - {file: ssh_config, hosts: bastion}\n",
    )
    assert [server.name for server in servers] == ["db-1", "web-1", "web-2", "bastion"]
    web = servers[1]
    assert (web.groups, web.labels, web.source) == (("web",), {"zone": "a"}, f"{config}:1")
    assert (web.ssh.address, web.ssh.ssh_alias, web.ssh.ssh_config) == ("web-1", "web-1", config)
    assert (web.ssh.user, web.ssh.port) == (None, None)


async def test_the_users_own_configuration_is_the_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "config").write_text("Include more\n")
    (home / ".ssh" / "more").write_text("Host box\n")
    monkeypatch.setenv("HOME", str(home))
    for text in ("ssh_config: {hosts: box}", "ssh_config: {file: ~/.ssh/config, hosts: [b*]}"):
        (server,) = await _list(tmp_path, f"provider: static\n{text}\n")
        assert server.name == "box"
        assert server.ssh.ssh_config is None


async def test_hosts_that_cannot_be_servers_are_faults(tmp_path: Path, config: Path) -> None:
    assert await _faults(
        tmp_path,
        "provider: static\n"
        "servers: {web-1: 10.0.0.5}\n"
        "ssh_config: {file: ssh_config, hosts: ['*', bastian]}\n",
    ) == [
        f"servers/static.yaml:3:32: the host 'web-1' ({config}:1) is a server already, on line 2 "
        '(leave it out with "!web-1")',
        f"servers/static.yaml:3:32: the host 'bad_name!' ({config}:4) cannot be a server: a server's name "
        "cannot hold '!'; letters, digits and . _ - are allowed (leave it out with \"!bad_name!\")",
        f"servers/static.yaml:3:45: {config} names no host 'bastian'; did you mean 'bastion'?",
    ]


async def test_a_configuration_that_cannot_be_read_is_no_fault_of_the_workspace(tmp_path: Path) -> None:
    with pytest.raises(ProviderError, match=r"static.yaml:2:1: .*gone: there is no such file"):
        await _list(tmp_path, "provider: static\nssh_config: {file: gone, hosts: [a]}\n")
