"""The audit log: entries that chain, from several processes, and what is seen of a log that was edited."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import InputError, StoreError
from core.store.audit import FIRST, AuditLog


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    found = AuditLog(tmp_path / ".windlass")
    for number in range(1, 6):
        found.append("me@here", "run.pause", {"run": number, "reason": f"because {number} ü"})
    return found


def rewritten(log: AuditLog, change: object) -> list[str]:
    lines = log.path.read_text().splitlines()
    change(lines)  # type: ignore[operator]
    log.path.write_text("".join(f"{line}\n" for line in lines))
    return lines


def test_each_entry_follows_the_one_before_it(log: AuditLog) -> None:
    entries = list(log.entries())
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous == FIRST
    assert [entry.previous for entry in entries[1:]] == [entry.hash for entry in entries[:-1]]
    assert entries[2].details == {"run": 3, "reason": "because 3 ü"}
    verified = log.verify()
    assert (verified.entries, verified.head) == (5, entries[-1].hash)
    assert stat.S_IMODE(log.path.stat().st_mode) == 0o600
    assert log.path.read_bytes().isascii()


def test_an_empty_log_holds(tmp_path: Path) -> None:
    verified = AuditLog(tmp_path).verify()
    assert (verified.entries, verified.head) == (0, FIRST)


def edited(lines: list[str]) -> None:
    lines[2] = lines[2].replace("because 3", "because of nothing")


def removed(lines: list[str]) -> None:
    del lines[2]


def swapped(lines: list[str]) -> None:
    lines[2], lines[3] = lines[3], lines[2]


def made_up(lines: list[str]) -> None:
    lines.insert(2, lines[1])


def broken(lines: list[str]) -> None:
    lines[2] = lines[2][:-5]


def rehashed(lines: list[str]) -> None:
    told = json.loads(lines[2])
    told["actor"] = "somebody"
    lines[2] = json.dumps(told)


@pytest.mark.parametrize("change", [edited, removed, swapped, made_up, broken, rehashed])
def test_f51_an_edited_log_is_found_and_its_first_bad_line_named(log: AuditLog, change: object) -> None:
    rewritten(log, change)
    with pytest.raises(InputError) as caught:
        log.verify()
    assert f"{log.path}:3:1: the audit log does not hold from here on" in caught.value.message


def test_f51_what_was_cut_off_the_end_is_found_by_a_hash_that_was_kept(log: AuditLog) -> None:
    head = log.verify().head
    assert log.verify(head).entries == 5
    rewritten(log, lambda lines: lines.pop())
    assert log.verify().entries == 4
    with pytest.raises(InputError, match="has no entry of the hash"):
        log.verify(head)


def test_a_line_that_a_crash_left_half_written_is_no_entry(log: AuditLog) -> None:
    with log.path.open("ab") as file:
        file.write(b'{"number":6,"time":1.0,"act')
    with pytest.raises(InputError, match=":6:1:"):
        log.verify()
    entry = log.append("me@here", "run.cancel")
    assert entry.number == 6 and log.verify().entries == 6


def test_nothing_is_added_behind_a_line_that_is_none(log: AuditLog) -> None:
    rewritten(log, lambda lines: lines.append("nonsense"))
    with pytest.raises(StoreError, match="the last line"):
        log.append("me@here", "run.cancel")


def test_what_is_too_long_for_a_line_is_left_out_and_said(log: AuditLog) -> None:
    entry = log.append("x" * 5000, "run.start", {"params": "y" * 200_000})
    assert len(entry.actor) == 1000 and entry.details == {"left_out": "too long"}
    assert log.append("me@here", "run.pause").number == 7 and log.verify().entries == 7


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / ".windlass")
    (tmp_path / ".windlass").mkdir(mode=0o700)
    log.path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError):
        log.append("me@here", "run.pause")
    assert not (tmp_path / "elsewhere").exists()


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from core.store.audit import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1]))\n"
        "for number in range(40): log.append(f'writer-{sys.argv[2]}', 'run.pause', {'run': number})\n"
    )
    writers = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "state"), str(which)])
        for which in range(4)
    ]
    assert [writer.wait(60) for writer in writers] == [0] * 4
    log = AuditLog(tmp_path / "state")
    assert log.verify().entries == 160
    for which in range(4):
        mine = [entry.details["run"] for entry in log.entries() if entry.actor == f"writer-{which}"]
        assert mine == list(range(40))
