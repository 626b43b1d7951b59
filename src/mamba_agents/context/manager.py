"""A conversation's context by hand: for code that talks to a model without an agent, and behind every agent's own."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from pydantic_ai.messages import InstructionPart, ModelMessage, ModelRequest, ModelResponse, SystemPromptPart
from pydantic_ai.models import Model, ModelRequestParameters

from mamba_agents._internal.background_loop import run_sync
from mamba_agents._internal.chat.convert import dicts_to_model_messages, model_messages_to_dicts
from mamba_agents._internal.chat.types import ChatMessage
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compaction.plan import CompactionPlan
from mamba_agents.context.compactor import Compactor, Request
from mamba_agents.context.config import CompactionConfig
from mamba_agents.context.gauge import Measured, marked_with_size, newest_request, remember
from mamba_agents.context.limits import Limits
from mamba_agents.context.records import ContextState
from mamba_agents.context.windows import FindWindow
from mamba_agents.tokens import TokenCounter


class ContextManager:
    """A history, its size, and what shortens it. Each agent has one for its own conversation.

    `model` is what summaries are asked of and whose window counts; without one, the config's figures do. Its window is
    what pydantic-ai knows of it; `find_window` of `mamba_agents.backends` asks the model's server too.
    """

    def __init__(
        self,
        config: CompactionConfig | None = None,
        token_counter: TokenCounter | None = None,
        *,
        model: Model | None = None,
        find_window: FindWindow | None = None,
    ) -> None:
        self._compactor = Compactor(config or CompactionConfig(), token_counter or TokenCounter(), find_window)
        self._model = model
        self._messages: list[ModelMessage] = []
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
            ValueError: a dict that is no chat message, with its index, what was found and what was expected.
        """
        self._append(_native(messages))

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
        """Shorten the history to the target now, whatever its size. A history that fits stays as it is."""
        limits = await self._limits()
        request = self._request(await self._read())
        result = await self._compactor.compact(request, limits.target, self._summarizer(), self._on_account)
        if result.responses:
            await self._bill(result.responses)
        if result.tokens_after < result.tokens_before:
            measured = self._compactor.gauge(request.model).measured(request.parameters)
            result = replace(result, messages=_marked(result, measured))
            await self._keep(result)
        return result

    def compact_sync(self) -> CompactionResult[ModelMessage]:
        """The same as `compact`, for code that is not async."""
        return run_sync(self.compact)

    async def plan(self) -> CompactionPlan:
        """What `compact` would take out, what that frees, and what it loses of the provider's prompt cache.

        No model is asked.
        """
        limits = await self._limits()
        return await self._compactor.plan(self._request(await self._read()), limits.target, self._summarizer())

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
        self._system_prompt = prompt

    def clear(self) -> None:
        """Forget the history and its compactions; the system prompt stays."""
        self._messages, self._compactions = [], []

    def _append(self, messages: list[ModelMessage]) -> None:
        self._messages.extend(messages)

    async def _read(self) -> list[ModelMessage]:
        return self.history

    async def _bill(self, responses: Sequence[ModelResponse]) -> None:
        """Put on an account what models replied that were asked for summaries or scores."""

    async def _keep(self, result: CompactionResult[ModelMessage]) -> None:
        """Go on with what a compaction left."""
        self._messages = list(result.messages)
        self._compactions.append(result)

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

    def _summarizer(self) -> Model | None:
        """The model that is asked for summaries; None for the one that the config names."""
        return None

    def _on_account(self, model: Model) -> Model:
        """The model that is asked in place of one that a strategy asks."""
        return model

    def _instructions(self) -> str:
        """What is sent beside the messages."""
        return self._system_prompt


def _native(messages: Iterable[ModelMessage] | Iterable[Mapping[str, object]]) -> list[ModelMessage]:
    given = list(messages)
    native = [message for message in given if isinstance(message, ModelRequest | ModelResponse)]
    if len(native) == len(given):
        return native
    dicts = [message for message in given if isinstance(message, Mapping)]
    if len(dicts) < len(given):
        raise ValueError("found messages and chat dicts mixed, or neither; expected one kind")
    return dicts_to_model_messages(dicts)


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
