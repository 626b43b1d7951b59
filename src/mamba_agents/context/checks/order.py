"""Whose turn it is: how a history begins, goes on and ends."""

from collections.abc import Sequence

from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    RetryFeedbackPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    UserPromptPart,
)

from mamba_agents.context.violations import HistoryViolation, Law, Violations

_USER_VOICE = (UserPromptPart, SpeechPart, CompactionPart, RetryFeedbackPart, RetryPromptPart)  # pyright: ignore[reportDeprecated]


def in_user_voice(part: ModelRequestPart) -> bool:
    """Whether a provider gets the part as something the user says."""
    return isinstance(part, _USER_VOICE)


def order_violations(messages: Sequence[ModelMessage], *, for_request: bool) -> Violations:
    """Where the two sides do not take turns as they should."""
    if not messages:
        yield HistoryViolation(
            law=Law.EMPTY,
            message_index=None,
            message="found no messages; expected at least the newest request: keep it, or start a new conversation",
        )
        return
    yield from _at_the_start(messages)
    for index in range(1, len(messages)):
        before, after = messages[index - 1], messages[index]
        if isinstance(before, ModelResponse) and isinstance(after, ModelResponse) and not _merge(before, after):
            yield HistoryViolation(
                law=Law.RESPONSES_IN_A_ROW,
                message_index=index,
                message="found a response right after another; expected a request between them: keep the request that"
                " led to the second response, or leave that response out too",
            )
    if for_request and isinstance(messages[-1], ModelResponse):
        yield HistoryViolation(
            law=Law.ENDS_IN_RESPONSE,
            message_index=len(messages) - 1,
            message="found a response at the end; expected a request: add the next prompt before sending",
        )


def _at_the_start(messages: Sequence[ModelMessage]) -> Violations:
    if isinstance(messages[0], ModelResponse):
        yield HistoryViolation(
            law=Law.RESPONSE_FIRST,
            message_index=0,
            message="found a response as the first message; expected a request of a user: keep the request it answers,"
            " or leave out what comes before the next user prompt",
        )
        return
    for message in messages:
        if isinstance(message, ModelResponse):
            break
        if any(in_user_voice(part) for part in message.parts):
            return
    yield HistoryViolation(
        law=Law.NO_USER_TURN,
        message_index=0,
        message="found nothing that a user says before the first response; expected a user prompt or a summary"
        " (a CompactionPart): keep the prompt, or put a summary in its place",
    )


def _merge(before: ModelResponse, after: ModelResponse) -> bool:
    """Whether pydantic-ai makes one of the two: it does where neither came from an API."""
    return all(
        response.provider_response_id is None and response.provider_name is None and response.model_name is None
        for response in (before, after)
    )


def groups_of(messages: Sequence[ModelMessage]) -> list[list[int]]:
    """The indices of the messages, those together that reach a provider as one.

    pydantic-ai makes one of neighbouring requests unless their instructions differ, and of neighbouring responses that
    are hand-made.
    """
    groups: list[list[int]] = []
    instructions: str | None = None
    for index, message in enumerate(messages):
        before = messages[index - 1] if index else None
        if isinstance(message, ModelResponse):
            joins = isinstance(before, ModelResponse) and _merge(before, message)
        else:
            joins = isinstance(before, ModelRequest) and _agree(instructions, message.instructions)
            instructions = (instructions if joins else None) or message.instructions
        if joins:
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _agree(first: str | None, second: str | None) -> bool:
    return not first or not second or first == second
