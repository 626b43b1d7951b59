"""What each part of a message is counted as, and that the table has a row for all of them."""

import io
import struct
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args, get_origin

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import (
    MULTI_MODAL_CONTENT_TYPES,
    AudioUrl,
    BinaryContent,
    BinaryImage,
    CachePoint,
    CompactionPart,
    DocumentUrl,
    FilePart,
    ImageUrl,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryInfo,
    SpeechPart,
    StructuredContent,
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

from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.media import image_size, media_cost
from mamba_agents.tokens.parts import MESSAGE_TOKENS, OTHER, PARTS, TOOL_TOKENS, json_text, measure, rule_for

COUNTER = TokenCounter(model="gpt-4o")
DOCS = Path(__file__).parents[2] / "docs" / "tokens.md"


def members(union: object) -> Iterator[type]:
    if isinstance(union, type):
        yield union
    for inner in get_args(union)[:1] if get_origin(union) is Annotated else get_args(union):
        yield from members(inner)


def request(*parts: ModelRequestPart) -> int:
    return COUNTER.count_messages([ModelRequest(parts=list(parts))])


def response(*parts: ModelResponsePart) -> int:
    return COUNTER.count_messages([ModelResponse(parts=list(parts))]) - MESSAGE_TOKENS


def returned(content: object) -> int:
    return request(ToolReturnPart("look", content, "id")) - TOOL_TOKENS - COUNTER.count("look")


def png(width: int, height: int, padding: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + bytes(5 + padding)


@pytest.mark.parametrize("kind", sorted({*members(ModelRequestPart), *members(ModelResponsePart)}, key=str), ids=str)
def test_every_part_of_pydantic_ai_has_a_row(kind: type) -> None:
    assert rule_for(kind) is not OTHER


@pytest.mark.parametrize("kind", [*MULTI_MODAL_CONTENT_TYPES, TextContent, StructuredContent, CachePoint, BinaryImage])
def test_every_piece_of_content_has_a_row(kind: type) -> None:
    assert rule_for(kind) is not OTHER


def test_the_documentation_shows_this_table() -> None:
    rows = [f"| {', '.join(f'`{kind.__name__}`' for kind in rule.kinds)} | {rule.counted} |" for rule in PARTS]
    rows.append(f"| anything else | {OTHER.counted} |")
    assert "\n".join(rows) in DOCS.read_text()


def test_a_part_that_later_versions_bring_is_counted_by_its_content() -> None:
    @dataclass
    class LaterPart:
        content: str
        part_kind: str = "later"

    @dataclass
    class SilentPart:
        value: int = 7

    message = ModelRequest(parts=[LaterPart("hello world")])  # type: ignore[list-item]
    assert COUNTER.count_messages([message]) == 2 + MESSAGE_TOKENS
    message = ModelRequest(parts=[SilentPart()])  # type: ignore[list-item]
    assert COUNTER.count_messages([message]) == COUNTER.count('{"value":7}') + MESSAGE_TOKENS


def test_prompts_are_their_text_and_a_frame() -> None:
    assert request(SystemPromptPart("hello world")) == 2 + MESSAGE_TOKENS
    assert request(UserPromptPart("hello world")) == 2 + MESSAGE_TOKENS
    assert request(UserPromptPart("")) == MESSAGE_TOKENS
    pieces = ["hello world", TextContent("hello world", metadata="not sent"), CachePoint()]
    assert request(UserPromptPart(pieces)) == 4 + MESSAGE_TOKENS
    shown = StructuredContent({"open": ["a.txt"]}, tag="state")
    assert request(UserPromptPart([shown])) == COUNTER.count(shown.content) + MESSAGE_TOKENS


def test_a_later_request_does_not_pay_for_earlier_instructions() -> None:
    with_instructions = ModelRequest(parts=[UserPromptPart("hello world")], instructions="Be brief. " * 50)
    assert COUNTER.count_messages([with_instructions]) == 2 + MESSAGE_TOKENS


def test_replies_are_their_text() -> None:
    assert response(TextPart("hello world")) == 2
    assert response(TextPart(""), TextPart("hello world")) == 2
    assert response() == 0
    assert response(ThinkingPart("hello world", signature="c2lnbmVk" * 50, provider_name="anthropic")) == 2
    assert response(ThinkingPart("", signature="c2lnbmVk" * 20, provider_name="openai")) == 30
    assert response(ThinkingPart("")) == 0


@pytest.mark.parametrize("call", [ToolCallPart, NativeToolCallPart])
def test_a_call_is_its_name_and_its_arguments(call: type[ToolCallPart]) -> None:
    frame = TOOL_TOKENS + COUNTER.count("look")
    assert response(call("look")) == response(call("look", {})) == response(call("look", "")) == frame
    assert response(call("look", {"at": "sky"})) == frame + COUNTER.count('{"at":"sky"}')
    assert response(call("look", '{"at": "sk')) == frame + COUNTER.count('{"at": "sk')


def test_what_a_tool_returned_is_counted_as_it_is_sent() -> None:
    class Found(BaseModel):
        name: str

    @dataclass
    class Place:
        x: int

    assert returned(None) == 0
    assert returned("hello world") == 2
    for content, sent in [
        (["a", "b"], '["a","b"]'),
        ({"n": [1, None]}, '{"n":[1,null]}'),
        (Found(name="x"), '{"name":"x"}'),
        (Place(3), '{"x":3}'),
        (False, "false"),
    ]:
        part = ToolReturnPart("look", content, "id")
        assert part.model_response_str() == sent
        assert returned(content) == COUNTER.count(sent)
    native = NativeToolReturnPart("look", {"n": 1}, "id")
    assert response(native) == TOOL_TOKENS + COUNTER.count("look") + COUNTER.count('{"n":1}')


def test_files_among_what_a_tool_returned_are_files() -> None:
    image = BinaryImage(png(280, 280), media_type="image/png")
    assert returned(image) == 100
    assert returned(["hello world", image, {"n": 1}]) == 2 + 100 + COUNTER.count('{"n":1}')


def test_what_json_cannot_say_is_counted_all_the_same() -> None:
    circle: list[object] = []
    circle.append(circle)
    for content in ({"lone": "\ud800"}, circle, {1, 2}, object()):
        assert returned(content) == COUNTER.count(json_text(content)) > 0
        assert measure(ModelRequest(parts=[ToolReturnPart("look", content, "id")])).texts[1]


def test_the_other_parts() -> None:
    feedback = RetryFeedbackPart("Say it in French.", retry=RetryInfo(cause="model_retry"))
    assert request(feedback) == MESSAGE_TOKENS + COUNTER.count(feedback.model_response())
    sealed = CompactionPart(provider_name="openai", provider_details={"encrypted_content": "x" * 160})
    assert (response(CompactionPart("hello world")), response(sealed), response(CompactionPart())) == (32, 60, 30)
    changed = InstructionDeltaPart(id=None, content="Be brief.")
    assert request(changed) == MESSAGE_TOKENS + COUNTER.count(changed.render())
    assert request(ToolAvailabilityDeltaPart(tools_added=["a", "b"])) == MESSAGE_TOKENS + 2 * (TOOL_TOKENS + 1)
    assert request(ModelSettingsDeltaPart(settings={"thinking": "high"})) == 10
    assert request(InstructionBaselinePart(instructions=[])) == 0


def test_speech_is_its_transcript_or_else_its_sound() -> None:
    sound = BinaryContent(wav(2), media_type="audio/wav")
    assert response(SpeechPart(speaker="assistant", transcript="hello world", audio=sound)) == 2
    assert response(SpeechPart(speaker="assistant", audio=sound)) == 64
    assert response(SpeechPart(speaker="assistant")) == 0
    assert request(SpeechPart(speaker="user", transcript="hello world")) == 2 + MESSAGE_TOKENS


def wav(seconds: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8_000)
        sound.writeframes(bytes(16_000 * seconds))
    return file.getvalue()


def jpeg(width: int, height: int) -> bytes:
    comment = b"\xff\xfe\0\x04hi"
    return (
        b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(10) + comment + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width)
    )


IMAGES = {
    "png": png(640, 480),
    "gif": b"GIF89a" + struct.pack("<HH", 640, 480),
    "jpeg": jpeg(640, 480),
    "webp-lossy": b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480 | 1 << 14),
    "webp-lossless": b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", 639 | 479 << 14),
    "webp-extended": b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (639).to_bytes(3, "little") + (479).to_bytes(3, "little"),
}


