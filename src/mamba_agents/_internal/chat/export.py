"""What native messages say, in chat messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic_ai.messages import (
    BaseToolCallPart,
    BaseToolReturnPart,
    CompactionPart,
    FilePart,
    InstructionBaselinePart,
    InstructionDeltaPart,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    ModelSettingsDeltaPart,
    NativeToolCallPart,
    NativeToolReturnPart,
    RetryFeedbackPart,
    RetryPromptPart,  # pyright: ignore[reportDeprecated]
    SpeechPart,
    SystemPromptPart,
    TextPart,
    ThinkingPart,
    ToolAvailabilityDeltaPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
)

from mamba_agents._internal.chat.content import to_chat_part, warn_left_out
from mamba_agents._internal.chat.json_text import json_text, marked
from mamba_agents._internal.chat.types import (
    AssistantChatMessage,
    ChatMessage,
    ChatToolCall,
    ToolChatMessage,
    UserChatMessage,
    UserContentPart,
)


def request_part_messages(part: ModelRequestPart, tool_names: Mapping[str, str]) -> list[ChatMessage]:
    """Give the message that says what the part says, then a user message with the files a tool returned.

    Empty for parts that say nothing to the model. `tool_names` holds the tool behind each call so far.
    """
    match part:
        case SystemPromptPart():
            return [{"role": "system", "content": part.content}]
        case UserPromptPart():
            return [_user(part.content)]
        case ToolReturnPart():
            return _returned(part, tool_names)
        case RetryPromptPart():  # pyright: ignore[reportDeprecated]
            return [_retried(part)]
        case RetryFeedbackPart():
            # Unframed feedback is the application's own voice; framed feedback quotes what the model wrote.
            text = json_text(part, lambda said: said.model_response())
            return [{"role": "system", "content": text} if text == part.content else _user(text)]
        case SpeechPart():
            return _spoken(part)
        case CompactionPart():
            return _summary(part)
        case InstructionDeltaPart():
            return [{"role": "system", "content": part.render()}]
        case InstructionBaselinePart() | ToolAvailabilityDeltaPart() | ModelSettingsDeltaPart():
            return []
        case _:
            warn_left_out(part)
            return []


def response_messages(response: ModelResponse) -> list[ChatMessage]:
    """Give the assistant message of the response: several where tools ran at the provider, each with its results."""
    draft = _Draft()
    for part in response.parts:
        draft.add(part)
    refusal = (response.provider_details or {}).get("refusal")
    return draft.finish(refusal if isinstance(refusal, str) else None)


@dataclass
class _Draft:
    """Chat messages under construction.

    A call must be followed by its results at once, so a result ends the assistant message it answers, and calls
    that wait for the application go into the last one.
    """

    texts: list[str] = field(default_factory=list[str])
    thoughts: list[str] = field(default_factory=list[str])
    calls: list[ChatToolCall] = field(default_factory=list[ChatToolCall])
    results: list[ToolChatMessage] = field(default_factory=list[ToolChatMessage])
    open_calls: list[ChatToolCall] = field(default_factory=list[ChatToolCall])
    done: list[ChatMessage] = field(default_factory=list[ChatMessage])

    def add(self, part: ModelResponsePart) -> None:
        match part:
            case NativeToolReturnPart():
                # Its files were shown to the model by the provider; only the text has a place here.
                text = json_text(part, lambda said: said.model_response_str())
                self.results.append(_tool(part, text, self._names()))
            case ToolCallPart():
                self.open_calls.append(_call(part))
            case _ if self.results:
                self._close()
                self.add(part)
            case NativeToolCallPart():
                self.calls.append(_call(part))
            case TextPart() | SpeechPart():
                self.texts.append(part.content)
            case ThinkingPart():
                self.thoughts.append(part.content)
            case CompactionPart():
                self._close()
                self.done.extend(_summary(part))
            case FilePart():
                pass  # an assistant message holds text only
            case _:
                warn_left_out(part)

    def finish(self, refusal: str | None) -> list[ChatMessage]:
        if self.results:
            self._close()
        self.calls.extend(self.open_calls)
        if refusal or not self.done:
            self.done.append(self._assistant(refusal))
        else:
            self._close()
        return self.done

    def _close(self) -> None:
        if self.texts or self.thoughts or self.calls:
            self.done.append(self._assistant(None))
        self.done.extend(self.results)
        self.texts, self.thoughts, self.calls, self.results = [], [], [], []

    def _assistant(self, refusal: str | None) -> AssistantChatMessage:
        message: AssistantChatMessage = {"role": "assistant", "content": None if self.calls or refusal else ""}
        if len(self.texts) == 1:
            message["content"] = self.texts[0]
        elif self.texts:
            message["content"] = [{"type": "text", "text": text} for text in self.texts]
        if thinking := "\n\n".join(thought for thought in self.thoughts if thought):
            message["reasoning_content"] = thinking
        if refusal:
            message["refusal"] = refusal
        if self.calls:
            message["tool_calls"] = self.calls
        return message

    def _names(self) -> dict[str, str]:
        return {call["id"]: call["function"]["name"] for call in self.calls}


def _call(part: BaseToolCallPart) -> ChatToolCall:
    # The model's own text is kept, also where it is not JSON; `args_as_json_str` would write it anew.
    arguments = part.args if isinstance(part.args, str) else json_text(part, lambda said: said.args_as_json_str())
    return {
        "id": part.tool_call_id,
        "type": "function",
        "function": {"name": part.tool_name, "arguments": arguments},
    }


def _returned(part: ToolReturnPart, tool_names: Mapping[str, str]) -> list[ChatMessage]:
    text = json_text(part, lambda said: said.model_response_str_and_user_content()[0])
    files = marked(part).model_response_str_and_user_content()[1] if part.files else []
    return [_tool(part, text, tool_names), *([_user(files)] if files else [])]


def _tool(part: BaseToolReturnPart, text: str, tool_names: Mapping[str, str]) -> ToolChatMessage:
    """Give a result, with the tool's name only where no call tells it."""
    message: ToolChatMessage = {"role": "tool", "tool_call_id": part.tool_call_id, "content": text}
    if tool_names.get(part.tool_call_id) != part.tool_name:
        message["name"] = part.tool_name
    return message


def _retried(part: RetryPromptPart) -> ChatMessage:  # pyright: ignore[reportDeprecated]
    text = json_text(part, lambda said: said.model_response())
    if part.tool_name is None:
        return {"role": "user", "content": text}
    return {"role": "tool", "tool_call_id": part.tool_call_id, "content": text}


def _user(content: str | Sequence[UserContent]) -> UserChatMessage:
    if isinstance(content, str):
        return {"role": "user", "content": content}
    parts: list[UserContentPart] = [part for item in content if (part := to_chat_part(item)) is not None]
    return {"role": "user", "content": parts}


def _spoken(part: SpeechPart) -> list[ChatMessage]:
    """Say it in words, or as audio where nobody wrote it down."""
    if part.transcript is not None:
        return [_user(part.transcript)]
    return [_user([part.audio])] if part.audio is not None else []


def _summary(part: CompactionPart) -> list[ChatMessage]:
    """Give a summary that can be read; one that only its provider can read has no place in chat messages."""
    return [_user(f"Summary of the conversation so far:\n\n{part.content}")] if part.content else []
