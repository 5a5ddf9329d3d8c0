"""A canary: a batch prints its secret in every form, and nobody can find it afterwards, here or in a process list."""

from __future__ import annotations

import base64
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.e2e.cli.conftest import REPOSITORY, Place, until

CANARY = "Kx7+canary/2f 9 bird~ä&end"

BATCH = r"""
    strategy: {max_failures: 5}
    env: {CANARY: "{{ secret('deep/canary') }}"}
    steps:
      gate:
        run: touch begun; while [ ! -e open ]; do sleep 0.05; done; printf 'clear %s\n' "$CANARY"
      forms:
        env: {URL: "http://me:{{ secret('deep/canary') }}@{{ server.name }}/"}
        run: |
          printf '%s' "$CANARY" | base64
          printf 'x%s' "$CANARY" | base64 -w 9 >&2
          printf 'xy%s' "$CANARY" | base64 | tr +/ -_
          python3 -c 'import os, urllib.parse as u; print(u.quote(os.environ["CANARY"])); print(u.quote_plus(os.environ["CANARY"]))'
          echo "$URL"
          half=$(printf '%.9s' "$CANARY"); printf '%s' "$half"; sleep 0.4; printf '%s\n' "${CANARY#"$half"}"
          printf '%s' "$CANARY" | while IFS= read -r -n 1 c; do printf '%s' "$c"; sleep 0.01; done; echo
        register: printed
      again: {run: 'echo "again {{ registered.printed.output | quote }}"'}
      fails: {run: 'echo "last words $CANARY" >&2; exit 3'}
      root: {sudo: true, run: 'printf "root %s\n" "$CANARY"', needs: [again]}
"""


def forms(text: bytes) -> list[bytes]:
    """What must not be found: what stands for the secret alone in each encoding."""
    found = [text, quote(text, safe="").encode(), quote(text).encode(), text.replace(b"+", b"%2B")]
    for before in range(3):
        whole = base64.b64encode(b"-" * before + text)[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        found += [whole, whole.translate(bytes.maketrans(b"+/", b"-_"))]
    return found


def command_lines() -> bytes:
    """What every process of this machine, the servers' too, shows in the process list."""
    seen = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            seen += path.read_bytes().replace(b"\0", b" ") + b"\n"
        except OSError:
            continue
    return seen


def store_canary(place: Place) -> None:
    """Stores the canary as deep/canary."""
    assert place.windlass("secrets", "init").status == 0
    subprocess.run(
        [sys.executable, "-m", "cli", "secrets", "set", "deep/canary"],
        cwd=place.path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        input=CANARY.encode(),
        check=True,
        capture_output=True,
    )


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="there is no /proc")
def test_f48_a_canary_is_found_nowhere(place: Place, tmp_path: Path) -> None:
    store_canary(place)
    sudo = os.geteuid() == 0 and shutil.which("sudo") is not None
    place.batch(BATCH if sudo else BATCH.replace("sudo: true, ", ""))
    answers = [
        place.windlass("plan", "work"),
        place.windlass("plan", "work", "--json"),
        place.windlass("validate"),
    ]
    program = place.start("run", "work", "--output")
    until(lambda: (place.home("web-1") / "begun").exists(), "the gate")
    lists = command_lines()
    assert b"cli run work" in lists, "it looked at the right place"
    for name in ("web-1", "web-2"):
        (place.home(name) / "open").touch()
    while program.process.poll() is None:
        lists += command_lines()
    run = program.end()
    assert "root@web-1 | root " + "*" * len(CANARY.encode()) in run.err, run.err
    assert "clear " + "*" * len(CANARY.encode()) in run.err, run.err
    answers += [
        run,
        *(
            place.windlass(*words)
            for words in (
                ("runs", "list", "--json"),
                ("runs", "show", "1", "--json"),
                ("runs", "show", "1", "fails@web-1", "--json"),
                ("runs", "show", "1", "fails@web-1"),
                ("runs", "logs", "1", "--json"),
                ("runs", "logs", "1", "forms@web-1", "--raw"),
                ("runs", "watch", "1", "--json", "--output"),
                ("runs", "diff", "1"),
            )
        ),
    ]
    raw = answers[-3].out
    assert raw.count("*" * 20) >= 6, raw
    places = {"the process lists": lists}
    for number, answer in enumerate(answers):
        places[f"answer {number}"] = (answer.out + answer.err).encode()
    for path in [*place.path.rglob("*"), *tmp_path.rglob("*")]:
        if path.is_file() and not path.is_symlink():
            places[str(path)] = path.read_bytes()
    with closing(sqlite3.connect(place.path / ".windlass" / "state.db")) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in database.execute(f"SELECT * FROM {table}"):
                places.setdefault(f"table {table}", b"")
                places[f"table {table}"] += b"\n".join(
                    value if isinstance(value, bytes) else str(value).encode() for value in row
                )
        output = b"".join(row[0] for row in database.execute("SELECT data FROM output ORDER BY stream, id"))
    places["the output in a row"] = output
    places["the output without its lines"] = re.sub(rb"\s", b"", output)
    for where, content in places.items():
        for form in forms(CANARY.encode()):
            assert form not in content, f"{form!r} stands in {where}"
    assert any(b"secret('deep/canary')" in content for content in places.values())


def test_f48_a_secret_split_by_a_kill_is_taken_out_whole(place: Place) -> None:
    store_canary(place)
    place.batch(
        r"""
        steps:
          halves:
            on: name:web-1
            env: {CANARY: "{{ secret('deep/canary') }}"}
            run: |
              half=$(printf '%.9s' "$CANARY"); printf 'before %s' "$half"; touch begun
              while [ ! -e open ]; do sleep 0.05; done
              printf '%s after\n' "${CANARY#"$half"}"
        """
    )
    program = place.start("run", "work")
    until(lambda: b"before " in stored_output(place), "the first half")
    assert stored_output(place) == b"before "
    program.signal(signal.SIGKILL)
    program.end()
    (place.home("web-1") / "open").touch()
    answer = place.windlass("runs", "resume", "1")
    assert answer.status == 0, answer.err
    assert stored_output(place) == b"before " + b"*" * len(CANARY.encode()) + b" after\n"


def stored_output(place: Place) -> bytes:
    """What the database holds of all output."""
    database = place.path / ".windlass" / "state.db"
    if not database.exists():
        return b""
    with closing(sqlite3.connect(database)) as connection:
        try:
            return b"".join(row[0] for row in connection.execute("SELECT data FROM output ORDER BY id"))
        except sqlite3.OperationalError:  # its tables are being made
            return b""
