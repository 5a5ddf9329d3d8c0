"""Reading ssh_config: which settings apply to a host, from where, and what cannot be told."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from core.ssh import sshconfig
from core.ssh.sshconfig import Effective, config_paths, effective, split_words


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config"


def applied(config: Path, text: str, host: str = "web1", user: str | None = None) -> Effective:
    return effective([write(config, text)], host, user)


def test_the_first_value_wins_and_knows_its_place(config: Path) -> None:
    found = applied(config, "Port 1\nHost web*\n\tPort = 2\n  User=alice\nHost *\n  User bob\n")
    assert found.value("port") == "1"
    user = found.first("user")
    assert user is not None
    assert (user.value, user.place) == ("alice", f"{config}:4")


@pytest.mark.parametrize(
    ("patterns", "host", "holds"),
    [
        ("web1", "web1", True),
        ("WEB1", "web1", True),
        ("web?", "web1", True),
        ("web?", "web12", False),
        ("web* !web1", "web1", False),
        ("web* !web1", "web2", True),
        ("!web1", "web2", False),
        ("db web1", "web1", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "example.com", False),
        ("web.", "web1", False),
        ("[w]eb1", "web1", False),
    ],
)
def test_host_patterns(config: Path, patterns: str, host: str, holds: bool) -> None:
    found = applied(config, f"Host {patterns}\n  Port 9\n", host)
    assert (found.value("port") == "9") is holds


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("all", True),
        ("!all", False),
        ("host web1", False),  # by then the host name is another
        ("host 10.0.*", True),
        ("originalhost web1", True),
        ("originalhost web1,db !host db", True),
        ("user deploy", True),
        ("!user deploy", False),
        ("host 10.* user nobody", False),
        ("tagged prod", True),
        ("final", True),
        ("canonical", False),
        ("!canonical all", True),
        ("host=10.0.0.1", True),
    ],
)
def test_match_conditions(config: Path, condition: str, holds: bool) -> None:
    text = f"Host web1\n  HostName 10.0.0.1\n  User deploy\n  Tag prod\nMatch {condition}\n  Port 9\n"
    found = applied(config, text)
    assert (found.value("port") == "9") is holds
    assert found.untold == []


def test_the_user_given_elsewhere_is_the_one_compared(config: Path) -> None:
    text = "User deploy\nMatch user root\n  Port 9\n"
    assert applied(config, text, user="root").value("port") == "9"
    assert applied(config, text).value("port") is None


@pytest.mark.parametrize(
    "condition", ['exec "true"', "localnetwork 10.0.0.0/8", "!exec false", "host x exec y"]
)
def test_conditions_that_nobody_evaluates_never_match_and_are_told(config: Path, condition: str) -> None:
    found = applied(config, f"Host web1\n  HostName x\nMatch {condition}\n  Port 9\n  User x\n")
    assert found.value("port") is None
    assert [(told.text, told.line) for told in found.untold] == [(f"Match {condition}", 3)]


def test_exec_runs_nothing(config: Path, tmp_path: Path) -> None:
    applied(config, f"Match exec 'touch {tmp_path}/ran'\n  Port 9\n")
    assert not (tmp_path / "ran").exists()


def test_lists_collect(config: Path) -> None:
    found = applied(
        config, "IdentityFile a\nHost web1\n  IdentityFile b\n  IdentityFile a\nSetEnv A=1\nSetEnv B=2\n"
    )
    assert [setting.value for setting in found.all("identityfile")] == ["a", "b", "a"]
    assert [setting.value for setting in found.all("setenv")] == ["A=1"]


def test_a_proxy_command_and_a_jump_shut_each_other_out(config: Path) -> None:
    found = applied(config, "Host web1\n  ProxyJump bastion\nHost *\n  ProxyCommand nc %h %p\n")
    assert (found.value("proxyjump"), found.value("proxycommand")) == ("bastion", None)
    found = applied(config, "ProxyJump none\nProxyCommand nc %h %p\n")
    assert (found.value("proxyjump"), found.value("proxycommand")) == (None, None)


def test_includes(config: Path, tmp_path: Path) -> None:
    write(tmp_path / "d" / "1.conf", "Host web1\n  Port 5\nHost *\n  User included\n")
    write(tmp_path / "d" / "2.conf", "Compression yes\n")
    found = applied(config, f"Include {tmp_path}/d/*.conf\nUser outer\n")
    assert found.value("port") == "5"
    assert found.value("user") == "included"
    assert found.flag("compression")
    port = found.first("port")
    assert port is not None and port.place == f"{tmp_path}/d/1.conf:2"


def test_an_include_under_a_host_holds_for_that_host_only(config: Path, tmp_path: Path) -> None:
    write(tmp_path / "inner", "Port 5\nHost *\n  User inner\n")
    text = f"Host db\n  Include {tmp_path}/inner\n  Compression yes\n"
    assert applied(config, text).settings == {}
    found = applied(config, text, "db")
    assert (found.value("port"), found.value("user"), found.flag("compression")) == ("5", "inner", True)


def test_relative_includes_stand_in_the_user_s_folder(config: Path) -> None:
    write(Path("~/.ssh/extra.conf").expanduser(), "Port 77\n")
    assert applied(config, "Include extra.conf\n").value("port") == "77"
    Path("~/.ssh/extra.conf").expanduser().unlink()


def test_files_that_include_each_other_end(config: Path, tmp_path: Path) -> None:
    found = applied(config, f"Include {config}\nPort 3\n")
    assert found.value("port") == "3"
    assert any("include each other" in str(fault) for fault in found.faults)


def test_comments_quotes_and_spaces(config: Path) -> None:
    found = applied(
        config,
        '# comment\n  Port 7 # trailing\nIdentityFile "~/my key"\nUser "a\\"b"\n'
        "ProxyCommand ssh -W '%h:%p' \"x # y\"\n",
    )
    assert found.value("port") == "7"
    assert found.value("identityfile") == "~/my key"
    assert found.value("user") == 'a"b'
    assert found.value("proxycommand") == "ssh -W '%h:%p' \"x # y\""


def test_split_words() -> None:
    assert split_words(r"""a "b c" d\ e 'f"g' h\\i "j\"k" """) == ["a", "b c", "d e", 'f"g', "h\\i", 'j"k']
    assert split_words("") == []
    assert split_words("''") == [""]
    with pytest.raises(ValueError, match="quote"):
        split_words("'a")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('ProxyJump "bastion', "a quote is not closed"),
        ("Port", "port has no value"),
        ("Match", "match has no value"),
        ("Match host", "needs a pattern"),
        ("Match moon full", "does not know the condition 'moon'"),
        ("Host", "host has no value"),
    ],
)
def test_lines_that_ssh_would_refuse_are_faults(config: Path, line: str, why: str) -> None:
    found = applied(config, f"User x\n{line}\n  Port 9\n")
    (fault,) = found.faults
    assert (fault.file, fault.line) == (str(config), 2)
    assert why in fault.message
    if line.startswith(("Match", "Host")):
        assert found.value("port") is None, "what stands under a bad condition applies to nobody"


def test_missing_files_say_nothing_and_folders_are_faults(tmp_path: Path) -> None:
    assert effective([tmp_path / "none"], "x").settings == {}
    assert "cannot be read" in str(effective([tmp_path], "x").faults[0])


def test_a_file_of_the_user_that_others_can_write_is_refused() -> None:
    path = write(Path("~/.ssh/config").expanduser(), "Port 9\n")
    path.chmod(0o666)
    found = effective([path], "x")
    assert "others can write to it" in str(found.faults[0])
    assert found.settings == {}
    path.chmod(0o600)
    assert effective([path], "x").value("port") == "9"
    path.unlink()


def test_a_changed_file_is_read_again(config: Path, tmp_path: Path) -> None:
    write(tmp_path / "inner", "Port 1\n")
    assert applied(config, f"Include {tmp_path}/inner\n").value("port") == "1"
    write(tmp_path / "inner", "Port 22\n")
    assert effective([config], "x").value("port") == "22"
    first = sshconfig.load(config)
    assert sshconfig.load(config) is first


def test_which_files_are_read(tmp_path: Path) -> None:
    assert config_paths(None, False) == ()
    assert config_paths(Path("~/x"), True) == (Path("~/x").expanduser(),)
    assert config_paths(Path(), True) == ()
    assert config_paths(None, True) == (Path("~/.ssh/config").expanduser(), Path("/etc/ssh/ssh_config"))


CASES = """
Host jump
  HostName 10.0.0.9
  Port 2200
