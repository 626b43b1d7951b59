"""What is asked of the result of a strategy whose code is not this library's."""

from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelResponse

from mamba_agents.context.compaction.base import CompactionResult, CompactionStrategy
from mamba_agents.context.compaction.summary import SummaryFailed
from mamba_agents.context.laws import check_history
from mamba_agents.context.violations import Law
from mamba_agents.tokens import TokenCounter

_OURS = f"{__name__.rpartition('.')[0]}."


class Unusable(Exception):  # noqa: N818 - a signal between strategies, which no caller sees
    """What a strategy did is nothing to go on with.

    The message goes on a sentence that begins with the strategy's name, and `responses` holds what was paid for all
    the same.
    """

    def __init__(self, what: str, responses: Sequence[ModelResponse] = ()) -> None:
        super().__init__(what)
        self.responses = tuple(responses)

    @classmethod
    def raised(cls, error: Exception) -> "Unusable":
        """What a strategy did that raised."""
        notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
        responses = error.responses if isinstance(error, SummaryFailed) else ()
        return cls(f"raised {type(error).__name__}: {error}{notes}", responses)


def is_ours(strategy: CompactionStrategy) -> bool:
    """Whether the strategy does what this library's code says; a subclass of one that does may do anything."""
    return type(strategy).__module__.startswith(_OURS)


def name_of(strategy: CompactionStrategy) -> str:
    """What messages call a strategy."""
    return getattr(strategy, "name", type(strategy).__name__)


def usable(
    strategy: CompactionStrategy,
    result: CompactionResult[ModelMessage],
    messages: Sequence[ModelMessage],
    target_tokens: int,
    counter: TokenCounter,
    *,
    preserve_system_prompt: bool,
) -> CompactionResult[ModelMessage]:
    """What the strategy made of the messages, with its size as it is counted here; ours are taken at their word.

    Raises:
        Unusable: it is no result, or one that cannot be sent or is longer than the messages were.
    """
    if is_ours(strategy):
        return result
    if problem := _wrong_shape(result):
        raise Unusable(problem)
    may_lose_prompts = not (preserve_system_prompt and getattr(strategy, "preserve_system_prompt", True))
    try:
        problem = _breach(result.messages, messages, may_lose_prompts=may_lose_prompts)
        before, after = (counter.count_messages(each) for each in (messages, result.messages))
    except Exception as error:
        raise Unusable(f"gave no history ({type(error).__name__}: {error})", result.responses) from error
    if problem is None and after > before:
        problem = f"made the history longer by {after - before} tokens"
    if problem is None and (more := len(result.messages) - len(messages)) > 0:
        problem = f"made the history longer by {more} messages"
    if problem is not None:
        raise Unusable(problem, result.responses)
    return replace(
        result,
        messages=list(result.messages),
        notes=tuple(result.notes),
        responses=tuple(result.responses),
        tokens_before=before,
        tokens_after=after,
        reached_target=after <= target_tokens,
    )


def _wrong_shape(result: object) -> str | None:
    """What else than a result a strategy gave."""
    if not isinstance(result, CompactionResult):
        return f"gave {type(result).__name__}; expected a CompactionResult"
    given = cast("CompactionResult[object]", result)
    for name, kind in (("removed_count", int), ("strategy", str)):
        if not isinstance(value := getattr(given, name), kind):
            return f"gave {type(value).__name__} as {name}; expected {kind.__name__}"
    for name, kind in (("notes", str), ("responses", ModelResponse)):
        value: object = getattr(given, name)
        items = cast("Sequence[object]", value) if isinstance(value, list | tuple) else (value,)
        if wrong := [item for item in items if not isinstance(item, kind)] or (items is not value and [value]):
            return f"gave {type(wrong[0]).__name__} among its {name}; expected a tuple of {kind.__name__}"
    return None


def _breach(
    messages: Sequence[ModelMessage], original: Sequence[ModelMessage], *, may_lose_prompts: bool
) -> str | None:
    """Why the messages cannot be sent in place of the original."""
    # A summary in another form than ours is new too, and can be sent.
    allowed = {Law.FOREIGN_MESSAGE, Law.LOST_SYSTEM_PROMPT} if may_lose_prompts else {Law.FOREIGN_MESSAGE}
    for violation in check_history(messages, original=original):
        if violation.law not in allowed:
            return f"gave a history that cannot be sent ({violation})"
    return None
