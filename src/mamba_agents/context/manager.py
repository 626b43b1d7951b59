"""A conversation's context by hand: for code that talks to a model without an agent, and behind every agent's own."""

import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from types import NoneType

from pydantic_ai.messages import InstructionPart, ModelMessage, ModelResponse, SystemPromptPart
from pydantic_ai.models import Model, ModelRequestParameters

from mamba_agents._internal.background_loop import run_sync
from mamba_agents._internal.chat.convert import model_messages_to_dicts
from mamba_agents._internal.chat.either import native_messages
from mamba_agents._internal.chat.types import ChatMessage
from mamba_agents._internal.turn_queue import TurnQueue
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compaction.plan import CompactionPlan
from mamba_agents.context.compactor import Compactor, Request, check_parts
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.gauge import Measured, marked_with_size, newest_request, remember
from mamba_agents.context.limits import Limits
from mamba_agents.context.meanwhile import Meanwhile, not_kept
from mamba_agents.context.records import ContextState
from mamba_agents.context.windows import FindWindow
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.given import require

type Keep = Callable[[CompactionResult[ModelMessage]], Awaitable[CompactionResult[ModelMessage]]]
"""Goes on with what a compaction left, along with what others did meanwhile, and gives back what that makes."""


class ContextManager:
    """A history, its size, and what shortens it. Each agent has one for its own conversation.

    `model` is what summaries are asked of and whose window counts; without one, the config's figures do. Its window is
    what pydantic-ai knows of it; `find_window` of `mamba_agents.backends` asks the model's server too. Safe to use from
    several tasks and threads.
    """

    def __init__(
        self,
        config: CompactionConfig | None = None,
        token_counter: TokenCounter | None = None,
        *,
        model: Model | None = None,
        find_window: FindWindow | None = None,
    ) -> None:
        config = CompactionConfig() if config is None else config
        token_counter = TokenCounter() if token_counter is None else token_counter
        check_parts(config, token_counter, find_window)
        require("model", model, (Model, NoneType), expected="a pydantic-ai Model: infer_model(name) makes one")
        self._compactor = Compactor(config, token_counter, find_window)
        self._model = model
        self._compacting = TurnQueue(
            "a compaction of the same context is under way on the event loop that the call blocks. Await compact() "
            "instead."
        )
        self._guard = threading.Lock()
        self._messages: list[ModelMessage] = []
        """The one list that messages are added to, until it is cleared or compacted."""
        self._system_prompt = ""
        self._compactions: list[CompactionResult[ModelMessage]] = []

    @property
    def config(self) -> CompactionConfig:
        """When the history is shortened, and how."""
        return self._compactor.config

    @property
    def history(self) -> list[ModelMessage]:
        """What the model sees, oldest first; a new list."""
        return list(self._messages)

    def add_messages(self, messages: Iterable[ModelMessage] | Iterable[Mapping[str, object]]) -> None:
        """Put messages at the end, all or none: native ones or OpenAI chat dicts.

        Raises:
            TypeError: no list, such as a single message, or something in it that is neither of both.
            ValueError: a dict that is no chat message, with its index, what was found and what was expected; or
                messages and dicts mixed.
        """
        self._append(native_messages(messages))

    def get_messages(self) -> list[ChatMessage]:
        """The history as OpenAI chat messages; `history` has all that this form cannot say."""
        return model_messages_to_dicts(self.history)

    def get_token_count(self) -> int:
        """The likely size of the next request, without its prompt."""
        return self._size(self.history)

    def should_compact(self) -> bool:
        """Whether the history is past the trigger."""
        return self.get_token_count() > run_sync(self._limits).trigger

    async def compact(self) -> CompactionResult[ModelMessage]:
        """Shorten the history to the target now, whatever its size. A history that fits stays as it is.

        What is added meanwhile stands after what is left; a history that is cleared meanwhile stays cleared, and
        `notes` of the result says so. Several calls wait for each other.
        """
        async with self._turn():
            limits = await self._limits()
            messages, keep = await self._begin()
            request = self._request(messages)
            result = await self._compactor.compact(request, limits.target, self._on_account)
            if result.responses:
                await self._bill(result.responses)
            if result.tokens_after >= result.tokens_before:
                return result
            measured = self._compactor.gauge(request.model).measured(request.parameters)
            return await keep(replace(result, messages=_marked(result, measured)))

    def compact_sync(self) -> CompactionResult[ModelMessage]:
        """The same as `compact`, for code that is not async."""
        return run_sync(self.compact)

    async def plan(self) -> CompactionPlan:
        """What `compact` would take out, what that frees, and what it loses of the provider's prompt cache.

        No model is asked.
        """
        limits = await self._limits()
        return await self._compactor.plan(self._request(await self._read()), limits.target)

    def plan_sync(self) -> CompactionPlan:
        """The same as `plan`, for code that is not async."""
        return run_sync(self.plan)

    def get_context_state(self) -> ContextState:
        """The context as it is now."""
        limits, history = run_sync(self._limits), self.history
        return ContextState(
            token_count=self._size(history),
            message_count=len(history),
            system_prompt=self.get_system_prompt(),
            compaction_history=self.get_compaction_history(),
            window_tokens=limits.window if limits.is_known else None,
            trigger_tokens=limits.trigger,
        )

    def get_compaction_history(self) -> list[CompactionResult[ModelMessage]]:
        """Every compaction so far, oldest first; a new list."""
        return list(self._compactions)

    def get_system_prompt(self) -> str:
        """The system prompt, which is sent with every request and so is never compacted."""
        return self._system_prompt or _system_prompt_in(self.history)

    def set_system_prompt(self, prompt: str) -> None:
        """Replace the system prompt."""
        require("the system prompt", prompt, str, expected='text, "" for none')
        self._system_prompt = prompt

    def clear(self) -> None:
        """Forget the history and its compactions; the system prompt stays."""
        with self._guard:
            self._messages, self._compactions = [], []

    def _append(self, messages: list[ModelMessage]) -> None:
        with self._guard:
            self._messages.extend(messages)

    async def _read(self) -> list[ModelMessage]:
        return self.history

    async def _bill(self, responses: Sequence[ModelResponse]) -> None:
        """Put on an account what models replied that were asked for summaries or scores."""

    def _turn(self) -> AbstractAsyncContextManager[None]:
        """Wait for who is compacting, and have those that come later wait."""
        return self._compacting.turn()

    async def _begin(self) -> tuple[list[ModelMessage], Keep]:
        """The history to compact, and what goes on with what is left of it."""
        with self._guard:
            messages = self._messages
            return list(messages), partial(self._keep, messages, len(messages))

    async def _keep(
        self, messages: list[ModelMessage], count: int, result: CompactionResult[ModelMessage]
    ) -> CompactionResult[ModelMessage]:
        """Go on with what was made of the first `count` of the messages."""
        with self._guard:
            if self._messages is not messages:
                return not_kept(result)
            kept = replace(result, messages=Meanwhile(added=messages[count:]).woven(result.messages))
            self._messages = list(kept.messages)
            self._compactions.append(kept)
            return kept

    async def _limits(self) -> Limits:
        return await self._compactor.windows.limits(self._find_model())

    def _size(self, messages: Sequence[ModelMessage]) -> int:
        request = self._request(messages)
        return self._compactor.gauge(self._find_model()).estimate(request.messages, request.parameters)

    def _request(self, messages: Sequence[ModelMessage]) -> Request:
        return Request(messages=messages, model=self._find_model(), parameters=self._parameters())

    def _parameters(self) -> ModelRequestParameters:
        """What a request carries besides messages, as far as that is known."""
        instructions = self._instructions()
        return ModelRequestParameters(instruction_parts=[InstructionPart(instructions)] if instructions else None)

    def _find_model(self) -> Model | None:
        """The model that requests go to."""
        return self._model

    def _on_account(self, model: Model) -> Model:
        """The model that is asked in place of one that a strategy asks."""
        return model

    def _instructions(self) -> str:
        """What is sent beside the messages."""
        return self._system_prompt


def _system_prompt_in(messages: Sequence[ModelMessage]) -> str:
    """The system prompt that the messages themselves hold."""
    latest = newest_request(messages)
    instructions = None if latest is None else latest.instructions
    parts = [part.content for message in messages for part in message.parts if isinstance(part, SystemPromptPart)]
    return instructions or "\n\n".join(parts)


def _marked(result: CompactionResult[ModelMessage], measured: Measured) -> list[ModelMessage]:
    """The messages, the last of which says how large a request they make."""
    *before, last = result.messages
    marked = replace(last, metadata=marked_with_size(last, result.tokens_after))
    remember(marked, measured)
    return [*before, marked]
