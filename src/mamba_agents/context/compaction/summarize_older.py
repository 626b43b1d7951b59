"""The older part of a history, replaced by one summary that a model writes."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import ClassVar

from pydantic_ai.agent import AbstractAgent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    ToolAvailabilityDeltaPart,
)
from pydantic_ai.models import Model, infer_model

from mamba_agents.context.checks.parts import delta_violations
from mamba_agents.context.compaction.base import BuiltInStrategy, CompactionResult, surrounding_model
from mamba_agents.context.compaction.layout import Layout, Span, layout_of
from mamba_agents.context.compaction.sliding_window import SlidingWindowStrategy
from mamba_agents.context.compaction.summarizer import LargestSummary, Summarizer, SummaryTask, SummaryWriter
from mamba_agents.context.compaction.summary import SummaryFailed, is_summary, summary_part
from mamba_agents.context.compaction.summary_text import Sources, summary_text, written_tokens
from mamba_agents.context.compaction.traits import REQUEST
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.given import require, whole_number

_LEAST_SUMMARY_TOKENS = 64
"""Less than this says too little to be worth a request."""

_SUMMARY_SHARE = 4
"""A summary has at most one fourth of the target: the recent turns say more than any summary."""


class SummarizeOlderStrategy(BuiltInStrategy):
    """Replaces what comes before the preserved turns by one summary of it.

    It says the goal, decisions, facts, files and identifiers, and open ends. It is written by the agent that is given,
    else by `model`, else by the model that the history is for. It takes in an earlier summary, so there is never more
    than one, and keeps word for word the first prompt and the ids, paths and numbers that the model left out, as far
    as there is room. Where no summary comes about, or none that fits, the sliding window takes its place and `notes`
    says why.
    """

    name: ClassVar[str] = "summarize_older"
    calls_model: bool = True

    def __init__(
        self,
        summarization_agent: "AbstractAgent[None, object] | None" = None,
        *,
        model: Model | str | None = None,
        token_counter: TokenCounter | None = None,
        preserve_system_prompt: bool = True,
        max_summary_tokens: int = 2_000,
        window_tokens: int | None = None,
    ) -> None:
        """Take who writes: an agent, which runs without memory, or a model, as an object or `provider:name`.

        `max_summary_tokens` is the most a summary may have, `window_tokens` the window of a model that does not say
        its own.
        """
        super().__init__(token_counter=token_counter, preserve_system_prompt=preserve_system_prompt)
        check_source(summarization_agent, model)
        _check_size("max_summary_tokens", max_summary_tokens)
        if window_tokens is not None:
            _check_size("window_tokens", window_tokens)
        self.max_summary_tokens = max_summary_tokens
        self._source = summarization_agent or model
        self._window_tokens = window_tokens
        self._stand_in: SummaryWriter | None = None
        self._fallback = SlidingWindowStrategy(
            token_counter=self.token_counter, preserve_system_prompt=preserve_system_prompt
        )

    @property
    def has_model(self) -> bool:
        """Whether there is a model to write the summary, given or surrounding."""
        return (self._stand_in or self._source or surrounding_model()) is not None

    def without_model(self) -> "SummarizeOlderStrategy":
        """The same strategy for dry runs: where there is a model, a stand-in writes the longest summary allowed."""
        twin = SummarizeOlderStrategy(
            token_counter=self.token_counter,
            preserve_system_prompt=self.preserve_system_prompt,
            max_summary_tokens=self.max_summary_tokens,
        )
        twin.calls_model = False
        twin._stand_in = LargestSummary() if self.has_model else None
        return twin

    async def compact_native(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """The summary and the recent turns, or what the sliding window makes of the history."""
        try:
            return await self.summarize(messages, target_tokens, preserve_recent)
        except SummaryFailed as failure:
            result = await self._fallback.compact_native(messages, target_tokens, preserve_recent)
            notes = (f"No summary: {failure}. The sliding window took its place.", *result.notes)
            return replace(result, notes=notes, responses=(*failure.responses, *result.responses))

    async def summarize(
        self, messages: list[ModelMessage], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """The summary and the recent turns.

        Raises:
            SummaryFailed: there is no summary, or none that helps; the history is as it was.
        """
        counts = self.token_counter.message_counts(messages)
        if sum(counts) <= target_tokens:
            return self._result(messages, list(messages), counts, target_tokens, has_summary=False)
        cut = self._cut(messages, counts, target_tokens, preserve_recent)
        task = SummaryTask(pieces=cut.sources.pieces, earlier=cut.sources.earlier, max_tokens=written_tokens(cut.room))
        written = await self._writer().write(task)
        head = self._head(cut, summary_text(written.summary, cut.sources, cut.room, self.token_counter))
        result = self._result(messages, [head, *cut.kept], counts, target_tokens)
        if not result.reached_target:
            raise SummaryFailed("the summary is longer than there is room for", written.responses)
        return replace(result, responses=written.responses)

    def _writer(self) -> SummaryWriter:
        if self._stand_in is not None:
            return self._stand_in
        source = self._source or surrounding_model()
        if source is None:
            raise SummaryFailed("there is no model to write it")
        if isinstance(source, str):
            try:
                source = infer_model(source)
            except Exception as error:
                raise SummaryFailed(f"there is no model {source!r}: {error}") from error
        return Summarizer(source=source, counter=self.token_counter, window_tokens=self._window_tokens)

    def _cut(self, messages: list[ModelMessage], counts: list[int], target_tokens: int, preserve_recent: int) -> "_Cut":
        """The largest recent part that leaves room for a summary; `SummaryFailed` where there is none to write."""
        layout = layout_of(messages, counts)
        systems = self._system_prompts(messages)
        overhead = self.token_counter.message_counts([ModelRequest(parts=[*systems, summary_part("")])])[0]
        wanted = min(self.max_summary_tokens, max(target_tokens // _SUMMARY_SHARE, _LEAST_SUMMARY_TOKENS))
        room, spans = 0, []
        for spans in _recent_parts(layout, preserve_recent):
            room = target_tokens - overhead - layout.tokens(spans)
            if room >= wanted:
                break
        if not spans:
            raise SummaryFailed("nothing comes before what must stay")
        if room < _LEAST_SUMMARY_TOKENS:
            raise SummaryFailed(f"what must stay leaves {max(room, 0)} tokens for it")
        kept = [index for span in spans for index in range(*span)]
        return self._cut_at(messages, kept, min(room, wanted))

    def _cut_at(self, messages: list[ModelMessage], kept: list[int], room: int) -> "_Cut":
        stays = set(kept)
        older = [message for index, message in enumerate(messages) if index not in stays]
        recent = [messages[index] for index in kept]
        newest = next((message for message in reversed(recent) if isinstance(message, ModelRequest)), None)
        if newest is not None and any(map(is_summary, newest.parts)):
            raise SummaryFailed("the newest request holds a summary already")
        sources = Sources.of(older, recent)
        if not sources.pieces:
            raise SummaryFailed("nothing was said before what must stay")
        return _Cut(
            kept=_standing_alone(recent),
            systems=self._system_prompts(older, beside=recent),
            tools=_tools_shown(older),
            sources=sources,
            room=room,
        )

    def _system_prompts(
        self, messages: Iterable[ModelMessage], beside: Iterable[ModelMessage] = ()
    ) -> list[SystemPromptPart]:
        """The lasting system prompts of some messages, each once and none that stands `beside` them."""
        if not self.preserve_system_prompt:
            return []
        seen = {part.content for part in _lasting_prompts(beside)}
        return [part for part in _lasting_prompts(messages) if not (part.content in seen or seen.add(part.content))]

    def _head(self, cut: "_Cut", text: str) -> ModelRequest:
        # Ahead of the summary, since only opening system prompts are the standing ones.
        tools = [ToolAvailabilityDeltaPart(tools_added=cut.tools)] if cut.tools else []
        return ModelRequest(parts=[*cut.systems, summary_part(text), *tools])

    def _result(
        self,
        before: list[ModelMessage],
        after: list[ModelMessage],
        counts: Sequence[int],
        target_tokens: int,
        *,
        has_summary: bool = True,
    ) -> CompactionResult[ModelMessage]:
        tokens = sum(self.token_counter.message_counts(after))
        return CompactionResult(
            messages=after,
            removed_count=len(before) - len(after) + has_summary,
            tokens_before=sum(counts),
            tokens_after=tokens,
            strategy=self.name,
            target_tokens=target_tokens,
            reached_target=tokens <= target_tokens,
        )


@dataclass(frozen=True, kw_only=True)
class _Cut:
    """A history in two: what the summary replaces, and what stays."""

    kept: list[ModelMessage]
    systems: list[SystemPromptPart]
    tools: list[str]
    sources: Sources
    room: int
    """Tokens that the text of the summary may have."""


def _recent_parts(layout: Layout, preserve_recent: int) -> Iterator[list[Span]]:
    """What could stay, the most first: so many turns or fewer, then the newest turn's prompt and ever less after it."""
    end = len(layout.messages)
    for start in layout.turn_starts[-max(preserve_recent, 1) :]:
        if 0 < start <= layout.question[0]:
            yield [(start, end)]
    for start in layout.starts:
        is_inner_request = layout.flags[start] & REQUEST and start < layout.newest
        if layout.question[1] < start <= layout.newest and not is_inner_request:
            yield [layout.question, (start, end)]


