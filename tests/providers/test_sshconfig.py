"""Which hosts an OpenSSH client configuration names."""

from __future__ import annotations

from pathlib import Path

import pytest

from providers.static.sshconfig import SshConfigError, choose, matches, read_hosts


def _names(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config"
    file.write_text(text)
    return [host.name for host in read_hosts(file, user_folder=tmp_path)]


def test_hosts_without_wildcards_count_in_order(tmp_path: Path) -> None:
    text = """
# Host commented
Host web-1 web-2 *.example.com
    HostName 10.0.0.1
host="quoted name"
HOST  lb-1   # a comment
Host=equals
Host * !never
Host web-1
Match host secret
    User x
"""
    assert _names(tmp_path, text) == ["web-1", "web-2", "quoted name", "lb-1", "equals"]


def test_a_host_that_its_own_line_negates_does_not_count(tmp_path: Path) -> None:
    assert _names(tmp_path, "Host a b !a\n") == ["b"]


def test_where_a_host_stands_is_told(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("\nHost a\nHost a\n")
    (host,) = read_hosts(tmp_path / "config")
    assert (host.file, host.line) == (tmp_path / "config", 2)


def test_included_files_count_where_they_stand(tmp_path: Path) -> None:
    (tmp_path / "config.d").mkdir()
    (tmp_path / "config.d" / "20-b").write_text("Host b\n")
    (tmp_path / "config.d" / "10-a").write_text("Host a\n")
    assert _names(tmp_path, "Host first\nMatch all\nInclude config.d/*\nHost last\n") == [
        "first",
        "a",
        "b",
        "last",
    ]


def test_an_include_under_a_host_counts_only_for_what_it_matches(tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("Host web-1\nHost db-1\n")
    assert _names(tmp_path, "Host web-*\n  Include inner\n") == ["web-1"]
    assert _names(tmp_path, "Match exec whatever\n  Include inner\n") == []


def test_an_include_that_is_not_there_is_nothing(tmp_path: Path) -> None:
    assert _names(tmp_path, "Include missing ~no-such-user/x\nHost a\n") == ["a"]


def test_an_endless_include_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SshConfigError, match="levels of Include"):
        _names(tmp_path, "Include config\n")


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    for number in range(300):
        (tmp_path / "many" / str(number)).touch()
    with pytest.raises(SshConfigError, match="256 files"):
        _names(tmp_path, "Include many/*\n")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SshConfigError, match="no such file"):
        read_hosts(tmp_path / "missing")
    with pytest.raises(SshConfigError, match="not a file"):
        read_hosts(tmp_path)


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SshConfigError, match="larger than 4 MiB"):
        _names(tmp_path, "# x\n" * 2_000_000)


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "config").write_bytes(b"Host a\n\xff\xfe\0\nHost b\n")
    assert [host.name for host in read_hosts(tmp_path / "config")] == ["a", "b"]


@pytest.mark.parametrize(
    ("patterns", "chosen"),
    [
        (["*"], ["web-1", "web-2", "db-1"]),
        (["web-*", "!web-2"], ["web-1"]),
        (["!web-2", "web-*"], ["web-1"]),
        (["WEB-?"], ["web-1", "web-2"]),
        (["db-1", "nothing"], ["db-1"]),
        (["!db-1"], []),
    ],
)
def test_pattern_lists_choose_as_openssh_does(tmp_path: Path, patterns: list[str], chosen: list[str]) -> None:
    (tmp_path / "config").write_text("Host web-1 web-2 db-1\n")
    assert [host.name for host in choose(read_hosts(tmp_path / "config"), patterns)] == chosen


def test_brackets_are_no_wildcards() -> None:
    assert not matches("a1", ["a[1-2]"])
    assert matches("a[1-2]", ["a[1-2]"])
