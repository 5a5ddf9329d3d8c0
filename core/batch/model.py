"""What a batch document may hold: pydantic models, frozen.

The models read what a person writes, shorthands included (`check: "test -d x"`, `retries: 3`,
`needs: other`), and give one plain form. Checks that need the whole document (references, cycles,
templates) are in `core.batch.references`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from core.batch.values import Misread, file_mode, seconds, share, some_seconds

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?\Z")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")

DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {
            "type": "string",
            "pattern": r"^(?=\d)(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?$|^\d+(\.\d+)?$",
        },
    ],
    "description": "seconds, or text like 30s, 500ms, 5m, 1h30m",
}
Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(DURATION_SCHEMA)]
Timeout = Annotated[float, BeforeValidator(some_seconds), WithJsonSchema(DURATION_SCHEMA)]


class Model(BaseModel):
    """Strict and frozen; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _as(key: str) -> Any:
    """Reads a bare scalar as a mapping with one key."""

    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str | int | float | bool) else value

    return read


class Allowance(Model):
    """How many servers may fail: a number, or a share of the servers targeted, rounded down."""

    number: int | None = Field(None, ge=0)
    share: float | None = None

    def of(self, servers: int) -> int:
        """The number for so many servers."""
        if self.number is not None:
            return self.number
        return int((self.share or 0.0) * servers + 1e-9)

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, bool):
            raise ValueError('a number of servers, or a share like "10%"')
        if isinstance(value, int):
            return {"number": value}
        return value if isinstance(value, dict) else {"share": share(value)}


ALLOWANCE_SCHEMA = {
    "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\d{1,3}(\.\d+)?\s*%$"}],
    "description": 'how many servers may fail: a number, or a share like "10%"',
}
AllowanceField = Annotated[Allowance, WithJsonSchema(ALLOWANCE_SCHEMA)]


class Retries(Model):
    """How often and after how long a failed attempt is made again."""

    attempts: int = Field(1, ge=1, le=1000, description="attempts in all, the first one included")
    delay_s: Duration = Field(1.0, alias="delay", description="before the second attempt")
    backoff: float = Field(
        2.0, ge=1, le=100, strict=False, description="what each further delay is multiplied by"
    )
    max_delay_s: Duration = Field(60.0, alias="max_delay", description="no delay is longer")
    jitter: float = Field(
        0.1, ge=0, le=1, strict=False, description="share by which a delay varies at random"
    )


RetriesField = Annotated[Retries, BeforeValidator(_as("attempts"))]


class Guard(Model):
    """A command whose exit status is an answer."""

    run: str = Field(min_length=1, description="a shell command")
    timeout_s: Timeout | None = Field(None, alias="timeout", description="default 1m")


GuardField = Annotated[Guard, BeforeValidator(_as("run"))]


class Undo(Model):
    """The command that takes back what the step did; it must bear running twice."""

    run: str = Field(min_length=1, description="a shell command")
    timeout_s: Timeout | None = Field(None, alias="timeout", description="default: none")
    retries: RetriesField | None = Field(None, description="default: those of the step")


UndoField = Annotated[Undo, BeforeValidator(_as("run"))]


class Need(Model):
    """A dependency on another step."""

    step: str = Field(description="the name of the step that is needed")
    scope: Literal["all", "server"] = Field("all", description="ended on all its servers, or on the same one")
    kind: Literal["hard", "soft", "optional"] = Field(
        "hard", description="its failure blocks; is passed; or the step may be absent"
    )


def _needs(value: Any) -> Any:
    if isinstance(value, str | dict):
        value = [value]
    return (
        tuple({"step": entry} if isinstance(entry, str) else entry for entry in value)
        if isinstance(value, list)
        else value
    )


def _identifier(name: str) -> str:
    if not IDENTIFIER.match(name):
        rule = "letters, digits and _, not beginning with a digit"
        raise ValueError(f"{name[:80]!r} is no name to register: {rule}")
    return name


