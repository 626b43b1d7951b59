"""How much a request may take at most, before it is sent."""

import math
from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings

from mamba_agents._internal.models import base_url
from mamba_agents.context.gauge import anchor, is_counted
from mamba_agents.tokens import CostEstimator, TokenCounter
from mamba_agents.tokens.ceiling import PriceCeiling, ceiling_of_rate, ceiling_of_table, dearest
from mamba_agents.tokens.servers import server_price

_FOREIGN_MARGIN = 0.25
"""The share added where a model's own vocabulary is not known; ours, as no table says how far tokenizers differ."""


def loose_input(
    counter: TokenCounter,
    model: Model,
    messages: Sequence[ModelMessage],
    parameters: ModelRequestParameters,
    *,
    beside: int,
    known_of: str | None,
) -> int:
    """A bound on what is sent: the last figure that the model's provider reported, and bytes for what came later.

    `beside` bounds what the request has beside its messages, which the figure includes, and which is the same where it
    is of the run `known_of`. No tokenizer is loaded, unless the history was shortened since: then it was counted, and
    counting it again is cheap.
    """
    known, size = anchor(messages)
    last = messages[known - 1] if known else None
    if last is not None and is_counted(last):
        return close_input(counter, model, messages, parameters)
    # Replies carry a longer name than was asked for, such as one with a date.
    if not isinstance(last, ModelResponse) or not (last.model_name or "").startswith(model.model_name):
        return counter.upper_bound(messages) + beside
    sent = size + counter.upper_bound(messages[known - 1 :])  # the reply too: some of it may not be reported
    is_same = known_of is not None and last.run_id == known_of
    return sent if is_same else sent + beside


def close_input(
    counter: TokenCounter, model: Model, messages: Sequence[ModelMessage], parameters: ModelRequestParameters
) -> int:
    """What is sent, counted, and a margin."""
    name = model.model_name
    margin = counter.config.safety_margin
    if not counter.is_exact(name):
        margin = max(margin, _FOREIGN_MARGIN)
    counted = counter.count_messages(messages, name) + counter.count_request_parameters(parameters, name)
    return counted + math.ceil(counted * margin)


def output_limit(model: Model, settings: ModelSettings | None) -> int | None:
    """The most tokens of one answer, as the settings of the request say or those of its model."""
    if settings and (most := settings.get("max_tokens")):
        return most
    settings = model.settings
    return settings.get("max_tokens") if settings else None


def price_ceiling(model: Model, estimator: CostEstimator) -> PriceCeiling | None:
    """The most that a token of the model costs; None where that is not known."""
    if isinstance(model, WrapperModel):
        return price_ceiling(model.wrapped, estimator)
    if isinstance(model, FallbackModel):
        return dearest(price_ceiling(member, estimator) for member in model.models)
    if (rate := estimator.get_rate(f"{model.system}:{model.model_name}")) is not None:
        return ceiling_of_rate(rate)
    url = base_url(model)
    kind = server_price(model.system, url, model.model_name)
    if kind == "listed":
        return ceiling_of_table(model.model_name, model.system, url)
    return PriceCeiling() if kind == "free" else None


def answers_at_most(model: Model) -> int:
    """How many models may answer one request: a `FallbackModel` may refuse what its members answered."""
    if isinstance(model, WrapperModel):
        return answers_at_most(model.wrapped)
    if isinstance(model, FallbackModel):
        # Not public; without it, any member may have answered (pydantic-ai 2.62).
        return sum(map(answers_at_most, model.models)) if getattr(model, "_response_handlers", True) else 1
    return 1
