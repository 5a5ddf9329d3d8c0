"""The configuration that a batch uses: worked out when the plan is made, and then frozen with the run.

Only what the batch's templates name is frozen, so a value that it does not use and that cannot be worked out is not
in its way. Where it uses any, the whole must fit the workspace's schema. A run goes on with what its plan found,
whatever becomes of the files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from core.batch.load import LoadedBatch
from core.batch.references import templates_of
from core.errors import Fault, InputError
from core.template import Uses, compile_condition, compile_text

if TYPE_CHECKING:
    from core.config.resolve import Resolver

Place = tuple[str | int, ...]
Used = tuple[str | int, ...]
Tell = Callable[[str, str], None]
"""Takes a fault's message and hint, for the place that is being looked at."""


class Configured:
    """The values of one plan. `values` holds what was used so far, `faults` those of the configuration itself;
    `variables` are those that templates read as `env.NAME`.
    """

    def __init__(self, open_config: Callable[[], Resolver]) -> None:
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.variables: set[str] = set()
        self._open = open_config
        self._resolver: Resolver | None = None
        self._broken = False
        self._incomplete = False
        self._done: set[Used] = set()

    def use(self, used: Iterable[Used], tell: Tell) -> None:
        """Works out what a template names below `config`; what cannot be is told."""
        for path in sorted(map(_frozen_path, used), key=lambda path: (len(path), str(path))):
            if not path:
                self._incomplete = True
                tell("name a key of config: a run keeps only what it uses", "config.web.port")
            elif not any(path[:length] in self._done for length in range(1, len(path) + 1)):
                self._freeze(path, tell)

    @property
    def moment(self) -> str:
        """The time that stands still in these values; "" where the configuration was not used."""
        return self._resolver.moment if self._resolver is not None else ""

    @property
    def notices(self) -> tuple[str, ...]:
        """What is worth telling of how the configuration was read."""
        return tuple(self._resolver.config.notices) if self._resolver is not None else ()

    def told(self, uses: Uses) -> bool:
        """True for a template that may use a value that is not there, which was told already."""
        return self._incomplete and bool(uses.config)

    def check_rules(self, workspace: FilePath) -> None:
        """Adds what does not fit the workspace's schema, where the batch uses the configuration at all."""
        if self._resolver is None:
            return
        from core.config.check import rule_faults

        found = rule_faults(self._resolver, workspace)
        self.faults += [fault for fault in found if fault not in self.faults]

    def _freeze(self, path: Used, tell: Tell) -> None:
        from core.config.paths import show

        resolver = self._opened()
        if resolver is None:
            self._incomplete = True
            return
        try:
            value = resolver.value(path)
            secrets = resolver.secrets(path)
        except InputError as error:
            self._incomplete = True
            if not error.faults:
                tell(f"config.{show(path)}: {error.message}", error.hint)
            self.faults += [fault for fault in error.faults if fault not in self.faults]
            return
        if secrets:
            self._incomplete = True
            name = min(secrets)
            tell(
                f"config.{show(path)} holds the secret {name}, and values of the configuration are stored with a run",
                f"in the batch, as the value of an env: {{{{ secret({name!r}) }}}}",
            )
            return
        around = self.values
        for part in path[:-1]:
            around = around.setdefault(str(part), {})
        around[str(path[-1])] = value
        self._done.add(path)

    def _opened(self) -> Resolver | None:
        """The configuration, opened when something of it is used; None where it cannot be read."""
        if self._resolver is None and not self._broken:
            try:
                self._resolver = self._open()
            except InputError as error:
                self._broken = True
                self.faults += error.faults or [Fault("config", 0, 0, error.message, error.hint)]
        return self._resolver


def uses_of(loaded: LoadedBatch) -> list[tuple[Place, frozenset[Used]]]:
    """Every template of a batch that uses the configuration: where it stands, and what it names."""
    found: list[tuple[Place, frozenset[Used]]] = []
    for key, text in loaded.batch.env.items():
        found.append((("env", key), compile_text(text).uses.config))
    for name, step in loaded.batch.steps.items():
        for path, text in templates_of(step):
            found.append((("steps", name, *path), compile_text(text).uses.config))
        if step.when is not None:
            found.append((("steps", name, "when"), compile_condition(step.when).uses.config))
    return [(place, used) for place, used in found if used]


def variables_of(loaded: LoadedBatch) -> set[str]:
    """The variables that the templates of a batch read as `env.NAME`."""
    texts = [compile_text(text).uses for text in loaded.batch.env.values()]
    for step in loaded.batch.steps.values():
        texts += [compile_text(text).uses for _, text in templates_of(step)]
        if step.when is not None:
            texts.append(compile_condition(step.when).uses)
    return {name for uses in texts for name in uses.env}


def _frozen_path(path: Used) -> Used:
    """A path up to the first list on it: lists are kept whole."""
    for index, part in enumerate(path):
        if isinstance(part, int):
            return path[:index]
    return path
