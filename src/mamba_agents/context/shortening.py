"""What runs go on with after a compaction, and what they pay for it."""

import logging
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model

from mamba_agents._internal.identity import ByIdentity
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compactor import Compactor, Request
from mamba_agents.context.gauge import marked_with_size, remember
from mamba_agents.context.requesting import Requests

type OnCompacted = Callable[[RunContext[Any], Sequence[ModelMessage], CompactionResult[ModelMessage]], None]
"""Told of a compaction in a run: the messages before it, and what it made of them."""

type OnBilled = Callable[[RunContext[Any], Sequence[ModelResponse]], None]
"""Told of the replies of models that were asked for summaries or scores in a run."""

type OnRunAccount = Callable[[RunContext[Any], Model], Model]
"""Gives the model that is asked for a run in place of another, such as one that keeps to the run's budget."""

_logger = logging.getLogger("mamba_agents.context")


class Shortening:
    """Shortens the histories of runs, has them pay for it, and knows what refused requests were sent again without."""

    def __init__(
        self,
        make_compactor: Callable[[], Compactor],
        *,
        on_account: OnRunAccount | None = None,
        on_compacted: OnCompacted | None = None,
        on_billed: OnBilled | None = None,
    ) -> None:
        self.requests = Requests()
        """What the runs request."""

        self._make_compactor = make_compactor
        self._on_account = on_account
        self._on_compacted = on_compacted
        self._on_billed = on_billed
        self._sent_again: ByIdentity[ModelMessage, CompactionResult[ModelMessage]] = ByIdentity()

    @cached_property
    def compactor(self) -> Compactor:
        """What measures requests and shortens them."""
        return self._make_compactor()  # not before it is needed: its strategy takes longer to make than an agent

    async def compact(
        self,
        ctx: RunContext[Any] | None,
        request: Request,
        target_tokens: int,
        *,
        at_most_tokens: int | None = None,
    ) -> CompactionResult[ModelMessage]:
        """What a compaction leaves of a request, and puts on the account of its run."""
        on_account = None if ctx is None or self._on_account is None else partial(self._on_account, ctx)
        result = await self.compactor.compact(request, target_tokens, on_account, at_most_tokens=at_most_tokens)
        if ctx is not None:
            self._bill(ctx, result)
        return result

    def _bill(self, ctx: RunContext[Any], result: CompactionResult[ModelMessage]) -> None:
        """Put what a compaction cost on the run's account, and in the log what did not go as planned."""
        for note in result.notes:
            _logger.warning("%s", note)
        for response in result.responses:
            ctx.usage.incr(response.usage)
            ctx.usage.requests += 1
        if result.responses and self._on_billed is not None:
            self._on_billed(ctx, result.responses)

    def go_on_with(self, ctx: RunContext[Any], request: Request, result: CompactionResult[ModelMessage]) -> bool:
        """Have the run go on with what a compaction left, and say whether that is another history."""
        before = list(ctx.messages)
        if _is_same(before, result.messages):
            return False
        self._mark(request, result)
        ctx.messages[:] = result.messages
        self._tell(ctx, before, result)
        return True

    def sent_again(self, ctx: RunContext[Any], request: Request, result: CompactionResult[ModelMessage]) -> None:
        """Remember what was left out of a request that was refused at first.

        The history of a run may only be changed before a request is made, so it is changed before the next one.
        """
        self._mark(request, result)
        before = list(ctx.messages)
        self._sent_again[before[-1]] = result
        self._tell(ctx, before, result)

    def leave_out(self, ctx: RunContext[Any]) -> bool:
        """Leave out of the run's history what was left out of a refused request; False where nothing was."""
        if not self._sent_again:
            return False
        for index, message in enumerate(ctx.messages):
            if message in self._sent_again:
                ctx.messages[: index + 1] = self._sent_again.pop(message).messages
                return True
        return False

    def _tell(
        self, ctx: RunContext[Any], before: Sequence[ModelMessage], result: CompactionResult[ModelMessage]
    ) -> None:
        if self._on_compacted is not None:
            self._on_compacted(ctx, before, result)

    def _mark(self, request: Request, result: CompactionResult[ModelMessage]) -> None:
        """Have the newest request say how large it is now, and the log what was done."""
        newest = result.messages[-1]
        newest.metadata = marked_with_size(newest, result.tokens_after)
        remember(newest, self.compactor.gauge(request.model).measured(request.parameters))
        _logger.info(
            "shortened the context from %d to %d tokens (%s, %d messages gone)",
            result.tokens_before,
            result.tokens_after,
            result.strategy,
            result.removed_count,
        )


def _is_same(before: Sequence[ModelMessage], after: Sequence[ModelMessage]) -> bool:
    return len(before) == len(after) and all(old is new for old, new in zip(before, after, strict=True))
