"""The engine of a workspace with its audit log: every decision stands there before it begins.

What is then refused, or fails, is told by a second entry. Where the log cannot be written nothing is changed; only
pausing and cancelling, which make things safer, go on without it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from core.engine.api import RunRequest
from core.engine.local import LocalEngine
from core.errors import StoreError, WindlassError
from core.model.ids import TaskKey
from core.model.states import Decision
from core.model.views import RunInfo
from core.store.audit import AuditLog

SAFER = frozenset({"run.pause", "run.cancel"})


class AuditedEngine(LocalEngine):
    """What a `LocalEngine` does, written down."""

    async def start(self, request: RunRequest) -> RunInfo:
        """See Engine.start."""
        plan = request.plan
        told = {
            "batch": plan.batch,
            "params": dict(plan.params),
            "limit": plan.limit,
            "environment": plan.environment,
            # Which values were set, not to what: somebody may have typed a password there.
            "settings": [text.partition("=")[0] for text in (*plan.settings, *plan.texts)],
            "confirm": request.confirm,
        }
        async with self._audited(request.actor, "run.start", **told):
            run = await super().start(request)
        await self._write(request.actor, "run.started", run=run.number, batch=run.batch)
        return run

    async def pause(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.pause."""
        async with self._audited(actor, "run.pause", run=run, reason=reason):
            return await super().pause(run, actor=actor, reason=reason)

    async def resume(self, run: int, *, actor: str) -> RunInfo:
        """See Engine.resume."""
        async with self._audited(actor, "run.resume", run=run):
            return await super().resume(run, actor=actor)

    async def cancel(self, run: int, *, actor: str, reason: str = "") -> RunInfo:
        """See Engine.cancel."""
        async with self._audited(actor, "run.cancel", run=run, reason=reason):
            return await super().cancel(run, actor=actor, reason=reason)

    async def retry(
        self, run: int, *, actor: str, tasks: Sequence[TaskKey] = (), accept_risk: bool = False
    ) -> RunInfo:
        """See Engine.retry."""
        named = [str(task) for task in tasks]
        async with self._audited(actor, "run.retry", run=run, tasks=named, accept_risk=accept_risk):
            return await super().retry(run, actor=actor, tasks=tasks, accept_risk=accept_risk)

    async def decide(
        self, run: int, task: TaskKey, decision: Decision, *, actor: str, reason: str
    ) -> RunInfo:
        """See Engine.decide."""
        told = {"run": run, "task": str(task), "decision": decision.value, "reason": reason}
        async with self._audited(actor, "task.decide", **told):
            return await super().decide(run, task, decision, actor=actor, reason=reason)

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
        told = {"run": run, "steps": list(steps), "limit": limit, "reason": reason, "confirm": confirm}
        async with self._audited(actor, "run.roll_back", **told):
            return await super().roll_back(
                run, actor=actor, steps=steps, limit=limit, reason=reason, confirm=confirm
            )

    async def control(self, run: int, *, actor: str, take: bool = True) -> RunInfo:
        """See Engine.control."""
        told = {
            "run": run,
            "control": "taken" if take else "given back",
            "before": (await self.run(run)).controller,
        }
        async with self._audited(actor, "run.control", **told):
            return await super().control(run, actor=actor, take=take)

    async def give_credentials(self, run: int, values: Mapping[str, str], *, actor: str) -> None:
        """See Engine.give_credentials."""
        async with self._audited(actor, "run.credentials", run=run, names=sorted(values)):
            await super().give_credentials(run, values, actor=actor)

    async def replay(self, outlet: str, seqs: Sequence[int], *, actor: str) -> int:
        """See Engine.replay."""
        async with self._audited(actor, "webhook.replay", outlet=outlet, seqs=list(seqs)):
            return await super().replay(outlet, seqs, actor=actor)

    @asynccontextmanager
    async def _audited(self, actor: str, action: str, **details: Any) -> AsyncIterator[None]:
        """Writes that it begins, and where it is refused or fails, that and why."""
        try:
            await self._write(actor, action, **details)
        except StoreError:
            if action not in SAFER:
                raise
        try:
            yield
        except WindlassError as error:
            with contextlib.suppress(StoreError):
                await self._write(actor, f"{action}.refused", run=details.get("run"), why=error.message)
            raise

    async def _write(self, actor: str, action: str, **details: Any) -> None:
        log = AuditLog(self._workspace.state_dir)
        kept = {name: value for name, value in details.items() if value not in (None, "", [], {}, False)}
        await asyncio.to_thread(log.append, actor, action, kept)