@pytest.mark.parametrize("data", IMAGES.values(), ids=IMAGES)
def test_the_header_of_an_image_tells_its_size(data: bytes) -> None:
    assert image_size(data) == (640, 480)
    for end in range(len(data)):
        assert image_size(data[:end]) in {None, (640, 480)}, "a file that was cut off raises nothing"


def test_an_image_costs_by_its_pixels_and_never_by_its_bytes() -> None:
    small, padded = png(1_000, 1_000), png(1_000, 1_000, padding=1_000_000)
    costs = {response(FilePart(BinaryImage(data, media_type="image/png"))) for data in (small, padded)}
    assert costs == {36 * 36}
    assert media_cost("image/png", png(8_000, 6_000)).tokens == 1_568
    assert media_cost("image/png", png(8_000, 6_000)).at_most == 4_784
    assert media_cost("image/tiff", b"II*\0").tokens == media_cost("image/png").tokens == 1_568
    assert media_cost("image/png", png(0, 0)).tokens == 1_568
    low = BinaryImage(small, media_type="image/png", vendor_metadata={"detail": "low"})
    assert request(UserPromptPart([low])) == 85 + MESSAGE_TOKENS


def test_sounds_videos_and_documents_cost_by_their_length_or_a_stated_guess() -> None:
    assert media_cost("audio/wav", wav(3)).tokens == 96
    assert media_cost("audio/wav", b"RIFF\0\0\0\0WAVE").tokens == 1
    assert media_cost("audio/mpeg", bytes(160_000)).tokens == 320
    assert media_cost("video/mp4", bytes(1_250_000)).tokens == 2_630
    assert media_cost("application/pdf", b"%PDF-1.7 /Type /Pages /Type /Page /Type/Page\n").tokens == 4_800
    assert media_cost("application/pdf", bytes(60_000)).tokens == 4_800


