"""What every compaction strategy is, and what it gives back."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, ClassVar, cast, overload

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import Model

from mamba_agents._internal.chat.convert import dicts_to_model_messages, model_messages_to_dicts
from mamba_agents._internal.chat.types import ChatMessage
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.given import require, whole_number


@dataclass(frozen=True, kw_only=True)
class CompactionResult[MessageT]:
    """What a compaction leaves of a history, and what it cost."""

    messages: list[MessageT] = field(repr=False)
    """What the model sees from now on, oldest first, of the kind that was given."""

    removed_count: int
    """Messages that are gone; one whose content was blanked or shortened is still there."""

    tokens_before: int
    tokens_after: int
    strategy: str
    """The name of the strategy; where it is made of several, of the one that reached the target."""

    target_tokens: int = 0
    reached_target: bool = True
    """False where not even the least that must stay fits; `messages` are that least."""

    notes: tuple[str, ...] = ()
    """What did not go as planned, one sentence each, such as a summariser that failed."""

    responses: tuple[ModelResponse, ...] = field(default=(), repr=False)
    """The replies of models that were asked for summaries or scores, for billing."""

    def holding[OtherT](self, messages: list[OtherT]) -> "CompactionResult[OtherT]":
        """The same result with the messages in another form."""
        return cast("CompactionResult[OtherT]", replace(self, messages=cast("list[MessageT]", messages)))


class CompactionStrategy(ABC):
    """Shortens a history to a number of tokens. Subclass it for a strategy of your own.

    A strategy keeps the laws that `check_history` states: valid in, valid out. It never makes a history longer and
    leaves the newest request as it is.
    """

    name: ClassVar[str]
    """What settings and results call it."""

    calls_model: bool = False
    """Whether it may ask a model, and so may cost money and give another result the next time."""

    @abstractmethod
    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]:
        """The history in at most `target_tokens` where that is possible, its last turns untouched where that is.

        `preserve_recent` counts turns: a turn runs from one user prompt to the next. The target comes first: what
        cannot be had with that many turns is had with fewer, down to the newest request and what it answers.
        """


class BuiltInStrategy(CompactionStrategy):
    """A strategy that counts with a `TokenCounter` and takes chat dicts too."""

    def __init__(self, *, token_counter: TokenCounter | None = None, preserve_system_prompt: bool = True) -> None:
        require("token_counter", token_counter, (TokenCounter, NoneType), expected="a TokenCounter")
        require("preserve_system_prompt", preserve_system_prompt, bool, expected="True or False")
        self.token_counter = token_counter or TokenCounter()
        self.preserve_system_prompt = preserve_system_prompt
        """Whether system prompts that stand in the messages outlive the messages."""

    @overload
    async def compact(
        self, messages: Sequence[ModelMessage], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ModelMessage]: ...
    @overload
    async def compact(
        self, messages: Sequence[Mapping[str, object]], target_tokens: int, preserve_recent: int = 0
    ) -> CompactionResult[ChatMessage]: ...
    async def compact(
        self,
        messages: Sequence[ModelMessage] | Sequence[Mapping[str, object]],
        target_tokens: int,
        preserve_recent: int = 0,
    ) -> CompactionResult[ModelMessage] | CompactionResult[ChatMessage]:
        """The history in at most `target_tokens` where that is possible; chat dicts come back as chat dicts.

        Raises:
            TypeError: a target or a number of turns that is no whole number, or a history that is no list.
            ValueError: one below zero, a dict that is no chat message, or messages and dicts in one history.
        """
        require("messages", messages, Sequence, expected="a list of messages or of chat dicts")
        target_tokens = whole_number("target_tokens", target_tokens)
        preserve_recent = whole_number("preserve_recent", preserve_recent)
        are_native = [issubclass(kind, ModelRequest | ModelResponse) for kind in set(map(type, messages))]
        if all(are_native):
            native = list(cast("Sequence[ModelMessage]", messages))
            return await self.compact_native(native, target_tokens, preserve_recent)
        if any(are_native):
            raise ValueError("found a history that mixes messages and other things; expected messages or chat dicts")
        dicts = dicts_to_model_messages(cast("Sequence[Mapping[str, object]]", messages))
        result = await self.compact_native(dicts, target_tokens, preserve_recent)
        return result.holding(model_messages_to_dicts(result.messages))

    @abstractmethod
    async def compact_native(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """The same, for native messages only."""


type OnAccount = Callable[[Model], Model]
"""Gives a model whose requests are on somebody's account, in place of one that is asked on his behalf."""


@contextmanager
def compacting_with(
    model: Model | None, on_account: OnAccount | None = None, *, window_tokens: int | None = None
) -> Generator[None]:
    """Have strategies that need a model and were given none use this one, for as long as the context lasts.

    `window_tokens` is its window as far as somebody knows it. What strategies ask of any model, their own too, is on
    the account that `on_account` puts it on.
    """
    token = _surrounding.set((model, on_account, window_tokens))
    try:
        yield
    finally:
        _surrounding.reset(token)


def surrounding_model() -> Model | None:
    """The model that the history at hand is for; None where nobody said."""
    return _surrounding.get()[0]


def surrounding_window() -> int | None:
    """The window of that model; None where nobody said."""
    return _surrounding.get()[2]


def on_account(model: Model) -> Model:
    """The model, its requests on the account of whoever's history is at hand."""
    put_on = _surrounding.get()[1]
    return model if put_on is None else put_on(model)


def agent_on_account(agent: AbstractAgent[None, Any]) -> AbstractContextManager[None]:
    """Have an agent ask its model on that account; an agent that has none, or a name for one, asks it as it does."""
    model = agent.model
    if not isinstance(model, Model) or (put := on_account(model)) is model:
        return nullcontext()
    return agent.override(model=put)


_surrounding: ContextVar[tuple[Model | None, OnAccount | None, int | None]] = ContextVar(
    "mamba_agents_compaction_model", default=(None, None, None)
)
