"""Values as they may be shown."""

import re
from collections.abc import Mapping
from typing import Final, cast

from pydantic import BaseModel

from mamba_agents.config.keys import KeyPath, is_secret_at

MASK: Final = "**********"

_IN_URL: Final = re.compile(
    r"""(?<=://)[^/?\#\s]*(?=@)                                         # user:password@
      | (?<=[?&])(?P<name>[^=&\#\s]*(?:key|token|secret|pass|sig|auth)[^=&\#\s]*=)[^&\#\s]+  # ?api_key=…
    """,
    re.VERBOSE | re.IGNORECASE,
)


def masked(model: type[BaseModel], path: KeyPath, value: object) -> object:
    """The value at a path of settings with secrets masked, in raw text too, and with them credentials in URLs."""
    if isinstance(value, BaseModel):
        value = {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        items = cast("Mapping[str, object]", value).items()
        return {name: masked(model, (*path, name), inner) for name, inner in items}
    if isinstance(value, list | tuple):
        return [masked(model, (*path, place), inner) for place, inner in enumerate(cast("list[object]", value))]
    if is_secret_at(model, path):
        return MASK if value else value
    return _IN_URL.sub(_mask_in_url, value) if isinstance(value, str) else value


def _mask_in_url(found: re.Match[str]) -> str:
    return (found["name"] or "") + MASK
