"""Secrets in a run: clear in what is handed over, and nowhere in what is stored."""

from __future__ import annotations

import base64
import sqlite3
from contextlib import closing

import pytest

from core.engine.api import PlanRequest, RunRequest
from core.engine.executor import Command, Ended, InDoubt, Work
from core.errors import InputError
from core.model.events import RUN_SECRETS
from core.model.ids import AttemptRef, TaskKey
from core.model.states import Decision, RunState, TaskState
from core.secrets.identity import identity_file, make_identity
from core.secrets.store import SecretStore
from tests.support.lab import ACTOR, Lab
from tests.support.memory import Reply

CANARY = b"canary-4711/with+odd signs"


@pytest.fixture
def secrets(lab: Lab) -> SecretStore:
    store = SecretStore(lab.path)
    store.add_recipients([make_identity(identity_file())])
    store.put("db/password", CANARY)
    return store


BATCH = """
    env: {DB_PASSWORD: "{{ secret('db/password') }}"}
    steps:
      one: {on: name:a, run: work, env: {URL: "db://{{ server.name }}:{{ secret('db/password') }}@h"}, register: got,
            retries: {attempts: 2, delay: 0}, undo: back}
      two: {on: name:a, run: "echo {{ registered.got.output }}", undo: ":"}
"""


def stored(lab: Lab) -> bytes:
    """Every byte of the state folder, and every value of the database (pages may split them)."""
    files = b"\n".join(path.read_bytes() for path in lab.path.glob(".windlass/**/*") if path.is_file())
    with closing(sqlite3.connect(lab.path / ".windlass" / "state.db")) as database:
        tables = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [repr(row) for table in tables for row in database.execute(f"SELECT * FROM {table}")]
    return files + "\n".join(rows).encode()


async def test_the_value_is_handed_over_and_stored_nowhere(lab: Lab, secrets: SecretStore) -> None:
    seen: list[dict[str, str]] = []

    def rule(ref: AttemptRef, work: Work) -> Reply:
        assert isinstance(work, Command)
        seen.append(dict(work.env))
        if ref.step == "two":
            return Reply(output=work.text.encode())
        encoded = base64.b64encode(b"x" + CANARY)
        pieces = (
            (0, b"pass " + CANARY[:9]),
            (14, CANARY[9:] + b"\n"),
            (32, encoded[:20]),
            (52, encoded[20:] + b"\n"),
        )
        why = f"it said {CANARY.decode()}"
        return Reply(Ended(1, why=why) if ref.attempt == 1 else Ended(0), pieces=pieces)

    lab.memory.rule = rule
    async with lab.engine() as engine:
        run = await lab.run(engine, lab.batch(BATCH))
        assert run.state is RunState.DONE
        output = b"".join([chunk.data for chunk in (await engine.output(1, TaskKey("one", "a"))).chunks])
        attempts = await engine.attempts(1, (await lab.task(engine, "one@a")).key)
        assert attempts[0].why == f"it said {'*' * len(CANARY)}"
    assert [env["DB_PASSWORD"] for env in seen] == [CANARY.decode()] * 3
    assert seen[0]["URL"] == f"db://a:{CANARY.decode()}@h"
    assert b"pass " + b"*" * len(CANARY) + b"\n" in output
    found = stored(lab)
    assert b"secret('db/password')" in found
    for form in (CANARY, base64.b64encode(b"x" + CANARY)[2:-2], base64.b64encode(CANARY)[:-3]):
        assert form not in found


async def test_offsets_stay_those_of_the_stream(lab: Lab, secrets: SecretStore) -> None:
    parts = [b"one ", CANARY[:5], CANARY[5:], b" two", b"", CANARY[:7]]
    data = b"".join(parts)
    pieces = tuple((sum(map(len, parts[:at])), part) for at, part in enumerate(parts))
    lab.memory.rule = lambda ref, work: Reply(pieces=(*pieces, (len(data) + 100, b"after a gap")))
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(BATCH))
        chunks = (await engine.output(1, TaskKey("one", "a"))).chunks
    assert all(chunk.end - chunk.start == len(chunk.data) for chunk in chunks)
    assert [(chunks[0].start, chunks[-1].end)] == [(0, len(data) + 111)]
    whole = b"".join(chunk.data for chunk in chunks)
    assert whole == b"one " + b"*" * len(CANARY) + b" two" + CANARY[:7] + b"after a gap"


