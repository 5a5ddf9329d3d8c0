"""The inventory on the command line, trust, and commands on many servers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.selectors import as_selector
from core.batch.load import load_batch
from core.engine.adhoc import MAX_COMMAND_BYTES, adhoc_batch
from core.engine.api import HostKey
from core.engine.executor import Ended
from core.engine.reading import ReadingEngine
from core.errors import InputError
from core.template import compile_text
from tests.support.lab import Lab
from tests.support.memory import Reply
from tests.unit.cli.conftest import Windlass, golden

FINGERPRINT = "SHA256:abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"


# ---------------------------------------------------------------- looking


def test_list_and_show(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("servers", "list")
    assert (answer.status, answer.err) == (0, "")
    golden("servers-list", answer.out)
    golden("servers-show", windlass("servers", "show", "a").out, folder=lab.path)


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("all", ["a", "b"]),
        ("a", ["a"]),
        ("name:b", ["b"]),
        ("group:odd or name:b", ["a", "b"]),
        ("not a", None),
    ],
)
def test_list_narrowed(windlass: Windlass, lab: Lab, selector: str, names: list[str] | None) -> None:
    answer = windlass("servers", "list", selector, "--json")
    if names is None:
        assert answer.status == 2
    else:
        assert [json.loads(line)["server"] for line in answer.out.splitlines()] == names


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("list", "odd"), "did you mean group:odd?"),
        (("list", "name:zzz"), "no server matches"),
        (("list", "group:("), "cannot be read"),
        (("show", "aa"), "did you mean 'a'?"),
        (("show", "zzz"), "windlass servers list"),
        (("start", "zzz"), "zzz"),
        (("ssh", "zzz"), "zzz"),
        (("exec", "odd", "true"), "did you mean group:odd?"),
        (("exec", "not name:zzz", "true"), "there is no server 'zzz'"),
        (("exec", "all", " "), "is empty"),
        (("exec", "--timeout", "3parsec", "all", "true"), "3parsec"),
    ],
)
def test_what_is_not_there(windlass: Windlass, lab: Lab, arguments: tuple[str, ...], told: str) -> None:
    answer = windlass("servers", *arguments)
    assert (answer.status, answer.out) == (2, "")
    assert told in answer.err
    assert ".windlass/adhoc" not in answer.err
    assert not list(lab.path.glob(".windlass/adhoc/*"))


def test_faults_of_the_settings(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "servers" / "static.yaml").write_text(
        "provider: static\nservers:\n  a: {adress: x, port: 0}\n"
    )
    answer = windlass("servers", "list")
    assert answer.status == 2
    assert "servers/static.yaml:3:" in answer.err and "adress" in answer.err and "port" in answer.err


def test_a_workspace_without_servers(windlass: Windlass, lab: Lab) -> None:
    (lab.path / "servers" / "static.yaml").unlink()
    answer = windlass("servers", "list")
    assert (answer.status, answer.out) == (0, "")
    assert "servers/" in answer.err


# ---------------------------------------------------------------- trust


@pytest.fixture
def shown(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> list[HostKey]:
    """Servers that show a host key; what is trusted is listed."""
    trusted: list[HostKey] = []

    async def host_key(self: ReadingEngine, server: str) -> HostKey:
        return HostKey(server, "127.0.0.1", 22, "ssh-ed25519 AAAA", FINGERPRINT)

    async def trust(self: ReadingEngine, key: HostKey, *, actor: str) -> None:
        trusted.append(key)

    monkeypatch.setattr(ReadingEngine, "host_key", host_key)
    monkeypatch.setattr(ReadingEngine, "trust", trust)
    return trusted


def test_trust_without_a_terminal_wants_the_fingerprint(windlass: Windlass, shown: list[HostKey]) -> None:
    answer = windlass("servers", "trust", "a")
    assert (answer.status, answer.out, shown) == (4, "", [])
    assert f"windlass servers trust a --fingerprint {FINGERPRINT}" in answer.err


def test_trust_of_what_is_shown(windlass: Windlass, shown: list[HostKey]) -> None:
    answer = windlass("servers", "trust", "a", "--fingerprint", FINGERPRINT)
    assert (answer.status, answer.out) == (0, f"a {FINGERPRINT}\n")
    assert [key.server for key in shown] == ["a"]


@pytest.mark.parametrize("given", ["SHA256:other", FINGERPRINT[:-1], FINGERPRINT.lower(), ""])
def test_trust_of_another_key_is_refused_with_both(
    windlass: Windlass, shown: list[HostKey], given: str
) -> None:
    answer = windlass("servers", "trust", "a", "--fingerprint", given)
    assert (answer.status, answer.out, shown) == (2, "", [])
    assert FINGERPRINT in answer.err and given in answer.err


@pytest.mark.parametrize(("typed", "status"), [("y", 0), ("n", 4)])
def test_trust_asks_on_a_terminal(
    windlass: Windlass, shown: list[HostKey], monkeypatch: pytest.MonkeyPatch, typed: str, status: int
) -> None:
    import io
    import sys

    monkeypatch.setattr("cli.servers_change.interactive", lambda: True)
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{typed}\n"))
    answer = windlass("servers", "trust", "a")
    assert answer.status == status
    assert FINGERPRINT in answer.err
    assert bool(shown) is (status == 0)


# ---------------------------------------------------------------- exec


def test_exec_is_a_recorded_run(windlass: Windlass, lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(output=b"up \x1b[31m3 days\nno line end")
    answer = windlass("servers", "exec", "--parallel", "1", "all", "--", "uptime", "-s")
    assert answer.status == 0
    assert answer.out == "a | up ^[[31m3 days\na | no line end\nb | up ^[[31m3 days\nb | no line end\n"
    assert "✓ done  run 1 exec: 2 tasks on 2 servers" in answer.err
    assert lab.memory.effects == ["command@a run 1: uptime -s", "command@b run 1: uptime -s"]
    assert "uptime -s" in windlass("runs", "show", "1").out
    assert "up" in windlass("runs", "logs", "1").out
    (document,) = (lab.path / ".windlass" / "adhoc").iterdir()
    assert document.stat().st_mode & 0o777 == 0o600


def test_exec_goes_on_where_others_fail_and_tells_it(windlass: Windlass, lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(Ended(3), b"no\n") if ref.server == "a" else None
    answer = windlass("servers", "exec", "all", "false")
    assert answer.status == 1
    assert answer.out == "a | no\n"
    assert "command  a" in answer.err and "exit 3" in answer.err
    assert answer.err.count("no\n") == 0 or "| no" not in answer.err  # it stands on stdout once
    assert "runs rollback" not in answer.err  # there is nothing to undo
    assert len(lab.memory.effects) == 2


def test_exec_with_json(windlass: Windlass, lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(output=b"up\n")
    answer = windlass("servers", "exec", "--json", "name:a", "uptime")
    kinds = [json.loads(line)["type"] for line in answer.out.splitlines()]
    assert kinds.count("output") == 1 and kinds[-1] == "result"


def test_exec_keeps_the_newest_documents_only(windlass: Windlass, lab: Lab, monkeypatch: Any) -> None:
    monkeypatch.setattr("core.engine.adhoc.KEPT", 2)
    for number in range(4):
        assert windlass("servers", "exec", "a", f"echo {number}").status == 0
    kept = sorted((lab.path / ".windlass" / "adhoc").iterdir())
    assert [json.loads(path.read_text())["steps"]["command"]["run"] for path in kept] == ["echo 2", "echo 3"]


@given(
    st.text(
        alphabet=st.one_of(st.sampled_from("{}%#'\"\\ \n\t-:$"), st.characters(codec="utf-8")), max_size=40
    )
)
def test_a_command_reaches_the_server_as_it_was_typed(command: str) -> None:
    try:
        text = adhoc_batch("all", command, parallel=3, timeout="5m", sudo=True)
    except InputError:
        assert not command.strip() or not command.replace("\n", " ").replace("\t", " ").isprintable()
        return
    step = load_batch(text, "exec.yaml").batch.steps["command"]
    assert step.run is not None
    assert compile_text(step.run).render({}) == command
    assert (step.sudo, step.timeout_s) == ("root", 300.0)


def test_a_command_that_is_too_long_is_refused() -> None:
    with pytest.raises(InputError, match="longer than"):
        adhoc_batch("all", "x" * (MAX_COMMAND_BYTES + 1), parallel=1, timeout=None, sudo=False)


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("web-3", "name:web-3"),
        (" web-3 ", "name:web-3"),
        ("all", "all"),
        ("not", "not"),
        ("group:web", "group:web"),
        ("web-*", "web-*"),
        ("a b", "a b"),
        ("", ""),
    ],
)
def test_a_name_alone_is_a_selector(text: str, selector: str) -> None:
    assert as_selector(text) == selector
