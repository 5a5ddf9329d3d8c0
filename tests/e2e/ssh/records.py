"""Records of supervised commands, seen from the server's side: every server of the tests is this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.engine.executor import Answer, Command, Trace
from core.model.ids import AttemptRef
from core.ssh.supervisor.record import record_id
from tests.e2e.ssh.lab import Flying, Lab, Recorder, eventually


@dataclass(frozen=True)
class Record:
    """The files of one attempt."""

    trace: Trace
    name: str

    @property
    def folder(self) -> Path:
        return Path(self.trace.folder)

    def file(self, kind: str) -> Path:
        """The claim ("c"), the pid ("p"), the status ("s"), stdout ("o"), stderr ("e")."""
        return self.folder / f"{self.name}.{kind}"

    def there(self) -> set[str]:
        """The kinds of file that are there."""
        return {path.name.partition(".")[2] for path in self.folder.glob(f"{self.name}.*")}

    @property
    def words(self) -> list[str]:
        """Pid, watcher, start time, uptime, boot id."""
        return self.file("p").read_text().split()

    @property
    def pid(self) -> int:
        """The leader of the command's process group."""
        return int(self.words[0])

    @property
    def watcher(self) -> int:
        """The process that waits for the command."""
        return int(self.words[1])

    def falsify(self, number: int, value: str) -> None:
        """Writes another word into the record of the start."""
        words = self.words
        words[number] = value
        self.file("p").write_text(" ".join(words) + "\n")

    async def ended(self) -> None:
        """Waits until the command's status is written."""
        status = self.file("s")
        await eventually(lambda: status.exists() and status.read_text().endswith("\n"), "its end is recorded")


async def record_of(lab: Lab, ref: AttemptRef) -> Record:
    """Where an attempt that is started now has its record."""
    return Record(await lab.trace(), record_id(ref))


async def record_in_flight(lab: Lab, flying: Flying) -> Record:
    """The record of a command that prints already."""
    return await record_of(lab, flying.ref)


async def attach(
    lab: Lab, ref: AttemptRef, record: Record, recorder: Recorder | None = None, work: Command | None = None
) -> Answer:
    """What became of an attempt, asked as an engine does that knows no more than what was stored."""
    recorder = recorder or Recorder()
    offsets = {stream: len(data) for stream, data in recorder.streams.items()}
    return await lab.executor.attach(
        lab.server, ref, work or Command("not looked at"), offsets, recorder, record.trace
    )


def processes_of(folder: Path) -> Iterator[tuple[int, str]]:
    """Processes that have a file of a folder open, with their state."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            for descriptor in (entry / "fd").iterdir():
                if os.readlink(descriptor).startswith(f"{folder}/"):
                    state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
                    yield int(entry.name), state
                    break
        except OSError:
            continue
