"""Who did something: what is certain and what is only said, in one line, and back."""

from __future__ import annotations

import pytest

from cli.actor import actor, claims
from core.model.actors import Actor, from_header, harmless, nameless, place, to_header


@pytest.mark.parametrize(
    "made",
    [
        Actor("root@bastion"),
        Actor("root@bastion", "pts/3"),
        Actor("root@bastion", pid=4711),
        Actor("root@bastion", "pts/3", 4711, "sudo by alice, ssh from 10.0.0.5"),
        Actor("root@bastion", says="curl"),
        Actor("token ci"),
        Actor("engine"),
    ],
)
def test_a_line_is_read_as_it_was_written(made: Actor) -> None:
    assert Actor.parse(str(made)) == made


def test_the_place_is_the_same_for_each_command_of_a_terminal() -> None:
    assert place("ada@desk (pts/1; pid 41)") == place("ada@desk (pts/1; pid 42; says ssh from ::1)")
    assert place("ada@desk (pts/1; pid 41)") != place("ada@desk (pts/2; pid 41)")
    assert place("ada@desk (pid 41)") == "ada@desk" and place("") == ""


@pytest.mark.parametrize("text", ["", " (", "a (b", "a (pid x)", "a (pid 99999999999999999999)", "a (;;; )"])
def test_any_line_is_read(text: str) -> None:
    assert Actor.parse(text).place is not None


def test_what_is_claimed_cannot_look_like_what_is_certain() -> None:
    told = claims({"SUDO_USER": "eve); pid 1; says root", "SSH_CONNECTION": "10.0.0.5 1 10.0.0.7 22"})
    assert told == "sudo by eve), pid 1, says root, ssh from 10.0.0.5"
    assert Actor.parse(str(Actor("eve@desk", "", 7, told))).pid == 7
    assert harmless("a\x1b[31m\nb" * 99, 10) == "a?[31m b"[:10] or len(harmless("a" * 99, 10)) == 10


def test_a_command_says_who_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    found = Actor.parse(actor())
    assert not found.name.startswith("somebody-else@") and found.pid and found.says == "sudo by alice"


@pytest.mark.parametrize(
    "name", ["root", "jürgen", "DOM\\alice", "svc$", "al@corp.com", nameless(54321), "o'neil x"]
)
def test_a_header_gives_back_who_sent_it(name: str) -> None:
    sent = str(Actor(f"{name}@desk", "pts/3", 7, "sudo by alice"))
    header = to_header(sent)
    assert header.isascii() and header.isprintable()
    told = Actor.parse(from_header(header))
    assert told.terminal == "pts/3" and told.pid == 7
    if "'" not in name:
        assert told.place == place(sent)
    assert len(from_header("x" * 10_000)) <= 300 and from_header("%00%1b[31m") == "??[31m"
