"""Servers on the command line: commands on many, OpenSSH's own client, host keys that nobody vouched for."""

from __future__ import annotations

import json
import re
import shlex
import shutil

import pytest

from tests.e2e.cli.conftest import Place


def test_exec_prints_what_servers_print(place: Place) -> None:
    answer = place.windlass(
        "servers", "exec", "all", "--", "printf", "%s\\n", "a  b", "{{ $HOME }}", "{% x %}"
    )
    assert answer.status == 0, answer.err
    assert sorted(answer.out.splitlines()) == [
        f"{name} | {line}" for name in ("web-1", "web-2") for line in ("a  b", "{% x %}", "{{ $HOME }}")
    ]
    answer = place.windlass("servers", "exec", "web-1", 'echo "$WINDLASS_SERVER" | tr a-z A-Z; exit 3')
    assert (answer.status, answer.out) == (1, "web-1 | WEB-1\n")
    runs = place.windlass("runs", "list", "--json").objects()
    assert [run["batch"] for run in runs] == ["exec", "exec"]


def test_list_shows_what_runs(place: Place) -> None:
    assert place.windlass("servers", "stop", "web-1").out == "web-1\n"
    states = {
        found["server"]: found["state"] for found in place.windlass("servers", "list", "--json").objects()
    }
    assert states == {"web-1": "stopped", "web-2": "started"}
    assert "not a sandbox" in place.windlass("servers", "show", "web-1").out
    answer = place.windlass("servers", "ssh", "web-1", "true")
    assert answer.status == 2
    assert "windlass servers start web-1" in answer.err


@pytest.mark.skipif(shutil.which("ssh") is None, reason="OpenSSH's client is not installed")
def test_ssh_is_the_real_one(place: Place) -> None:
    answer = place.windlass("servers", "ssh", "web-1", "--", "pwd; exit 7")
    assert (answer.status, answer.out) == (7, f"{place.home('web-1')}\n"), answer.err
    assert place.windlass("servers", "ssh", "web-1", "true").status == 0


def as_static(place: Place, name: str, like: str) -> None:
    """The same server once more, as a static one whose key nobody vouches for."""
    (found,) = place.windlass("servers", "show", like, "--json").objects()
    entry = {
        "address": found["address"],
        "port": found["port"],
        "user": found["user"],
        "identity_file": ".windlass/providers/local/id_ed25519",
    }
    text = json.dumps({"provider": "static", "servers": {name: entry}})
    (place.path / "servers" / "static.yaml").write_text(text)


@pytest.mark.long
def test_an_unknown_host_key_is_refused_with_the_command_that_trusts_it(place: Place) -> None:
    as_static(place, "new", "web-1")
    place.batch("{strategy: {on_failure: continue}, steps: {one: {on: all, run: 'true'}}}")
    answer = place.windlass("run", "work")
    assert answer.status == 6, answer.err
    assert "2 done, 1 unreachable" in answer.out  # the healthy ones went on
    command = re.search(r"windlass (servers trust new --fingerprint SHA256:[A-Za-z0-9+/]+)", answer.err)
    assert command is not None, answer.err

    wrong = place.windlass("servers", "trust", "new", "--fingerprint", "SHA256:" + "A" * 43)
    assert wrong.status == 2
    assert place.windlass("servers", "trust", "new").status == 4
    trusted = place.windlass(*shlex.split(command.group(1)))
    assert trusted.status == 0, trusted.err
    assert place.windlass("runs", "retry").status == 0

    as_static(place, "new", "web-2")  # another key behind the name: trust has to be given anew
    changed = place.windlass("run", "work", "--limit", "new")
    assert changed.status == 6, changed.err
    assert place.windlass("servers", "trust", "web-1", "--fingerprint", "SHA256:x").status == 2


@pytest.mark.long
def test_a_changed_host_key_is_never_replaced(place: Place) -> None:
    as_static(place, "new", "web-1")
    refused = place.windlass("servers", "trust", "new")
    shown = re.search(r"SHA256:[A-Za-z0-9+/]+", refused.err)
    assert shown is not None
    assert place.windlass("servers", "trust", "new", "--fingerprint", shown.group()).status == 0
    (found,) = place.windlass("servers", "show", "web-1", "--json").objects()
    (other,) = place.windlass("servers", "show", "web-2", "--json").objects()
    known = place.path / ".windlass" / "known_hosts"
    known.write_text(known.read_text().replace(f":{found['port']}", f":{other['port']}"))
    as_static(place, "new", "web-2")
    shows = place.windlass("servers", "trust", "new")
    second = re.search(r"SHA256:[A-Za-z0-9+/]+", shows.err)
    assert second is not None and second.group() != shown.group()
    place.batch("steps: {one: {on: 'name:new', run: 'true'}}")
    answer = place.windlass("run", "work")
    assert answer.status == 6
    assert shown.group() in answer.err and second.group() in answer.err  # both are told
    answer = place.windlass("servers", "trust", "new", "--fingerprint", second.group())
    assert answer.status == 2
    assert shown.group() in answer.err
