"""Has a model or an agent write the summary, in requests that each fit its window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, cast

from pydantic_ai import capture_run_messages
from pydantic_ai.agent import AbstractAgent
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelContextWindowExceededError, RunCancelled, RunTimedOut
from pydantic_ai.messages import ModelRequest, ModelResponse, UserPromptPart
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_core import to_jsonable_python

from mamba_agents.context.compaction.base import agent_on_account, on_account, surrounding_model, surrounding_window
from mamba_agents.context.compaction.summary import (
    Summary,
    SummaryFailed,
    read_summary,
    summary_instructions,
    summary_request,
)
from mamba_agents.context.compaction.transcript_text import clipped, largest_cap
from mamba_agents.context.overflow import is_context_overflow
from mamba_agents.tokens import TokenCounter

DEFAULT_WINDOW_TOKENS: Final = 8_192
"""The window a summariser is taken to have where nobody says; small, since a request that is too long is lost."""

_MOST_PIECE_TOKENS = 2_000
"""Of a longer text only beginning and end are read: a summary keeps a line or two of it."""

_LEAST_PIECE_TOKENS = 24
_FULL_REQUESTS = 4
"""How much is read at most, in requests filled to the brim; what is above that is cut or left out."""

_FENCE_TOKENS = 64
_JOINT_TOKENS = 2
_LEAST_ROOM = 64
_MARGIN_SHARE = 8
"""One eighth of the window stays free, since the summariser may count otherwise than we do."""

_THINKING_TOKENS = 2_000
"""Allowed on top of the notes to a model that cannot answer without thinking."""


@dataclass(frozen=True, kw_only=True)
class SummaryTask:
    """What is to be summarised, and in how many tokens."""

    pieces: Sequence[str]
    earlier: str
    max_tokens: int


@dataclass(frozen=True, kw_only=True)
class Written:
    """A summary, and the replies it took."""

    summary: Summary
    responses: tuple[ModelResponse, ...] = ()


class SummaryWriter(Protocol):
    """Writes summaries."""

    async def write(self, task: SummaryTask) -> Written:
        """The summary; `SummaryFailed` where there is none."""
        ...


class LargestSummary:
    """Writes, without any model, a summary as long as is allowed: a stand-in where only its size counts."""

    async def write(self, task: SummaryTask) -> Written:
        """Filler of the size that is allowed, and an empty reply for the one that a real summary costs."""
        return Written(summary=Summary(facts="more " * task.max_tokens), responses=(ModelResponse(parts=[]),))


class _TooLongError(Exception):
    """The summariser's server refused a request as too long, in words of its own."""


