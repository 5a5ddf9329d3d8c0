"""What the shell completes: names of the workspace at hand, from batches and runs to secrets and configuration paths.

Completion never fails and never prints: whatever goes wrong, nothing is offered. It only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from core.engine.api import Engine

T = TypeVar("T")
RUNS = 50
TASKS = 200
PATHS = 500


def _quietly(make: Callable[[], list[CompletionItem]]) -> list[CompletionItem]:
    try:
        return make()
    except Exception:
        return []


def _item(value: str, text: str = "") -> CompletionItem:
    from click.shell_completion import CompletionItem

    return CompletionItem(value, help=" ".join(text.split())[:100] or None)


def _ask(question: Callable[[Engine], Coroutine[Any, Any, T]]) -> T:
    from cli.launch import perform, reader

    async def ask() -> T:
        async with reader() as engine:
            return await question(engine)

    return perform(ask())


def _starting(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    return [item for item in items if str(item.value).startswith(incomplete)]


def complete_workspace_place(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Registered names; folders where a path is being written, or where no name fits."""

    def find() -> list[CompletionItem]:
        from core.workspace.registry import entries

        return _starting([_item(entry.name, str(entry.path)) for entry in entries()], incomplete)

    from click.shell_completion import CompletionItem

    named = [] if incomplete.startswith((".", "/", "~")) else _quietly(find)
    return named or [CompletionItem(incomplete, type="dir")]


def complete_batches(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of batches; files where a path is being written."""

    def find() -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from cli.options import workspace_folder
        from core.workspace.find import batch_names

        if "/" in incomplete:
            return [CompletionItem(incomplete, type="file")]
        return [_item(name) for name in batch_names(workspace_folder() / "batches")]

    return _quietly(
        lambda: [item for item in find() if item.type == "file" or item.value.startswith(incomplete)]
    )


def complete_params(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """`NAME=` of the batch that is on the command line, then its choices."""

    def find() -> list[CompletionItem]:
        # While an option waits for its value, what came before it is left in the arguments.
        name = str(ctx.params.get("batch") or next(iter(ctx.args), ""))
        found = next(batch for batch in _ask(lambda engine: engine.batches()) if batch.name == name)
        items = []
        for known in found.params:
            choices = known.choices or ((True, False) if known.type == "boolean" else ())
            values = [str(value).lower() if isinstance(value, bool) else str(value) for value in choices] or [
                ""
            ]
            items += [_item(f"{known.name}={value}", known.description) for value in values]
        return _starting(items, incomplete)

    return _quietly(find)


def complete_runs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of runs; after one, its tasks."""

    async def numbers(engine: Engine) -> list[CompletionItem]:
        runs = await engine.runs(limit=RUNS)
        return [_item(str(run.number), f"{run.batch}, {run.state.word}") for run in runs]

    async def tasks(engine: Engine, number: int) -> list[CompletionItem]:
        found = await engine.tasks(number, limit=10_000)
        items = [
            _item(str(task.key), task.state.word) for task in found if str(task.key).startswith(incomplete)
        ]
        return items[:TASKS]

    def find() -> list[CompletionItem]:
        words = ctx.params.get("words") or ()
        if words and str(words[0]).isdigit():
            return _ask(lambda engine: tasks(engine, int(words[0])))
        return _starting(_ask(numbers), incomplete)

    return _quietly(find)


def complete_steps(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Steps of the run that is on the command line, else of the newest."""

    async def steps(engine: Engine) -> list[CompletionItem]:
        words = ctx.params.get("words") or (ctx.params.get("run"),)
        given = words[0] if words else None
        number = int(given) if given is not None and str(given).isdigit() else None
        if number is None:
            number = (await engine.runs(limit=1))[0].number
        return [_item(step.name, step.summary) for step in await engine.steps(number)]

    return _quietly(lambda: _starting(_ask(steps), incomplete))


def complete_servers(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of servers."""

    async def servers(engine: Engine) -> list[CompletionItem]:
        return [
            _item(server.name, f"{server.provider} {server.state} {server.address}")
            for server in await engine.servers()
        ]

    return _quietly(lambda: _starting(_ask(servers), incomplete))


def complete_selectors(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The simple selectors: `all`, `group:G`, `label:K=V`, `name:N`."""

    async def selectors(engine: Engine) -> list[CompletionItem]:
        servers = await engine.servers()
        found = {"all": ""}
        found |= {f"group:{group}": "" for server in servers for group in server.groups}
        found |= {f"label:{key}={value}": "" for server in servers for key, value in server.labels.items()}
        found |= {f"name:{server.name}": server.provider for server in servers}
        return [_item(text, told) for text, told in found.items()]

    return _quietly(lambda: _starting(_ask(selectors), incomplete))


def complete_environments(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Environments that the workspace declares, or has a file of the configuration for."""

    def find() -> list[CompletionItem]:
        from cli.options import workspace_folder
        from core.workspace.folder import Workspace

        found = Workspace.load(workspace_folder()).known_environments()
        return _starting([_item(known.name, known.description) for known in found], incomplete)

    return _quietly(find)


def complete_workspaces(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of registered workspaces."""

    def find() -> list[CompletionItem]:
        from core.workspace.registry import entries

        return _starting([_item(entry.name, str(entry.path)) for entry in entries()], incomplete)

    return _quietly(find)


def complete_secrets(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of secrets."""

    def find() -> list[CompletionItem]:
        from cli.secrets_keys import open_store

        return _starting([_item(name) for name in open_store().names()], incomplete)

    return _quietly(find)


def complete_config_paths(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Paths of the configuration, those of the environment on the command line with it."""

    def find() -> list[CompletionItem]:
        from cli.options import workspace_folder
        from core.config.load import load_config
        from core.config.open import given_here
        from core.config.paths import show
        from core.config.tree import every_path

        config = load_config(workspace_folder(), given_here(str(ctx.params.get("environment") or "")))
        return [_item(show(path)) for path in every_path(config.root)]

    return _quietly(lambda: _starting(find(), incomplete)[:PATHS])
