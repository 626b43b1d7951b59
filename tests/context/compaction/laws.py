"""The laws of strategies, held for two thousand histories a strategy."""

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.messages import ModelMessage

from mamba_agents.context.compaction import CompactionStrategy
from mamba_agents.testing import histories
from mamba_agents.tokens import TokenCounter
from tests.context.strategy_laws import assert_strategy_laws

COUNTER = TokenCounter()


def holds_its_laws(strategy: CompactionStrategy) -> None:
    """Compacts drawn histories to drawn shares of their tokens and checks every law."""

    @settings(max_examples=2_000, deadline=None, suppress_health_check=list(HealthCheck))
    @given(histories(), st.integers(0, 110), st.integers(0, 3))
    def check(messages: list[ModelMessage], percent: int, preserve_recent: int) -> None:
        target = COUNTER.count_messages(messages) * percent // 100
        asyncio.run(assert_strategy_laws(strategy, messages, target, preserve_recent))

    check()
