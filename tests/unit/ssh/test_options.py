"""What a server resolves to, and what is not honoured on the way."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from core.ssh.options import Resolved, ignored_options, resolve, route
from core.ssh.sshconfig import local_user
from providers.base import Server, SshTarget


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def server(config: Path, text: str, **target: object) -> Server:
    config.write_text(text)
    values: dict[str, object] = {"address": "web1", "ssh_config": config, **target}
    return Server(name="web1", provider="test", ssh=SshTarget(**values))  # type: ignore[arg-type]


def resolved(config: Path, text: str, **target: object) -> Resolved:
    found = resolve(server(config, text, **target))
    assert found.faults == ()
    return found


def test_without_a_configuration(config: Path) -> None:
    found = resolved(config, "Port 9\n", use_ssh_config=False)
    assert (found.address, found.port, found.user) == ("web1", 22, local_user())
    assert found.proxy_jump == ()
    assert found.known_as == "web1"
    assert found.ignored == ()
    assert not found.chosen_keys
    assert found.identity_files[0] == Path("~/.ssh/id_ed25519").expanduser()
    assert found.known_hosts_files[0] == Path("~/.ssh/known_hosts").expanduser()
    assert found.forward_agent == ""


def test_the_provider_s_values_win(config: Path) -> None:
    text = "Host web1\n  HostName 10.0.0.1\n  Port 9\n  User bob\n  IdentityFile ~/k\n"
    found = resolved(config, text)
    assert (found.address, found.port, found.user) == ("10.0.0.1", 9, "bob")
    assert found.identity_files == (Path("~/k").expanduser(),)
    found = resolved(config, text, port=5, user="root", identity_files=(Path("/k"),))
    assert (found.address, found.port, found.user) == ("10.0.0.1", 5, "root")
    assert found.identity_files == (Path("/k"),)


def test_an_address_beside_an_alias_stands(config: Path) -> None:
    text = "Host web1\n  HostName 10.0.0.1\n  User bob\n"
    found = resolved(config, text, address="192.0.2.7", ssh_alias="web1")
    assert (found.address, found.user) == ("192.0.2.7", "bob")
    assert resolved(config, text, ssh_alias="web1").address == "10.0.0.1"


def test_names_of_host_keys(config: Path) -> None:
    assert resolved(config, "HostName WEB.Example\n").known_as == "web.example"
    assert resolved(config, "Port 2222\n").known_as == "[web1]:2222"
    assert resolved(config, "Port 2222\nHostKeyAlias Farm\n").known_as == "farm"
    assert resolved(config, "", address="::1").at.endswith("@[::1]:22")


def test_tokens_and_variables(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYS", "/keys")
    text = (
        "HostName %h.example\nUser bob\nPort 7\nIdentityFile ${KEYS}/%n-%h-%p-%r\nCertificateFile %d/%%/%L\n"
        "ProxyCommand nc %h %p\nUserKnownHostsFile ~/a ~/b-%k\nIdentityAgent none\n"
    )
    found = resolved(config, text)
    assert found.identity_files == (Path("/keys/web1-web1.example-7-bob"),)
    home = Path("~").expanduser()
    assert found.certificate_files == (home / "%" / socket.gethostname().partition(".")[0],)
    assert found.proxy_command == "nc web1.example 7"
    assert found.known_hosts_files == (home / "a", home / "b-web1")
    assert found.agent == ""


def test_none_takes_back(config: Path) -> None:
    text = "ProxyCommand none\nIdentityFile none\nUserKnownHostsFile none\nGlobalKnownHostsFile /g\n"
    found = resolved(config, text)
    assert found.proxy_command == ""
    assert (found.identity_files, found.chosen_keys) == ((), True)
    assert found.known_hosts_files == ()
    assert found.global_known_hosts_files == (Path("/g"),)


def test_the_rest(config: Path) -> None:
    found = resolved(
        config,
        "ConnectTimeout 1m30s\nServerAliveInterval 5\nServerAliveCountMax 2\nAddressFamily inet6\n"
        "BindAddress 127.0.0.1\nTCPKeepAlive no\nIdentitiesOnly yes\nPubkeyAuthentication no\n"
        'SetEnv A=1 "B=two words" A=3\nCompression yes\n',
    )
    assert (found.connect_timeout_s, found.keepalive_s, found.keepalive_count) == (90.0, 5.0, 2)
    assert found.family == socket.AF_INET6
    assert found.bind_address == "127.0.0.1"
    assert not found.tcp_keepalive
    assert found.identities_only
    assert not found.public_key_auth
    assert found.set_env == {"A": "1", "B": "two words"}
    assert found.algorithms.compression


def test_the_agent(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_AUTH_SOCK", "/run/agent")
    monkeypatch.setenv("OTHER", "/run/other")
    assert resolved(config, "").agent == "/run/agent"
    assert resolved(config, "IdentityAgent SSH_AUTH_SOCK\n").agent == "/run/agent"
    assert resolved(config, "IdentityAgent $OTHER\n").agent == "/run/other"
    assert resolved(config, "IdentityAgent ~/s\n").agent == str(Path("~/s").expanduser())
    assert resolved(config, "ForwardAgent no\n").forward_agent == ""
    found = resolved(config, "\nForwardAgent yes\n")
    assert (found.forward_agent, found.forward_agent_place) == ("/run/agent", f"{config}:2")
    assert resolved(config, "ForwardAgent $OTHER\n").forward_agent == "/run/other"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("Port 70000", "is not a number"),
        ("Port x", "is not a number"),
        ("ConnectTimeout soon", "is not a time"),
        ("ProxyJump a b", "not [user@]host[:port]"),
        ("ProxyJump host:99999", "not [user@]host[:port]"),
        ("ProxyJump a,b,c,d,e,f,g,h,i", "more than 8"),
        ("HostName %z", "%z is not known"),
        ("IdentityFile ${NO_SUCH_VARIABLE}/x", "no NO_SUCH_VARIABLE"),
        ("AddressFamily ipx", "none of any, inet, inet6"),
        ("Ciphers rot13", "none of these is supported"),
        ("SetEnv novalue", "not NAME=VALUE"),
    ],
)
def test_values_that_cannot_be_followed_are_faults_with_their_place(
    config: Path, line: str, why: str
) -> None:
    told = server(config, f"\n{line}\n")
    (fault,) = resolve(told).faults
    assert (fault.file, fault.line) == (str(config), 2)
    assert why in fault.message
    assert ignored_options(told) == [str(fault)]


# ---------------------------------------------------------------- jump hosts


def test_jump_hosts_are_looked_up_in_the_same_file(config: Path) -> None:
    text = "Host inner\n  ProxyJump alice@one:2201,two\nHost one\n  HostName 10.0.0.1\nHost two\n  User bob\n  ProxyJump x\n"
    found = resolved(config, text, address="inner")
    assert found.proxy_jump == ("alice@one:2201", "two")
    first, second = route(found)
    assert (first.address, first.port, first.user) == ("10.0.0.1", 2201, "alice")
    assert (second.address, second.user, second.proxy_jump) == ("two", "bob", ())


def test_the_first_jump_host_may_have_one_of_its_own(config: Path) -> None:
    text = "Host inner\n  ProxyJump one\nHost one\n  ProxyJump zero\n"
    assert [hop.address for hop in route(resolved(config, text, address="inner"))] == ["zero", "one"]


def test_a_jump_host_of_everybody_is_not_its_own(config: Path) -> None:
    text = "Host bastion\n  HostName 10.0.0.1\nHost *\n  ProxyJump bastion\n"
    assert [hop.address for hop in route(resolved(config, text))] == ["10.0.0.1"]
    assert resolved(config, text, address="bastion").proxy_jump == ()


def test_jump_hosts_in_a_circle_are_noticed(config: Path) -> None:
    text = "Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n"
    with pytest.raises(ValueError, match="more than 8 jump hosts"):
        route(resolved(config, text, address="a"))


def test_ipv6_jump_hosts(config: Path) -> None:
    (hop,) = route(resolved(config, "Host web1\n  ProxyJump ssh://bob@[::1]:2222\n"))
    assert (hop.address, hop.port, hop.user) == ("::1", 2222, "bob")


# ---------------------------------------------------------------- what is ignored


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("KnownHostsCommand /bin/keys %H", "KnownHostsCommand /bin/keys %H is not honoured"),
        ("VerifyHostKeyDNS yes", "VerifyHostKeyDNS yes is not honoured"),
        ("verifyhostkeydns ask", "VerifyHostKeyDNS ask is not honoured"),
        ("RevokedHostKeys /etc/krl", "RevokedHostKeys /etc/krl is not honoured"),
        ("StrictHostKeyChecking no", "an unknown host key is refused"),
        ("StrictHostKeyChecking accept-new", "an unknown host key is refused"),
        ("HostbasedAuthentication yes", "HostbasedAuthentication yes is not honoured"),
        ("GSSAPIAuthentication yes", "GSSAPIAuthentication yes is not honoured"),
        ("PKCS11Provider /usr/lib/p11.so", "PKCS11Provider"),
        ("SecurityKeyProvider /usr/lib/sk.so", "SecurityKeyProvider"),
        ("ControlPath ~/.ssh/c-%C", "ControlPath"),
        ("BindInterface eth1", "BindInterface"),
        ("CanonicalizeHostname always", "CanonicalizeHostname"),
        ("CheckHostIP yes", "CheckHostIP"),
        ("NoHostAuthenticationForLocalhost yes", "NoHostAuthenticationForLocalhost"),
        ("Tunnel point-to-point", "Tunnel"),
        ("RemoteCommand tmux attach", "RemoteCommand tmux attach is not honoured"),
        ("ProxyUseFdpass yes", "ProxyUseFdpass"),
        ("PubkeyAcceptedKeyTypes +ssh-rsa", "PubkeyAcceptedAlgorithms +ssh-rsa"),
        ("RequiredRSASize 3072", "RequiredRSASize"),
    ],
)
def test_options_that_matter_are_named_with_their_place(config: Path, line: str, told: str) -> None:
    (sentence,) = ignored_options(server(config, f"# first\nHost web*\n  {line}\n"))
    assert sentence.startswith(f"{config}:3: ")
    assert told in sentence


@pytest.mark.parametrize(
    "line",
    [
        "VerifyHostKeyDNS no",
        "StrictHostKeyChecking yes",
        "StrictHostKeyChecking ask",
        "ControlPath none",
        "CheckHostIP no",
        "Tunnel no",
        "SecurityKeyProvider internal",
        "SessionType default",
        "Compression yes",
        "LogLevel DEBUG",
        "SendEnv LANG",
        "LocalCommand touch x",
        "ProxyJump bastion",
    ],
)
def test_options_that_do_not_matter_or_are_honoured_are_not_named(config: Path, line: str) -> None:
    assert ignored_options(server(config, f"Host web*\n  {line}\n")) == []


def test_options_of_other_hosts_are_not_named(config: Path) -> None:
    assert ignored_options(server(config, "Host db\n  KnownHostsCommand x\n")) == []


def test_a_local_command_counts_where_it_would_run(config: Path) -> None:
    (told,) = ignored_options(server(config, "LocalCommand knock %h\nPermitLocalCommand yes\n"))
    assert told == f"{config}:1: LocalCommand is not run, and what it would have prepared is missing"


def test_conditions_that_are_not_evaluated_are_named(config: Path) -> None:
    (told,) = ignored_options(server(config, "\nMatch exec on-vpn\n  ProxyJump b\n"))
    assert told == f"{config}:2: 'Match exec on-vpn' is not evaluated: the options under it do not apply"
