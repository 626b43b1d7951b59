"""What every built-in strategy refuses before it looks at a history."""

import math

import pytest

from mamba_agents.context.compaction import SlidingWindowStrategy
from tests.context.strategy_laws import CHAT
from tests.helpers import user

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("name", ["target_tokens", "preserve_recent"])
@pytest.mark.parametrize(
    ("wrong", "error", "found"),
    [
        (math.nan, TypeError, "=nan (float); expected a whole number"),
        (math.inf, TypeError, "=inf (float); expected a whole number"),
        (812.5, TypeError, "=812.5 (float); expected a whole number"),
        ("500", TypeError, "='500' (str); expected a whole number"),
        (None, TypeError, "=None (NoneType); expected a whole number"),
        (-1, ValueError, "=-1; expected 0 or more"),
    ],
)
async def test_a_figure_that_cannot_be_is_refused(name: str, wrong: object, error: type[Exception], found: str) -> None:
    figures: dict[str, object] = {"target_tokens": 5, "preserve_recent": 0, name: wrong}
    with pytest.raises(error) as caught:
        await SlidingWindowStrategy().compact(CHAT, **figures)
    assert str(caught.value) == f"found {name}{found}"


@pytest.mark.parametrize(
    ("wrong", "error", "found"),
    [
        (None, TypeError, "found NoneType as messages; expected a list of messages or of chat dicts"),
        (iter(CHAT), TypeError, "found list_iterator as messages; expected a list"),
        ("hello", TypeError, "found str as chat messages; expected a list of dicts"),
        ([user("hello"), CHAT[1]], ValueError, "found a history that mixes messages and other things"),
    ],
)
async def test_a_history_that_is_none_is_refused(wrong: object, error: type[Exception], found: str) -> None:
    with pytest.raises(error, match=found):
        await SlidingWindowStrategy().compact(wrong, 5)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"token_counter": "o200k_base"}, "found str as token_counter; expected a TokenCounter"),
        ({"preserve_system_prompt": "no"}, "found str as preserve_system_prompt; expected True or False"),
    ],
)
def test_options_of_another_type_are_refused(options: dict[str, object], found: str) -> None:
    with pytest.raises(TypeError, match=found):
        SlidingWindowStrategy(**options)
