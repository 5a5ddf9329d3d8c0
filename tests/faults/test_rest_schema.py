"""The REST API against its own description: schemathesis asks the real server whatever the description allows, and what it
does not allow, with all of its checks.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

import pytest

from daemon.limits import Buckets
from tests.support.lab import Lab
from tests.unit.daemon.test_access import served

WAIT_S = 500
SETTINGS = """
[checks]
# A server that cannot be reached is told as 502: the answer of somebody else is missing, not ours.
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", 502]
# What fits the description and means nothing here (a batch that is not there, a path of no value) is refused in words.
positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404, 409, 410, 422, 502]
"""
LEFT_OUT = "/v1/events/stream"
"""It never ends; test_rest_events.py follows it."""


@pytest.mark.parametrize(
    "examples", [pytest.param(3, id="few"), pytest.param(60, id="many", marks=pytest.mark.long)]
)
async def test_the_api_is_as_it_describes_itself(tmp_path: Path, examples: int) -> None:
    lab = Lab(tmp_path / "lab")
    lab.batch("params: {n: {type: integer, default: 1}}\nsteps: {one: {run: work, undo: back}}")
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(SETTINGS)
    async with served(lab) as (client, found, _):
        found.limits.requests = Buckets(1e6, 1e6)
        admin = {"authorization": "Bearer admin"}
        started = await client.post("/v1/runs", headers=admin, json={"plan": {"batch": "work"}, "actor": ""})
        assert started.status_code == 201
        process = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"],
            *[
                f"{client.base_url}/v1/openapi.json".replace("//v1", "/v1"),
                "--header",
                "Authorization: Bearer admin",
            ],
            *["--checks", "all", "--max-examples", str(examples), "--exclude-path", LEFT_OUT],
            *["--request-timeout", "30", "--continue-on-failure", "--no-color", "--seed", "1"],
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=tmp_path,
        )
        try:
            async with asyncio.timeout(WAIT_S):
                told, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    words = told.decode()
    assert process.returncode == 0, words[-20_000:]
    tested = re.search(r"Tested: (\d+)", words)
    assert tested is not None and int(tested[1]) >= 40, "every resource but the stream was asked"