Host web* !web9
  HostName %h.example.com
  User "deploy"
  ProxyJump jump
Host 10.*
  User root
Match host *.example.com user deploy
  Port 2222
Match originalhost web2 host web2.example.com
  IdentityFile ~/.ssh/web2
Match !originalhost web1 all
  Compression yes
Match final host *.example.com
  HostKeyAlias farm
Host *
  Port 2
  IdentityFile ~/.ssh/everybody
  ServerAliveInterval 30
"""


@pytest.mark.parametrize("host", ["web1", "web2", "web9", "jump", "10.1.1.1", "else"])
def test_the_same_as_ssh(config: Path, host: str) -> None:
    """`ssh -G` prints what it would use: ours agrees."""
    write(config, CASES)
    try:
        done = subprocess.run(["ssh", "-F", config, "-G", host], capture_output=True, text=True, check=True)
    except FileNotFoundError:
        pytest.skip("ssh is not installed")
    theirs: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        name, _, value = line.partition(" ")
        theirs.setdefault(name, []).append(value)
    ours = effective([config], host)
    assert (ours.value("hostname") or host).replace("%h", host) == theirs["hostname"][0]
    assert ours.value("port") == theirs["port"][0]
    assert (ours.value("user") or sshconfig.local_user()) == theirs["user"][0]
    assert ours.value("proxyjump") == theirs.get("proxyjump", [None])[0]  # type: ignore[list-item]
    assert [setting.value for setting in ours.all("identityfile")] == theirs["identityfile"]
    assert ours.flag("compression") == (theirs["compression"][0] == "yes")
    assert ours.value("hostkeyalias") == theirs.get("hostkeyalias", [None])[0]  # type: ignore[list-item]