@pytest.mark.parametrize(
    ("content", "tokens"),
    [
        (ImageUrl("https://example.com/a.png"), 1_568),
        (AudioUrl("https://example.com/a.mp3"), 1_920),
        (VideoUrl("https://example.com/a.mp4"), 15_780),
        (DocumentUrl("https://example.com/a.pdf"), 9_600),
        (UploadedFile("file-1", "openai", media_type="image/png"), 1_568),
        (UploadedFile("file-1", "openai"), 9_600),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_file_elsewhere_costs_the_default_of_its_kind(content: ImageUrl, tokens: int) -> None:
    assert request(UserPromptPart([content])) == tokens + MESSAGE_TOKENS


@pytest.mark.parametrize("media_type", ["text/csv", "application/json", "image/svg+xml", "application/yaml"])
def test_a_file_of_text_is_sent_as_text(media_type: str) -> None:
    text = "one,two\n" * 50
    content = BinaryContent(text.encode(), media_type=media_type)
    assert request(UserPromptPart([content])) == COUNTER.count(text) + 30 + MESSAGE_TOKENS


def test_a_response_pays_for_one_frame_and_a_request_for_one_a_part() -> None:
    messages: list[ModelMessage] = [
        ModelResponse(parts=[TextPart("hello world"), TextPart("hello world")]),
        ModelRequest(parts=[UserPromptPart("hello world"), UserPromptPart("hello world")]),
    ]
    assert COUNTER.message_counts(messages) == [4 + MESSAGE_TOKENS, 4 + 2 * MESSAGE_TOKENS]
