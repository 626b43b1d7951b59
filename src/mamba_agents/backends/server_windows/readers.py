"""Read a window from what a server answered, of which nothing can be taken for granted; None where it is not there."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, cast

from mamba_agents.backends.bodies import field
from mamba_agents.backends.server_windows.window import Window

_MOST_TOKENS: Final = 1 << 31
"""More is no window: libraries write 10**30 for "no limit"."""

_UNLOADED: Final = 4_096
"""What a model gets that is loaded with no setting: Ollama's least since 2025, by its graphics memory up to 262,144
(docs.ollama.com/context-length), and LM Studio's own (read November 2026)."""

_LISTED: Final = ("max_model_len", "context_length", "context_window", "max_context_length", "max_input_tokens")
"""In `/v1/models`: vLLM and SGLang; OpenRouter, Together, Fireworks; Groq; Mistral; Anthropic (read November 2026)."""

_NUM_CTX: Final = re.compile(r"^\s*num_ctx\s+(\d+)\s*$", re.MULTILINE)


def listing(body: object, model: str) -> Window | None:
    """The window in a list of models as OpenAI's protocol has it. `GET /v1/models`."""
    entries = _objects(body) or _objects(field(body, "data"))  # Together sends a bare list
    entry = _named(entries, model, "id", "aliases") or (entries[0] if len(entries) == 1 else None)
    # llama.cpp's n_ctx is that of one slot; its n_ctx_train is what the model could have (read November 2026).
    found = [_tokens(field(entry, name)) for name in _LISTED] + [_tokens(field(field(entry, "meta"), "n_ctx"))]
    # OpenRouter's best offer of a model may be smaller than the model.
    found.append(_tokens(field(field(entry, "top_provider"), "context_length")))
    return _window(min((tokens for tokens in found if tokens), default=None), "the server's /v1/models")


def llama_cpp_properties(body: object, model: str) -> Window | None:  # noqa: ARG001 - it serves one model
    """The window of one slot: the whole one divided by `total_slots`. `GET /props`."""
    return _window(_tokens(field(field(body, "default_generation_settings"), "n_ctx")), "llama.cpp /props")


def ollama_loaded(body: object, model: str) -> Window | None:
    """The window that a loaded model really has, since Ollama 0.10 (github.com/ollama/ollama/pull/11331, July 2025).

    `GET /api/ps`.
    """
    entry = _named(_objects(field(body, "models")), model, "name", "model")
    return _window(_tokens(field(entry, "context_length")), "Ollama /api/ps")


def ollama_installed(body: object, model: str) -> Window | None:
    """The window a model will have when it is loaded, as far as its Modelfile tells. `POST /api/show`."""
    facts = field(body, "model_info")
    longest = _tokens(field(facts, f"{field(facts, 'general.architecture')}.context_length"))
    if model.endswith("-cloud"):
        # These always run with all they have (docs.ollama.com/context-length, read November 2026).
        return _window(longest, "Ollama /api/show")
    parameters = field(body, "parameters")
    asked = _NUM_CTX.search(parameters) if isinstance(parameters, str) else None
    wanted = _tokens(int(asked[1][:12])) if asked else None
    if wanted is None and longest is None:
        return None
    source = "Ollama /api/show, num_ctx" if wanted else "Ollama's default window; the model is not loaded"
    return _window(min(wanted or _UNLOADED, longest or _MOST_TOKENS), source, is_provisional=True)


def lm_studio_models(body: object, model: str) -> Window | None:
    """The window that a model was loaded with. `GET /api/v1/models`, since LM Studio 0.4."""
    models = _objects(field(body, "models"))
    instances = [(entry, one) for entry in models for one in _objects(field(entry, "loaded_instances"))]
    loaded = [one for entry, one in instances if model in (field(entry, "key"), field(one, "id"))]
    entry = _named(models, model, "key")
    if not loaded and entry is None and len(instances) == 1:
        loaded = [instances[0][1]]  # with one model loaded, any name will do
    found = (_tokens(field(field(one, "config"), "context_length")) for one in loaded)
    tokens = min((tokens for tokens in found if tokens), default=None)
    return _window(tokens, "LM Studio /api/v1/models") or _lm_studio_unloaded(entry)


def lm_studio_models_v0(body: object, model: str) -> Window | None:
    """The window that a model was loaded with. `GET /api/v0/models`, since LM Studio 0.3.6."""
    models = _objects(field(body, "data"))
    loaded = [entry for entry in models if _tokens(field(entry, "loaded_context_length"))]
    entry = _named(models, model, "id") or (loaded[0] if len(loaded) == 1 else None)
    tokens = _tokens(field(entry, "loaded_context_length"))
    return _window(tokens, "LM Studio /api/v0/models") or _lm_studio_unloaded(entry)


def tgi_info(body: object, model: str) -> Window | None:  # noqa: ARG001 - it serves one model
    """The longest prompt, which Hugging Face's TGI limits apart from the whole. `GET /info`."""
    names = ("max_input_tokens", "max_input_length", "max_total_tokens")  # the second in TGI 1
    return _window(next(filter(None, (_tokens(field(body, name)) for name in names)), None), "TGI /info")


def litellm_info(body: object, model: str) -> Window | None:
    """The longest prompt that a LiteLLM proxy knows of. `GET /model/info`."""
    entry = _named(_objects(field(body, "data")), model, "model_name")
    return _window(_tokens(field(field(entry, "model_info"), "max_input_tokens")), "LiteLLM /model/info")


def _lm_studio_unloaded(entry: object) -> Window | None:
    longest = _tokens(field(entry, "max_context_length"))
    if longest is None:
        return None
    source = "LM Studio's default window; the model is not loaded"
    return _window(min(longest, _UNLOADED), source, is_provisional=True)


def _window(tokens: int | None, source: str, *, is_provisional: bool = False) -> Window | None:
    return Window(tokens=tokens, source=source, is_provisional=is_provisional) if tokens else None


def _tokens(value: object) -> int | None:
    """The number, if it is one that a window can have."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value < _MOST_TOKENS else None


def _objects(value: object) -> Sequence[Mapping[str, object]]:
    entries = cast("list[object]", value) if isinstance(value, list) else []
    return [cast("dict[str, object]", entry) for entry in entries if isinstance(entry, dict)]


def _named(entries: Sequence[Mapping[str, object]], model: str, *names: str) -> Mapping[str, object] | None:
    """The first entry that goes by the model's name; Ollama's tag `latest` need not be written."""
    wanted = {model.lower(), f"{model.lower()}:latest"}
    return next((entry for entry in entries if wanted & set(_spellings(entry, names))), None)


def _spellings(entry: Mapping[str, object], names: Sequence[str]) -> list[str]:
    values = [entry.get(name) for name in names]
    flat = [item for value in values for item in (cast("list[object]", value) if isinstance(value, list) else [value])]
    return [item.lower() for item in flat if isinstance(item, str)]
