"""What compacting a very long history costs, beside counting it once.

Both sides get messages of their own each time, since counts and what strategies look for stay on a message. Cold means
that nothing is known of the messages; warm, that their counts are, and that a compaction looked at them before.
"""

import gc
import random
import time
from collections.abc import Sequence
from pydoc_data.topics import topics

from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from benchmarks.timing import Ratio, ratio
from mamba_agents.context.compaction import (
    CompactionStrategy,
    HybridStrategy,
    ImportanceScoringStrategy,
    SelectivePruningStrategy,
    SlidingWindowStrategy,
)
from mamba_agents.tokens import TokenCounter

_COLD = 1.2
_TARGETS: dict[type[CompactionStrategy], float] = {
    SlidingWindowStrategy: 0.05,
    ImportanceScoringStrategy: 0.05,
    SelectivePruningStrategy: 0.35,
    HybridStrategy: 0.05,
}
"""The most that a compaction may take of a full count once the counts are known."""

_TEXT = "\n".join(topics.values())
"""The reference manual of Python: real sentences, tables and code, of which each message takes a piece."""

_PER_TURN = 10


def long_history(messages: int, seed: int) -> list[ModelMessage]:
    """Turns of a prompt, four tool calls with their results, and an answer; about 100 tokens a message."""
    rng = random.Random(seed)
    found: list[ModelMessage] = []
    for turn in range(messages // _PER_TURN):
        found.append(ModelRequest(parts=[UserPromptPart(_prose(rng, 400))]))
        for number in range(4):
            call_id, order = f"call_{turn}_{number}", f"ORD-{rng.randrange(10**6):06}"
            found.append(
                ModelResponse(
                    parts=[
                        TextPart(_prose(rng, 200)),
                        ToolCallPart("order_details", {"order_id": order}, tool_call_id=call_id),
                    ]
                )
            )
            result = f"{order} of {rng.getrandbits(64):016x}\n{_prose(rng, 550)}"
            found.append(ModelRequest(parts=[ToolReturnPart("order_details", result, tool_call_id=call_id)]))
        found.append(ModelResponse(parts=[TextPart(_prose(rng, 500))]))
    found.append(ModelRequest(parts=[UserPromptPart("And which of them came late?")]))
    return found


def _prose(rng: random.Random, characters: int) -> str:
    start = rng.randrange(len(_TEXT) - characters)
    return _TEXT[start : start + characters]


async def compaction(messages: int = 10_000, calls: int = 7, fraction: float = 0.8) -> list[Ratio]:
    """A row for each strategy that calls no model, cold and warm; the fraction is that of the default settings."""
    counter = TokenCounter()
    counter.count_messages(long_history(100, 0))
    histories = [long_history(messages, seed) for seed in range(2)]
    target = int(counter.count_messages(histories[0]) * fraction)
    rows: list[Ratio] = []
    for kind, warm_target in _TARGETS.items():
        strategy = kind(token_counter=counter)  # pyright: ignore[reportCallIssue] - ours all take one
        for name, target_ratio in (("cold", _COLD), ("warm", warm_target)):
            times = await _alternated(histories, strategy, counter, target, calls, warm=name == "warm")
            title = f"{strategy.name}, {messages:,} to {fraction:.0%}, {name}"
            rows.append(ratio(title, *times, target=target_ratio))
    return rows


async def _alternated(
    histories: Sequence[list[ModelMessage]],
    strategy: CompactionStrategy,
    counter: TokenCounter,
    target: int,
    calls: int,
    *,
    warm: bool,
) -> tuple[list[float], list[float]]:
    counting: list[float] = []
    compacting: list[float] = []
    for call in range(calls + 1):
        first, second = (_unknown(histories[(call + side) % len(histories)]) for side in (0, 1))
        if warm:
            await strategy.compact(second, target)
        gc.collect()
        gc.disable()
        started = time.perf_counter()
        counter.message_counts(first)
        counted = time.perf_counter()
        await strategy.compact(second, target)
        compacted = time.perf_counter()
        gc.enable()
        if call:  # the first warms the machine
            counting.append(counted - started)
            compacting.append(compacted - counted)
    return counting, compacting


def _unknown(messages: Sequence[ModelMessage]) -> list[ModelMessage]:
    """The same messages as new objects, of which nothing is known."""
    return [
        ModelRequest(parts=list(message.parts))
        if isinstance(message, ModelRequest)
        else ModelResponse(parts=list(message.parts))
        for message in messages
    ]