def _lasting_prompts(messages: Iterable[ModelMessage]) -> Iterator[SystemPromptPart]:
    for message in messages:
        for part in message.parts:
            if isinstance(part, SystemPromptPart) and part.scope == "conversation":
                yield part


def _tools_shown(messages: Iterable[ModelMessage]) -> list[str]:
    """The tools that a search found, which the model is shown only as long as the history says so."""
    parts = (part for message in messages for part in message.parts if isinstance(part, ToolAvailabilityDeltaPart))
    return list(dict.fromkeys(name for part in parts for name in part.tools_added))


def _standing_alone(messages: Iterable[ModelMessage]) -> list[ModelMessage]:
    """The messages as they are after a summary: without earlier ones, and without changes to what went with it.

    pydantic-ai states instructions and settings anew after a summary.
    """
    whole = [left for message in messages if (left := _without_summary(message)) is not None]
    lone: dict[int, set[int]] = {}
    for violation in delta_violations([ModelRequest(parts=[summary_part("")]), *whole]):
        if violation.message_index is not None and violation.part_index is not None:
            lone.setdefault(violation.message_index - 1, set()).add(violation.part_index)
    alone = (_without_lone(message, lone.get(index, set())) for index, message in enumerate(whole))
    return [message for message in alone if message is not None]


