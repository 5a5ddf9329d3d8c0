"""What a batch document may hold: pydantic models, frozen.

The models read what a person writes, shorthands included (`check: "test -d x"`, `retries: 3`,
`needs: other`), and give one plain form. Checks that need the whole document (references, cycles,
templates) are in `core.batch.references`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from core.batch.values import file_mode, seconds, share

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}\Z")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}\Z")
USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}\$?\Z")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}\Z")

DURATION_SCHEMA = {
    "anyOf": [
        {"type": "number", "minimum": 0},
        {"type": "string", "pattern": r"^(\d+h)?(\d+m)?(\d+(\.\d+)?s)?(\d+ms)?$|^\d+(\.\d+)?$"},
    ],
    "description": "seconds, or text like 30s, 500ms, 5m, 1h30m",
}
Duration = Annotated[float, BeforeValidator(seconds), WithJsonSchema(DURATION_SCHEMA)]


class Model(BaseModel):
    """Strict and frozen; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


def _as(key: str) -> Any:
    """Reads a bare scalar as a mapping with one key."""

    def read(value: Any) -> Any:
        return {key: value} if isinstance(value, str | int | float | bool) else value

    return read


def _or_text(schema: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, model]}


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
    timeout_s: Duration | None = Field(None, alias="timeout", description="default 1m")


GuardField = Annotated[Guard, BeforeValidator(_as("run"))]


class Undo(Model):
    """The command that takes back what the step did; it must bear running twice."""

    run: str = Field(min_length=1, description="a shell command")
    timeout_s: Duration | None = Field(None, alias="timeout")
    retries: RetriesField | None = Field(None, description="default: those of the step")


UndoField = Annotated[Undo, BeforeValidator(_as("run"))]


class Need(Model):
    """A dependency on another step."""

    step: str
    scope: Literal["all", "server"] = "all"
    kind: Literal["hard", "soft", "optional"] = "hard"


def _needs(value: Any) -> Any:
    if isinstance(value, str | dict):
        value = [value]
    return (
        tuple({"step": entry} if isinstance(entry, str) else entry for entry in value)
        if isinstance(value, list)
        else value
    )


class Register(Model):
    """Keeps the result of the step's tasks for later templates."""

    name: str
    sensitive: bool = False

    @model_validator(mode="after")
    def _name(self) -> Register:
        if not IDENTIFIER.match(self.name):
            raise ValueError(
                f"{self.name!r} is no name to register: letters, digits and _, not beginning with a digit"
            )
        return self


