"""What a request carries beside its messages: instructions, tools and the shape of the output."""

from collections.abc import Iterator
from itertools import chain

from pydantic_ai.models import ModelRequestParameters

from mamba_agents.tokens.encodings import Tokenizer, byte_length
from mamba_agents.tokens.parts import json_text

REPLY_TOKENS = 3
"""Every reply is begun with three tokens (OpenAI's cookbook, "How to count tokens with tiktoken", 2026-11-24)."""

SCHEMA_TOKENS = 8
"""What surrounds a tool's name, description and schema; ours, as each provider writes them its own way."""

NATIVE_TOOL_TOKENS = 350
"""A provider's own tool; Claude's prompt for using tools has 313 to 346 tokens

(platform.claude.com/docs/en/build-with-claude/tool-use, read 2026-11-24).
"""

_AT_MOST = 4
_LARGEST = 1_024

type _Schema = tuple[str | None, str | None, dict[str, object]]
type _Piece = str | _Schema


class RequestCounts:
    """Counts of instructions and schemas; keeps them, since each request of a run carries the same."""

    def __init__(self, *, keep: bool) -> None:
        self._keep = keep
        self._bounds: dict[object, tuple[int, _Piece]] = {}
        self._counts: dict[object, tuple[int, _Piece]] = {}

    def count(self, parameters: ModelRequestParameters, encoding: str, tokenizer: Tokenizer) -> int:
        """The tokens of all that the parameters put into the request."""
        return sum(
            (self._count(piece, encoding, tokenizer) for piece in _pieces(parameters)),
            start=REPLY_TOKENS + NATIVE_TOOL_TOKENS * len(parameters.native_tools),
        )

    def upper_bound(self, parameters: ModelRequestParameters) -> int:
        """More tokens than that, by bytes."""
        total = (REPLY_TOKENS + NATIVE_TOOL_TOKENS * len(parameters.native_tools)) * _AT_MOST
        for piece in _pieces(parameters):
            if isinstance(piece, str):
                total += byte_length(piece)
            elif (known := self._bounds.get(key := _key(piece))) is not None:
                total += known[0]
            else:
                bound = SCHEMA_TOKENS * _AT_MOST + sum(map(byte_length, _texts(piece)))
                self._put(self._bounds, key, bound, piece)
                total += bound
        return total

    def _count(self, piece: _Piece, encoding: str, tokenizer: Tokenizer) -> int:
        key = (encoding, _key(piece))
        if (known := self._counts.get(key)) is not None:
            return known[0]
        texts = [piece] if isinstance(piece, str) else _texts(piece)
        tokens = sum(map(tokenizer.count, texts)) + (0 if isinstance(piece, str) else SCHEMA_TOKENS)
        self._put(self._counts, key, tokens, piece)
        return tokens

    def _put(self, known: dict[object, tuple[int, _Piece]], key: object, tokens: int, piece: _Piece) -> None:
        """Keep a count and what it is of, so that no other schema can take its identity."""
        if not self._keep:
            return
        if len(known) >= _LARGEST:  # instructions that differ each time would fill it for ever
            known.clear()
        known[key] = (tokens, piece)


def _pieces(parameters: ModelRequestParameters) -> Iterator[_Piece]:
    hidden = parameters.instruction_visibility
    for part in parameters.instruction_parts or ():
        if hidden is None or parameters.instruction_visibility_of(part) == "prefix":
            yield part.content
    revealed = parameters.revealed_tool_names
    for tool in chain(parameters.function_tools, parameters.output_tools):
        if tool.defer_loading and tool.name not in revealed and parameters.visibility_of(tool.name) == "withheld":
            continue
        yield tool.name, tool.description, tool.parameters_json_schema
    if output := parameters.output_object:
        yield output.name, output.description, output.json_schema
        if parameters.prompted_output_template:
            yield parameters.prompted_output_template


def _key(piece: _Piece) -> object:
    """Tell schemas apart by identity: pydantic-ai makes the tool's definition anew each time, not its schema."""
    return piece if isinstance(piece, str) else (piece[0], piece[1], id(piece[2]))


def _texts(schema: _Schema) -> list[str]:
    return [schema[0] or "", schema[1] or "", json_text(schema[2])]
