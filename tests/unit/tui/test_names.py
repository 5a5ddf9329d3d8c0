"""Our widgets and screens share their namespace with Textual's: a name used twice breaks it in silent ways."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
import textual

import tui

TEXTUAL = Path(textual.__file__).parent
SOURCES = ("app.py", "dom.py", "message_pump.py", "screen.py", "scroll_view.py", "widget.py", "containers.py")
MEANT = {  # what is overridden on purpose
    "__init__", "compose", "render_line", "on_mount", "on_resize", "BINDINGS", "CSS", "DEFAULT_CSS", "TITLE",
    "AUTO_FOCUS", "ENABLE_COMMAND_PALETTE", "get_theme_variable_defaults", "get_system_commands", "action_quit",
    "_filters", "animation_level", "use_command_palette", "theme", "_on_mouse_scroll_up", "_on_mouse_scroll_down",
    "virtual_size", "action_back", "exit", "push_screen", "_on_key", "border_subtitle", "can_focus", "display",
    "_display",
    "title",  # of a column, which is no widget
}  # fmt: skip


def names_of(path: Path) -> set[str]:
    """Every name that classes of a source file define or assign to self."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            for entry in node.body:
                if isinstance(entry, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(entry.name)
                targets = entry.targets if isinstance(entry, ast.Assign) else []
                if isinstance(entry, ast.AnnAssign):
                    targets = [entry.target]
                found |= {target.id for target in targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found |= {node.attr} if getattr(node.value, "id", "") == "self" else set()
    return found


THEIRS = set().union(*(names_of(TEXTUAL / name) for name in SOURCES))
OURS = sorted(
    path
    for path in Path(inspect.getfile(tui)).parent.rglob("*.py")
    if path.parent.name in {"screens", "widgets"} or path.name == "app.py"
)


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_no_name_of_textual_is_used_for_something_else(path: Path) -> None:
    assert sorted((names_of(path) & THEIRS) - MEANT) == []


def test_the_names_compared_are_those_of_textual() -> None:
    for known in ("_task", "_running", "_size", "virtual_size", "_compositor", "action_quit"):
        assert known in THEIRS
