"""What the price table of `genai-prices` knows besides prices: windows, and which addresses are somebody's service."""

from typing import Final

from pydantic_ai.models import Model

from mamba_agents._internal.models import base_url

_GPT_5_WINDOW: Final = 400_000
_GPT_5_INPUT: Final = 272_000
"""OpenAI's window of 400,000 holds an answer of 128,000 apart, and longer prompts are refused: "Input tokens exceed the
configured limit of 272000 tokens" (github.com/BerriAI/litellm/issues/18927, January 2026). The table has the sum."""


def table_window(model: Model) -> int | None:
    """The window in the table's row for the model, found by its address or else its provider, as pydantic-ai does."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - loads the table, which few need at start

    for provider, url in ((None, base_url(model)), (model.system, None)):
        try:
            _, row = get_snapshot().find_provider_model(model.model_name, None, provider, url)
        except LookupError:
            continue
        return row.context_window
    return None


def longest_prompt(window: int, model_name: str) -> int:
    """What a prompt may have of a window that the table names."""
    is_gpt_5 = model_name.rpartition("/")[2].startswith("gpt-5")
    return _GPT_5_INPUT if is_gpt_5 and window == _GPT_5_WINDOW else window


def is_hosted(url: str) -> bool:
    """Whether the table knows the address as a provider's."""
    from genai_prices.data_snapshot import get_snapshot  # noqa: PLC0415 - as above

    try:
        get_snapshot().find_provider(None, None, url)
    except LookupError:
        return False
    return True