async def test_what_a_wait_prints_each_time_it_looks_is_redacted(lab: Lab, secrets: SecretStore) -> None:
    looks: list[int] = []

    def rule(ref: AttemptRef, work: Work) -> Reply:
        looks.append(1)
        half = CANARY[:10] if len(looks) < 3 else CANARY
        return Reply(Ended(0 if len(looks) == 3 else 1), output=b"look " + half)

    lab.memory.rule = rule
    batch = """
    env: {DB_PASSWORD: "{{ secret('db/password') }}"}
    steps: {one: {on: name:a, wait: {command: look, every: 10ms}}}
    """
    async with lab.engine() as engine:
        assert (await lab.run(engine, lab.batch(batch))).state is RunState.DONE
        chunks = (await engine.output(1, TaskKey("one", "a"))).chunks
    whole = b"".join(chunk.data for chunk in chunks)
    assert whole == (b"look " + CANARY[:10]) * 2 + b"look " + b"*" * len(CANARY)
    assert all(chunk.end - chunk.start == len(chunk.data) for chunk in chunks)


async def test_an_undo_and_a_check_get_it_too(lab: Lab, secrets: SecretStore) -> None:
    seen: dict[str, str] = {}

    def rule(ref: AttemptRef, work: Work) -> Reply:
        assert isinstance(work, Command)
        seen[ref.purpose.value] = work.env["DB_PASSWORD"]
        return Reply(Ended(1 if ref.purpose.value == "check" else 0), output=b"saw " + CANARY)

    lab.memory.rule = rule
    batch = "env: {DB_PASSWORD: \"{{ secret('db/password') }}\"}\nsteps: {one: {run: x, check: y, verify: z, undo: u}}"
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(batch))
        await engine.roll_back(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.ROLLED_BACK
    assert seen == dict.fromkeys(("run", "check", "verify", "undo"), CANARY.decode())
    assert CANARY not in stored(lab)


async def test_a_secret_that_cannot_be_read_starts_nothing(lab: Lab, secrets: SecretStore) -> None:
    identity_file().unlink()
    async with lab.engine() as engine:
        with pytest.raises(InputError, match="nothing is started"):
            await lab.run(engine, lab.batch(BATCH))
        assert await engine.runs() == []
        plan = await engine.plan(PlanRequest("work"))  # a plan needs no identity
        assert plan.tasks == 2
    assert lab.memory.effects == []


async def test_a_missing_secret_is_a_fault_of_the_plan(lab: Lab, secrets: SecretStore) -> None:
    lab.batch(
        """
        steps:
          one:
            run: x
            env:
              A: "{{ secret('nope') }}"
              B: "{{ secret('../x') }}"
              C: "{{ secret('command:echo x') }}"
              D: "{{ secret('file:/etc/passwd') }}"
        """
    )
    async with lab.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
        assert [fault.line for fault in caught.value.faults] == [
            7
        ]  # a bad reference, told by the document alone
        lab.batch((lab.path / "batches/work.yaml").read_text().replace("../x", "also/nope"))
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
    assert [fault.line for fault in caught.value.faults] == [6, 7, 8, 9]
    assert "windlass secrets set nope" in str(caught.value)


async def test_in_other_text_it_is_a_fault_that_shows_the_env_form(lab: Lab, secrets: SecretStore) -> None:
    (lab.path / "page").write_text("{{ secret('db/password') }}")
    secret = "\"{{ secret('db/password') }}\""
    lab.batch(
        f"""
        steps:
          env: {{run: {secret}, check: {secret}, undo: {secret}}}
          two: {{upload: {{from: page, to: {secret}}}}}
          three: {{wait: {{command: {secret}}}}}
          four: {{wait: {{http: {secret}}}}}
        """
    )
    async with lab.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest("work"))
        assert len(caught.value.faults) == 6
        assert all(
            "DB_PASSWORD: \"{{ secret('db/password') }}\"" in fault.hint for fault in caught.value.faults
        )
        lab.batch("steps: {one: {upload: {from: page, to: x, template: true}}}")
        with pytest.raises(InputError, match="stands in an env only") as caught:
            await engine.plan(PlanRequest("work"))
        assert caught.value.faults[0].file == "page"


