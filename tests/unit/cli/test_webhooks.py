"""`windlass webhooks`, and what a command that was the engine tells of what it still owes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from core.outgoing import outlet
from tests.support.lab import Lab
from tests.support.receiver import SECRET, Receiver
from tests.unit.cli.conftest import Windlass, golden


@pytest.fixture
def receiver(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """Somebody who is told; the workspace names it."""
    monkeypatch.setattr(outlet, "PAUSE_FIRST_S", 0.02)
    monkeypatch.setenv("HOOK_SECRET", SECRET)
    made = Receiver()
    (lab.path / "config").mkdir()
    named = {"webhooks": {"pager": {"url": made.url, "secret": "env:HOOK_SECRET", "types": ["run.state"]}}}
    (lab.path / "config" / "base.yaml").write_text(json.dumps({"app": named}))
    lab.batch("steps: {one: {run: work}}")
    try:
        yield made
    finally:
        made.end()
    assert not made.faults


def test_a_run_without_a_background_engine_tells_before_it_ends(
    windlass: Windlass, receiver: Receiver
) -> None:
    assert windlass("run", "work").status == 0
    assert [event["data"]["details"]["to"] for event in receiver.got] == ["done"]
    answer = windlass("webhooks", "list")
    assert "webhook/pager  run.state" in answer.out and answer.out.rstrip().endswith("ok")
    golden("json-webhooks-list", windlass("webhooks", "list", "--json").out.replace(receiver.url, "URL"))


def test_what_is_owed_when_the_command_ends_is_told(
    windlass: Windlass, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.launch.FLUSH_S", 0.1)
    receiver.answer = lambda event: 503
    answer = windlass("run", "work")
    assert answer.status == 0
    assert "not everybody could be told of every event yet: the next engine goes on with it" in answer.err
    listed = windlass("webhooks", "list").out
    assert "failing for" in listed and "answered 503" in listed


def test_put_aside_and_told_again(windlass: Windlass, receiver: Receiver) -> None:
    receiver.answer = lambda event: 410
    assert windlass("run", "work").status == 0
    listed = windlass("webhooks", "dead")
    assert "run.state" in listed.out and "answered 410" in listed.out
    (found,) = [json.loads(line) for line in windlass("webhooks", "dead", "pager", "--json").out.splitlines()]
    assert (found["name"], found["event_type"], found["tries"]) == ("webhook/pager", "run.state", 5)
    receiver.answer = lambda event: 200
    answer = windlass("webhooks", "replay", "pager", str(found["event"]))
    assert answer.status == 0 and "1 event told again" in answer.err
    assert receiver.seqs == [found["event"]]
    assert windlass("webhooks", "dead").out == ""
    refused = windlass("webhooks", "replay", "pager")
    assert refused.status == 2 and "has no event that was put aside" in refused.err
    logged = windlass("audit", "list", "--action", "webhook", "--json").out.splitlines()
    assert [json.loads(line)["action"] for line in logged] == [
        "webhook.replay",
        "webhook.replay",
        "webhook.replay.refused",
    ]


def test_a_test_event(windlass: Windlass, receiver: Receiver) -> None:
    assert windlass("webhooks", "test", "pager").out == "webhook/pager took it\n"
    assert [event["type"] for event in receiver.got] == ["windlass.test"]
    receiver.answer = lambda event: 500
    failed = windlass("webhooks", "test", "webhook/pager")
    assert failed.status == 1 and "did not take it: answered 500" in failed.err
    unknown = windlass("webhooks", "test", "phone")
    assert unknown.status == 2 and "there is: webhook/pager" in unknown.err


def test_nobody_is_told(windlass: Windlass, lab: Lab) -> None:
    answer = windlass("webhooks", "list")
    assert answer.out == "" and "nobody is told of events" in answer.err
    assert windlass("webhooks", "dead").out == ""


@pytest.mark.parametrize(
    ("named", "told"),
    [
        (
            "{webhooks: {pager: {url: 'http://example.com', secret: x}}}",
            "base.yaml:1:31: app.webhooks.pager.url",
        ),
        (
            "{webhooks: {pager: {url: 'https://me:pw@example.com', secret: x}}}",
            "an address holds no password",
        ),
        ("{webhooks: {pager: {url: 'https://example.com'}}}", "app.webhooks.pager.secret: field required"),
        (
            "{webhooks: {pager: {url: 'https://x', secret: x, tipes: []}}}",
            "did you mean app.webhooks.pager.types?",
        ),
        ("{webhooks: {pager: {url: 'https://x:99999/', secret: x}}}", "app.webhooks.pager.url"),
        ("{notify: {phone: {command: []}}}", "app.notify.phone.command"),
        ("{engine: {idle: soon}}", "'soon' is no duration"),
        ("{engine: {resume: always}}", "app.engine.resume"),
    ],
)
def test_faults_in_the_settings_have_their_place(windlass: Windlass, lab: Lab, named: str, told: str) -> None:
    (lab.path / "config").mkdir()
    (lab.path / "config" / "base.yaml").write_text(f"app: {named}\n")
    answer = windlass("config", "validate")
    assert answer.status == 2
    assert told in answer.err + answer.out
