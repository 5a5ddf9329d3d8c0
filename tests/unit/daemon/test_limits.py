"""How much one caller may ask, and that a good token is held up by nobody else."""

from __future__ import annotations

from pathlib import Path

from daemon.limits import Buckets
from tests.support.lab import Lab
from tests.unit.daemon.test_access import served

ADMIN = {"authorization": "Bearer admin"}


def test_a_bucket_fills_again() -> None:
    now = [100.0]
    buckets = Buckets(2.0, 3.0, lambda: now[0])
    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a") == 0.5
    assert buckets.take("b") == 0.0, "each key has its own"
    now[0] += 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0
    now[0] += 1000
    assert [buckets.take("a") > 0 for _ in range(4)] == [False, False, False, True]


def test_the_longest_unused_are_forgotten() -> None:
    buckets = Buckets(1.0, 1.0, lambda: 0.0)
    for number in range(10_001):
        buckets.take(str(number))
    assert len(buckets._left) == 10_000 and "0" not in buckets._left


async def test_f50_a_caller_that_asks_too_much_is_told_when_to_ask_again(tmp_path: Path) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, found, _):
        found.limits.requests = Buckets(0.1, 3.0)
        answers = [await client.get("/v1/runs", headers=ADMIN) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert 1 <= int(answers[-1].headers["retry-after"]) <= 10
        assert answers[-1].headers["content-type"] == "application/problem+json"
        other = await client.get("/v1/runs", headers={"authorization": "Bearer viewer"})
        assert other.status_code == 200


async def test_f50_guessing_is_slowed_and_holds_up_no_good_token(tmp_path: Path) -> None:
    async with served(Lab(tmp_path / "lab")) as (client, found, _):
        found.limits.failures = Buckets(0.1, 3.0)
        guess = {"authorization": "Bearer guess"}
        statuses = [(await client.get("/v1/runs", headers=guess)).status_code for _ in range(3)]
        statuses += [(await client.get("/v1/runs")).status_code]
        assert statuses == [401, 401, 401, 429]
        assert (await client.get("/v1/runs", headers=ADMIN)).status_code == 200
