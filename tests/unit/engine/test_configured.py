"""The configuration in batches: found by the plan, frozen with the run."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from pathlib import Path

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.snapshot import Snapshot
from core.errors import InputError
from core.model.states import RunState
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

BASE = """\
web:
  port: 8080
  url: "http://{{ servers['a'].address }}:{{ config.web.port }}/"
  names: {a: first, b: second}
hosts: [one, two]
password: "{{ secret('x') }}"
broken: "{{ config.nope }}"
"""
BATCH = """\
env: {URL: "{{ config.web.url }}"}
steps:
  go:
    run: "go {{ config.web.port + 1 }} {{ config.hosts[1] }} {{ config.web.names[server.name] }}"
    when: config.web.port > 1
    undo: "back {{ config.web.port }}"
"""


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    made = Lab(tmp_path / "lab")
    monkeypatch.setattr("core.config.open.user_file", lambda: tmp_path / "none.yaml")
    monkeypatch.delenv("WINDLASS_ENVIRONMENT", raising=False)
    folder = made.path / "config" / "environments"
    folder.mkdir(parents=True)
    (made.path / "config" / "base.yaml").write_text(BASE)
    (folder / "prod.yaml").write_text("web: {port: 443}\n")
    return made


def document(lab: Lab) -> dict:
    with sqlite3.connect(lab.path / ".windlass" / "state.db") as connection:
        row = connection.execute("SELECT document FROM snapshots").fetchone()
    return json.loads(row[0])


async def test_values_reach_the_commands(lab: Lab) -> None:
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(BATCH))
    assert run.state is RunState.DONE
    assert lab.memory.effects == ["go@a run 1: go 8081 two first", "go@b run 1: go 8081 two second"]


async def test_the_environment_and_settings_of_a_plan(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    batch = lab.batch(BATCH)
    async with lab.engine() as engine:
        plain = await engine.plan(PlanRequest(batch))
        prod = await engine.plan(PlanRequest(batch, environment="prod"))
        given = await engine.plan(PlanRequest(batch, settings=("web.port=443",)))
        monkeypatch.setenv("WINDLASS_ENVIRONMENT", "prod")  # for faces: an engine has no environment
        unmoved = await engine.plan(PlanRequest(batch))
        with pytest.raises(InputError, match="did you mean 'prod'"):
            await engine.plan(PlanRequest(batch, environment="prd"))
    assert plain.digest == unmoved.digest
    assert len({plain.digest, prod.digest, given.digest}) == 3


async def test_a_run_goes_on_with_what_its_plan_found(lab: Lab) -> None:
    lab.memory.rule = lambda ref, work: Reply(None) if ref.server == "a" else None
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(lab.batch(BATCH)), ACTOR))
    (lab.path / "config" / "base.yaml").write_text("web: {port: 1}\n")
    stored = document(lab)
    assert stored["format"] == 2
    assert stored["config"] == {
        "hosts": ["one", "two"],
        "web": {
            "names": {"a": "first", "b": "second"},
            "port": 8080,
            "url": "http://127.0.0.1:8080/",
        },
    }
    text = (lab.path / "batches" / "work.yaml").read_text()
    assert Snapshot.from_document(text, "work.yaml", stored).config == stored["config"]


async def test_a_run_without_configuration_is_stored_as_before(lab: Lab) -> None:
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch("steps: {go: {run: go}}\n"))
    stored = document(lab)
    assert stored["format"] == 1 and "config" not in stored


@pytest.mark.parametrize(
    ("run", "told"),
    [
        ("{{ config.web.prot }}", "batches/work.yaml:4:10: config.web.prot: there is no value for web.prot; looked at --set, variables WINDLASS__…, config/base.yaml"),
        ("{{ config.broken }}", "config/base.yaml:7:9: broken: there is no value for nope"),
        ("{{ config.password }}", "batches/work.yaml:4:10: config.password holds the secret x, and a secret stands in an env only"),
        ("{{ config[server.name] }}", "batches/work.yaml:4:10: name a key of config"),
        ("{{ config | tojson }}", "batches/work.yaml:4:10: name a key of config"),
        ("{{ config.web }}", "a mapping cannot be put into text"),
        ("{{ config.hosts[5] }}", "(on a)"),
    ],
)  # fmt: skip
async def test_what_is_missing_is_found_by_the_plan(lab: Lab, run: str, told: str) -> None:
    batch = lab.batch(
        f"params: {{x: {{type: string, default: y}}}}\nsteps:\n  go:\n    run: '{run}'\n    undo: 'u'\n"
    )
    async with lab.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(batch))
    (fault,) = caught.value.faults
    assert told in str(fault).replace(f"{lab.path}/", "")
    assert lab.memory.effects == []


RULES = """\
properties:
  web: {properties: {port: {type: integer, maximum: 1000}}}
  hosts: {maxItems: 1}
  broken: {type: integer}