@dataclass(kw_only=True)
class Summarizer:
    """Writes one summary with a model or an agent.

    A transcript too long for one request is read in several, each with the notes so far, which the reply takes in.
    """

    source: "AbstractAgent[None, object] | Model"
    counter: TokenCounter
    window_tokens: int | None = None
    """The summariser's window, where its model does not say."""

    _billed: list[ModelResponse] = field(default_factory=list[ModelResponse], init=False)

    async def write(self, task: SummaryTask) -> Written:
        """The summary, and every reply that was paid for."""
        # A tokenizer that is not ours may find more tokens than we do, so a request that is too long is cut anew.
        for shares in (1, 2, 4):
            try:
                summary = await self._write(task, shares)
            except (ModelContextWindowExceededError, _TooLongError):
                continue
            return Written(summary=summary, responses=tuple(self._billed))
        raise SummaryFailed("the summariser's window is smaller than it says", self._billed)

    async def _write(self, task: SummaryTask, shares: int) -> Summary:
        room, reply_tokens = self._room(task)
        for_notes = room // 3 // shares
        notes = clipped(task.earlier, for_notes, self.counter, self._model_name) if task.earlier else ""
        beside_notes = room - self.counter.count(notes, self._model_name)
        transcripts = self._transcripts(task.pieces, beside_notes, shares)
        if len(transcripts) > 1:
            # From the second request on there are notes of any length up to their limit.
            transcripts = self._transcripts(task.pieces, room - room // 3, shares)
        summary: Summary | None = None
        for transcript in transcripts:
            reply = await self._ask(summary_request(transcript, notes), reply_tokens)
            summary = self._read(reply)
            notes = clipped(str(summary), for_notes, self.counter, self._model_name)
        if summary is None:
            raise SummaryFailed("there is nothing to summarise", self._billed)
        return summary

    def _read(self, reply: str) -> Summary:
        try:
            return read_summary(reply)
        except SummaryFailed as failure:
            raise SummaryFailed(str(failure), self._billed) from failure

    def _room(self, task: SummaryTask) -> tuple[int, int]:
        """The tokens of notes and transcript that a request has room for, and those that a reply may have."""
        model = self._model
        window = surrounding_window() if model is not None and model is surrounding_model() else None
        window = window or (model.context_window if model else None) or self.window_tokens or DEFAULT_WINDOW_TOKENS
        reply_tokens = min(task.max_tokens, window // 4)
        if model is not None and model.profile.get("thinking_always_enabled"):
            reply_tokens += min(_THINKING_TOKENS, window // 4)
        told = self.counter.count(summary_instructions(reply_tokens), self._model_name) + _FENCE_TOKENS
        room = window - window // _MARGIN_SHARE - reply_tokens - told
        if room < _LEAST_ROOM:
            raise SummaryFailed(
                f"the summariser's window of {window} tokens has no room for a transcript", self._billed
            )
        return room, reply_tokens

    def _transcripts(self, pieces: Sequence[str], room: int, shares: int) -> list[str]:
        """The pieces as texts of at most `room` tokens, cut where they are long and left out where they are many.

        With more than one share no text is longer than that share of what all of it takes.
        """
        sizes = [size + _JOINT_TOKENS for size in self.counter.count_batch(list(pieces), self._model_name)]
        room = max(min(room, sum(sizes)) // shares, _LEAST_PIECE_TOKENS)
        cap = min(largest_cap(sizes, room * _FULL_REQUESTS), room, _MOST_PIECE_TOKENS)
        if cap < _LEAST_PIECE_TOKENS and max(sizes, default=0) > cap:
            pieces, sizes = _without_middle(pieces, sizes, room * _FULL_REQUESTS // _LEAST_PIECE_TOKENS)
            cap = min(_LEAST_PIECE_TOKENS, room)
        transcripts: list[list[str]] = []
        left = 0
        for piece, size in zip(pieces, sizes, strict=True):
            text = piece if size <= cap else clipped(piece, cap - _JOINT_TOKENS, self.counter, self._model_name)
            if (taken := min(size, cap)) > left or not transcripts:
                transcripts.append([])
                left = room
            transcripts[-1].append(text)
            left -= taken
        return ["\n\n".join(texts) for texts in transcripts]

    async def _ask(self, request: str, max_tokens: int) -> str:
        """The reply's text; whatever fails, except cancellation, is a failed summary."""
        try:
            if isinstance(self.source, AbstractAgent):
                return await self._ask_agent(self.source, request, max_tokens)
            return await self._ask_model(self.source, request, max_tokens)
        except (ModelContextWindowExceededError, SummaryFailed):
            raise
        except RunCancelled as error:
            if not isinstance(error, RunTimedOut):
                raise
            raise SummaryFailed(f"the summariser took too long: {error}", self._billed) from error
        except Exception as error:
            if is_context_overflow(error):
                raise _TooLongError from error
            reason = f"the summariser failed with {type(error).__name__}: {error}"
            raise SummaryFailed(reason, self._billed) from error

    async def _ask_model(self, model: Model, request: str, max_tokens: int) -> str:
        # Straight to the model: no agent's instructions, tools or capabilities have a say in it.
        prompt = ModelRequest(parts=[UserPromptPart(request)], instructions=summary_instructions(max_tokens))
        response = await model_request(on_account(model), [prompt], model_settings=_settings(model, max_tokens))
        self._billed.append(response)
        if response.finish_reason == "content_filter":
            raise SummaryFailed("the summariser's provider filtered the reply", self._billed)
        return response.text or ""

    async def _ask_agent(self, agent: "AbstractAgent[None, object]", request: str, max_tokens: int) -> str:
        # Typed output that is cut off is worth nothing, so only text is limited ahead.
        limit = ModelSettings(max_tokens=max_tokens) if agent.output_type is str else None
        told = summary_instructions(max_tokens)
        with capture_run_messages() as said, agent_on_account(agent):
            try:
                # An empty history, since an agent with a memory would go on with what it said before.
                result = await agent.run(request, message_history=[], instructions=told, model_settings=limit)
            finally:
                self._billed.extend(message for message in said if isinstance(message, ModelResponse))
        return _as_text(result.output)

    @property
    def _model(self) -> Model | None:
        if isinstance(self.source, AbstractAgent):
            model = self.source.model
            return model if isinstance(model, Model) else None
        return self.source

    @property
    def _model_name(self) -> str | None:
        return self._model.model_name if self._model else None


def _settings(model: Model, max_tokens: int) -> ModelSettings:
    """Short and without thinking, unless the model's own settings say how it thinks: two answers to that clash."""
    own = model.settings or {}
    if any("thinking" in name or "reasoning" in name for name in own):
        return ModelSettings(max_tokens=max_tokens)
    return ModelSettings(max_tokens=max_tokens, thinking=False)


def _as_text(output: object) -> str:
    """What an agent gave as text; of typed output each field under its name."""
    if isinstance(output, str):
        return output
    plain: object = to_jsonable_python(output, fallback=str)
    if not isinstance(plain, Mapping):
        return str(plain)
    named = cast("Mapping[str, object]", plain)
    return "\n\n".join(f"## {name.replace('_', ' ')}\n{_lines(value)}" for name, value in named.items() if value)


def _lines(value: object) -> str:
    if not isinstance(value, list):
        return str(value)
    return "\n".join(f"- {item}" for item in cast("list[object]", value))


def _without_middle(pieces: Sequence[str], sizes: Sequence[int], most: int) -> tuple[list[str], list[int]]:
    """A quarter of what is kept comes from the beginning, where the task is, the rest from the end."""
    kept = max(most - 1, 2)
    if len(pieces) <= kept:
        return list(pieces), list(sizes)
    head = max(kept // 4, 1)
    tail = kept - head
    note = f"[… {len(pieces) - kept} pieces left out …]"
    left_out_tokens = 16
    return [*pieces[:head], note, *pieces[-tail:]], [*sizes[:head], left_out_tokens, *sizes[-tail:]]
