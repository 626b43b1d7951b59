"""Settings of token counting and of prices."""

from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

type Encoding = Literal["o200k_base", "o200k_harmony", "cl100k_base", "qwen3.5", "p50k_base", "r50k_base"]
"""Vocabularies by their makers' names. The last two are exact only where tiktoken has them in its cache."""


class TokenizerConfig(BaseModel):
    """How text is turned into token counts."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    encoding: Encoding | None = None
    """The encoding for every text; None chooses by the model's name."""

    model_mapping: dict[str, Encoding] = Field(default_factory=dict)
    """Encodings by model name, for models whose name does not tell; looked at before the built-in table."""

    cache_tokenizer: bool = True
    """Whether counts are kept: on each message that was counted, and for tools and instructions in the counter.

    False counts everything anew each time and keeps no vocabulary that tiktoken loaded: slower, with less memory.
    """

    safety_margin: float = Field(default=0.05, ge=0, lt=1)
    """The share added by `count_with_margin`, since a foreign tokenizer never counts exactly as the model's own."""


class ModelRate(BaseModel):
    """What a model costs, in USD for a million tokens."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    input: Decimal = Field(ge=0)
    """A million tokens sent."""

    output: Decimal = Field(ge=0)
    """A million tokens received."""

    cache_read: Decimal | None = Field(default=None, ge=0)
    """A million tokens read from the provider's prompt cache; None charges them as `input`."""

    cache_write: Decimal | None = Field(default=None, ge=0)
    """A million tokens written to the provider's prompt cache; None charges them as `input`."""

    cache_write_1h: Decimal | None = Field(default=None, ge=0)
    """A million tokens written there to stay for an hour; None charges them as `cache_write`."""

    input_audio: Decimal | None = Field(default=None, ge=0)
    """A million tokens of audio sent; None charges them as `input`."""

    cache_audio_read: Decimal | None = Field(default=None, ge=0)
    """A million tokens of audio read from the cache; None charges them as `cache_read`, or else as `input_audio`."""

    output_audio: Decimal | None = Field(default=None, ge=0)
    """A million tokens of audio received; None charges them as `output`."""