"""


async def test_the_workspaces_schema_is_checked_by_the_plan(lab: Lab) -> None:
    (lab.path / "config" / "schema.yaml").write_text(RULES)
    uses, without = lab.batch(BATCH), lab.batch("steps: {go: {run: go}}\n", "without")
    async with lab.engine() as engine:
        await engine.plan(PlanRequest(without))
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(uses, settings=("web.port=many",)))
        given = [str(fault) for fault in caught.value.faults]
        (lab.path / "config" / "schema.yaml").write_text(RULES.replace("maxItems: 1", "maxItems: 2"))
        await engine.plan(PlanRequest(uses, environment="prod"))
        (lab.path / "config" / "schema.yaml").write_text("type: 5\n")
        with pytest.raises(InputError, match=r"config/schema\.yaml:1:7: this is no JSON Schema"):
            await engine.plan(PlanRequest(uses))
    assert any(told.startswith("--set web.port:1:1: web.port: 'many' is not of type") for told in given)
    assert lab.memory.effects == []


async def test_misfits_are_told_where_they_are_written(lab: Lab) -> None:
    (lab.path / "config" / "schema.yaml").write_text(RULES)
    batch = lab.batch("steps: {go: {run: 'x {{ config.web.port }}', undo: u}}\n")
    async with lab.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(batch))
    assert [str(fault) for fault in caught.value.faults] == [
        "config/base.yaml:2:9: web.port: 8080 is greater than the maximum of 1000 (by config/schema.yaml)",
        "config/base.yaml:5:1: hosts: ['one', 'two'] is too long (by config/schema.yaml)",
    ]


async def test_every_fault_at_once_and_none_twice(lab: Lab) -> None:
    (lab.path / "config" / "environments" / "prod.yaml").write_text("a: 1\na: 2\nb: {{ x }}\n")
    batch = lab.batch(
        "steps:\n  one: {run: 'x {{ config.web.port }} {{ config.nope }}'}\n"
        "  two: {run: 'y {{ config.web.port }}', upload: 5}\n"
    )
    good = lab.batch(
        "steps:\n  one: {run: 'x {{ config.web.port }}'}\n  two: {run: '{{ server.nme }}'}\n", "good"
    )
    async with lab.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(good, environment="prod"))
        told = [fault.message for fault in caught.value.faults]
        assert len(told) == 3 and any("nme" in message for message in told)
        assert "key 'a' is here twice" in told
        with pytest.raises(InputError):
            await engine.plan(PlanRequest(batch))


async def test_an_uploaded_template_uses_the_configuration(lab: Lab) -> None:
    (lab.path / "files").mkdir()
    file = lab.path / "files" / "site.conf"
    file.write_text("port {{ config.web.port }}\n")
    batch = lab.batch(
        "steps:\n  up:\n    upload: {from: files/site.conf, to: '/etc/{{ config.hosts[0] }}', template: true}\n"
    )
    async with lab.engine() as engine:
        await engine.start(RunRequest(PlanRequest(batch), ACTOR))
    assert document(lab)["config"] == {"hosts": ["one", "two"], "web": {"port": 8080}}
    file.write_text("port {{ config.web.prt }}\n")
    async with lab.engine() as engine:
        with pytest.raises(InputError, match=r"did you mean web\.port"):
            await engine.plan(PlanRequest(batch))


async def test_a_plan_with_the_time_in_it_is_the_same_when_it_is_started(lab: Lab) -> None:
    (lab.path / "config" / "base.yaml").write_text('stamp: "{{ now }}"\n')
    batch = lab.batch("steps: {one: {run: 'echo {{ config.stamp }}'}}")
    async with lab.engine() as engine:
        seen = await engine.plan(PlanRequest(batch))
        await asyncio.sleep(1.1)
        assert (await engine.plan(PlanRequest(batch))).digest == seen.digest
        await engine.start(RunRequest(PlanRequest(batch), ACTOR, digest=seen.digest))


async def test_only_the_variables_that_are_read_are_stored(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUILD_ID", "b77")
    monkeypatch.setenv("API_TOKEN", "tok-en-secret-998877")
    (lab.path / "workspace.yaml").write_text("name: shop\nallow_env: [BUILD_ID, API_TOKEN]\n")
    batch = lab.batch("steps: {one: {run: 'echo {{ env.BUILD_ID }}'}}")
    async with lab.engine() as engine:
        await lab.run(engine, batch)
    assert document(lab)["env"] == {"BUILD_ID": "b77"}


async def test_a_near_key_of_set_is_told_by_the_plan(lab: Lab) -> None:
    async with lab.engine() as engine:
        plan = await engine.plan(PlanRequest(lab.batch(BATCH), settings=("web.prot=3",)))
    assert any("web.port is near" in warning for warning in plan.warnings)
