"""What a provider holds a history to, as one checker that says everything it finds.

pydantic-ai mends part of this before it sends a request: results without a call are dropped, calls without a result are
closed, neighbouring requests become one with the tool results first (`pydantic_ai.messages.repair_messages`, read in
2.62 on 2026-11-24). What it mends by moving parts is no breach here. What it mends by dropping or inventing them is,
because something that was said is lost.
"""

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage

from mamba_agents._internal.chat.check import checked_messages
from mamba_agents.context.checks.kept import kept_violations
from mamba_agents.context.checks.order import order_violations
from mamba_agents.context.checks.pairs import count_waiting, native_violations, pair_violations
from mamba_agents.context.checks.parts import delta_violations, typed_violations
from mamba_agents.context.violations import HistoryViolation, Law

__all__ = ["HistoryViolation", "Law", "check_history"]


def check_history(
    messages: Sequence[ModelMessage],
    *,
    original: Sequence[ModelMessage] | None = None,
    for_request: bool = False,
) -> list[HistoryViolation]:
    """Every place at which a history breaks a law, in the order of the messages; empty for one that keeps them all.

    A stored history may end in a response, also in one whose tool calls still wait for approval. `for_request` asks
    for more: that it can be sent as it is, so that it ends in a request and no call is open. `original` is the longer
    history that this one was made of by leaving out, blanking and summing up; with it, what must not be lost is
    checked too.

    Ids of tool calls may come back in later turns: a result belongs to the nearest open call before it.

    Raises:
        TypeError: a history that is no list, or something in one that is no message.
    """
    messages = checked_messages(messages)
    if original is not None:
        original = checked_messages(original, "the original history")
    may_wait = 0 if for_request else None if original is None else count_waiting(original)
    found = [
        *order_violations(messages, for_request=for_request),
        *pair_violations(messages, may_wait=may_wait),
        *native_violations(messages),
        *delta_violations(messages),
        *typed_violations(messages),
    ]
    if original is not None:
        found.extend(kept_violations(messages, original))
    return sorted(found, key=_place)


def _place(violation: HistoryViolation) -> tuple[int, int]:
    message = -1 if violation.message_index is None else violation.message_index
    return message, -1 if violation.part_index is None else violation.part_index
