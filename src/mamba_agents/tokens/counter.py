"""How many tokens a text is, without any download."""

import math

from mamba_agents.tokens.config import Encoding, TokenizerConfig

_DEFAULT_ENCODING: Encoding = "o200k_base"
_CL100K_PREFIXES = ("gpt-4-", "gpt-3.5", "text-embedding")
_WHOLE = 1 << 40  # more tokens than any text has, so that nothing is cut


class TokenCounter:
    """Counts tokens with vocabularies that ship with the library.

    Exact for models of OpenAI's; for others the count of a tokenizer that is not theirs, so leave a margin.
    """

    def __init__(self, config: TokenizerConfig | None = None) -> None:
        self.config = config or TokenizerConfig()

    def count(self, text: str, model: str | None = None) -> int:
        """The tokens of a text. What looks like a special token, such as `<|endoftext|>`, counts as the text it is."""
        import toktok  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs] - loads a vocabulary of several MB

        # The library refuses lone surrogates, which a model is sent as question marks too.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        return toktok.truncate(clean, _WHOLE, self.get_encoding_for_model(model))[1]

    def count_with_margin(self, text: str, model: str | None = None) -> int:
        """The tokens of a text and the configured margin on top, rounded up."""
        tokens = self.count(text, model)
        return tokens + math.ceil(tokens * self.config.safety_margin)

    def fits_context(self, text: str, max_tokens: int, model: str | None = None) -> bool:
        """Whether the text, with the margin, is at most `max_tokens`."""
        return self.count_with_margin(text, model) <= max_tokens

    def get_encoding_for_model(self, model: str | None) -> Encoding:
        """The encoding used for a model, such as `cl100k_base`."""
        if self.config.encoding is not None:
            return self.config.encoding
        name = (model or "").rpartition(":")[2]
        if mapped := self.config.model_mapping.get(model or "") or self.config.model_mapping.get(name):
            return mapped
        if name == "gpt-4" or name.startswith(_CL100K_PREFIXES):
            return "cl100k_base"
        return _DEFAULT_ENCODING
