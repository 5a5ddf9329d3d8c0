"""The Engine protocol, spoken to an engine in another process: over its Unix socket, or over TCP with a token.

What the engine raised is raised here. A connection that cannot be made, or is lost, is EngineGone: runs go on
in the engine, or wait there to be resumed. `follow` connects again by itself and goes on behind the last event.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx

from core.engine.api import HostKey, PlanRequest, RunRequest
from core.errors import CredentialsNeeded, EngineGone, InputError
from core.model.actors import to_header
from core.model.events import Event
from core.model.ids import TaskKey
from core.model.states import Decision, Purpose, RunState, Stream, TaskState
from core.model.views import (
    AttemptInfo,
    BatchChange,
    BatchInfo,
    DeadLetter,
    Explanation,
    OutletInfo,
    OutputPage,
    Plan,
    PlannedTask,
    ProviderInfo,
    RunInfo,
    ServerInfo,
    ServerRun,
    StepInfo,
    StepNeed,
    TaskInfo,
    UsedValue,
    WorkspaceInfo,
)
from daemon import codec
from daemon.problems import error_of

T = TypeVar("T")

PREFIX = "/v1"
PAGE = 10_000
"""The most that one answer holds."""
ANSWER_WAIT_S = 60.0
SILENCE_AT_MOST_S = 30.0
"""A stream is never silent for that long while its engine lives."""
AGAIN_FIRST_S = 0.1
AGAIN_MOST_S = 2.0
GIVE_UP_AFTER_S = 15.0


class EngineClient:
    """An engine that runs elsewhere. `on_live` is told when following stops and goes on again."""

    elsewhere = True

    def __init__(
        self,
        client: httpx.AsyncClient,
        where: str,
        *,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        variables: Mapping[str, str] | None = None,
        credentials: Callable[[Sequence[str]], Mapping[str, str]] | None = None,
    ) -> None:
        """`credentials` gives variables that a run reads secrets from, where the engine asks for them by name."""
        self._credentials = credentials
        self._client = client
        self._where = where
        self._variables = dict(variables or {})
        self._give_up_after_s = give_up_after_s
        self.on_live: Callable[[bool], None] = _ignore

    @classmethod
    def over_socket(
        cls,
        path: Path,
        *,
        actor: str,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        variables: Mapping[str, str] | None = None,
    ) -> EngineClient:
        """A client of the engine that listens at `path`; `actor` is who the caller says it is.

        `variables` are those of the caller's environment that configuration may read: they go with its requests.
        """
        client = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(path)),
            base_url="http://engine",
            headers={"windlass-actor": to_header(actor)},
            timeout=ANSWER_WAIT_S,
            trust_env=False,
        )
        return cls(
            client,
            str(path),
            give_up_after_s=give_up_after_s,
            variables=variables,
            credentials=variables_by_name,
        )

    @classmethod
    def over_tcp(
        cls, url: str, *, token: str, ca: Path | None = None, give_up_after_s: float = GIVE_UP_AFTER_S
    ) -> EngineClient:
        """A client of the engine at `url`, with the rights of its token; `ca` are the certificates to check https with.

        Raises InputError where those cannot be read.
        """
        client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {token}"},
            timeout=ANSWER_WAIT_S,
            trust_env=False,
            verify=_trusting(ca),
        )
        return cls(client, url, give_up_after_s=give_up_after_s)

    # ------------------------------------------------------------ what is there

    async def version(self) -> Mapping[str, Any]:
        """Which version answers: `windlass`, `api`, `pid`, `clients`."""
        found: dict[str, Any] = await self._ask("GET", "/version")
        return found

    async def workspace(self) -> WorkspaceInfo:
        """See Engine.workspace."""
        return await self._get(WorkspaceInfo, "/workspace")

    async def servers(self, *, refresh: bool = False) -> Sequence[ServerInfo]:
        """See Engine.servers."""
        return await self._get(list[ServerInfo], "/servers", refresh=refresh)

    async def providers(self, *, refresh: bool = False) -> Sequence[ProviderInfo]:
        """See Engine.providers."""
        return await self._get(list[ProviderInfo], "/providers", refresh=refresh)

    async def batches(self) -> Sequence[BatchInfo]:
        """See Engine.batches."""
        return await self._get(list[BatchInfo], "/batches")

    async def plan(self, request: PlanRequest) -> Plan:
        """See Engine.plan."""
        return await self._post(Plan, "/plans", codec.dump(PlanRequest, self._with_variables(request)))

    async def plan_tasks(
        self, request: PlanRequest, step: str, *, digest: str = "", after: int = 0, limit: int = 1000
    ) -> Sequence[PlannedTask]:
        """See Engine.plan_tasks."""
        plan = codec.dump(PlanRequest, self._with_variables(request))
        body = {"plan": plan, "step": step, "digest": digest, "after": after, "limit": limit}
        return await self._post(list[PlannedTask], "/plans/tasks", body)

    async def batch_effects(self, file: str, text: str, environment: str) -> Sequence[BatchChange]:
        """See Engine.batch_effects."""
        body = {"file": file, "text": text, "environment": environment}
        return await self._post(list[BatchChange], "/config-effects", body)

    # ------------------------------------------------------------ servers

    async def start_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """See Engine.start_servers."""
        return await self._post(list[str], "/servers/start", {"names": list(names)})

    async def stop_servers(self, names: Sequence[str] = ()) -> Sequence[str]:
        """See Engine.stop_servers."""
        return await self._post(list[str], "/servers/stop", {"names": list(names)})

    async def server_runs(self, server: str, *, limit: int = 20) -> Sequence[ServerRun]:
        """See Engine.server_runs."""
        return await self._get(list[ServerRun], f"/servers/{_quoted(server)}/runs", limit=limit)

    async def host_key(self, server: str) -> HostKey:
        """See Engine.host_key."""
        return await self._get(HostKey, f"/servers/{_quoted(server)}/host-key")

    async def trust(self, key: HostKey, *, actor: str) -> None:
        """See Engine.trust."""
        await self._ask("POST", "/servers/trust", asdict(key))

    # ------------------------------------------------------------ runs: changing

    async def start(self, request: RunRequest) -> RunInfo:
        """See Engine.start."""
        plan = self._with_variables(request.plan)
        request = replace(request, plan=plan, key=request.key or secrets.token_hex(16))
        try:
            return await self._start(request)
        except CredentialsNeeded as error:
            return await self._start(replace(request, credentials=self._given(error)))

    async def _start(self, request: RunRequest) -> RunInfo:
        body = codec.dump(RunRequest, request)
        try:
            return await self._post(RunInfo, "/runs", body)
        except EngineGone:
            # It may have been started all the same: asking again under the same key starts no second one.
            await asyncio.sleep(AGAIN_FIRST_S)
            return await self._post(RunInfo, "/runs", body)

    def _given(self, error: CredentialsNeeded) -> Mapping[str, str]:
        """What was asked for by name, and nothing else. Raises InputError where one is not set here, the error itself
        where nothing is given away, as to an engine elsewhere.
        """
        if self._credentials is None:
            raise error
        return self._credentials(error.names)

    async def _go_on(self, run: int, action: str, body: Any = None) -> RunInfo:
        """Asks for what carries a run on, with the credentials that it turns out to need."""
        try:
            return await self._post(RunInfo, f"/runs/{run}/{action}", body)
        except CredentialsNeeded as error:
            await self.give_credentials(run, self._given(error), actor="")
            return await self._post(RunInfo, f"/runs/{run}/{action}", body)

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """See Engine.control."""
        return await self._post(RunInfo, f"/runs/{run}/control", {"take": take})

    async def acts(self, run: int, *, limit: int = 200) -> Sequence[Event]:
        """See Engine.acts."""
        found = await self._ask("GET", f"/runs/{run}/acts", params={"limit": limit})
        return [Event(**one) for one in found]

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """See Engine.give_credentials."""
        await self._ask("POST", f"/runs/{run}/credentials", {"values": dict(values)})

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.pause."""
        return await self._post(RunInfo, f"/runs/{run}/pause", {"reason": reason})

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """See Engine.resume."""
        return await self._go_on(run, "resume")

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.cancel."""
        return await self._post(RunInfo, f"/runs/{run}/cancel", {"reason": reason})

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """See Engine.retry."""
        body = {"tasks": [asdict(task) for task in tasks], "accept_risk": accept_risk}
        return await self._go_on(run, "retry", body)

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """See Engine.decide."""
        body = {"task": asdict(task), "decision": decision.value, "reason": reason}
        return await self._post(RunInfo, f"/runs/{run}/decide", body)

    async def roll_back(
        self,
        run: int,
        *,
        actor: str,
        steps: Sequence[str] = (),
        limit: str = "",
        reason: str = "",
        confirm: str = "",
    ) -> RunInfo:
        """See Engine.roll_back."""
        body = {"steps": list(steps), "limit": limit, "reason": reason, "confirm": confirm}
        return await self._go_on(run, "rollback", body)

    async def wait(self, run: int) -> RunInfo:
        """See Engine.wait."""
        while True:
            answer = await self._ask("GET", f"/runs/{run}/wait")
            if answer["over"]:
                return codec.load(RunInfo, answer["run"])

    # ------------------------------------------------------------ runs: reading

    async def runs(
        self, *, states: Sequence[RunState] = (), batch: str = "", limit: int = 50, before: int | None = None
    ) -> Sequence[RunInfo]:
        """See Engine.runs."""
        return await self._get(
            list[RunInfo],
            "/runs",
            state=[one.value for one in states],
            batch=batch,
            limit=limit,
            before=before,
        )

    async def run(self, run: int) -> RunInfo:
        """See Engine.run."""
        return await self._get(RunInfo, f"/runs/{run}")

    async def steps(self, run: int) -> Sequence[StepInfo]:
        """See Engine.steps."""
        return await self._get(list[StepInfo], f"/runs/{run}/steps")

    async def step_needs(self, run: int) -> Sequence[StepNeed]:
        """See Engine.step_needs."""
        return await self._get(list[StepNeed], f"/runs/{run}/needs")

    async def used_values(self, run: int) -> Sequence[UsedValue]:
        """See Engine.used_values."""
        return await self._get(list[UsedValue], f"/runs/{run}/configuration")

    async def tasks(
        self,
        run: int,
        *,
        step: str = "",
        states: Sequence[TaskState] = (),
        after: int = -1,
        limit: int = 1000,
    ) -> Sequence[TaskInfo]:
        """See Engine.tasks."""
        found: list[TaskInfo] = []
        while True:
            size = min(limit - len(found), PAGE)
            page = await self._get(
                list[TaskInfo],
                f"/runs/{run}/tasks",
                step=step,
                state=[one.value for one in states],
                after=found[-1].index if found else after,
                limit=max(size, 1),
            )
            found += page[:size]
            if len(page) < size or len(found) >= limit:
                return found

    async def task(self, run: int, task: TaskKey) -> TaskInfo:
        """See Engine.task."""
        return await self._get(TaskInfo, f"/runs/{run}/task", **asdict(task))

    async def attempts(self, run: int, task: TaskKey) -> Sequence[AttemptInfo]:
        """See Engine.attempts."""
        return await self._get(list[AttemptInfo], f"/runs/{run}/task/attempts", **asdict(task))

    async def output(
        self,
        run: int,
        task: TaskKey,
        *,
        purpose: Purpose | None = None,
        attempt: int | None = None,
        stream: Stream | None = None,
        tail_bytes: int | None = None,
        after: int = 0,
    ) -> OutputPage:
        """See Engine.output."""
        return await self._get(
            OutputPage,
            f"/runs/{run}/task/output",
            **asdict(task),
            purpose=purpose.value if purpose is not None else None,
            attempt=attempt,
            stream=stream.value if stream is not None else None,
            tail_bytes=tail_bytes,
            after=after,
        )

    async def batch_changes(self, run: int) -> str:
        """See Engine.batch_changes."""
        return str((await self._ask("GET", f"/runs/{run}/changes"))["diff"])

    async def explain(self, run: int, task: TaskKey) -> Explanation:
        """See Engine.explain."""
        return await self._get(Explanation, f"/runs/{run}/task/explanation", **asdict(task))

    async def events(
        self, after: int, *, run: int | None = None, limit: int = 1000, incarnation: str = ""
    ) -> Sequence[Event]:
        """See Engine.events."""
        found: list[Event] = []
        while True:
            size = min(limit - len(found), PAGE)
            params = _params(
                after=found[-1].seq if found else after,
                run=run,
                limit=max(size, 1),
                incarnation=incarnation,
            )
            page = [Event(**one) for one in await self._ask("GET", "/events", params=params)]
            found += page[:size]
            if len(page) < size or len(found) >= limit:
                return found

    async def follow(
        self, after: int, *, run: int | None = None, incarnation: str = ""
    ) -> AsyncIterator[Event]:
        """See Engine.follow; ends where the engine ended by itself. Raises EngineGone where it stays away."""
        clock = asyncio.get_running_loop().time
        pause_s, lost_at = AGAIN_FIRST_S, None
        while True:
            try:
                async for event in self._stream(after, run, incarnation):
                    if lost_at is not None:
                        self.on_live(True)
                    pause_s, lost_at = AGAIN_FIRST_S, None
                    if event is None:
                        continue
                    if event is _END:
                        return
                    after = event.seq
                    yield event
                raise httpx.ReadError("the stream broke off")
            except (httpx.TransportError, OSError) as error:
                if lost_at is None:
                    lost_at = clock()
                    self.on_live(False)
                if clock() - lost_at > self._give_up_after_s:
                    raise self._gone(error) from error
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, AGAIN_MOST_S)

    async def _stream(self, after: int, run: int | None, incarnation: str) -> AsyncIterator[Event | None]:
        """Events as they come; None for each sign of life, `_END` where the engine says that it ends."""
        params = _params(after=after, run=run, incarnation=incarnation)
        timeout = httpx.Timeout(ANSWER_WAIT_S, read=SILENCE_AT_MOST_S)
        async with self._client.stream(
            "GET", f"{PREFIX}/events/stream", params=params, timeout=timeout
        ) as answer:
            if answer.is_error:
                await answer.aread()
                raise error_of(_document(answer))
            kind, data = "", ""
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    data = line[6:]
                elif line.startswith("event: "):
                    kind = line[7:]
                elif not line:
                    if kind == "gone":
                        raise error_of(json.loads(data))
                    if kind == "end":
                        yield _END
                        return
                    yield Event(**json.loads(data)) if data else None
                    kind, data = "", ""

    # ------------------------------------------------------------ who is told

    async def outlets(self) -> Sequence[OutletInfo]:
        """See Engine.outlets."""
        return await self._get(list[OutletInfo], "/webhooks")

    async def dead_letters(self, outlet: str = "") -> Sequence[DeadLetter]:
        """See Engine.dead_letters."""
        return await self._get(list[DeadLetter], "/webhooks/dead", outlet=outlet)

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """See Engine.replay."""
        answer = await self._ask("POST", "/webhooks/replay", {"outlet": outlet, "seqs": list(seqs)})
        return int(answer["asked"])

    # ------------------------------------------------------------ life

    async def stop(self, *, now: bool = False) -> None:
        """Asks the engine to end: when what is in flight has ended, or at once. Returns before it has."""
        await self._ask("POST", "/engine/stop", params=_params(now=now))

    async def use_agent(self, socket: str) -> None:
        """Offers the engine an SSH agent of this machine. Raises InputError where it is not one of this account."""
        await self._ask("POST", "/engine/agent", {"socket": socket})

    async def drain(self) -> None:
        """See Engine.drain; returns when the engine is gone."""
        await self.stop()
        while True:
            try:
                await self._ask("GET", "/health")
            except EngineGone:
                return
            await asyncio.sleep(AGAIN_FIRST_S)

    async def close(self) -> None:
        """Closes the connections; the engine goes on."""
        await self._client.aclose()

    # ------------------------------------------------------------ inside

    def _with_variables(self, request: PlanRequest) -> PlanRequest:
        """The caller's own environment: whoever started the engine does not decide for others."""
        return request if request.variables is not None else replace(request, variables=self._variables)

    async def _get(self, type_: type[T], path: str, **params: Any) -> T:
        return codec.load(type_, await self._ask("GET", path, params=_params(**params)))

    async def _post(self, type_: type[T], path: str, body: Any = None) -> T:
        return codec.load(type_, await self._ask("POST", path, body))

    async def _ask(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        try:
            answer = await self._client.request(method, f"{PREFIX}{path}", json=body, params=params)
        except (httpx.TransportError, OSError) as error:
            raise self._gone(error) from error
        if answer.is_error:
            raise error_of(_document(answer))
        return answer.json() if answer.content else None

    def _gone(self, error: BaseException) -> EngineGone:
        return EngineGone(
            f"the engine at {self._where} does not answer: {error or type(error).__name__}",
            hint="`windlass engine status` tells whether it lives; whatever it had in flight goes on on its servers",
        )


_END = Event(-1, "", None, None, None, None, "", 0.0)
"""Stands for the end that the engine told."""


def variables_by_name(names: Sequence[str]) -> Mapping[str, str]:
    """Variables of this process. Raises InputError with all that are not set."""
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise InputError(
            f"secrets of the run are read from variables that are not set here: {', '.join(missing)}",
            hint=f"nothing was started; export {missing[0]}=… first",
        )
    return {name: os.environ[name] for name in names}


def _document(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        found = answer.json()
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return {"detail": f"the engine answered {answer.status_code} and no words"}
    return found


def _params(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None and value != "" and value != []}


def _trusting(ca: Path | None) -> ssl.SSLContext | bool:
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ValueError) as error:
        raise InputError(f"{ca} holds no certificates to check with: {error}") from error


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")


def _ignore(live: bool) -> None:
    """Nobody asked."""
