"""Values as they may be shown."""

import re
from collections.abc import Mapping
from typing import Final, cast

from pydantic import BaseModel, SecretBytes, SecretStr

from mamba_agents.config.keys import KeyPath, annotation_at, is_secret

MASK: Final = "**********"

_IN_URL: Final = re.compile(
    r"""(?<=://)[^/?\#\s]*(?=@)                                         # user:password@
      | (?<=[?&])(?P<name>[^=&\#\s]*(?:key|token|secret|pass|sig|auth)[^=&\#\s]*=)[^&\#\s]+  # ?api_key=…
    """,
    re.VERBOSE | re.IGNORECASE,
)


def masked_at(model: type[BaseModel], path: KeyPath, value: object) -> object:
    """The value of a setting with what its declared type keeps secret masked, also when it is still raw text."""
    annotation = annotation_at(model, path)
    if value in (None, "") or annotation is None or not is_secret(annotation):
        return masked(value)
    return dict.fromkeys(cast("Mapping[str, object]", value), MASK) if isinstance(value, Mapping) else MASK


def masked(value: object) -> object:
    """The value with secrets masked wherever they are inside, and credentials in addresses too."""
    match value:
        case str():
            return _IN_URL.sub(lambda found: (found["name"] or "") + MASK, value)
        case SecretStr() | SecretBytes():
            return MASK if value.get_secret_value() else ""
        case BaseModel():
            return {name: masked(getattr(value, name)) for name in type(value).model_fields}
        case dict():
            return {key: masked(inner) for key, inner in cast("dict[str, object]", value).items()}
        case list() | tuple():
            return [masked(inner) for inner in cast("list[object]", value)]
        case _:
            return value
