"""Prompts are recognised by what real programs print last, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.prompts import hint_for

ASKED = [
    ("NOPASSWD", b"[sudo] password for deploy: "),
    ("NOPASSWD", b"[sudo: authenticate] Password: "),
    ("NOPASSWD", b"sudo: a password is required\n"),
    (
        "NOPASSWD",
        b"sudo: a terminal is required to read the password; either use the -S option to read from standard "
        b"input or configure an askpass helper\nsudo: a password is required\n",
    ),
    ("NOPASSWD", b"sudo: no tty present and no askpass program specified\n"),
    ("NOPASSWD", b"sudo: sorry, you must have a tty to run sudo\n"),
    ("password", b"Password: "),
    ("password", b"Password:"),
    ("password", b"deploy@db-1's password: "),
    ("password", b"Enter password: "),
    ("password", b"New password: "),
    ("password", b"Password for user postgres: "),
    ("password", b"su: must be run from a terminal\n"),
    ("passphrase", b"Enter passphrase for key '/home/deploy/.ssh/id_rsa': "),
    ("pager", b"some text\n\x1b[7m--More--\x1b[27m"),
    ("pager", b"--More--(42%)"),
    ("pager", b"\x1b[7m(END)\x1b[27m\x1b[K"),
    ("pager", b"lines 1-23/120 19%"),
    ("pager", b"WARNING: terminal is not fully functional\nPress RETURN to continue "),
    (
        "known_hosts",
        b"The authenticity of host 'db-1 (10.0.0.3)' can't be established.\n"
        b"ED25519 key fingerprint is SHA256:abc.\n"
        b"Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
    ),
    ("known_hosts", b"Host key verification failed.\r\nfatal: Could not read from remote repository.\n"),
    ("-y", b"After this operation, 12 MB will be used.\nDo you want to continue? [Y/n] Abort.\n"),
    ("-y", b"Do you want to continue? [Y/n] "),
    ("-y", b"Is this ok [y/N]: "),
    ("-y", b"Is this ok [y/d/N]: "),
    ("-y", b"Proceed ([y]/n)? "),
    ("git", b"fatal: could not read Username for 'https://example.com': No such device or address\n"),
    ("git", b"fatal: could not read Password for 'https://x@example.com': terminal prompts disabled\n"),
    ("terminal", b"the input device is not a TTY\n"),
    ("terminal", b"Error: stdin is not a terminal\n"),
    ("-auto-approve", b"  Only 'yes' will be accepted to approve.\n\n  Enter a value: "),
    ("question", b"Overwrite /etc/app.conf? (y/n) "),
    ("question", b"Remove all data [y/N]? "),
    ("question", b"Continue (yes/no):"),
]


@pytest.mark.parametrize(("word", "tail"), ASKED, ids=[tail[-24:].decode("latin-1") for _, tail in ASKED])
@pytest.mark.parametrize("status", [1, None])
def test_prompts_are_recognised_on_either_stream(word: str, tail: bytes, status: int | None) -> None:
    assert word in hint_for(tail, b"working\n", status)
    assert word in hint_for(b"", b"working\n" + tail, status)


@pytest.mark.parametrize("tail", [tail for _, tail in ASKED])
def test_a_command_that_went_well_asked_nothing_that_mattered(tail: bytes) -> None:
    assert hint_for(tail, tail, 0) == ""


@pytest.mark.parametrize(
    "tail",
    [
        b"",
        b"\n\n",
        b"error: connection refused\n",
        b"password changed\n",
        b"[sudo] is not installed\n"[1:],
        b"Password: ok\nline\nline\nline\nline\nline\ndone\n",
        b"checking password policy: ok\n",
        b"usage: tool [-y] [--no-pager]\n",
        b"the answer is yes/no\n",
        b"exit status: 3\n",
        b"listening on :\n8080:\n",
        b"2024-01-01 Do you want tea\n",
        b"\xff\xfe\x00\x1b[31mboom\x1b[0m\n",
    ],
)
def test_ordinary_ends_are_no_prompts(tail: bytes) -> None:
    assert hint_for(tail, b"", 1) == ""
    assert hint_for(b"", tail, 1) == ""


def test_a_question_that_was_answered_is_none() -> None:
    assert hint_for(b"", b"Overwrite? (y/n) y\nwriting\nerror: disk full\n", 1) == ""


@given(st.binary(max_size=4096), st.binary(max_size=300), st.none() | st.integers(0, 255))
def test_any_bytes_are_taken(stderr: bytes, stdout: bytes, status: int | None) -> None:
    hint = hint_for(stderr, stdout, status)
    assert hint.isprintable()


def test_a_long_line_is_looked_at_quickly() -> None:
    assert hint_for(b"[y/" * 400, b"(" * 100_000, 1) == ""
