"""The shape of OpenAI chat-completions messages."""

from typing import Annotated, Literal, NotRequired, TypedDict

from pydantic import ConfigDict, Discriminator, with_config

# Servers add keys of their own (`name`, `annotations`, `cache_control`, …): all are allowed and kept.
_OPEN = ConfigDict(extra="allow", strict=True)


@with_config(_OPEN)
class TextContentPart(TypedDict):
    """Text."""

    type: Literal["text"]
    text: str


@with_config(_OPEN)
class RefusalContentPart(TypedDict):
    """What the model said instead of an answer."""

    type: Literal["refusal"]
    refusal: str


@with_config(_OPEN)
class MediaUrl(TypedDict):
    """A web address or a `data:` URL."""

    url: str
    detail: NotRequired[str]


@with_config(_OPEN)
class ImageContentPart(TypedDict):
    """An image."""

    type: Literal["image_url"]
    image_url: MediaUrl


@with_config(_OPEN)
class AudioUrlContentPart(TypedDict):
    """Audio behind an address; not OpenAI's, but understood by vLLM and others."""

    type: Literal["audio_url"]
    audio_url: MediaUrl


@with_config(_OPEN)
class VideoUrlContentPart(TypedDict):
    """A video; not OpenAI's, but understood by vLLM, OpenRouter and others."""

    type: Literal["video_url"]
    video_url: MediaUrl


@with_config(_OPEN)
class InputAudio(TypedDict):
    """Audio as base64, with its format (`wav`, `mp3`)."""

    data: str
    format: str


@with_config(_OPEN)
class AudioContentPart(TypedDict):
    """Audio."""

    type: Literal["input_audio"]
    input_audio: InputAudio


@with_config(_OPEN)
class ChatFile(TypedDict, total=False):
    """A file by its id at the server, or its data as a `data:` URL, base64 or an address."""

    file_id: str
    file_data: str
    filename: str


@with_config(_OPEN)
class FileContentPart(TypedDict):
    """A file."""

    type: Literal["file"]
    file: ChatFile


type UserContentPart = Annotated[
    TextContentPart | ImageContentPart | AudioUrlContentPart | VideoUrlContentPart | AudioContentPart | FileContentPart,
    Discriminator("type"),
]
"""One piece of a user message."""

type AssistantContentPart = Annotated[TextContentPart | RefusalContentPart, Discriminator("type")]
"""One piece of an assistant message."""


@with_config(_OPEN)
class ChatFunction(TypedDict):
    """What is called, with its arguments as JSON text, exactly as the model wrote it."""

    name: str
    arguments: str


@with_config(_OPEN)
class ChatToolCall(TypedDict):
    """A call of a function."""

    id: str
    type: NotRequired[Literal["function"]]
    function: ChatFunction


@with_config(_OPEN)
class SystemChatMessage(TypedDict):
    """What the application tells the model."""

    role: Literal["system", "developer"]
    content: str | list[TextContentPart]


@with_config(_OPEN)
class UserChatMessage(TypedDict):
    """What the user says."""

    role: Literal["user"]
    content: str | list[UserContentPart]


@with_config(_OPEN)
class AssistantChatMessage(TypedDict):
    """What the model answers."""

    role: Literal["assistant"]
    content: NotRequired[str | list[AssistantContentPart] | None]
    reasoning_content: NotRequired[str | None]
    refusal: NotRequired[str | None]
    tool_calls: NotRequired[list[ChatToolCall] | None]


@with_config(_OPEN)
class ToolChatMessage(TypedDict):
    """What a tool returned."""

    role: Literal["tool"]
    tool_call_id: str
    content: str | list[TextContentPart]
    name: NotRequired[str | None]


type ChatMessage = Annotated[
    SystemChatMessage | UserChatMessage | AssistantChatMessage | ToolChatMessage, Discriminator("role")
]
"""One message of a chat-completions request or response, told apart by its `role`."""