def _without_summary(message: ModelMessage) -> ModelMessage | None:
    """The message without summaries; None if that was all of it. What a provider wrote into a response stays."""
    if isinstance(message, ModelResponse) or not any(map(is_summary, message.parts)):
        return message
    parts = [part for part in message.parts if not is_summary(part)]
    return replace(message, parts=parts) if parts else None


def _without_lone(message: ModelMessage, lone: set[int]) -> ModelMessage | None:
    """The message without those parts; None if that was all of it. Tools that were shown stay shown."""
    if isinstance(message, ModelResponse) or not lone:
        return message
    parts = [
        replace(part, tool_call_id=None) if at in lone and isinstance(part, ToolAvailabilityDeltaPart) else part
        for at, part in enumerate(message.parts)
        if at not in lone or isinstance(part, ToolAvailabilityDeltaPart)
    ]
    return replace(message, parts=parts) if parts else None


def check_source(agent: object, model: object) -> None:
    """Refuse what cannot write a summary.

    Raises:
        TypeError: neither an agent nor a model, or one in the place of the other.
        ValueError: both of them, or the name of a model without its provider.
    """
    is_model, is_agent = isinstance(agent, Model | str), isinstance(model, AbstractAgent)
    expected = "an agent; give a model as `model`" if is_model else "an agent"
    require("summarization_agent", agent, (AbstractAgent, NoneType), expected=expected)
    expected = f"a {_MODEL}; give an agent as `summarization_agent`" if is_agent else f"a {_MODEL}"
    require("model", model, (Model, str, NoneType), expected=expected)
    if agent is not None and model is not None:
        raise ValueError("found both a summarization_agent and a model; expected one of them")
    if isinstance(model, str) and ":" not in model and model != "test":
        raise ValueError(
            f"found model={model!r}; expected a {_MODEL}, such as 'openai:{model or 'gpt-5-mini'}': name the provider"
        )


_MODEL = "Model or 'provider:name'"


def _check_size(name: str, value: int) -> None:
    if isinstance(value, int) and value < 1:  # pyright: ignore[reportUnnecessaryIsInstance] - whoever gives it
        raise ValueError(f"found {name}={value}; expected 1 or more")
    whole_number(name, value)
