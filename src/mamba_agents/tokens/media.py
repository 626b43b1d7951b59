"""What images, sounds, videos and documents cost, by figures that providers state. Never by the size of a picture."""

import io
import math
import re
import struct
import wave
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaCost:
    """The tokens of one file."""

    tokens: int
    at_most: int
    """What the dearest provider asks, as far as the file tells its size."""


# platform.claude.com/docs/en/build-with-claude/vision, read 2026-11-24: a patch of 28 × 28 pixels is a token, a larger
# image is scaled to 1,568 tokens, or 4,784 for the models that see more. OpenAI's figures for the same images are
# about as high (512-pixel tiles of 170 tokens and 85 on top, or 32-pixel patches up to 1,536), Gemini's lower.
PATCH_PIXELS = 28
IMAGE_TOKENS = 1_568
DEAREST_IMAGE_TOKENS = 4_784
LOW_DETAIL_TOKENS = 85  # platform.openai.com/docs/guides/images-vision, read 2026-11-24

# ai.google.dev/gemini-api/docs/tokens, read 2026-11-24; OpenAI hears a second in 10 tokens.
AUDIO_TOKENS_PER_SECOND = 32
VIDEO_TOKENS_PER_SECOND = 263

# platform.claude.com/docs/en/build-with-claude/pdf-support, read 2026-11-24: 1,500 to 3,000 tokens of text a page, and
# an image of it. A page of plain text was measured at 2,347 tokens on Claude and at 561 on Gemini
# (huggingface.co/datasets/JOHNISKING/pdf-token-cost, read 2026-11-24).
PAGE_TOKENS = 2_400
DEAREST_PAGE_TOKENS = 3_000 + DEAREST_IMAGE_TOKENS

# Where a file does not tell its length, ours, by what such files usually have.
UNKNOWN_SECONDS = 60
UNKNOWN_PAGES = 4
AUDIO_BYTES_PER_SECOND = 16_000  # MP3 at 128 kbit/s
VIDEO_BYTES_PER_SECOND = 125_000  # 1 Mbit/s
BYTES_PER_PAGE = 50_000
_DOUBT = 4  # a guess may be this many times too low

_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")


def media_cost(media_type: str, data: bytes | None = None, *, detail: object = None) -> MediaCost:
    """What a file of this type costs, by what its header tells, or by the default when there is nothing to read."""
    match media_type.partition("/")[0]:
        case "image":
            return _image_cost(data, detail)
        case "audio":
            return _timed_cost(_seconds(data), data, AUDIO_BYTES_PER_SECOND, AUDIO_TOKENS_PER_SECOND)
        case "video":
            return _timed_cost(None, data, VIDEO_BYTES_PER_SECOND, VIDEO_TOKENS_PER_SECOND)
        case _:
            return _document_cost(data)


def _image_cost(data: bytes | None, detail: object) -> MediaCost:
    size = image_size(data) if data else None
    if size is None:
        tokens, at_most = IMAGE_TOKENS, DEAREST_IMAGE_TOKENS
    else:
        patches = math.ceil(size[0] / PATCH_PIXELS) * math.ceil(size[1] / PATCH_PIXELS)
        tokens, at_most = min(patches, IMAGE_TOKENS), min(max(patches, LOW_DETAIL_TOKENS * 9), DEAREST_IMAGE_TOKENS)
    return MediaCost(tokens=LOW_DETAIL_TOKENS if detail == "low" else tokens, at_most=at_most)


def _timed_cost(seconds: float | None, data: bytes | None, bytes_per_second: int, per_second: int) -> MediaCost:
    if seconds is not None:
        tokens = math.ceil(seconds * per_second)
        return MediaCost(tokens=tokens, at_most=tokens)
    guessed = len(data) / bytes_per_second if data else UNKNOWN_SECONDS
    tokens = math.ceil(guessed * per_second)
    return MediaCost(tokens=tokens, at_most=tokens * _DOUBT)


def _document_cost(data: bytes | None) -> MediaCost:
    if data and (pages := len(_PDF_PAGE.findall(data))):
        return MediaCost(tokens=pages * PAGE_TOKENS, at_most=pages * DEAREST_PAGE_TOKENS)
    pages = math.ceil(len(data) / BYTES_PER_PAGE) if data else UNKNOWN_PAGES
    return MediaCost(tokens=pages * PAGE_TOKENS, at_most=pages * DEAREST_PAGE_TOKENS * _DOUBT)


def _seconds(data: bytes | None) -> float | None:
    """How long a WAV file plays."""
    if not data or not data.startswith(b"RIFF"):
        return None
    try:
        with wave.open(io.BytesIO(data)) as sound:
            return sound.getnframes() / sound.getframerate()
    except (wave.Error, EOFError, ZeroDivisionError):
        return None


def image_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels, from the header of a PNG, GIF, JPEG or WebP file; None for what tells neither."""
    try:
        if data.startswith(b"\x89PNG\r\n\x1a\n"):
            size = struct.unpack_from(">II", data, 16)
        elif data.startswith((b"GIF87a", b"GIF89a")):
            size = struct.unpack_from("<HH", data, 6)
        elif data.startswith(b"\xff\xd8"):
            size = _jpeg_size(data)
        elif data.startswith(b"RIFF") and data[8:12] == b"WEBP":
            size = _webp_size(data)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return size if size and all(size) else None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Go from segment to segment up to the one that starts a frame (ITU-T T.81, B.1.1.3)."""
    at = 2
    while data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in {0x01, *range(0xD0, 0xD9)}:  # segments without a length
            at += 2
        elif 0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC}:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp_size(data: bytes) -> tuple[int, int] | None:
    """Read the first chunk, of which there are three kinds (RFC 9649)."""
    match data[12:16]:
        case b"VP8X":
            low, high, height_low, height_high = struct.unpack_from("<HBHB", data, 24)
            return (low | high << 16) + 1, (height_low | height_high << 16) + 1
        case b"VP8L":
            bits = struct.unpack_from("<I", data, 21)[0]
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            width, height = struct.unpack_from("<HH", data, 26)
            return width & 0x3FFF, height & 0x3FFF
        case _:
            return None
