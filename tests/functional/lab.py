"""The lab: one workspace as the scripted engine tells it, in the states that screens must show."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.engine.api import HostKey
from core.errors import Fault
from core.model.ids import TaskKey
from core.model.states import Phase, Purpose, RunState, Stream, TaskState, UndoState
from core.model.views import (
    BatchInfo,
    Explanation,
    OutputChunk,
    ParamInfo,
    Plan,
    PlannedStep,
    ProviderInfo,
    ServerInfo,
)
from tests.functional.scripted_engine import NOW, ScriptedEngine, StoredRun, run_info, step, task

SERVERS = tuple(f"web-{number:02d}" for number in range(1, 13))


def chunk(text: str | bytes, *, start: int = 0, ago_s: float = 10.0, **more: Any) -> OutputChunk:
    """A piece of output that came `ago_s` seconds before NOW."""
    data = text.encode() if isinstance(text, str) else text
    values: dict[str, Any] = {"purpose": Purpose.RUN, "attempt": 1, "stream": Stream.STDOUT}
    values.update(more)
    return OutputChunk(start=start, end=start + len(data), time=NOW - ago_s, data=data, **values)


def servers(*, stopped: bool = False) -> list[ServerInfo]:
    """Twelve local servers and two listed ones, one of them with an unknown host key."""
    found = [
        ServerInfo(
            name=name,
            provider="local",
            address="127.0.0.1",
            port=20001 + at,
            user="ada",
            groups=("web",) if at < 8 else ("web", "canary"),
            labels={"role": "web"},
            state="stopped" if stopped else "started",
            source="servers/local.yaml:3",
            held_by=44 if at < 4 and not stopped else None,
            reached=NOW - 90 if name != "web-09" and not stopped else None,
            unreachable="unknown host key of web-09" if name == "web-09" and not stopped else "",
        )
        for at, name in enumerate(SERVERS)
    ]
    found.append(
        ServerInfo(
            name="db-1",
            provider="static",
            address="db-1.example.net",
            port=22,
            user="ops",
            groups=("db",),
            labels={"role": "db", "site": "north"},
            state="unknown",
            source="servers/static.yaml:7",
            note="unknown host key",
            options_ignored=("GSSAPIAuthentication (~/.ssh/config:12): Kerberos is not tried",),
        )
    )
    return found


PLAN = Plan(
    batch="deploy",
    path="batches/deploy.yaml",
    digest="d1",
    steps=(
        PlannedStep("prepare", "run", "mkdir -p site logs", SERVERS, (), "reversible", True, 12),
        PlannedStep(
            "build",
            "run",
            "sh ./build.sh",
            SERVERS,
            ("prepare, on the same server",),
            "none needed",
            False,
            20,
        ),
        PlannedStep(
            "publish",
            "upload",
            "files/index.html to site/index.html",
            SERVERS,
            ("build, on all servers",),
            "reversible",
            True,
            31,
        ),
        PlannedStep(
            "migrate",
            "run",
            "sh ./migrate.sh --all",
            SERVERS[:1],
            ("publish, on all servers",),
            "irreversible",
            False,
            44,
        ),
        PlannedStep(
            "served",
            "wait",
            "http http://127.0.0.1/ answers 200",
            SERVERS,
            ("migrate, on all servers",),
            "none needed",
            False,
            52,
        ),
    ),
    servers=SERVERS,
    servers_by_provider={"local": 12},
    tasks=49,
    params={"version": "1.4", "slow": False},
    strategy={"parallel": 6, "order": "linear", "on_failure": "stop"},
    irreversible=("migrate",),
)

BATCHES = [
    BatchInfo("broken", "batches/broken.yaml", "A batch with faults.", 0, faults=(
        Fault("batches/broken.yaml", 4, 3, "unknown key 'comand'", "did you mean 'run'?"),
        Fault("batches/broken.yaml", 9, 12, "step 'verify' needs 'instal', which does not exist", "did you mean 'install'?"),
        Fault("batches/broken.yaml", 15, 7, "the steps depend on each other: a → b → a"),
    )),
    BatchInfo("deploy", "batches/deploy.yaml", "Deploys a small web page to every web server.", 5, params=(
        ParamInfo("version", "string", "what the page says", "1.4", False),
        ParamInfo("slow", "boolean", "take more time", False, False),
        ParamInfo("site", "string", "", None, True, choices=("north", "south")),
    )),
    BatchInfo("patch", "batches/patch.yaml", "Security updates, then a reboot.", 4),
]  # fmt: skip

STEPS = [
    step(0, "prepare"),
    step(1, "build", summary="sh ./build.sh --site north"),
    step(2, "publish", "upload"),
    step(3, "migrate", irreversible=True),
    step(4, "served", "wait"),
]


def live_run(number: int = 44) -> StoredRun:
    """A run in its middle: prepared, building, some built, one failed once and tries again."""
    tasks = []
    for at, server in enumerate(SERVERS):
        state = TaskState.IN_PLACE if at == 2 else TaskState.DONE
        tasks.append(task(at, "prepare", server, state, started=NOW - 95 + at, ended=NOW - 93 + at))
    for at, server in enumerate(SERVERS):
        more: dict[str, Any] = {"started": NOW - 60}
        if at < 4:
            state = TaskState.DONE
            more.update(ended=NOW - 40 + at, last_line="built in 21 s")
        elif at < 9:
            state = TaskState.RUNNING
            more.update(phase=Phase.RUN, last_line=f"compiling module {30 + at} of 64")
            if at == 6:
                more.update(attempt=2, attempts=3, phase=Phase.BACKOFF, why="exit 1, next try in 4s")
        else:
            state, more = TaskState.WAITING, {}
        tasks.append(task(12 + at, "build", server, state, **more))
    tasks += [task(24 + at, "publish", server) for at, server in enumerate(SERVERS)]
    tasks.append(task(36, "migrate", SERVERS[0]))
    tasks += [task(37 + at, "served", server) for at, server in enumerate(SERVERS)]
    return StoredRun(
        run_info(number, "deploy", RunState.RUNNING, began_s=96, params={"version": "1.4", "site": "north"}),
        list(STEPS),
        tasks,
    )


def failed_run(number: int = 41, *, doubt: bool = True) -> StoredRun:
    """A run that stands: publish failed on one server, is in doubt on two, unreachable on one, others blocked."""
    stored = live_run(number)
    for at, each in enumerate(stored.tasks):
        if each.step == "build":
            stored.tasks[at] = task(
                each.index,
                "build",
                each.server,
                TaskState.DONE,
                started=NOW - 860,
                ended=NOW - 830,
                last_line="built",
            )
        if each.step == "publish":
            stored.tasks[at] = _published(each.index, each.server, doubt=doubt)
        if each.step == "served" and each.server in {"web-03", "web-09"}:
            why = "publish failed" if each.server == "web-03" else "publish is unreachable"
            stored.tasks[at] = task(each.index, "served", each.server, TaskState.BLOCKED, why=why)
    state = RunState.WAITING if doubt else RunState.FAILED
    stored.info = run_info(
        number,
        "web-rollout",
        state,
        began_s=900,
        ended_s=None if doubt else 720,
        why="tasks in doubt" if doubt else "1 failed",
    )
    return stored


def _published(index: int, server: str, *, doubt: bool) -> Any:
    done = {"started": NOW - 800, "ended": NOW - 798}
    if server == "web-03":
        return task(
            index, "publish", server, TaskState.FAILED, attempt=3, attempts=3, exit_status=1,
            why="exit 1: no space left on device", **done,
        )  # fmt: skip
    if server in {"web-05", "web-06"} and doubt:
        return task(
            index,
            "publish",
            server,
            TaskState.IN_DOUBT,
            why="connection lost while it ran",
            started=NOW - 800,
        )
    if server == "web-09":
        return task(
            index, "publish", server, TaskState.UNREACHABLE, why="unknown host key of web-09", attempt=0
        )
    return task(index, "publish", server, TaskState.DONE, **done)


def done_run(number: int = 42, batch: str = "certs") -> StoredRun:
    """A run that is over, all of it well."""
    stored = live_run(number)
    stored.tasks = [
        task(each.index, each.step, each.server, TaskState.IN_PLACE if each.server == "web-03" and each.step == "prepare" else TaskState.DONE,
             started=NOW - 3700, ended=NOW - 3650, last_line="ok")
        for each in stored.tasks
    ]  # fmt: skip
    stored.info = run_info(number, batch, RunState.DONE, began_s=3700, ended_s=3628)
    return stored


def rolling_back_run(number: int = 40) -> StoredRun:
    """A run whose publish is undone, with prepare still to undo."""
    stored = done_run(number, "web-rollout")
    for at, each in enumerate(stored.tasks):
        if each.step == "publish":
            undo = UndoState.FAILED if each.server == "web-04" else UndoState.UNDONE
            stored.tasks[at] = dataclasses.replace(
                each, undo=undo, undo_why="exit 5" if undo is UndoState.FAILED else ""
            )
        elif each.step == "prepare":
            first = each.server in SERVERS[:5]
            stored.tasks[at] = dataclasses.replace(
                each, undo=UndoState.UNDOING if first else UndoState.PENDING
            )
    stored.info = run_info(number, "web-rollout", RunState.ROLLING_BACK, began_s=300)
    return stored


def rolled_back_run(number: int = 39) -> StoredRun:
    """A run that was undone."""
    stored = done_run(number, "web-rollout")
    stored.tasks = [dataclasses.replace(each, undo=UndoState.UNDONE) for each in stored.tasks]
    stored.info = run_info(number, "web-rollout", RunState.ROLLED_BACK, began_s=11_000, ended_s=10_800)
    return stored


BUILD_OUTPUT = (
    "configuring for x86_64\n"
    + "".join(f"compiling module {number} of 64\n" for number in range(1, 33))
    + "progress  10%\rprogress  55%\rprogress 100%\n"
    + "[bold]this is no markup[/bold]\n"
    + "\x1b]52;c;ZXZpbA==\x07 a hostile line\n"
)


PROVIDERS = (
    ProviderInfo("local", "servers/local.yaml", 1, True, {"started": 12}, listed=NOW - 94, took_s=0.004),
    ProviderInfo("static", "servers/static.yaml", 2, False, {"unknown": 1}, listed=NOW - 94, took_s=0.011),
)


def lab() -> ScriptedEngine:
    """Everything: a live run, one that needs someone, some that are over."""
    engine = ScriptedEngine()
    engine.server_list = servers()
    engine.provider_list = list(PROVIDERS)
    engine.batch_list = list(BATCHES)
    engine.plans = {
        "deploy": PLAN,
        "patch": dataclasses.replace(PLAN, batch="patch", held={"web-01": 44, "web-02": 44}, warnings=("db-1: GSSAPIAuthentication is ignored",)),
    }  # fmt: skip
    engine.run_list = {
        39: rolled_back_run(),
        41: failed_run(),
        42: done_run(),
        44: live_run(),
    }
    watched = TaskKey("build", "web-05")
    engine.outputs[(44, watched)] = [
        chunk(BUILD_OUTPUT, ago_s=31),
        chunk("warning: unused variable 'x'\n", stream=Stream.STDERR, ago_s=12),
        chunk("compiling module 34 of 64\nlinking", start=len(BUILD_OUTPUT), ago_s=3),
    ]
    for server in ("web-05", "web-06"):
        doubtful = TaskKey("publish", server)
        engine.outputs[(41, doubtful)] = [chunk("uploading index.html\n 40 %\r 80 %", ago_s=801)]
        engine.explanations[(41, doubtful)] = Explanation(
            sentences=(f"publish on {server} is in doubt: connection lost while it ran",),
            certain=(
                "the intent of run attempt 1 was stored at 13:48:51",
                "the connection was lost 2s later",
            ),
            unknown=("whether run attempt 1 started, and how it ended",),
        )
    engine.explanations[(41, TaskKey("served", "web-01"))] = Explanation(
        ("served waits for publish on all servers: 2 of 12 have not ended, 2 of them in doubt",)
    )
    engine.host_keys["db-1"] = HostKey(
        "db-1", "db-1.example.net", 22, "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA", "SHA256:mVPwvezndPv/ARoIadVY98vAC0g+P/5633yTC4d/wXE"
    )  # fmt: skip
    engine.host_keys["web-09"] = dataclasses.replace(engine.host_keys["db-1"], server="web-09")  # type: ignore[type-var]
    return engine


LONG = "".join(
    f"{number:03d} rsync: copying /srv/releases/2026-03-01/assets/photos/gallery-{number:03d}.jpg to "
    f"/var/www/site/assets/photos/gallery-{number:03d}.jpg (size {number * 1013} bytes, checksum {number * 7919:08x}) "
    + ("世界 " * (number % 5))
    + "ok\n"
    for number in range(1, 61)
)


def long_lab() -> ScriptedEngine:
    """A live task that prints long lines, some of them with wide characters."""
    engine = lab()
    engine.outputs[(44, TaskKey("build", "web-05"))] = [
        chunk(LONG, ago_s=31),
        chunk("warning: " + "the disk is nearly full " * 6 + "\n", stream=Stream.STDERR, ago_s=12),
    ]
    return engine


def fresh_lab() -> ScriptedEngine:
    """As a first-time user finds it: servers stopped, one batch, no run yet."""
    engine = lab()
    engine.server_list = servers(stopped=True)[:12]
    engine.batch_list = [BATCHES[1]]
    engine.run_list = {}
    return engine


def empty_lab() -> ScriptedEngine:
    """Nothing at all."""
    engine = ScriptedEngine()
    return engine


# ---------------------------------------------------------------- the folder, for what is read from files

BARE = {"workspace.yaml": "format: 1\nname: lab\n"}
FILES = {
    "workspace.yaml": "format: 1\nname: lab\nenvironments:\n  dev: {}\n  prod: {protection: production}\n",
    "config/base.yaml": "web:\n  host: web.example\n  port: 8080\nhosts: [web-1, web-2]\n",
    "config/environments/dev.yaml": "web: {port: 8081}\n",
    "config/environments/prod.yaml": "web: {host: shop.example, port: 443}\n",
}
FAULTY = {
    **FILES,
    "config/environments/prod.yaml": 'web:\n  host: "{{ config.webb.host }}"\n  port: "{{ config.nowhere }}"\n',
}


def in_folder(engine: ScriptedEngine, folder: Path, files: Mapping[str, str]) -> ScriptedEngine:
    """The engine, of a workspace that lies in a folder with these files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    engine.info = dataclasses.replace(engine.info, path=str(folder))
    return engine
