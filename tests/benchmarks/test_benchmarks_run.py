"""Every benchmark runs to its end at a small size and tells figures; how fast is not asked here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.sshd import SSHD

ROOT = Path(__file__).resolve().parents[2]

SMALL = {
    "bench_api": ["--events", "200", "--runs", "50"],
    "bench_config": ["--keys", "1000"],
    "bench_engine": ["--chains", "5", "--length", "4"],
    "bench_redact": ["--mib", "0.2"],
    "bench_resume": ["--servers", "10", "--steps", "4"],
    "bench_ssh": ["--servers", "3", "--commands", "2"],
    "bench_start": [],
    "bench_store": ["--tasks", "400", "--workers", "20"],
    "bench_tui": [
        *("--servers", "60", "--keys", "30", "--idle", "1", "--live", "2", "--rate", "200", "--tasks", "40"),
        *("--settle", "0.3"),
    ],
}


def test_every_benchmark_is_run_here() -> None:
    assert {path.stem for path in (ROOT / "benchmarks").glob("bench_*.py")} == set(SMALL)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SMALL))
def test_a_small_benchmark_tells_its_figures(name: str, tmp_path: Path) -> None:
    if name == "bench_ssh" and not SSHD.exists():
        pytest.skip(f"{SSHD} is not installed")
    ran = subprocess.run(
        [
            sys.executable,
            "-m",
            f"benchmarks.{name}",
            "--rounds",
            "1",
            "--json",
            *SMALL[name],
            "--folder",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)
    assert list(tmp_path.iterdir()) == []
