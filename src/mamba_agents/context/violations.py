"""The laws of a history by name, and what a breach of one looks like."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum


class Law(StrEnum):
    """A law that providers, or the library that talks to them, hold a history to.

    Those from `LOST_SYSTEM_PROMPT` on say what a shortened history owes the one it was made of.
    """

    EMPTY = "empty"
    """There is at least one message."""

    RESPONSE_FIRST = "response-first"
    """The first message is a request."""

    NO_USER_TURN = "no-user-turn"
    """Before the first response a user speaks, or a summary stands for one."""

    RESPONSES_IN_A_ROW = "responses-in-a-row"
    """A request stands between two responses, unless both are hand-made: pydantic-ai makes one of those."""

    ENDS_IN_RESPONSE = "ends-in-response"
    """What is about to be sent ends in a request."""

    CALL_WITHOUT_RESULT = "call-without-result"
    """A tool call is answered before the next user turn.

    In a stored history those of the last response may wait; but what had a result keeps it.
    """

    RESULT_WITHOUT_CALL = "result-without-call"
    """A tool result answers a call that stands before it."""

    SECOND_RESULT = "second-result"
    """A tool call has one result."""

    SPLIT_PAIR = "split-pair"
    """A tool result is in the requests directly after its call, ahead of what a user says there."""

    NATIVE_RESULT_WITHOUT_CALL = "native-result-without-call"
    """The result of a provider's own tool stands after its call, in the same response or a later one."""

    LONE_DELTA = "lone-delta"
    """A change of instructions, settings or tools has what it changes before it."""

    BLANKED_TYPED_PART = "blanked-typed-part"
    """A tool part of a registered kind holds what its kind declares; else the history cannot be loaded again."""

    LOST_SYSTEM_PROMPT = "lost-system-prompt"
    """Every system prompt of the original is still there, those for a single request excepted."""

    EDITED_THINKING = "edited-thinking"
    """Signed thinking is word for word the model's own, and stays as long as the calls it led to."""

    NEWEST_REQUEST_CHANGED = "newest-request-changed"
    """The last request, and whatever follows it, is as it was."""

    ORDER_CHANGED = "order-changed"
    """What is left stands in the order it had, each message once."""

    FOREIGN_MESSAGE = "foreign-message"
    """Only summaries are new."""

    EMPTIED_MESSAGE = "emptied-message"
    """A message that had parts has some still; one that should have none is left out instead."""

    SPLIT_NATIVE_PAIR = "split-native-pair"
    """The call of a provider's own tool keeps the result it had."""


@dataclass(frozen=True, kw_only=True)
class HistoryViolation:
    """One place at which a history breaks a law."""

    law: Law
    message_index: int | None
    """The message it is seen at; None for what is missing altogether."""

    part_index: int | None = None
    """The part of that message; None where the whole message is meant."""

    message: str
    """What was found, what was expected, and what to do."""

    def __str__(self) -> str:
        place = "history" if self.message_index is None else f"message {self.message_index}"
        part = "" if self.part_index is None else f", part {self.part_index}"
        return f"{place}{part}: {self.message} [{self.law}]"


type Violations = Iterator[HistoryViolation]
