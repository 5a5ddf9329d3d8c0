"""How fast a large configuration is read, cold and warm, beside a bare loop over the same work.

    python -m benchmarks.bench_config [--rounds 5] [--keys 10000] [--folder DIR] [--json]

One file of `--keys` values in sections of a hundred; half of them are templates that refer to the value before them.
Each row is a program of its own, started in turn with the others; wall time is to its end. Cold has no cache of parsed
files, warm has one. The bare loops are what the same libraries take by themselves: `import` of what the command
imports, JSON of the same values from the disk with every value printed, and the file parsed by ruamel.yaml alone.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks import measure
from benchmarks.bench_start import Took, start

WINDLASS = [sys.executable, "-m", "cli"]
SECTION = 50
BARE_JSON = """
import json, sys
values = json.load(open(sys.argv[1]))
for section, keys in values.items():
    for key, value in keys.items():
        print(section, key, value)
"""
BARE_YAML = """
import sys
from ruamel.yaml import YAML
for event in YAML(typ="safe", pure=True).parse(open(sys.argv[1]).read()):
    pass
"""
IMPORTS = "import click, jinja2, pydantic, ruamel.yaml"


def make_workspace(path: Path, keys: int) -> None:
    """A workspace with one large file; the same values as JSON beside it."""
    (path / "config").mkdir(parents=True)
    (path / "workspace.yaml").write_text("name: bench\nformat: 1\n")
    lines: list[str] = []
    values: dict[str, dict[str, str]] = {}
    for number in range(keys // 2):
        section, key = f"section{number // SECTION}", f"key{number % SECTION}"
        if section not in values:
            lines.append(f"{section}:\n")
        value = f"value {number}"
        values.setdefault(section, {}).update({key: value, f"ref_{key}": f"{value} and more"})
        lines.append(f"  {key}: {value}\n  ref_{key}: '{{{{ config.{section}.{key} }}}} and more'\n")
    (path / "config" / "base.yaml").write_text("".join(lines))
    (path / "values.json").write_text(json.dumps(values))


def cold(command: Sequence[str], environment: Mapping[str, str], state: Path) -> Took:
    """A program without what earlier ones kept."""
    shutil.rmtree(state, ignore_errors=True)
    return start(command, environment)


def warm(command: Sequence[str], environment: Mapping[str, str], state: Path) -> Took:
    """A program with what an earlier one kept."""
    if not (state / "cache").exists():
        start(command, environment)
    return start(command, environment)


def measure_all(rounds: int, parent: Path, keys: int) -> dict[str, Took]:
    """Every program in turn; medians of each figure by itself."""
    with measure.folder(parent, "bench-config-") as folder:
        workspace = folder / "workspace"
        make_workspace(workspace, keys)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WINDLASS")},
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "settings"),
        }
        state = workspace / ".windlass"
        show = [*WINDLASS, "config", "show", "-w", str(workspace)]
        get = [*WINDLASS, "config", "get", "section0.ref_key0", "-w", str(workspace)]
        bare = [sys.executable, "-c"]
        file, values = str(workspace / "config" / "base.yaml"), str(workspace / "values.json")
        programs: dict[str, Callable[[], Took]] = {
            "imports": partial(start, [*bare, IMPORTS], environment),
            "bare json": partial(start, [*bare, BARE_JSON, values], environment),
            "bare yaml": partial(start, [*bare, BARE_YAML, file], environment),
            "config show, cold": partial(cold, show, environment, state),
            "config show, warm": partial(warm, show, environment, state),
            "config get, cold": partial(cold, get, environment, state),
            "config get, warm": partial(warm, get, environment, state),
        }
        found = measure.in_turn(programs, rounds)
    return {
        name: Took(measure.median([one.wall_s for one in took]), measure.median([one.cpu_s for one in took]))
        for name, took in found.items()
    }


def main() -> None:
    """Runs everything and prints the table."""
    parser = measure.arguments("How fast a large configuration is read.", rounds=5)
    parser.add_argument("--keys", type=int, default=10_000, help="values, half of them templates")
    options = parser.parse_args()
    measure.end_on_signals()
    if not options.json:
        print(f"{measure.machine_line()}; {options.keys} values, median of {options.rounds}\n")
    found = measure_all(options.rounds, options.folder, options.keys)
    beside = {
        "config show, cold": "bare yaml",
        "config show, warm": "bare json",
        "config get, cold": "bare yaml",
        "config get, warm": "imports",
    }
    rows = []
    for name, took in found.items():
        other = beside.get(name, "")
        ratio = f"{took.wall_s / found[other].wall_s:.2f} × {other}" if other else ""
        rows.append((name, f"{took.wall_s * 1000:,.0f}", f"{took.cpu_s * 1000:,.0f}", ratio))
    document = {
        "benchmark": "config",
        "keys": options.keys,
        "variants": {name: {"wall_s": took.wall_s, "cpu_s": took.cpu_s} for name, took in found.items()},
    }
    measure.show(("what", "wall ms", "CPU ms", "beside"), rows, document, as_json=options.json)


if __name__ == "__main__":
    main()
