"""What holds for every compaction strategy, as one check to run on any history.

The newest request is the last `ModelRequest` of a history, and it stays with everything after it: in a history that
ends in a response, the response stays too.
"""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from pydantic_ai.messages import ModelMessage, ModelRequest

from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult, CompactionStrategy
from mamba_agents.context.compaction.plan import differences
from mamba_agents.context.laws import HistoryViolation, Law, check_history
from mamba_agents.tokens import TokenCounter

CHAT = [
    {"role": "system", "content": "Answer briefly."},
    {"role": "user", "content": "Read the report. " * 20},
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call-1", "type": "function", "function": {"name": "read_file", "arguments": "{}"}}],
    },
    {"role": "tool", "tool_call_id": "call-1", "name": "read_file", "content": "a line of the report\n" * 200},
    {"role": "assistant", "content": "It has 200 lines. " * 20},
    {"role": "user", "content": "And now?"},
]


async def assert_strategy_laws(
    strategy: CompactionStrategy,
    messages: Sequence[ModelMessage],
    target_tokens: int,
    preserve_recent: int = 0,
) -> CompactionResult[ModelMessage]:
    """Compacts a valid history and holds the result to every law; the result is given back for laws of one's own."""
    assert check_history(messages) == [], "the history to compact must itself be valid"
    copy, objects = deepcopy(list(messages)), [id(message) for message in messages]
    result = await strategy.compact(messages, target_tokens, preserve_recent)
    assert [id(message) for message in messages] == objects, "the given list was changed"
    assert list(messages) == copy, "a given message was changed"
    assert_valid(strategy, messages, result)
    assert_newest_stays(messages, result)
    assert_figures(strategy, messages, result, target_tokens)
    if not strategy.calls_model:
        await assert_repeatable(strategy, messages, result, target_tokens, preserve_recent)
    return result


def assert_valid(
    strategy: CompactionStrategy, original: Sequence[ModelMessage], result: CompactionResult[ModelMessage]
) -> None:
    """Valid in, valid out, and nothing lost that must stay."""
    found = check_history(result.messages, original=original)
    if not getattr(strategy, "preserve_system_prompt", True):
        found = [violation for violation in found if violation.law is not Law.LOST_SYSTEM_PROMPT]
    assert found == [], listed(found)


def assert_newest_stays(original: Sequence[ModelMessage], result: CompactionResult[ModelMessage]) -> None:
    """The newest request and what follows it are the same objects."""
    tail = newest(original)
    assert [id(message) for message in result.messages[-len(tail) :]] == [id(message) for message in tail]


def newest(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The last request and everything after it."""
    start = max((index for index, message in enumerate(messages) if isinstance(message, ModelRequest)), default=0)
    return list(messages[start:])


def assert_figures(
    strategy: CompactionStrategy,
    original: Sequence[ModelMessage],
    result: CompactionResult[ModelMessage],
    target_tokens: int,
) -> None:
    """Never grows, meets the target or says that it does not, and its numbers are the counter's."""
    counter = strategy.token_counter if isinstance(strategy, BuiltInStrategy) else TokenCounter()
    assert result.tokens_before == counter.count_messages(list(original))
    # Of new messages nothing is known, so that these are counted and not remembered.
    assert result.tokens_after == counter.count_messages([replace(message) for message in result.messages])
    assert result.tokens_after <= result.tokens_before
    assert len(result.messages) <= len(original)
    assert result.target_tokens == target_tokens
    assert result.reached_target is (result.tokens_after <= target_tokens)
    if result.tokens_before <= target_tokens:
        assert list(result.messages) == list(original), "what fits already is left as it is"
    gone, _ = differences(original, result.messages)
    # A message of which only its system prompt is left may be counted as gone or as there.
    assert len(original) - len(result.messages) <= result.removed_count <= len(gone)


async def assert_repeatable(
    strategy: CompactionStrategy,
    messages: Sequence[ModelMessage],
    result: CompactionResult[ModelMessage],
    target_tokens: int,
    preserve_recent: int,
) -> None:
    """Same input, same output; and what misses the target is the least there can be."""
    again = await strategy.compact(messages, target_tokens, preserve_recent)
    # Replies that stand for those of a model are made when they are, so they have times of their own.
    assert replace(again, responses=result.responses) == result
    assert len(again.responses) == len(result.responses)
    if not result.reached_target:
        least = await strategy.compact(messages, 0, 0)
        assert result.tokens_after == least.tokens_after, "a lower target leaves less"


async def assert_takes_dicts(strategy: BuiltInStrategy, target_tokens: int = 100) -> None:
    """Chat dicts come back as chat dicts, the newest one untouched."""
    result = await strategy.compact(CHAT, target_tokens)
    assert all(isinstance(message, dict) and "role" in message for message in result.messages)
    assert result.messages[-1] == CHAT[-1]
    assert result.tokens_after < result.tokens_before


def listed(violations: Sequence[HistoryViolation]) -> str:
    """The violations, one a line, for a failing test to show."""
    return "\n".join(map(str, violations))
