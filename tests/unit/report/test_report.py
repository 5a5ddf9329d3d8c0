"""The report of a run: what it tells, and that nothing a server says can get out of its place."""

from __future__ import annotations

import asyncio
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import Ended, InDoubt
from core.model.states import Decision, TaskState
from core.report.gather import LINES, TROUBLES, Report, gather
from core.report.markdown import markdown
from core.report.page import page
from tests.support.lab import ACTOR, Lab, until
from tests.support.memory import Reply

HOSTILE = (
    b"\x1b]52;c;ZXZpbA==\x07\n```\n# not a heading\n</pre><script>alert(1)</script>\n| a | b |\n````\n&lt;\n"
)
TWO = "steps: {one: {run: first, undo: back}, two: {run: second}}"
VOID = {"meta", "br"}


async def reported(lab: Lab, batch: str = TWO) -> Report:
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(batch))
        return await gather(engine, 1, made=1_772_373_731.0, version="1.0")


class Checked(HTMLParser):
    """Tags that are opened and closed in order; which there are."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(document: str) -> set[str]:
    found = Checked()
    found.feed(document)
    assert not found.open
    return found.seen


async def test_what_failed_is_told_with_its_last_lines_and_what_to_do(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: (
        Reply(answer=Ended(7), output=b"no space left\n") if (ref.step, ref.server) == ("one", "a") else None
    )
    report = await reported(lab)
    (trouble,) = report.troubles
    assert str(trouble.task.key) == "one@a" and trouble.lines == ("no space left",)
    text = markdown(report)
    assert text.startswith("# Run 1 of work: failed\n")
    assert "### one@a: failed" in text and "no space left" in text and "exit 7" in text
    assert f"windlass -w {lab.path} runs retry 1" in text and "runs rollback 1" in text
    assert ("tester@here started it" in text and "Windlass 1\\.0" in text) or "Windlass 1.0" in text
    assert {"h1", "h2", "h3", "pre", "table"} <= checked(page(report))
    assert "no space left" in page(report) and "Content-Security-Policy" in page(report)


async def test_what_is_in_doubt_comes_first_with_what_is_not_known(lab: Lab) -> None:
    def rule(ref: object, work: object) -> Reply | None:
        server = getattr(ref, "server", "")
        if getattr(ref, "step", "") != "one":
            return None
        return Reply(answer=Ended(1)) if server == "a" else Reply(answer=InDoubt("the connection broke"))

    lab.memory.rule = rule
    report = await reported(lab, "strategy: {on_failure: continue}\n" + TWO)
    assert str(report.troubles[0].task.key) == "one@b"
    text = markdown(report)
    assert "Not known:" in text and "runs decide 1 one@b done" in text and "runs resume 1" in text


async def test_a_run_that_went_well_is_short(lab: Lab) -> None:
    report = await reported(lab)
    text = markdown(report)
    assert "What went wrong" not in text and "What to do next" not in text
    assert "| one | run | 2/2 | 2 done |" in text
    checked(page(report))


async def test_what_servers_print_stays_in_its_place(own_lab: Lab) -> None:
    own_lab.memory.rule = lambda ref, work: Reply(answer=Ended(1), output=HOSTILE)
    report = await reported(own_lab)
    text = markdown(report)
    assert "\x1b" not in text and "\x07" not in text
    fences = re.findall(r"^(`{3,})text$", text, re.M)
    assert max(map(len, fences)) == 5, "longer than any that was printed"
    outside = re.sub(r"^(`{3,})text\n.*?^\1$", "", text, flags=re.M | re.S)
    assert "not a heading" not in outside and "script" not in outside
    document = page(report)
    assert "script" not in checked(document) and "<script" not in document
    assert "\x1b" not in document


async def test_names_and_reasons_mean_nothing_to_markdown(own_lab: Lab) -> None:
    own_lab.memory.rule = lambda ref, work: Reply(until=asyncio.Event())
    async with own_lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(own_lab.batch(TWO)), "eve@desk"))
        await until(engine, 1, "one@a", TaskState.RUNNING)
        await engine.pause(1, actor="eve|x@desk", reason="# now\n\n| a |\n<img src=x> [x](y) `z`")
        report = await gather(engine, 1, made=0.0, version="1.0")
    text = markdown(report)
    (line,) = [line for line in text.splitlines() if "paused it" in line]
    assert "\\# now" in line and "\\<img" in line and "\\[x\\]" in line and "\\|" in line
    assert "img" not in checked(page(report))


async def test_a_run_with_very_much_trouble_stays_short(own_lab: Lab, tmp_path: Path) -> None:
    lab = Lab(tmp_path / "large", servers=[f"s{number}" for number in range(60)])
    lab.memory.rule = lambda ref, work: Reply(answer=Ended(1), output=b"line\n" * 5000)
    report = await reported(lab, "strategy: {on_failure: continue}\nsteps: {one: {run: x}}")
    assert (len(report.troubles), len(report.more)) == (TROUBLES, 60 - TROUBLES)
    assert all(len(trouble.lines) == LINES for trouble in report.troubles)
    assert len(report.moments) <= 60 and report.left_out >= 0
    text = markdown(report)
    assert len(text) < 60_000 and "Not told in full" in text and "s59" in text


async def test_no_secret_is_in_it(own_lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_TOKEN", "hunter2-hunter2")
    own_lab.memory.rule = lambda ref, work: Reply(
        answer=Ended(1), output=f"the token is {os.environ['DEPLOY_TOKEN']}\n".encode()
    )
    secret = "steps: {one: {run: x, env: {TOKEN: \"{{ secret('env:DEPLOY_TOKEN') }}\"}}}"
    report = await reported(own_lab, secret)
    assert "the token is" in markdown(report)
    assert "hunter2" not in markdown(report) and "hunter2" not in page(report)


async def test_what_persons_decided_is_in_it(own_lab: Lab) -> None:
    own_lab.memory.rule = lambda ref, work: Reply(answer=InDoubt("gone")) if ref.step == "one" else None
    async with own_lab.engine() as engine:
        run = await own_lab.run(engine, own_lab.batch(TWO))
        for task in await engine.tasks(run.number, states=[TaskState.IN_DOUBT]):
            await engine.decide(run.number, task.key, Decision.DONE, actor=ACTOR, reason="looked")
        await engine.wait(run.number)
        text = markdown(await gather(engine, run.number, made=0.0, version="1.0"))
    assert "tester@here decided one@a: done, looked" in text