async def test_a_resume_reads_anew_and_still_hides_the_old_value(lab: Lab, secrets: SecretStore) -> None:
    seen: list[str] = []

    def rule(ref: AttemptRef, work: Work) -> Reply:
        assert isinstance(work, Command)
        seen.append(work.env["DB_PASSWORD"])
        return Reply(Ended(1 if len(seen) == 1 else 0), output=b"old " + CANARY + b" new a new secret\n")

    lab.memory.rule = rule
    batch = "env: {DB_PASSWORD: \"{{ secret('db/password') }}\"}\nsteps: {one: {on: name:a, run: x}}"
    async with lab.engine() as engine:
        assert (await lab.run(engine, lab.batch(batch))).state is RunState.FAILED
        secrets.put("db/password", b"a new secret")
        await engine.retry(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
        last = [chunk.data for chunk in (await engine.output(1, TaskKey("one", "a"))).chunks][-1]
    assert seen == [CANARY.decode(), "a new secret"]
    assert last == b"old " + b"*" * len(CANARY) + b" new " + b"*" * 12 + b"\n"


async def test_the_next_engine_needs_the_secret_as_well(lab: Lab, secrets: SecretStore) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("it went away"), output=b"pass " + CANARY[:10])
    batch = "env: {DB_PASSWORD: \"{{ secret('db/password') }}\"}\nsteps: {one: {on: name:a, run: x}}"
    async with lab.engine() as engine:
        run = await engine.start(RunRequest(PlanRequest(lab.batch(batch)), ACTOR))
        await engine.wait(run.number)
    identity = identity_file().read_bytes()
    identity_file().unlink()
    async with lab.engine() as engine:
        with pytest.raises(InputError, match="nothing is started"):
            await engine.resume(1, actor=ACTOR)
        assert (await lab.task(engine, "one@a")).state is TaskState.IN_DOUBT
        identity_file().write_bytes(identity)
        identity_file().chmod(0o600)
        await engine.resume(1, actor=ACTOR)
        await engine.wait(1)


CONFIG = """\
db:
  url: "postgres://app:{{ secret('db/password') }}@{{ config.db.host }}/app"
  host: db.example
  loud: "{{ config.db.url | upper }}"
  long: "{{ config.db.url | length }}"
"""


@pytest.fixture
def configured(lab: Lab, secrets: SecretStore, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.setattr("core.config.open.user_file", lambda: lab.path / "none.yaml")
    (lab.path / "config").mkdir(exist_ok=True)
    (lab.path / "config" / "base.yaml").write_text(CONFIG)
    return lab


async def test_a_value_of_the_configuration_brings_its_secret_into_an_env(configured: Lab) -> None:
    lab, seen = configured, {}

    def rule(ref: AttemptRef, work: Work) -> Reply:
        assert isinstance(work, Command)
        seen[ref.step] = dict(work.env)
        return Reply(output=b"got " + work.env["URL"].encode())

    lab.memory.rule = rule
    batch = """
    env: {URL: "{{ config.db.url }}?x"}
    steps:
      one: {on: name:a, run: work}
      two: {on: name:a, run: work, env: {BOTH: "{{ secret('db/password') }} {{ config.db.host }} {{ config.db.url }}"}}
    """
    clear = f"postgres://app:{CANARY.decode()}@db.example/app"
    async with lab.engine() as engine:
        plan = await engine.plan(PlanRequest(lab.batch(batch)))
        assert [(used.path, used.value, used.origin) for used in plan.config] == [
            ("db.host", "db.example", "config/base.yaml:3:9"),
            ("db.url", "postgres://app:<secret db/password>@db.example/app", "config/base.yaml:2:8"),
        ]
        run = await lab.run(engine, lab.batch(batch))
        assert run.state is RunState.DONE
        assert list(await engine.used_values(1)) == list(plan.config)
        output = b"".join([chunk.data for chunk in (await engine.output(1, TaskKey("one", "a"))).chunks])
    assert seen["one"]["URL"] == f"{clear}?x"
    assert seen["two"]["BOTH"] == f"{CANARY.decode()} db.example {clear}"
    assert output == b"got postgres://app:" + b"*" * len(CANARY) + b"@db.example/app?x"
    assert CANARY not in stored(lab)


async def test_a_resume_finds_the_secret_of_a_frozen_value(configured: Lab) -> None:
    lab, seen = configured, []
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    batch = """
    env: {URL: "{{ config.db.url }}"}
    steps:
      one: {on: name:a, run: work, undo: back}
    """
    async with lab.engine() as engine:
        await lab.run(engine, lab.batch(batch))
    (lab.path / "config" / "base.yaml").write_text("db: {url: other}\n")

    def rule(ref: AttemptRef, work: Work) -> Reply:
        assert isinstance(work, Command)
        seen.append(work.env["URL"])
        return Reply()

    lab.memory.rule = rule
    async with lab.engine() as engine:
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="again")
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
    assert seen == [f"postgres://app:{CANARY.decode()}@db.example/app"]


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (
            "run: 'psql {{ config.db.url }}'",
            "batches/work.yaml:2:26: config.db.url holds the secret db/password, and a secret stands in an env only "
            '(env: {DB_URL: "{{ config.db.url }}"}, then "$DB_URL" in the command)',
        ),
        (
            "run: x, when: config.db.url == 'x'",
            "batches/work.yaml:2:35: config.db.url holds the secret db/password",
        ),
        (
            "run: x, env: {A: '{{ config.db.loud }}'}",
            "config/base.yaml:4:9: db.loud: a secret stands by itself",
        ),
        (
            "run: x, env: {A: '{{ config.db.long }}'}",
            "config/base.yaml:5:9: db.long: a secret stands by itself",
        ),
        (
            "run: x, env: {A: '{{ config.db.url | upper }}'}",
            "batches/work.yaml:2:38: a secret stands by itself",
        ),
        (
            "run: x, env: {A: '{{ config.db.url | length }}'}",
            "batches/work.yaml:2:38: a secret stands by itself",
        ),
    ],
)
async def test_a_secret_of_the_configuration_stands_in_an_env_by_itself(
    configured: Lab, step: str, told: str
) -> None:
    batch = configured.batch(f"steps:\n  one: {{on: name:a, {step}}}\n")
    async with configured.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(batch))
    (fault,) = caught.value.faults
    assert told in str(fault)


