"""Every `windlass …` line of the documents parses, and every key of a JSON form is described."""

from __future__ import annotations

import inspect
import re
import shlex
from pathlib import Path

import click
import pytest

from cli import jsonforms
from cli.main import cli
from core.model import events
from tests.unit.cli.test_runs import objects

ROOT = Path(__file__).resolve().parents[3]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs" / "guides").glob("*.md")),
    *sorted((ROOT / "docs" / "reference").glob("*.md")),
    *sorted((ROOT / "workspaces").rglob("*.yaml")),
]
FENCE = re.compile(r"^ *```[a-z]*\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(windlass [a-z-][^`]*)`")
COMMENT = re.compile(r"^#\s+(windlass [^#]*?)(?:\s{2,}.*)?$", re.MULTILINE)
PLACEHOLDERS = {
    "RUN": "44",
    "SEQ": "7",
    "DIR": "folder",
    "NAME": "web-1",
    "TEXT": "text",
    "SHELL": "bash",
    "PID": "1",
    "STEP@SERVER": "step@server",
    "SELECTOR": "all",
}


def lines_of(page: Path) -> list[str]:
    text = page.read_text()
    found = []
    if page.suffix == ".yaml":
        found += COMMENT.findall(text)
    for block in FENCE.findall(text):
        found += [line.strip() for line in block.splitlines() if re.match(r"\s*\$? ?windlass\b", line)]
    return found + INLINE.findall(FENCE.sub("", text))


LINES = [(page.relative_to(ROOT), line) for page in PAGES for line in lines_of(page)]


def words_of(line: str) -> list[str]:
    words = shlex.split(line.removeprefix("$ "), comments=True)
    for stop in (">", "|", "&&", ";"):
        if stop in words:
            words = words[: words.index(stop)]
    return [PLACEHOLDERS.get(word, word) for word in words[1:]]


def test_there_are_lines_to_check() -> None:
    assert len(LINES) > 80
    assert {"first-steps.md", "command-line.md", "rollout.yaml"} <= {page.name for page, _ in LINES}


@pytest.mark.parametrize(("page", "line"), LINES, ids=[f"{page.name}: {line}" for page, line in LINES])
def test_the_line_parses(page: Path, line: str) -> None:
    """Parses the line as the program would, down to the last command, without running it."""
    words = words_of(line)
    if "COMMAND" in words or words == ["--help"]:
        return
    command, context = cli, click.Context(cli, info_name="windlass")
    while True:
        if "--help" in words:
            words.remove("--help")
            if not isinstance(command, click.Group):
                return
        with context:
            if not isinstance(command, click.Group):
                if not words:
                    return  # the command is spoken of
                command.make_context(context.info_name, words, parent=context.parent)
                return
            if not words:
                return  # the group is spoken of
            parser_context = click.Context(command, parent=context.parent, info_name=context.info_name)
            command.parse_args(parser_context, words)
            rest = [*parser_context._protected_args, *parser_context.args]
            name, found, words = command.resolve_command(parser_context, rest)
            assert found is not None
            command, context = found, click.Context(found, parent=parser_context, info_name=name)  # type: ignore[assignment]


# ---------------------------------------------------------------- JSON forms

PAGE = (ROOT / "docs" / "reference" / "json-lines.md").read_text()
SECTIONS = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL))
GOLDEN = Path(__file__).parent / "golden"


def documented(kind: str) -> list[str]:
    """The keys of a form: the paragraph of its section that lists them, beginning with `type`."""
    (paragraph,) = re.findall(r"^`type`.*?(?=\n\n|\Z)", SECTIONS[kind], re.MULTILINE | re.DOTALL)
    return re.findall(r"`(\w+)`", paragraph)


def test_every_form_is_described() -> None:
    functions = {
        name
        for name, function in vars(jsonforms).items()
        if inspect.isfunction(function) and function.__module__ == jsonforms.__name__
    } - {"moment", "counts", "plain"}
    assert functions == set(SECTIONS)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("json-*.txt")), ids=lambda path: path.stem)
def test_the_golden_objects_have_the_documented_keys(path: Path) -> None:
    for found in objects(path.read_text()):
        kind = found["type"]
        expected = [*documented("run"), "exit"] if kind == "result" else documented(kind)
        assert sorted(found) == sorted(expected), kind


def test_faults_have_the_documented_keys() -> None:
    from core.errors import Fault

    assert list(jsonforms.fault(Fault("f", 1, 1, "m"))) == documented("fault")


def test_every_type_of_event_is_described() -> None:
    types = {value for name, value in vars(events).items() if name.isupper() and isinstance(value, str)}
    listed = set(re.findall(r"^\| `(\w+\.\w+)` \|", SECTIONS["event"], re.MULTILINE))
    own = {
        events.ENGINE_OPENED,
        events.ENGINE_TAKEN_OVER,
        events.WORKSPACE_ADOPTED,
        events.WEBHOOK_GIVEN_UP,
        events.WEBHOOK_REPLAY,
    }
    assert types - own == listed  # the engine's own belong to no run
