"""What each part of a message is counted as: one table, which the documentation shows too."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import cast

from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    CompactionPart,
    DocumentUrl,
    FilePart,
    ImageUrl,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    SystemPromptPart,
    TextContent,
    TextPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
    UploadedFile,
    UserPromptPart,
    VideoUrl,
)
from pydantic_core import to_json

from mamba_agents.tokens.media import media_cost

MESSAGE_TOKENS = 4
"""Role and separators of a message: 3 tokens and the role.

OpenAI's cookbook, "How to count tokens with tiktoken" (read 2026-11-24).
"""

TOOL_TOKENS = 10
"""What surrounds a call or a result, besides the tool's name.

By the layout in OpenAI's cookbook, "OpenAI harmony response format" (read 2026-11-24).
"""

FENCE_TOKENS = 30
"""The lines that pydantic-ai 2.62 puts around a summary, and around a file that it sends as text."""

SETTINGS_TOKENS = 10
"""Ours: a changed setting is a short line where a provider shows it at all."""

_FRAME_AT_MOST = 4
"""A chat template's role and separators are at most this many times those of OpenAI's."""

_SEALED_CHARACTERS_PER_TOKEN = 16 / 3
"""Sealed thoughts are base64, four characters for three bytes, and four bytes make a token."""


@dataclass(slots=True)
class Measured:
    """What is to be counted of something: texts to tokenise, and tokens that are known without."""

    texts: list[str] = field(default_factory=list[str])
    tokens: int = 0
    at_most: int = 0
    """The most that `tokens` stands for."""

    def frame(self, tokens: int) -> None:
        """Add what surrounds the texts."""
        self.tokens += tokens
        self.at_most += tokens * _FRAME_AT_MOST

    def text(self, text: str | None) -> None:
        """Add a text, if there is one."""
        if text:
            self.texts.append(text)

    def sealed(self, text: str) -> None:
        """Add thoughts that only the provider can read."""
        self.tokens += round(len(text) / _SEALED_CHARACTERS_PER_TOKEN)
        self.at_most += len(text)

    def file(self, media_type: str, data: bytes | None = None, details: object = None) -> None:
        """Add a file by its kind and by what its header tells."""
        detail = cast("dict[str, object]", details).get("detail") if isinstance(details, dict) else None
        cost = media_cost(media_type, data, detail=detail)
        self.tokens += cost.tokens
        self.at_most += cost.at_most


_FILES = (BinaryContent, ImageUrl, AudioUrl, VideoUrl, DocumentUrl, UploadedFile)

type _Count = Callable[[object, Measured], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRule:
    """A row of the table."""

    kinds: tuple[type, ...]
    """The classes it is for, and those derived from them unless they have a row of their own."""

    counted: str
    """What is counted, in words."""

    count: _Count


def measure(message: ModelMessage) -> Measured:
    """All that is to be counted of a message, without its `instructions`, which the request is counted with."""
    measured = Measured()
    if isinstance(message, ModelResponse):
        measured.frame(MESSAGE_TOKENS)
    elif not isinstance(message, ModelRequest):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(
            f"found {type(message).__name__} among the messages; expected ModelRequest or ModelResponse: "
            "count_messages takes chat dicts too"
        )
    for part in message.parts:
        rule_for(type(part)).count(part, measured)
    return measured


@cache
def rule_for(kind: type) -> PartRule:
    """The row for a class of part or of content; the last row is for all that have none."""
    return next((_ROWS[base] for base in kind.__mro__ if base in _ROWS), OTHER)


def json_text(value: object) -> str:
    """The value as the model is shown it; what JSON cannot say as its `repr`."""
    try:
        return to_json(value, by_alias=True, bytes_mode="base64", fallback=repr).decode()
    except (ValueError, TypeError, RecursionError):
        return repr(value)


def _value(value: object, measured: Measured) -> None:
    """Add what a tool returned as pydantic-ai sends it: text as it is, files as files, anything else as JSON."""
    if isinstance(value, str):
        measured.text(value)
    elif isinstance(value, _FILES):
        rule_for(type(value)).count(value, measured)
    elif files_beside := _items_with_files(value):
        for item in files_beside:
            _value(item, measured)
    elif value is not None:
        measured.text(json_text(value))


def _items_with_files(value: object) -> list[object]:
    """The items of a list that has a file among them, which pydantic-ai sends one by one."""
    items = cast("list[object]", value) if isinstance(value, list) else []
    return items if any(isinstance(item, _FILES) for item in items) else []


def _nothing(_part: object, _measured: Measured) -> None:
    pass


def _message(part: SystemPromptPart | UserPromptPart, measured: Measured) -> None:
    measured.frame(MESSAGE_TOKENS)
    content: str | Sequence[object] = part.content
    for piece in (content,) if isinstance(content, str) else content:
        if isinstance(piece, str):
            measured.text(piece)
        else:
            rule_for(type(piece)).count(piece, measured)


def _text(part: TextPart | TextContent, measured: Measured) -> None:
    measured.text(part.content)


def _thinking(part: ThinkingPart, measured: Measured) -> None:
    if part.content:
        measured.text(part.content)
    elif part.signature:
        measured.sealed(part.signature)


def _compaction(part: CompactionPart, measured: Measured) -> None:
    measured.frame(FENCE_TOKENS)
    sealed = (part.provider_details or {}).get("encrypted_content")
    if part.content:
        measured.text(part.content)
    elif isinstance(sealed, str):
        measured.sealed(sealed)


def _call(part: ToolCallPart | NativeToolCallPart, measured: Measured) -> None:
    measured.frame(TOOL_TOKENS)
    measured.text(part.tool_name)
    if part.args:
        measured.text(part.args if isinstance(part.args, str) else json_text(part.args))
    measured.at_most += len(part.tool_call_id)


def _result(part: ToolReturnPart | NativeToolReturnPart, measured: Measured) -> None:
    measured.frame(TOOL_TOKENS)
    measured.text(part.tool_name)
    _value(part.content, measured)
    measured.at_most += len(part.tool_call_id)


def _feedback(part: RetryFeedbackPart | RetryPromptPart, measured: Measured) -> None:  # pyright: ignore[reportDeprecated]
    measured.frame(MESSAGE_TOKENS)
    try:
        measured.text(part.model_response())
    except ValueError:  # what the model wrote cannot be made JSON
        measured.text(repr(part.content))


def _instruction(part: InstructionDeltaPart, measured: Measured) -> None:
    measured.frame(MESSAGE_TOKENS)
    measured.text(part.render())


def _revealed(part: ToolAvailabilityDeltaPart, measured: Measured) -> None:
    measured.frame(MESSAGE_TOKENS)
    for name in part.tools_added:
        measured.frame(TOOL_TOKENS)
        measured.text(name)


def _settings(_part: object, measured: Measured) -> None:
    measured.frame(SETTINGS_TOKENS)


def _speech(part: SpeechPart, measured: Measured) -> None:
    if part.speaker == "user":
        measured.frame(MESSAGE_TOKENS)
    if part.transcript:
        measured.text(part.transcript)
    elif part.audio is not None:
        _binary(part.audio, measured)


def _file_part(part: FilePart, measured: Measured) -> None:
    _binary(part.content, measured)


def _binary(content: BinaryContent, measured: Measured) -> None:
    if _is_text(content.media_type):
        measured.frame(FENCE_TOKENS)
        measured.text(content.data.decode("utf-8", "replace"))
    else:
        measured.file(content.media_type, content.data, content.vendor_metadata)


def _linked(content: ImageUrl | AudioUrl | VideoUrl | DocumentUrl, measured: Measured) -> None:
    measured.file(content.kind.removesuffix("-url"), details=content.vendor_metadata)


def _uploaded(content: UploadedFile, measured: Measured) -> None:
    measured.file(content.media_type, details=content.vendor_metadata)


def _other(part: object, measured: Measured) -> None:
    measured.frame(MESSAGE_TOKENS)
    content = getattr(part, "content", part)
    _value(json_text(content) if content is part else content, measured)


_TEXT_TYPES = frozenset({"json", "xml", "yaml", "x-yaml", "toml"})


def _is_text(media_type: str) -> bool:
    """Whether pydantic-ai puts a file of this type into the prompt as text."""
    main, _, sub = media_type.partition(";")[0].strip().partition("/")
    return main == "text" or sub.rpartition("+")[2] in {"json", "xml"} or (main == "application" and sub in _TEXT_TYPES)


def _row[PartT](kinds: Iterable[type[PartT]], counted: str, count: Callable[[PartT, Measured], None]) -> PartRule:
    return PartRule(kinds=tuple(kinds), counted=counted, count=cast("_Count", count))


OTHER = _row((object,), f"its `content`, or all of it as JSON, and {MESSAGE_TOKENS} tokens", _other)

PARTS: tuple[PartRule, ...] = (
    _row([SystemPromptPart], f"its text and {MESSAGE_TOKENS} tokens for role and separators", _message),
    _row([UserPromptPart], f"each piece of its content and {MESSAGE_TOKENS} tokens", _message),
    _row(
        [ToolReturnPart, NativeToolReturnPart],
        f"the tool's name, what it returned (text as text, files as files, all else as JSON) and {TOOL_TOKENS} tokens",
        _result,
    ),
    _row(
        [RetryFeedbackPart, RetryPromptPart],  # pyright: ignore[reportDeprecated]
        f"the text the model is shown and {MESSAGE_TOKENS} tokens",
        _feedback,
    ),
    _row([InstructionDeltaPart], f"the text the model is shown and {MESSAGE_TOKENS} tokens", _instruction),
    _row(
        [ToolAvailabilityDeltaPart],
        f"each tool's name and {TOOL_TOKENS} tokens, and {MESSAGE_TOKENS} tokens; the schema is the request's",
        _revealed,
    ),
    _row([ModelSettingsDeltaPart], f"{SETTINGS_TOKENS} tokens", _settings),
    _row([InstructionBaselinePart], "nothing: it is never sent", _nothing),
    _row(
        [CompactionPart],
        f"its text, or sealed content at 3 tokens for 16 characters, and {FENCE_TOKENS} tokens",
        _compaction,
    ),
    _row([TextPart, TextContent], "its text", _text),
    _row([ThinkingPart], "its text, or without text its signature at 3 tokens for 16 characters", _thinking),
    _row(
        [ToolCallPart, NativeToolCallPart],
        f"the tool's name, the arguments as JSON and {TOOL_TOKENS} tokens",
        _call,
    ),
    _row(
        [SpeechPart], f"its transcript, or else its sound; {MESSAGE_TOKENS} tokens more when the user speaks", _speech
    ),
    _row([FilePart], "the file in it", _file_part),
    _row([BinaryContent], f"text as text and {FENCE_TOKENS} tokens, all else as a file of its kind", _binary),
    _row([ImageUrl, AudioUrl, VideoUrl, DocumentUrl], "a file of its kind and unknown size", _linked),
    _row([UploadedFile], "a file of its media type and unknown size", _uploaded),
    _row([CachePoint], "nothing", _nothing),
)
"""How each part of a message and each piece of content is counted. `OTHER` is for those that have no row."""

_ROWS = {kind: rule for rule in PARTS for kind in rule.kinds}
