"""One outlet: follows the log from a durable place, and tells each event that fits, in order, until it was taken.

A crash between what was taken and the commit of it repeats one event: at least once. An outlet that fails is tried
again with longer pauses; nothing overtakes the event that it fails on. What is refused a few times, or could not be
told for the outlet's time, is put aside durably, so that what comes behind it is not held up for ever.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import replace

from core.engine.local import LocalEngine
from core.model import events
from core.model.events import Event
from core.outgoing.message import cloud_event, message_id
from core.outgoing.senders import Sender, SendFailed
from core.store.outlets import Told, dead_letters
from core.store.store import Store
from core.store.tx import Tx

PAUSE_FIRST_S = 1.0
PAUSE_MOST_S = 300.0
REFUSED_AT_MOST = 5
LETTERS = 100
PASSED_UNKEPT = 2000
"""How many events that are not for it an outlet passes before that is kept: the next engine reads them again."""


class Outlet:
    """One of those who are told. Used by a coroutine of its own: `run`."""

    def __init__(
        self,
        name: str,
        types: Sequence[str],
        give_up_after_s: float,
        sender: Sender,
        engine: LocalEngine,
        store: Store,
        told: Told,
    ) -> None:
        self.name = name
        self._types = tuple(types)
        self._give_up_after_s = give_up_after_s
        self._sender = sender
        self._engine = engine
        self._store = store
        self._workspace = engine.opened.name
        self._told = told
        self._random = random.Random()
        self._sending = False
        self.passed = told.seq
        """The last event that needs nothing more here; ahead of what is stored by events that do not fit."""

    def owes(self, last_seq: int) -> bool:
        """Whether an event up to this one may still be to be told."""
        return self._sending or self.passed < last_seq

    async def run(self) -> None:
        """Tells events as they happen, until it is cancelled or the engine ends."""
        try:
            await self._tell_again()
            async for event in self._engine.follow(self.passed):
                if event.type == events.WEBHOOK_REPLAY and event.data.get("outlet") == self.name:
                    await self._tell_again()
                if self._fits(event):
                    self._sending = True
                    await self._tell(event)
                    self._sending = False
                self.passed = event.seq
                if self.passed - self._told.seq >= PASSED_UNKEPT:
                    self._told = replace(self._told, seq=self.passed)
                    await self._keep()
        finally:
            await self._sender.close()

    def _fits(self, event: Event) -> bool:
        if event.type == events.WEBHOOK_GIVEN_UP:  # telling of it could be given up as well, without end
            return False
        return any(events.fits(event.type, wanted) for wanted in self._types)

    async def _tell(self, event: Event) -> None:
        """Returns when the event was taken, or put aside."""
        refused = 0
        while True:
            try:
                await self._send(event)
                break
            except SendFailed as error:
                refused += error.refused
                told = self._told
                since = told.failing_since if told.failing_since is not None else time.time()
                self._told = replace(told, tries=told.tries + 1, failing_since=since, why=error.why)
                if refused >= REFUSED_AT_MOST or self._given_up(event, since):
                    await self._put_aside(event, error.why)
                    return
                await self._keep()
                pause_s = min(PAUSE_FIRST_S * 2 ** min(told.tries, 20), PAUSE_MOST_S)
                await asyncio.sleep(max(pause_s * self._random.uniform(0.5, 1.0), error.after_s))
        self._told = Told(event.seq, self._told.told + 1)
        await self._keep()

    def _given_up(self, event: Event, failing_since: float) -> bool:
        now = time.time()
        return min(now - failing_since, now - event.time) >= self._give_up_after_s

    async def _send(self, event: Event) -> None:
        incarnation = self._store.incarnation
        await self._sender.send(
            message_id(event, incarnation), cloud_event(event, self._workspace, incarnation)
        )

    async def _keep(self, tx: Tx | None = None) -> None:
        tx, told = tx or Tx(), self._told
        tx.outlet(self.name, told.seq, told.told, told.tries, told.failing_since, told.why)
        await self._store.commit(tx)

    async def _put_aside(self, event: Event, why: str) -> None:
        tx = Tx()
        tx.dead_letter(self.name, event.seq, self._told.tries, why)
        tx.event(events.WEBHOOK_GIVEN_UP, data={"outlet": self.name, "seq": event.seq, "why": why})
        self._told = replace(self._told, seq=event.seq)
        await self._keep(tx)

    async def _tell_again(self) -> None:
        """One try for each event that was put aside and is asked for."""
        while letters := await dead_letters(self._store.reader, self.name, again=True, limit=LETTERS):
            for letter in letters:
                tx = Tx()
                try:
                    await self._send(letter.event)
                except SendFailed as error:
                    tx.dead_letter(self.name, letter.event.seq, letter.tries + 1, error.why)
                else:
                    tx.letter_told(self.name, letter.event.seq)
                    self._told = replace(self._told, told=self._told.told + 1)
                await self._keep(tx)
