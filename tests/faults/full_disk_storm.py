"""A run on a small disk that fills up again and again: `python -m tests.faults.full_disk_storm FOLDER`.

FOLDER is a small disk of its own for the workspace. Its servers are one sshd elsewhere, described by the JSON
in the environment variable STORM. Prints what was counted as one line of JSON.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.faults.full_disk_program import fill
from tests.faults.storms import Storm, batch_text
from tests.support.program import WAIT_S, Program


def main() -> None:
    """Fills the disk at random moments of the run, makes room, resumes."""
    folder, told = Path(sys.argv[1]), json.loads(os.environ["STORM"])
    program = Program(folder / "lab", servers=told["names"])
    (program.path / "servers" / "local.yaml").unlink()
    (program.path / "servers" / "static.yaml").write_text(told["servers"])
    home = Path(told["home"])
    storm = Storm(program, told["seed"], homes=[home])
    program.batch(batch_text(told["steps"], storm.seed, folder=str(home)))
    words = ["run", "work"]
    for _ in range(told["times"]):
        with program.process(*words, "--json") as process:
            storm.hear(process, storm.moments.randint(15, 40))
            if process.poll() is None:
                filler = fill(folder)
                storm.count.kills += 1
                process.communicate(timeout=WAIT_S)
                filler.unlink()
        words = ["runs", "resume", "1"]
        if storm.state == "done":
            break
    if storm.state != "done":
        storm.go_on()
    storm.settle_doubts(0)
    storm.hold_against_the_store()
    storm.hold_effects_once()
    outputs = storm.hold_output()
    print(json.dumps({"state": storm.state, "kills": storm.count.kills, "outputs": outputs}))


if __name__ == "__main__":
    main()
