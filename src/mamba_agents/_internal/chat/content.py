"""The pieces of a user message, from native content to chat content parts and back."""

import base64
import logging
import mimetypes
import re

from pydantic_ai.messages import (
    AudioUrl,
    BinaryContent,
    CachePoint,
    DocumentUrl,
    ImageUrl,
    TextContent,
    UploadedFile,
    UserContent,
    VideoUrl,
)

from mamba_agents._internal.chat.types import ChatFile, InputAudio, MediaUrl, UserContentPart

# Parts that no model sees, of versions after 2.62: this one is in 2.68.
_NEVER_SENT = frozenset({"CapabilityLoadDeltaPart"})

_logger = logging.getLogger(__name__)
_URL = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
# The two audio formats OpenAI takes are named unlike their media types.
_AUDIO_TYPES = {"mp3": "audio/mpeg", "wav": "audio/wav"}
_AUDIO_FORMATS = {media_type: name for name, media_type in _AUDIO_TYPES.items()} | {"audio/x-wav": "wav"}


def to_chat_part(item: UserContent) -> UserContentPart | None:
    """Give the content part that says the same, or None for a cache point, which chat messages cannot say."""
    match item:
        case str():
            return {"type": "text", "text": item}
        case TextContent():
            return {"type": "text", "text": item.content}
        case ImageUrl():
            return {"type": "image_url", "image_url": _media_url(item.url, item.vendor_metadata)}
        case AudioUrl():
            return {"type": "audio_url", "audio_url": {"url": item.url}}
        case VideoUrl():
            return {"type": "video_url", "video_url": {"url": item.url}}
        case DocumentUrl():
            return {"type": "file", "file": {"file_data": item.url}}
        case BinaryContent():
            return _binary_part(item)
        case UploadedFile():
            return {"type": "file", "file": {"file_id": item.file_id}}
        case CachePoint():
            return None
        case _:
            return warn_left_out(item)


def warn_left_out(said: object) -> None:
    """Tell the log of something that a later pydantic-ai can say and chat messages, as far as known here, cannot."""
    if type(said).__name__ not in _NEVER_SENT:
        _logger.warning("Chat messages have no place for a %s; it was left out.", type(said).__name__)


def from_chat_part(part: UserContentPart) -> UserContent:
    """Give the native content that says the same; raise `ValueError` for data that is not base64."""
    match part["type"]:
        case "text":
            return part["text"]
        case "image_url":
            return _image(part["image_url"])
        case "audio_url":
            return AudioUrl(part["audio_url"]["url"])
        case "video_url":
            return _data_url_content(part["video_url"]["url"], "video/") or VideoUrl(part["video_url"]["url"])
        case "input_audio":
            return _audio(part["input_audio"])
        case "file":
            return _file(part["file"])


def _media_url(url: str, vendor_metadata: dict[str, object] | None) -> MediaUrl:
    detail = (vendor_metadata or {}).get("detail")
    return {"url": url, "detail": detail} if isinstance(detail, str) else {"url": url}


def _binary_part(content: BinaryContent) -> UserContentPart:
    if content.is_image:
        return {"type": "image_url", "image_url": _media_url(content.data_uri, content.vendor_metadata)}
    if content.is_audio:
        audio_format = _AUDIO_FORMATS.get(content.media_type) or content.media_type.removeprefix("audio/")
        return {"type": "input_audio", "input_audio": {"data": content.base64, "format": audio_format}}
    if content.is_video:
        return {"type": "video_url", "video_url": {"url": content.data_uri}}
    filename = content.identifier + (mimetypes.guess_extension(content.media_type) or ".bin")
    return {"type": "file", "file": {"file_data": content.data_uri, "filename": filename}}


def _image(image: MediaUrl) -> UserContent:
    vendor_metadata = {"detail": image["detail"]} if "detail" in image else None
    content = _data_url_content(image["url"], "image/")
    if content is None:
        return ImageUrl(image["url"], vendor_metadata=vendor_metadata)
    content.vendor_metadata = vendor_metadata
    return content


def _audio(audio: InputAudio) -> UserContent:
    media_type = _AUDIO_TYPES.get(audio["format"]) or f"audio/{audio['format']}"
    if _URL.match(audio["data"]):
        return _data_url_content(audio["data"], "audio/") or AudioUrl(audio["data"], media_type=media_type)
    return BinaryContent.narrow_type(BinaryContent(_decoded(audio["data"]), media_type=media_type))


def _file(file: ChatFile) -> UserContent:
    if "file_id" in file:
        return UploadedFile(file["file_id"], "openai")
    if "file_data" not in file:
        raise ValueError(f"found a file with only the keys {sorted(file)}, expected file_id or file_data")
    data = file["file_data"]
    if _URL.match(data):
        return _data_url_content(data, "") or DocumentUrl(data)
    media_type, _ = mimetypes.guess_type(file.get("filename", ""))
    return BinaryContent(_decoded(data), media_type=media_type or "application/octet-stream")


def _data_url_content(url: str, media_type: str) -> BinaryContent | None:
    """Give the bytes in a `data:` URL of this kind, or None where the same URL could not be made of them again."""
    try:
        content = BinaryContent.from_data_uri(url)
    except ValueError:
        return None
    return content if content.data_uri == url and content.media_type.startswith(media_type) else None


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:
        raise ValueError("found data that is not base64, expected base64 or an address") from None