class Register(Model):
    """Keeps the result of the step's tasks for later templates."""

    name: Annotated[str, AfterValidator(_identifier)] = Field(description="what templates call the result")
    sensitive: bool = Field(False, description="kept encrypted and never shown")


def _source(source: str) -> str:
    """Where it leads, and whether the workspace allows that, is seen when it is planned."""
    if source.startswith("~") or "\\" in source:
        raise ValueError(f"{source[:80]!r} must be a path from the workspace, or a whole one")
    return source


def _file(target: str) -> str:
    if target.endswith("/"):
        raise ValueError(f"{target[:80]!r} is a folder; name the file in it")
    return target


class UploadSpec(Model):
    """A file of the workspace, placed on each server atomically."""

    source: Annotated[str, AfterValidator(_source)] = Field(
        alias="from", min_length=1, description="path relative to the workspace, never out of it"
    )
    target: Annotated[str, AfterValidator(_file)] = Field(
        alias="to",
        min_length=1,
        description="path on the server, relative to the login directory or absolute",
    )
    mode: Annotated[
        int,
        BeforeValidator(file_mode),
        WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3,4}$", "description": 'like "0644"'}),
    ] = 0o644
    template: bool = Field(False, description="render the file's text as a template for each server")


class HttpSpec(Model):
    """An HTTP answer to wait for, asked by the engine."""

    url: str = Field(min_length=1, description="http:// or https://")
    status: tuple[int, ...] = (200,)
    contains: str = Field("", description="text that the body must contain")
    timeout_s: Timeout = Field(10.0, alias="timeout", description="for one request")

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, dict) and "status" in value:
            status = value["status"]
            value = {**value, "status": tuple(status) if isinstance(status, list) else (status,)}
        return value


