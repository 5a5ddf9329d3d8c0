"""What refers to what within a batch: needs, cycles, selectors, parameters, registered results, templates."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from core.batch.model import Batch, Need, Step
from core.batch.needs import Reach, effective_needs, find_cycles
from core.batch.selector import SelectorError, parse_selector
from core.batch.yaml_source import Document
from core.errors import Fault
from core.secrets.reference import refuse_reference
from core.template import NAMES, TemplateFault, Uses, compile_condition, compile_text

Path = tuple[str | int, ...]


def reference_faults(batch: Batch, document: Document) -> list[Fault]:
    """Every fault that only the whole document shows."""
    check = _Check(batch, document)
    check.run()
    return check.faults


class _Check:
    def __init__(self, batch: Batch, document: Document) -> None:
        self.batch = batch
        self.document = document
        self.faults: list[Fault] = []
        self.producers: dict[str, str] = {}
        self.reach: Reach | None = None
        """None where the needs are faulty: then what waits for what is not known."""

    def add(self, path: Path, message: str, hint: str = "", *, line: int = 1, offset: int = 0) -> None:
        """A fault at a path; `line` counts within a block scalar, `offset` within a scalar on one line."""
        row, column = self.document.at(*path)
        node = self.document.node(*path)
        if node is not None and node.kind == "scalar":
            if node.block:
                row, column = row + line, 1
            else:
                row += line - 1
                column += offset + (1 if node.quoted and offset else 0)
        self.faults.append(Fault(self.document.file, row, column, message, hint))

    def run(self) -> None:
        faulty = [name for name, step in self.batch.steps.items() if not self._needs(name, step)]
        needs = effective_needs(self.batch)
        cycles = find_cycles(needs)
        for cycle in cycles:
            self._cycle(cycle)
        if not faulty and not cycles:
            self.reach = Reach(needs)
        for name, step in self.batch.steps.items():
            if step.register_as is None:
                continue
            first = self.producers.setdefault(step.register_as.name, name)
            if first != name:
                self.add(
                    ("steps", name, "register"), f"step {first} registers {step.register_as.name!r} already"
                )
        for key, text in self.batch.env.items():
            self._template(("env", key), text, None)
        for name, step in self.batch.steps.items():
            self._selector(name, step)
            for path, text in templates_of(step):
                self._template(("steps", name, *path), text, name)
            if step.when is not None:
                self._condition(("steps", name, "when"), step.when, name)

    def _cycle(self, cycle: list[str]) -> None:
        """At the need that leads on from the first of its steps that names its needs."""
        told = f"steps need each other in a circle: {' → '.join(cycle)}"
        hint = ""
        if any(self.batch.steps[step].needs is None for step in cycle):
            hint = "a step without `needs` needs the one before it"
        for step, needed in pairwise(cycle):
            for index, need in enumerate(self.batch.steps[step].needs or ()):
                if need.step == needed:
                    self.add(self._need_path(step, index), told, hint)
                    return

    def _needs(self, name: str, step: Step) -> bool:
        sound = True
        seen: set[tuple[str, str]] = set()
        for index, need in enumerate(step.needs or ()):
            path = self._need_path(name, index)
            if need.step == name:
                self.add(path, f"step {name} needs itself")
                sound = False
            elif need.step not in self.batch.steps:
                if need.kind != "optional":
                    near = difflib.get_close_matches(need.step, self.batch.steps, n=1)
                    hint = f"did you mean {near[0]}?" if near else ""
                    self.add(path, f"there is no step {need.step!r}", hint)
                    sound = False
            elif need.scope == "server" and self._no_same_server(step, need):
                self.add(
                    path,
                    f"{name} and {need.step} share no server: one of them runs on the engine",
                    "use scope: all",
                )
            if (need.step, need.scope) in seen:
                self.add(path, f"{need.step!r} is needed twice")
            seen.add((need.step, need.scope))
        return sound

    def _no_same_server(self, step: Step, need: Need) -> bool:
        return step.on_engine != self.batch.steps[need.step].on_engine

    def _need_path(self, name: str, index: int) -> Path:
        node = self.document.node("steps", name, "needs")
        if node is not None and node.kind == "sequence":
            entry = self.document.node("steps", name, "needs", index)
            if entry is not None and entry.kind == "mapping":
                return ("steps", name, "needs", index, "step")
            return ("steps", name, "needs", index)
        return ("steps", name, "needs")

    def _selector(self, name: str, step: Step) -> None:
        try:
            parse_selector(step.on)
        except SelectorError as error:
            self.add(("steps", name, "on"), error.message, offset=error.offset)

    def _template(
        self,
        path: Path,
        text: str,
        step: str | None,
    ) -> None:
        try:
            uses = compile_text(text).uses
        except TemplateFault as error:
            self.add(path, error.message, line=error.line)
            return
        self._secrets(path, uses)
        self._uses(path, uses, step)

    def _condition(self, path: Path, text: str, step: str) -> None:
        try:
            uses = compile_condition(text).uses
        except TemplateFault as error:
            self.add(path, error.message, line=error.line)
            return
        self._uses(path, uses, step)

    def _secrets(self, path: Path, uses: Uses) -> None:
        for reference in sorted(uses.secrets):
            if not (path[0] == "env" or path[2:3] == ("env",)):
                self.add(path, SECRET_IN_TEXT, secret_hint(reference))
            elif why := refuse_reference(reference):
                self.add(path, why)

    def _uses(self, path: Path, uses: Uses, step: str | None) -> None:
        for name in sorted(uses.names - set(NAMES)):
            self.add(path, f"{name} is not defined in templates", _near(name, NAMES))
        for name in sorted(uses.params - set(self.batch.params)):
            self.add(path, f"there is no parameter {name!r}", _near(name, list(self.batch.params)))
        if step is None:
            if uses.results:
                told = "the env of the whole batch cannot use results: steps run before there are any"
                self.add(path, told, "put it into the env of the step that needs it")
            return
        in_undo = len(path) > 2 and path[2] == "undo"
        for name, elsewhere in [(name, False) for name in sorted(uses.registered)] + [
            (name, True) for _, name in sorted(uses.elsewhere, key=str)
        ]:
            producer = self.producers.get(name)
            if producer is None:
                self.add(path, f"no step registers {name!r}", _near(name, list(self.producers)))
            elif self.reach is None or (in_undo and producer == step):
                continue
            elif not self.reach.waits_for(step, producer):
                self.add(
                    path,
                    f"{name!r} comes from step {producer}, which {step} does not wait for",
                    "add it to needs",
                )
            elif elsewhere and not self.reach.waits_for_all(step, producer):
                self.add(path, f"{name!r} of another server needs step {producer} with scope all")


SECRET_IN_TEXT = "a secret stands in an env only: other text is stored, shown, and read in process lists"


def secret_hint(reference: str) -> str:
    """The env form of a reference, for a text that cannot have it."""
    name = variable_name(reference.rpartition(":")[2])
    return f'env: {{{name}: "{{{{ secret({reference!r}) }}}}"}}, then "${name}" in the command'


def variable_name(text: str) -> str:
    """A name for an environment variable, made from what it holds."""
    name = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
    return name if name[:1].isalpha() else f"SECRET_{name}".rstrip("_")


def secrets_of(batch: Batch) -> frozenset[str]:
    """Every reference to a secret that the commands of a batch use."""
    env = [batch.env, *(step.env for step in batch.steps.values())]
    return frozenset().union(*(compile_text(text).uses.secrets for texts in env for text in texts.values()))


def templates_of(step: Step) -> Iterator[tuple[Path, str]]:
    """Every template of a step, with the path of the scalar that it stands in, within the step."""
    for key, text in step.env.items():
        yield ("env", key), text
    if step.run is not None:
        yield ("run",), step.run
    for key, guard in (("check", step.check), ("verify", step.verify), ("undo", step.undo)):
        if guard is not None:
            yield (key, "run"), guard.run
    if step.upload is not None:
        yield ("upload", "from"), step.upload.source
        yield ("upload", "to"), step.upload.target
    if step.wait is not None:
        if step.wait.port is not None:
            yield ("wait", "host"), step.wait.host
        if step.wait.command is not None:
            yield ("wait", "command"), step.wait.command
        if step.wait.http is not None:
            yield ("wait", "http", "url"), step.wait.http.url
            if step.wait.http.contains:
                yield ("wait", "http", "contains"), step.wait.http.contains


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    if near:
        return f"did you mean {near[0]}?"
    return f"known are {', '.join(sorted(known)[:12])}" if known else ""
