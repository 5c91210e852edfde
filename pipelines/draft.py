"""An answer that is being worded before it is known whether it is called for."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing

from agent.errors import EngineError
from agent.memory import Heard, PersonaState
from agent.steering import Decision
from graphs.persona import Reply

Prepare = Callable[[Decision, str], Awaitable[None]]
"""Has a clause of an answer synthesised ahead, in the voice of its decision."""


class Draft:
    """The persona's answer to `heard` as `state` would give it. Nothing of it is spoken or remembered.

    `word` reads it in a task of the owner's; `items` hands it over, what was worded so far at once. Whoever
    throws a draft away cancels that task, which closes the connection to the model.
    """

    def __init__(
        self, heard: Heard, state: PersonaState, reply: AsyncGenerator[Reply, None], prepare: Prepare
    ) -> None:
        self.heard = heard
        self.state = state
        self._reply = reply
        self._prepare = prepare
        self._items: asyncio.Queue[Reply | EngineError | None] = asyncio.Queue()

    async def word(self) -> None:
        """Words the answer to its end, and has its first clause made ready to be spoken."""
        decision: Decision | None = None
        async with aclosing(self._reply) as reply:
            try:
                async for item in reply:
                    self._items.put_nowait(item)
                    if isinstance(item, Decision):
                        decision = item
                    elif isinstance(item, str) and decision is not None:
                        await self._prepare(decision, item.strip())
                        decision = None
            except EngineError as error:
                self._items.put_nowait(error)
        self._items.put_nowait(None)

    async def items(self) -> AsyncGenerator[Reply, None]:
        """Yields the decision, then the pieces as they are worded. Raises what the wording raised.

        A filler that bridged a wait is left out if the words have come by now.
        """
        filler = ""
        while (item := await self._items.get()) is not None:
            if isinstance(item, EngineError):
                raise item
            if isinstance(item, Decision):
                filler = item.filler
            elif filler and item == f"{filler.strip()} " and not self._items.empty():
                continue
            yield item