class WaitSpec(Model):
    """Something to wait for: a port or a command on each server, or an HTTP answer."""

    port: int | None = Field(None, ge=1, le=65535, description="a TCP port, seen from the server")
    host: str = Field("127.0.0.1", description="where the port is, seen from the server")
    command: str | None = Field(None, min_length=1, description="until it exits with 0")
    http: Annotated[HttpSpec, BeforeValidator(_as("url"))] | None = Field(
        None, description="an address that the engine asks, or a mapping"
    )
    every_s: Timeout = Field(1.0, alias="every", description="between two looks")

    @model_validator(mode="after")
    def _one(self) -> WaitSpec:
        given = [name for name in ("port", "command", "http") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(
                f"wait for exactly one of port, command, http{f', not {len(given)}' if given else ''}"
            )
        return self


def _sudo(value: Any) -> Any:
    if value is True:
        return "root"
    if value is False:
        return None
    if not isinstance(value, str) or not USER.match(value) or value in ("yes", "no", "on", "off"):
        raise ValueError(f"sudo is true or a user's name, not {value!r:.60}")
    return value


def _ok_exit(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else (value,)


def _env(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    found: list[tuple[tuple[str | int, ...], bool, str]] = []
    for name, text in value.items():
        if not ENV_NAME.match(name):
            found.append(((name,), True, f"{name[:80]!r} is no name of an environment variable"))
        elif name.startswith("WINDLASS_"):
            found.append(((name,), True, f"{name}: names that begin with WINDLASS_ are set by the engine"))
        if not isinstance(text, str):  # a number has many spellings: 1.10, 012, 1e3
            told = (
                "a mapping" if isinstance(text, dict) else "a list" if isinstance(text, list) else repr(text)
            )
            found.append(((name,), False, f"{name}: a variable is text, not {told[:80]}; quote it"))
    if found:
        raise Misread(*found)
    return value


EnvField = Annotated[
    dict[str, str],
    BeforeValidator(_env),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
]


class Step(Model):
    """One step: what is done, where, after what, and how failures are met."""

    _name: str = PrivateAttr("")
    description: str = Field("", description="what it is for, in a line")
    on: str = Field(
        "all", description="selector: all, group:web, label:role=db, name:web-*, and, or, not, ( )"
    )
    needs: Annotated[tuple[Need, ...], BeforeValidator(_needs)] | None = Field(
        None, description="default: the step before, by strategy.order; [] for none"
    )
    run: str | None = Field(None, min_length=1, description="a shell command, for /bin/sh")
    upload: UploadSpec | None = Field(None, description="a file to place on each server")
    wait: WaitSpec | None = Field(None, description="what must come true before the step ends well")
    check: GuardField | None = Field(None, description="exit 0: already in place, nothing to do")
    verify: GuardField | None = Field(None, description="after the command: exit 0 confirms it")
    undo: UndoField | None = Field(None, description="what takes the step back in a rollback")
    when: str | None = Field(
        None, min_length=1, description="an expression without braces; false skips the step"
    )
    retries: RetriesField = Field(Retries(), description="attempts in all, or a mapping")
    timeout_s: Timeout | None = Field(None, alias="timeout", description="of one attempt")
    env: EnvField = Field(default_factory=dict, description="environment of the step's commands; templates")
    sudo: Annotated[
        str | None,
        BeforeValidator(_sudo),
        WithJsonSchema({"type": ["boolean", "string"], "description": "true for root, or a user's name"}),
    ] = None
    register_as: Annotated[Register, BeforeValidator(_as("name"))] | None = Field(
        None, alias="register", description="keeps state, exit and output for templates of later steps"
    )
    ok_exit: Annotated[tuple[Annotated[int, Field(ge=0, le=255)], ...], BeforeValidator(_ok_exit)] = (0,)
    supervise: bool | None = Field(
        None, description="false: the command does not survive its connection; default: that of the batch"
    )
    output: Literal["keep", "discard"] = Field(
        "keep", description="discard: for what prints without end; nothing of it is stored"
    )
    parallel: int | None = Field(None, ge=1, description="tasks of this step at once")
    max_failures: AllowanceField | None = Field(None, description="servers that may fail in this step")

    @property
    def name(self) -> str:
        """The step's name: its key in the document, never something that the document says in it."""
        return self._name

    def called(self, name: str) -> Step:
        """The same step under a name."""
        step = self.model_copy()
        step._name = name
        return step

    @property
    def kind(self) -> str:
        """ "run", "upload" or "wait"."""
        if self.upload is not None:
            return "upload"
        return "wait" if self.wait is not None else "run"

    @property
    def on_engine(self) -> bool:
        """True where the engine itself does the work, as one task."""
        return self.wait is not None and self.wait.http is not None

    @property
    def changes_something(self) -> bool:
        """False for waits, which only look."""
        return self.wait is None

    @model_validator(mode="after")
    def _one_kind(self) -> Step:
        given = [name for name in ("run", "upload", "wait") if getattr(self, name) is not None]
        if len(given) != 1:
            told = f"not {' and '.join(given)}" if given else "it has none"
            raise ValueError(f"a step does exactly one of run, upload, wait; {told}")
        if self.on_engine and "on" in self.model_fields_set:
            raise Misread((("on",), True, "a wait for HTTP runs on the engine, once: take `on` away"))
        if self.wait is not None:
            found = [
                ((name,), True, f"a wait changes nothing, so it has no {name}")
                for name in ("check", "verify", "undo")
                if getattr(self, name) is not None
            ]
            if found:
                raise Misread(*found)
        return self


class Strategy(Model):
    """How a run goes about its tasks."""

    parallel: int = Field(50, ge=1, le=10_000, description="tasks at once in the whole run")
    order: Literal["linear", "free"] = Field("linear", description="what a step without needs waits for")
    on_failure: Literal["stop", "continue", "rollback"] = Field(
        "stop", description="what happens when more servers fail than max_failures allows"
    )
    max_failures: AllowanceField = Field(
        Allowance(number=0), description="servers that may fail: a number, or a share like 10%"
    )
    per_server: int = Field(1, ge=1, le=100, description="tasks at once on one server")
    undo_failed: bool = Field(True, description="whether a rollback undoes failed tasks too")
    reconnect_s: Duration = Field(
        600.0, alias="reconnect", description="how long a lost server is waited for while a task runs on it"
    )


class Param(Model):
    """A parameter that a run may be given."""

    type: Literal["string", "integer", "number", "boolean", "list"] = Field(
        "string", description="list: a list of strings"
    )
    description: str = Field("", description="what it is for; shown where a value is asked for")
    default: Any = Field(None, description="without one, a run must be given a value")
    choices: tuple[Any, ...] | None = Field(None, description="the only values allowed")
    pattern: str | None = Field(None, description="a regular expression that a string matches whole")
    min: float | None = Field(None, strict=False, description="the smallest number allowed")
    max: float | None = Field(None, strict=False, description="the largest number allowed")

    @property
    def required(self) -> bool:
        """True where a run must be given a value."""
        return self.default is None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float | str | list):
            return {"type": type_of(value), "default": value}
        if isinstance(value, dict) and isinstance(value.get("choices"), list):
            return {**value, "choices": tuple(value["choices"])}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Param:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                told = f"pattern is no regular expression: {error}"
                raise Misread((("pattern",), False, told)) from None
        found: list[tuple[tuple[str | int, ...], bool, str]] = []
        numeric = self.type in ("integer", "number")
        for key, fits, told in (
            ("pattern", self.type == "string", "only a string has a pattern"),
            ("min", numeric, "only a number has a min"),
            ("max", numeric, "only a number has a max"),
        ):
            if getattr(self, key) is not None and not fits:
                found.append(((key,), False, told))
        if self.min is not None and self.max is not None and self.min > self.max:
            found.append((("max",), False, f"max {self.max:g} is below min {self.min:g}"))
        bare = self.model_copy(update={"choices": None, "pattern": None, "min": None, "max": None})
        for index, choice in enumerate(self.choices or ()):
            if problem := misfit(bare, choice):
                found.append((("choices", index), False, f"choice {problem}"))
        if self.default is not None and not found and (problem := misfit(self, self.default)):
            found.append((("default",), False, f"default {problem}"))
        if found:
            raise Misread(*found)
        return self


def type_of(value: Any) -> str:
    """The parameter type that a default implies."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    return "list" if isinstance(value, list) else "string"


def misfit(param: Param, value: Any) -> str:
    """Why a value does not fit a parameter; "" where it does."""
    fits = {
        "string": isinstance(value, str),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool),
        "boolean": isinstance(value, bool),
        "list": isinstance(value, list) and all(isinstance(entry, str) for entry in value),
    }[param.type]
    if not fits:
        return f"{value!r} is no {'list of strings' if param.type == 'list' else param.type}"
    if param.choices is not None and value not in param.choices:
        return f"{value!r} is none of {', '.join(map(str, param.choices))}"
    if param.pattern is not None and isinstance(value, str) and not re.fullmatch(param.pattern, value):
        return f"{value!r} does not match {param.pattern}"
    if param.type in ("integer", "number"):
        if param.min is not None and value < param.min:
            return f"{value} is below {param.min:g}"
        if param.max is not None and value > param.max:
            return f"{value} is above {param.max:g}"
    return ""


class Batch(Model):
    """A whole batch document."""

    name: str = Field("", description="default: the file's name")
    description: str = Field("", description="what it is for, in a line")
    params: dict[str, Param] = Field(default_factory=dict, description="values that a run is given, by name")
    strategy: Strategy = Field(Strategy(), description="how a run goes about its tasks")
    env: EnvField = Field(default_factory=dict, description="environment of every command; templates")
    supervise: bool = Field(True, description="whether commands outlive their connection and their engine")
    steps: dict[str, Step] = Field(min_length=1, description="what is done, by name, in order")
