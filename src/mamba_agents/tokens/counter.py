"""How many tokens a text, a message or a request is, without any download."""

import math
from collections.abc import Mapping, Sequence
from itertools import chain, islice
from types import NoneType
from typing import cast

from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from mamba_agents._internal.chat.either import native_messages
from mamba_agents.tokens.calibration import Calibration
from mamba_agents.tokens.config import Encoding, TokenizerConfig
from mamba_agents.tokens.encodings import (
    DEFAULT_ENCODING,
    EncodingChoice,
    Tokenizer,
    encoding_of,
    is_bundled,
    load_tokenizer,
)
from mamba_agents.tokens.given import require, whole_number
from mamba_agents.tokens.known import keep_count, known_counts, upper_bound
from mamba_agents.tokens.parts import measure
from mamba_agents.tokens.request import RequestCounts

_NATIVE = (ModelRequest, ModelResponse)
_CONFIG = "a TokenizerConfig, or None for the defaults: a model goes into TokenCounter(model=…)"
_NAME = "its name as text: a Model has model_name"


class TokenCounter:
    """Counts tokens with vocabularies that ship with the library. Safe to use from any thread.

    Exact for models whose vocabulary is known. For others it counts with a vocabulary that is not theirs, times a
    factor that `calibrate` learns from what replies report. `raw` leaves that factor out.
    """

    def __init__(self, config: TokenizerConfig | None = None, *, model: str | None = None) -> None:
        require("config", config, (TokenizerConfig, NoneType), expected=_CONFIG)
        require("model", model, (str, NoneType), expected=_NAME)
        self.config = config or TokenizerConfig()
        self.model = model
        """The model that is counted for when a call names none."""

        self._choices: dict[str, EncodingChoice] = {}
        self._tokenizers: dict[Encoding, Tokenizer] = {}
        self._requests = RequestCounts(keep=self.config.cache_tokenizer)
        self._calibration = Calibration()

    def count(self, text: str, model: str | None = None) -> int:
        """The tokens of a text. What looks like a special token, such as `<|endoftext|>`, counts as the text it is."""
        require("text", text, str, expected="text: count_messages counts messages")
        return self._scaled(self._tokenizer(self._choice(model).encoding).count(text), model)

    def count_batch(self, texts: Sequence[str], model: str | None = None) -> list[int]:
        """The tokens of each text, in order; for many texts faster than one by one."""
        if isinstance(texts, str) or not isinstance(texts, Sequence):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"found {type(texts).__name__} as texts; expected a list of texts: put one into a list")
        for text in texts:
            require("one of the texts", text, str, expected="text")
        counts = self._tokenizer(self._choice(model).encoding).count_batch(texts)
        return self._all_scaled(counts, model)

    def count_with_margin(self, text: str, model: str | None = None) -> int:
        """The tokens of a text and the configured margin on top, rounded up."""
        tokens = self.count(text, model)
        return tokens + math.ceil(tokens * self.config.safety_margin)

    def fits_context(self, text: str, max_tokens: int, model: str | None = None) -> bool:
        """Whether the text, with the margin, is at most `max_tokens`."""
        return self.count_with_margin(text, model) <= whole_number("max_tokens", max_tokens)

    def count_messages(
        self,
        messages: Sequence[ModelMessage] | Sequence[Mapping[str, object]],
        model: str | None = None,
        *,
        raw: bool = False,
    ) -> int:
        """The tokens of messages, or of chat dicts; without the instructions, which belong to the request.

        Raises `ValueError` with the index and the field when a dict is not a chat message.
        """
        is_list = isinstance(messages, list)
        if is_list and all(issubclass(kind, _NATIVE) for kind in set(map(type, messages))):
            native = cast("list[ModelMessage]", messages)
        else:
            native = native_messages(messages)
        return sum(self.message_counts(native, model, raw=raw))

    def message_counts(
        self, messages: Sequence[ModelMessage], model: str | None = None, *, raw: bool = False
    ) -> list[int]:
        """The tokens of each message, in order. A message is tokenised once in its life, so it must not be edited."""
        _check_messages(messages)
        encoding = self._choice(model).encoding
        counts = known_counts(messages, encoding)
        if None in counts:
            unknown = [index for index, tokens in enumerate(counts) if tokens is None]
            fresh = self._count_anew([messages[index] for index in unknown], encoding)
            for index, tokens in zip(unknown, fresh, strict=True):
                counts[index] = tokens
        known = cast("list[int]", counts)
        return known if raw else self._all_scaled(known, model)

    def upper_bound(self, messages: Sequence[ModelMessage]) -> int:
        """More tokens than any tokenizer makes of the messages, by their bytes; loads no tokenizer."""
        _check_messages(messages)
        return upper_bound(messages, keep=self.config.cache_tokenizer)

    def count_request_parameters(
        self, parameters: ModelRequestParameters, model: str | None = None, *, raw: bool = False
    ) -> int:
        """The tokens a request has beside its messages: instructions, tools and the schema of the output."""
        require("parameters", parameters, ModelRequestParameters, expected="ModelRequestParameters")
        encoding = self._choice(model).encoding
        tokens = self._requests.count(parameters, encoding, self._tokenizer(encoding))
        return tokens if raw else self._scaled(tokens, model)

    def upper_bound_parameters(self, parameters: ModelRequestParameters) -> int:
        """More tokens than any tokenizer makes of what a request has beside its messages; loads no tokenizer."""
        require("parameters", parameters, ModelRequestParameters, expected="ModelRequestParameters")
        return self._requests.upper_bound(parameters)

    def calibrate(self, model: str | None, *, counted: int, reported: int) -> None:
        """Learn from a request that was counted, raw, as `counted` and reported by the provider as `reported` tokens.

        Leaves an exact model alone, and samples that are too small to tell anything.
        """
        name = self._name(model)
        counted, reported = whole_number("counted", counted), whole_number("reported", reported)
        if name and not self.is_exact(name):
            self._calibration.add(name, counted=counted, reported=reported)

    def factor(self, model: str | None = None) -> float:
        """What counts for the model are multiplied with: 1.0 for an exact one and for one that reported nothing yet."""
        return self._calibration.factor(self._name(model))

    def is_exact(self, model: str | None = None) -> bool:
        """Whether text is counted with the model's own vocabulary."""
        choice = self._choice(model)
        return choice.is_own and (is_bundled(choice.encoding) or self._tokenizer(choice.encoding).is_exact)

    def get_encoding_for_model(self, model: str | None) -> Encoding:
        """The encoding used for a model, such as `cl100k_base`."""
        return self._choice(model).encoding

    def _name(self, model: str | None) -> str:
        name = self.model if model is None else model
        if not isinstance(name, str | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"found {type(name).__name__} as model; expected {_NAME}")
        return name or ""

    def _choice(self, model: str | None) -> EncodingChoice:
        name = self._name(model)
        if (choice := self._choices.get(name)) is None:
            choice = self._choices[name] = self._choose(name)
        return choice

    def _choose(self, name: str) -> EncodingChoice:
        by_name = encoding_of(name) if name else EncodingChoice(encoding=DEFAULT_ENCODING, is_own=False)
        if (encoding := self.config.encoding) is not None:
            return EncodingChoice(encoding=encoding, is_own=by_name.is_own and by_name.encoding == encoding)
        mapping = self.config.model_mapping
        if mapped := mapping.get(name) or mapping.get(name.rpartition(":")[2]):
            return EncodingChoice(encoding=mapped, is_own=True)
        return by_name

    def _tokenizer(self, encoding: Encoding) -> Tokenizer:
        if (tokenizer := self._tokenizers.get(encoding)) is None:
            tokenizer = load_tokenizer(encoding)
            if self.config.cache_tokenizer:
                self._tokenizers[encoding] = tokenizer
        return tokenizer

    def _count_anew(self, messages: Sequence[ModelMessage], encoding: Encoding) -> list[int]:
        """Tokenise all texts of all messages in one batch."""
        measured = [measure(message) for message in messages]
        texts = list(chain.from_iterable(each.texts for each in measured))
        found = iter(self._tokenizer(encoding).count_batch(texts))
        counts = [each.tokens + sum(islice(found, len(each.texts))) for each in measured]
        if self.config.cache_tokenizer:
            for message, each, tokens in zip(messages, measured, counts, strict=True):
                keep_count(message, each, encoding, tokens)
        return counts

    def _scaled(self, tokens: int, model: str | None) -> int:
        factor = self.factor(model)
        return tokens if factor == 1.0 else round(tokens * factor)

    def _all_scaled(self, counts: list[int], model: str | None) -> list[int]:
        factor = self.factor(model)
        return counts if factor == 1.0 else [round(tokens * factor) for tokens in counts]


def _check_messages(messages: object) -> None:
    """Refuse what is no list. What is in it is looked at where it is not known yet."""
    if type(messages) is not list:
        require("messages", messages, Sequence, expected="a list of ModelRequest and ModelResponse")
