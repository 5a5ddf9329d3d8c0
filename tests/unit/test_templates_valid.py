"""The workspace templates: everything in them is valid, and the demo shows what it promises."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.batch.load import LoadedBatch, load_batch, load_batch_file
from core.batch.params import resolve_params
from core.batch.targets import check_targets, resolve
from core.inventory import Inventory
from core.workspace.folder import Workspace
from providers.base import Server

TEMPLATES = ("demo", "empty")
BATCHES = [
    ("demo", "health"),
    ("demo", "restart-with-failure"),
    ("demo", "rollout"),
    ("empty", "hello"),
]


@pytest.fixture
def templates(repository: Path) -> Path:
    return repository / "workspaces"


async def _servers(workspace: Path, state_dir: Path) -> Sequence[Server]:
    inventory = await Inventory.load(workspace, state_dir)
    await inventory.close()
    return inventory.servers


def test_every_template_is_known_here(templates: Path) -> None:
    assert {path.parent.name for path in templates.glob("*/workspace.yaml")} == set(TEMPLATES)
    found = {(path.parent.parent.name, path.stem) for path in templates.glob("*/batches/*.yaml")}
    assert found == set(BATCHES)


@pytest.mark.parametrize("template", TEMPLATES)
def test_the_settings_are_valid(templates: Path, template: str) -> None:
    workspace = Workspace.load(templates / template)
    assert (workspace.name, workspace.format) == (template, 1)
    assert (templates / template / ".gitignore").read_text() == ".windlass/\n"


@pytest.mark.parametrize(("template", "name"), BATCHES)
async def test_batches_are_valid_and_reach_servers_that_are_there(
    templates: Path, tmp_path: Path, template: str, name: str
) -> None:
    loaded = load_batch_file(templates / template / "batches" / f"{name}.yaml")
    servers = await _servers(templates / template, tmp_path)
    assert check_targets(loaded, servers) == []
    assert resolve_params(loaded.batch, {}, loaded.file) is not None
    for step in loaded.batch.steps.values():
        if step.upload is not None:
            assert (templates / template / step.upload.source).is_file()
        assert step.undo is not None or not step.changes_something


async def test_the_readmes_first_batch_can_be_saved_in_the_demo(
    repository: Path, templates: Path, tmp_path: Path
) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (repository / "README.md").read_text("utf-8"), re.DOTALL)
    loaded = load_batch(text, "restart.yaml")
    assert check_targets(loaded, await _servers(templates / "demo", tmp_path)) == []


async def test_the_demo_has_twelve_servers(templates: Path, tmp_path: Path) -> None:
    servers = await _servers(templates / "demo", tmp_path)
    assert [server.name for server in servers] == [
        *(f"web-{number}" for number in range(1, 9)),
        "db-1",
        "db-2",
        "lb-1",
        "mon-1",
    ]
    assert Counter(server.groups for server in servers) == {("web",): 8, ("db",): 2, ("lb",): 1, ("mon",): 1}
    assert {server.labels["zone"] for server in servers} == {"a", "b"}
    assert all(server.groups == (server.labels["role"],) for server in servers)


async def test_the_empty_template_has_no_server_yet_and_its_examples_are_valid(
    templates: Path, tmp_path: Path
) -> None:
    assert list(await _servers(templates / "empty", tmp_path)) == []
    lines = (templates / "empty/servers/static.yaml").read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("provider:"))
    opened = []
    for line in lines[first:]:
        body = line.replace("# ", "", 1) if line.lstrip().startswith("# ") else line.replace("#", "", 1)
        if line.lstrip().startswith("#") and body.strip() and not body.split("#")[0].strip().endswith("."):
            opened.append(body)
        elif not line.lstrip().startswith("#"):
            opened.append(line)
    (tmp_path / "servers").mkdir()
    (tmp_path / "ssh").write_text("Host app-1 app-old\n")
    text = "\n".join(opened).replace("~/.ssh/config", "ssh").replace("ssh-ed25519 AAAA...", _KEY)
    (tmp_path / "servers/static.yaml").write_text(text)
    servers = await _servers(tmp_path, tmp_path / ".windlass")
    assert [server.name for server in servers] == ["web-1", "web-2", "web-3", "db-1", "jump", "app-1"]


_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMmgyY0hJ/gmc00NIYiGKA2i85Ti+mQYly4cGWAfC3HL"


# ---------------------------------------------------------------- what the demo batch shows


@pytest.fixture
def rollout(templates: Path) -> LoadedBatch:
    return load_batch_file(templates / "demo/batches/rollout.yaml")


async def test_the_rollout_shows_what_a_batch_can_do(
    rollout: LoadedBatch, templates: Path, tmp_path: Path
) -> None:
    steps = rollout.batch.steps
    targets = resolve(rollout, await _servers(templates / "demo", tmp_path))
    assert len(steps) >= 6
    assert steps["runtime"].check is not None
    assert "sleep" in str(steps["migrate"].run)
    assert steps["compress"].parallel == 4
    assert len(targets["compress"]) == 8
    assert {step.kind for step in steps.values()} == {"run", "upload", "wait"}
    assert steps["page"].upload is not None
    assert steps["page"].upload.template
    assert steps["probe"].retries is not None
    assert steps["probe"].retries.attempts > 1
    assert steps["port"].register_as is not None
    assert any(need.scope == "server" for step in steps.values() for need in step.needs or ())
    assert [name for name, step in steps.items() if step.on_engine] == ["served"]


def test_the_page_server_starts_once_answers_and_stops(templates: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()

    def serve(action: str) -> int:
        return subprocess.run(
            [sys.executable, templates / "demo/files/serve.py", action],
            cwd=tmp_path,
            timeout=30,
            check=False,
            stdout=subprocess.DEVNULL,
        ).returncode

    assert serve("running") == 1
    try:
        assert serve("start") == 0
        port = (tmp_path / "site.port").read_text()
        assert serve("running") == 0
        assert serve("start") == 0
        assert (tmp_path / "site.port").read_text() == port
    finally:
        assert serve("stop") == 0
    assert serve("running") == 1
    assert serve("stop") == 0
