"""What a run must know about a model beforehand, found by the model's name."""

from dataclasses import dataclass, field

from pydantic_ai.profiles.openai import OpenAIModelProfile


@dataclass(frozen=True, kw_only=True)
class ModelProfile:
    """Facts about every model whose name starts with `name`, for the servers this package builds models for."""

    name: str
    """How the model names start, without an organisation and in any case: `qwen3` means `Qwen/Qwen3-8B` too."""

    constrained_tools: bool = False
    """Whether the model writes no tool calls of its own, so that they are made by constraining its output."""

    streams_tool_calls: bool = True
    """Whether its tool calls arrive when streaming; where not, a request with tools is made without streaming."""

    host: OpenAIModelProfile = field(default_factory=OpenAIModelProfile)
    """Facts for pydantic-ai, laid over those it knows already: `context_window`, `thinking_tags`, …"""


_UNKNOWN = ModelProfile(name="")

_profiles: dict[str, ModelProfile] = {}


def register_profile(profile: ModelProfile) -> None:
    """Use this profile from now on, in place of one with the same name; models already built keep theirs."""
    _profiles[profile.name.lower()] = profile


def get_profile(name: str) -> ModelProfile:
    """Give the profile with the longest name that the model's name starts with.

    `Qwen/Qwen3-8B` is looked up whole and as `qwen3-8b`. A model that no profile names gets the plain one, named "".
    """
    full = name.lower()
    spellings = (full, full.rpartition("/")[2])
    matches = [known for known in _profiles if any(spelling.startswith(known) for spelling in spellings)]
    return _profiles[max(matches, key=len)] if matches else _UNKNOWN


def list_profiles() -> list[ModelProfile]:
    """Give every registered profile, by name."""
    return [_profiles[name] for name in sorted(_profiles)]


# SmolLM2-135M: no tool call in 24 tries over every chat template llama.cpp has (measured November 2026).
register_profile(ModelProfile(name="smollm2", constrained_tools=True))
# Ollama answers 400 "… does not support tools" for these (github.com/ollama/ollama/issues/9680, read November 2026).
register_profile(ModelProfile(name="gemma3", constrained_tools=True))
register_profile(ModelProfile(name="phi3", constrained_tools=True))
