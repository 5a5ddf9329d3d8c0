"""Asking servers whether they answer: not too many at once, each told, none left behind."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import InputError, ServersUnreachable
from tui.inventory.reaching import ANSWERS, ASKED, AT_ONCE, NEVER, SILENT, Reaching


class Asked:
    """Servers that answer when they are let; `most` is how many were asked at once."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.now = self.most = self.total = 0

    async def __call__(self, name: str) -> float:
        self.now += 1
        self.total += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
        finally:
            self.now -= 1
        if name.startswith("faulty"):
            raise InputError("the servers have 2 faults")
        if name.startswith("gone"):
            raise ServersUnreachable(f"{name} cannot be reached: connection refused")
        return 0.25


async def test_no_more_than_some_are_asked_at_once_and_each_is_told() -> None:
    asked, changed = Asked(), []
    reaching = Reaching(asked, lambda: 100.0, changed.append)
    names = [*(f"web-{number}" for number in range(50)), "gone"]
    asking = asyncio.create_task(reaching.ask(names))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert asked.now == AT_ONCE and reaching.open == 51 and reaching.of("web-49").sign is ASKED
    asked.gate.set()
    await asking
    assert asked.most == AT_ONCE and asked.total == 51 and reaching.open == 0
    assert (
        reaching.of("web-3").took_s == 0.25
        and reaching.of("web-3").sign is ANSWERS
        and reaching.of("web-3").at == 100.0
    )
    silent = reaching.of("gone")
    assert silent.sign is SILENT and silent.sentence(141.0) == "connection refused, 41s ago"
    assert len(changed) == 2 * 51


async def test_one_that_is_being_asked_is_not_asked_again() -> None:
    asked = Asked()
    reaching = Reaching(asked, lambda: 0.0, lambda name: None)
    first = asyncio.create_task(reaching.ask(["a"]))
    await asyncio.sleep(0)
    await reaching.ask(["a"])
    asked.gate.set()
    await first
    assert asked.total == 1


async def test_what_was_stopped_before_its_turn_was_never_asked() -> None:
    asked = Asked()
    reaching = Reaching(asked, lambda: 0.0, lambda name: None)
    asking = asyncio.create_task(reaching.ask([f"web-{number}" for number in range(40)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert asked.now == 0 and reaching.open == 0 and reaching.of("web-39") is NEVER


async def test_where_nobody_can_be_asked_nobody_is_silent() -> None:
    asked = Asked()
    asked.gate.set()
    reaching = Reaching(asked, lambda: 0.0, lambda name: None)
    await reaching.ask(["web-1"])
    with pytest.raises(InputError, match="2 faults"):
        await reaching.ask(["web-1", "faulty", "web-2"])
    assert reaching.of("web-1").sign is ANSWERS and reaching.of("faulty") is NEVER and not reaching.open


async def test_rounds_beside_each_other_keep_the_limit_and_a_stopped_one_leaves_what_was_known() -> None:
    asked = Asked()
    asked.gate.set()
    reaching = Reaching(asked, lambda: 0.0, lambda name: None)
    await reaching.ask(["web-0"])
    asked.gate.clear()
    rounds = [
        asyncio.create_task(reaching.ask([f"web-{number}" for number in range(at * 30, at * 30 + 30)]))
        for at in range(4)
    ]
    for _ in range(5):
        await asyncio.sleep(0)
    assert asked.most == AT_ONCE and reaching.of("web-0").sign is ASKED
    for each in rounds:
        each.cancel()
    await asyncio.gather(*rounds, return_exceptions=True)
    assert reaching.of("web-0").sign is ANSWERS and reaching.of("web-1") is NEVER