class UploadSpec(Model):
    """A file of the workspace, placed on each server atomically."""

    source: str = Field(
        alias="from", min_length=1, description="path relative to the workspace, never out of it"
    )
    target: str = Field(
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

    @model_validator(mode="after")
    def _inside(self) -> UploadSpec:
        parts = self.source.split("/")
        if self.source.startswith(("/", "~")) or ".." in parts or "\0" in self.source or "\\" in self.source:
            raise ValueError(f"from: {self.source!r} must be a path inside the workspace, without ..")
        if "\0" in self.target:
            raise ValueError("to: a path holds no NUL")
        return self


class HttpSpec(Model):
    """An HTTP answer to wait for, asked by the engine."""

    url: str = Field(min_length=1)
    status: tuple[int, ...] = (200,)
    contains: str = Field("", description="text that the body must contain")
    timeout_s: Duration = Field(10.0, alias="timeout", description="for one request")

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
    http: Annotated[HttpSpec, BeforeValidator(_as("url"))] | None = None
    every_s: Duration = Field(1.0, alias="every", description="between two looks")

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
        raise ValueError(f"sudo is true or a user's name, not {value!r}")
    return value


def _ok_exit(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else (value,)


def _env(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    texts = {}
    for name, text in value.items():
        if not ENV_NAME.match(name):
            raise ValueError(f"{name!r} is no name of an environment variable")
        if name.startswith("WINDLASS_"):
            raise ValueError(f"{name}: names that begin with WINDLASS_ are set by the engine")
        if isinstance(text, bool) or not isinstance(text, str | int | float):
            raise ValueError(f"{name}: a variable is text, not {text!r}; quote it")
        texts[name] = str(text)
    return texts


EnvField = Annotated[
    dict[str, str],
    BeforeValidator(_env),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]


class Step(Model):
    """One step: what is done, where, after what, and how failures are met."""

    name: str = Field("", exclude=True, json_schema_extra={"windlass": "internal"})
    description: str = ""
    on: str = Field(
        "all", description="selector: all, group:web, label:role=db, name:web-*, and, or, not, ( )"
    )
    needs: Annotated[tuple[Need, ...], BeforeValidator(_needs)] | None = Field(
        None, description="default: the step before, by strategy.order; [] for none"
    )
    run: str | None = Field(None, min_length=1, description="a shell command, for /bin/sh")
    upload: UploadSpec | None = None
    wait: WaitSpec | None = None
    check: GuardField | None = Field(None, description="exit 0: already in place, nothing to do")
    verify: GuardField | None = Field(None, description="after the command: exit 0 confirms it")
    undo: UndoField | None = None
    when: str | None = Field(
        None, min_length=1, description="an expression without braces; false skips the step"
    )
    retries: RetriesField = Retries()
    timeout_s: Duration | None = Field(None, alias="timeout")
    env: EnvField = Field(default_factory=dict)
    sudo: Annotated[
        str | None,
        BeforeValidator(_sudo),
        WithJsonSchema({"type": ["boolean", "string"], "description": "true for root, or a user's name"}),
    ] = None
    register_as: Annotated[Register, BeforeValidator(_as("name"))] | None = Field(None, alias="register")
    ok_exit: Annotated[tuple[int, ...], BeforeValidator(_ok_exit)] = (0,)
    parallel: int | None = Field(None, ge=1)
    max_failures: AllowanceField | None = None

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
            raise ValueError("a wait for HTTP runs on the engine, once: take `on` away")
        if self.wait is not None:
            for name in ("check", "verify", "undo"):
                if getattr(self, name) is not None:
                    raise ValueError(f"a wait changes nothing, so it has no {name}")
        return self


class Strategy(Model):
    """How a run goes about its tasks."""

    parallel: int = Field(50, ge=1, le=10_000, description="tasks at once in the whole run")
    order: Literal["linear", "free"] = Field("linear", description="what a step without needs waits for")
    on_failure: Literal["stop", "continue", "rollback"] = "stop"
    max_failures: AllowanceField = Allowance(number=0)
    per_server: int = Field(1, ge=1, le=100, description="tasks at once on one server")
    undo_failed: bool = Field(True, description="whether a rollback undoes failed tasks too")


class Param(Model):
    """A parameter that a run may be given."""

    type: Literal["string", "integer", "number", "boolean", "list"] = "string"
    description: str = ""
    default: Any = None
    choices: tuple[Any, ...] | None = None
    pattern: str | None = Field(None, description="a regular expression that a string matches whole")
    min: float | None = Field(None, strict=False)
    max: float | None = Field(None, strict=False)
    required: bool = Field(False, exclude=True, json_schema_extra={"windlass": "internal"})

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: Any) -> Any:
        if isinstance(value, bool | int | float | str | list):
            return {"type": type_of(value), "default": value}
        if isinstance(value, dict):
            if isinstance(value.get("choices"), list):
                value = {**value, "choices": tuple(value["choices"])}
            return {**value, "required": value.get("default") is None}
        return value

    @model_validator(mode="after")
    def _fits(self) -> Param:
        if self.pattern is not None:
            try:
                re.compile(self.pattern)
            except re.error as error:
                raise ValueError(f"pattern is no regular expression: {error}") from None
        if self.default is not None:
            problem = misfit(self, self.default)
            if problem:
                raise ValueError(f"default {problem}")
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

    name: str = ""
    description: str = ""
    params: dict[str, Param] = Field(default_factory=dict)
    strategy: Strategy = Strategy()
    env: EnvField = Field(default_factory=dict)
    steps: dict[str, Step] = Field(min_length=1)
