"""Old tool results, blanked in place."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import ClassVar, NamedTuple

from pydantic_ai.messages import ModelMessage, ModelResponse, ThinkingPart, ToolCallPart

from mamba_agents.context.compaction.answers import Answers
from mamba_agents.context.compaction.base import CompactionResult
from mamba_agents.context.compaction.blanking import Receipts, Sized, without_argument
from mamba_agents.context.compaction.counted import CountedStrategy
from mamba_agents.context.compaction.kept import Keeper
from mamba_agents.context.compaction.receipts import parsed_args
from mamba_agents.context.compaction.repeats import given_anew
from mamba_agents.tokens import TokenCounter

_RECEIPT_TOKENS = 45
"""About what a receipt costs, to know when enough is blanked; what it really saved is counted after."""
_LONG_ARGUMENT = 600


class SelectivePruningStrategy(CountedStrategy):
    """Puts a line in the place of old tool results, which says what was there and how to get it back.

    A result that a later call gave anew goes first, then the oldest, then long arguments of old calls; those of the
    last `preserve_recent` turns only where that is not enough. No message goes, so the target can be out of reach.
    Results that failed, that are short, that hold files or that a run keeps its state in are left alone.
    """

    name: ClassVar[str] = "selective_pruning"

    async def shorten(
        self, messages: list[ModelMessage], counts: Sequence[int], target_tokens: int, preserve_recent: int
    ) -> CompactionResult[ModelMessage]:
        """All messages, with as few results blanked as reach the target."""
        pruning = _Pruning(messages, counts, target_tokens, self.token_counter)
        before = len(messages), pruning.tokens
        pruning.prune(preserve_recent)
        return Keeper.of(self, target_tokens).result(pruning.messages, before=before, after=pruning.tokens)


class _Argument(NamedTuple):
    """A long argument of a call."""

    at: int
    """Index of the message."""

    part_index: int
    name: str
    text: str


class _Pruning:
    """A history while it is pruned."""

    def __init__(
        self, messages: Sequence[ModelMessage], counts: Sequence[int], target: int, counter: TokenCounter
    ) -> None:
        self.messages = list(messages)
        self.tokens = sum(counts)
        self._target = target
        self._counts = list(counts)
        self._counter = counter
        self._answers = Answers.of(messages, counts)
        self._superseded = given_anew(self._answers.calls, self._answers.results, self._answers.at)
        self._receipts = Receipts(self._answers, self._superseded, counter)

    def prune(self, preserve_recent: int) -> None:
        """Blank the least missed first, until the target is reached or there is no more."""
        recent = self._answers.recent(preserve_recent)
        end = bisect_left(self._answers.at, self._answers.newest)
        cut = min(bisect_left(self._answers.at, recent), end)
        self._blank_results(range(cut))
        self._blank_arguments(lambda at: at < recent)
        self._blank_results(range(cut, end))
        self._blank_arguments(lambda at: at >= recent)

    def _blank_results(self, numbers: range) -> None:
        """Those that a later call gave anew, then the others, the oldest first."""
        again, may_go = self._superseded, self._answers.may_go
        first = (number for number in sorted(again) if number in numbers)
        for found in (first, (number for number in numbers if number not in again)):
            for chosen in self._chosen((number, self._tokens_of(number)) for number in found if may_go(number)):
                self._replace_results(chosen)

    def _blank_arguments(self, is_meant: Callable[[int], bool]) -> None:
        """The long arguments of calls, of the messages that are meant."""
        if self.tokens <= self._target:
            return
        found = (argument for argument in self._arguments if is_meant(argument.at))
        for chosen in self._chosen((argument, self._counter.count(argument.text)) for argument in found):
            made: dict[int, ModelMessage] = {}
            for (at, part_index, name, _), tokens in chosen:
                made[at] = without_argument(made.get(at, self.messages[at]), part_index, name, tokens)
            self._replace(list(made), list(made.values()))

    @cached_property
    def _arguments(self) -> list[_Argument]:
        return list(_long_arguments(self._answers))

    def _chosen[PartT](self, parts: Iterator[tuple[PartT, int]]) -> Iterator[list[tuple[PartT, int]]]:
        """Of the parts and their tokens, those to blank next, as long as the target is not reached."""
        while self.tokens > self._target:
            missing = self.tokens - self._target
            chosen: list[tuple[PartT, int]] = []
            for part in parts:
                chosen.append(part)
                if part[1] > _RECEIPT_TOKENS:
                    missing -= part[1] - _RECEIPT_TOKENS
                    if missing <= 0:
                        break
            if not chosen:
                return
            yield chosen

    def _tokens_of(self, number: int) -> int:
        """The tokens of a result: those of its message, which nearly always has no other part."""
        at = self._answers.at[number]
        if len(self.messages[at].parts) == 1:
            return self._counts[at]
        return self._receipts.tokens_among_others(number)

    def _replace_results(self, chosen: Sequence[Sized]) -> None:
        at, alone, several = self._answers.at, list[Sized](), dict[int, list[Sized]]()
        for result in chosen:
            index = at[result[0]]
            if len(self.messages[index].parts) == 1:
                alone.append(result)
            else:
                several.setdefault(index, []).append(result)
        self._replace([at[number] for number, _ in alone], self._receipts.alone(alone))
        made = [self._receipts.among_others(self.messages[index], results) for index, results in several.items()]
        self._replace(list(several), made)

    def _replace(self, indices: Iterable[int], made: Sequence[ModelMessage]) -> None:
        """Put in the messages that are shorter than those they stand for."""
        for index, message, count in zip(indices, made, self._counter.message_counts(made), strict=True):
            if (saved := self._counts[index] - count) > 0:
                self.tokens -= saved
                self.messages[index], self._counts[index] = message, count


def _long_arguments(answers: Answers) -> Iterator[_Argument]:
    """The long arguments of answered calls, oldest first.

    What a model thought before a call is signed together with it by some providers, and others put the signature on
    the call, so where there is either the call stays as it was made.
    """
    for at in answers.asking:
        message = answers.messages[at]
        if at >= answers.newest or not isinstance(message, ModelResponse):
            continue
        if any(isinstance(part, ThinkingPart) or getattr(part, "provider_details", None) for part in message.parts):
            continue
        for part_index, part in enumerate(message.parts):
            if isinstance(part, ToolCallPart) and _may_be_edited(part):
                for name, value in (parsed_args(part.args) or {}).items():
                    if isinstance(value, str) and len(value) >= _LONG_ARGUMENT:
                        yield _Argument(at, part_index, name, value)


def _may_be_edited(part: ToolCallPart) -> bool:
    is_long = isinstance(part.args, dict) or len(part.args or "") >= _LONG_ARGUMENT
    return is_long and type(part) is ToolCallPart and part.tool_kind is None and not (part.id or part.provider_details)