async def test_a_missing_secret_of_the_configuration_is_told_where_it_is_named(configured: Lab) -> None:
    (configured.path / "config" / "base.yaml").write_text("db:\n  url: \"x{{ secret('nope') }}\"\n")
    batch = configured.batch("env: {A: '{{ config.db.url }}'}\nsteps:\n  one: {on: name:a, run: x}\n")
    async with configured.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(batch))
    (fault,) = caught.value.faults
    assert str(fault).startswith("config/base.yaml:2:8: there is no secret 'nope' in this workspace")


async def test_a_secret_in_an_uploaded_template_is_told_in_that_file(configured: Lab) -> None:
    (configured.path / "files").mkdir(exist_ok=True)
    (configured.path / "files" / "app.ini").write_text("[db]\nhost = x\npass = {{ secret('db/password') }}\n")
    batch = configured.batch(
        "steps:\n  one: {on: name:a, upload: {from: files/app.ini, to: /tmp/x, template: true}}\n"
    )
    async with configured.engine() as engine:
        with pytest.raises(InputError) as caught:
            await engine.plan(PlanRequest(batch))
    (fault,) = caught.value.faults
    assert str(fault).startswith("files/app.ini:3:11: a secret stands in an env only")


@pytest.mark.parametrize("anew", [True, False])
async def test_a_secret_that_changed_is_told_at_the_resume(
    lab: Lab, secrets: SecretStore, anew: bool
) -> None:
    lab.memory.rule = lambda ref, work: Reply(InDoubt("lost"))
    batch = lab.batch("""
    env: {DB_PASSWORD: "{{ secret('db/password') }}"}
    steps:
      one: {on: name:a, run: work, undo: back}
    """)
    async with lab.engine() as engine:
        await lab.run(engine, batch)
    if anew:
        secrets.put("db/password", b"another-password")
    lab.memory.rule = lambda ref, work: Reply()
    async with lab.engine() as engine:
        await engine.decide(1, TaskKey("one", "a"), Decision.RETRY, actor=ACTOR, reason="again")
        await engine.resume(1, actor=ACTOR)
        assert (await engine.wait(1)).state is RunState.DONE
        told = [event for event in await engine.events(0) if event.type == RUN_SECRETS]
    assert [(event.run, event.actor, event.data) for event in told] == (
        [(1, ACTOR, {"changed": ["db/password"]})] if anew else []
    )
    assert b"another-password" not in stored(lab)
