"""Messages with some of their parts blanked, each made once in the life of the message."""

from collections.abc import Callable, Mapping, Sequence

from pydantic_ai.messages import ModelMessage, ModelRequest, ToolCallPart, ToolReturnPart

from mamba_agents.context.compaction.answers import Answers
from mamba_agents.context.compaction.copies import changed
from mamba_agents.context.compaction.receipts import receipt, shown_args, text_of, with_receipt, without_long_arg
from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.known import known_of, notes_on

_NOTE = "blanked"
"""What a message is once some of its parts are blanked: a plan is often followed by what it planned."""

_SIZES_NOTE = "sizes"
"""The tokens of each result that may be shortened, of a message that has more parts than one."""

type Sized = tuple[int, int]
"""The number of a result, and its tokens."""


class Receipts:
    """Puts receipts in the place of results."""

    def __init__(self, answers: Answers, superseded: set[int], counter: TokenCounter) -> None:
        self._answers = answers
        self._superseded = superseded
        self._counter = counter

    def tokens_among_others(self, number: int) -> int:
        """The tokens of a result that has other parts beside it."""
        at, counter = self._answers.at[number], self._counter
        if not counter.config.cache_tokenizer:
            return counter.count(text_of(self._answers.results[number]))
        message, how = self._answers.messages[at], (counter.get_encoding_for_model(None), counter.factor())
        notes = known_of(message).notes
        known: tuple[object, Mapping[int, int]] | None = notes.get(_SIZES_NOTE)
        if known is None or known[0] != how:
            parts = {place: message.parts[place] for place in self._answers.places(at)}
            texts = [text_of(part) for part in parts.values() if isinstance(part, ToolReturnPart)]
            known = notes[_SIZES_NOTE] = how, dict(zip(parts, counter.count_batch(texts), strict=True))
        return known[1][self._answers.part_index[number]]

    def alone(self, chosen: Sequence[Sized]) -> list[ModelMessage]:
        """The messages of these results, each of which is all there is in its message."""
        answers, made = self._answers, list[ModelMessage]()
        fresh, parts = list[ModelMessage](), list[ToolReturnPart]()
        messages = [answers.messages[answers.at[number]] for number, _ in chosen]
        for (number, tokens), message, notes in zip(chosen, messages, notes_on(messages), strict=True):
            how = answers.calls[number], number in self._superseded, tokens
            known: tuple[object, ModelMessage] | None = notes.get(_NOTE)
            if known is None or known[0] != how:
                part = self._blanked(number, tokens)
                known = notes[_NOTE] = how, changed(message, parts=[part])
                fresh.append(known[1])
                parts.append(part)
            made.append(known[1])
        self._count(fresh, parts)
        return made

    def among_others(self, message: ModelMessage, chosen: Sequence[Sized]) -> ModelMessage:
        """The message with these of its results blanked."""
        how = tuple((self._answers.calls[number], number in self._superseded, tokens) for number, tokens in chosen)
        return _remembered(message, how, lambda: self._among_others(message, chosen))

    def _among_others(self, message: ModelMessage, chosen: Sequence[Sized]) -> ModelMessage:
        parts = list(message.parts)
        for number, tokens in chosen:
            at = self._answers.part_index[number]
            parts[at] = self._blanked(number, tokens)
        return changed(message, parts=parts)

    def _blanked(self, number: int, tokens: int) -> ToolReturnPart:
        result, args = self._answers.results[number], shown_args(self._answers.calls[number])
        superseded = number in self._superseded
        return with_receipt(result, receipt(result.tool_name, args, text_of(result), tokens, superseded=superseded))

    def _count(self, made: Sequence[ModelMessage], parts: Sequence[ToolReturnPart]) -> None:
        """Keep what the messages cost, told from their receipts alone, which takes a third of the time.

        Where counts are not kept, or multiplied by a factor and rounded, that is left to the counter.
        """
        if not self._counter.config.cache_tokenizer or self._counter.factor() != 1.0:
            return
        encoding = self._counter.get_encoding_for_model(None)
        counts = self._counter.count_batch(list(map(text_of, parts)))
        beside = {name: self._beside(name) for name in {part.tool_name for part in parts}}
        for message, part, tokens in zip(made, parts, counts, strict=True):
            known = known_of(message)
            known.tokens, known.encoding = beside[part.tool_name] + tokens, encoding

    def _beside(self, tool_name: str) -> int:
        """What a message with one result costs beside the text of it."""
        return self._counter.count_messages([ModelRequest(parts=[ToolReturnPart(tool_name, "", tool_call_id="")])])


def without_argument(message: ModelMessage, part_index: int, name: str, tokens: int) -> ModelMessage:
    """The message with an argument of a call blanked that has so many tokens."""

    def made() -> ModelMessage:
        parts = list(message.parts)
        part = parts[part_index]
        if isinstance(part, ToolCallPart):
            parts[part_index] = without_long_arg(part, name, tokens)
        return changed(message, parts=parts)

    return _remembered(message, (part_index, name, tokens), made)


def _remembered(message: ModelMessage, how: object, make: Callable[[], ModelMessage]) -> ModelMessage:
    notes = known_of(message).notes
    known: tuple[object, ModelMessage] | None = notes.get(_NOTE)
    if known is None or known[0] != how:
        known = notes[_NOTE] = how, make()
    return known[1]
