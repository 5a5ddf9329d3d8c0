"""The configuration that a batch uses: worked out when the plan is made, and then frozen with the run.

Only what the batch's templates name is frozen, so a value that it does not use and that cannot be worked out is not
in its way. Where it uses any, the whole must fit the workspace's schema. A run goes on with what its plan found,
whatever becomes of the files. A secret in a value is frozen by its name: it is read when the run is to be executed, and
stands where a secret of the batch may stand, in an env.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from core.batch.load import LoadedBatch
from core.batch.references import templates_of, variable_name
from core.errors import Fault, InputError
from core.secrets.sealed import sealed_in
from core.template import Uses, compile_condition, compile_text

if TYPE_CHECKING:
    from core.config.resolve import Resolver
    from core.config.tree import Origin

Place = tuple[str | int, ...]
Used = tuple[str | int, ...]
Tell = Callable[[str, str], None]
"""Takes a fault's message and hint, for the place that is being looked at."""


class Configured:
    """The values of one plan. `values` holds what was used so far, `faults` those of the configuration itself;
    `variables` are those that templates read as `env.NAME`; `secrets` are those in the values, with where they
    are named.
    """

    def __init__(self, open_config: Callable[[], Resolver]) -> None:
        self.values: dict[str, Any] = {}
        self.faults: list[Fault] = []
        self.variables: set[str] = set()
        self.secrets: dict[str, Origin] = {}
        self._origins: dict[Used, Origin] = {}
        self._open = open_config
        self._resolver: Resolver | None = None
        self._broken = False
        self._incomplete = False
        self._done: set[Used] = set()

    def use(self, used: Iterable[Used], tell: Tell, *, secrets: bool = False) -> None:
        """Works out what a template names below `config`; what cannot be is told.

        `secrets` says that it stands where there may be secrets.
        """
        for path in sorted(map(_frozen_path, used), key=lambda path: (len(path), str(path))):
            if not path:
                self._incomplete = True
                tell("name a key of config: a run keeps only what it uses", "config.web.port")
                continue
            if not any(path[:length] in self._done for length in range(1, len(path) + 1)):
                self._freeze(path, tell)
            if secrets:
                self._need_secrets(path)
            else:
                self._refuse_secrets(path, tell)

    def origins(self) -> dict[str, str]:
        """Where each value that was used was written, by path."""
        from core.config.paths import show

        kept = sorted(self._origins, key=lambda path: tuple(map(str, path)))
        within = self._origins.keys()
        outermost = [path for path in kept if not any(path[:n] in within for n in range(1, len(path)))]
        return {show(path): str(self._origins[path]) for path in outermost}

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
        from core.config.sealing import sealed_value

        resolver = self._opened()
        if resolver is None:
            self._incomplete = True
            return
        try:
            value = resolver.value(path)
            if resolver.secrets(path):
                value = sealed_value(resolver, path)
        except InputError as error:
            self._incomplete = True
            if not error.faults:
                tell(f"config.{show(path)}: {error.message}", error.hint)
            self.faults += [fault for fault in error.faults if fault not in self.faults]
            return
        around = self.values
        for part in path[:-1]:
            around = around.setdefault(str(part), {})
        around[str(path[-1])] = value
        self._origins[path] = resolver.origin(path)
        self._done.add(path)

    def _need_secrets(self, path: Used) -> None:
        if self._resolver is not None:
            for name, origin in self._resolver.secret_origins(path):
                self.secrets.setdefault(name, origin)

    def _refuse_secrets(self, path: Used, tell: Tell) -> None:
        """Tells where a value that holds a secret is used in other text."""
        from core.config.paths import look_up, show

        try:
            value = look_up(self.values, path)
        except KeyError:
            return  # told already
        names = sorted({name for text in sealed_in(value) for name in text.references})
        if names:
            self._incomplete = True
            name = show(path)
            tell(
                f"config.{name} holds the secret {names[0]}, and a secret stands in an env only",
                f'env: {{{variable_name(name)}: "{{{{ config.{name} }}}}"}}, then '
                f'"${variable_name(name)}" in the command',
            )

    def _opened(self) -> Resolver | None:
        """The configuration, opened when something of it is used; None where it cannot be read."""
        if self._resolver is None and not self._broken:
            try:
                self._resolver = self._open()
            except InputError as error:
                self._broken = True
                self.faults += error.faults or [Fault("config", 0, 0, error.message, error.hint)]
        return self._resolver


def in_env(place: Place) -> bool:
    """True for the place of an environment variable, where secrets may stand."""
    return place[:1] == ("env",) or place[2:3] == ("env",)


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
