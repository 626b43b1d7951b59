"""Fits JSON schemas to llama.cpp, which turns them into grammars."""

import re
from typing import override

from pydantic_ai import JsonSchemaTransformer

# It takes patterns that are anchored at both ends and have no escaped letters (`\d`, `\b`) and no look-around.
_PATTERN = re.compile(r"\^(?:\\[^a-zA-Z0-9]|\(\?:|[^\\(]|\((?!\?))*\$")


class GrammarSchemaTransformer(JsonSchemaTransformer):
    """Leaves out what llama.cpp would leave out too, printing a warning; pydantic checks the reply anyway."""

    @override
    def transform(self, schema: dict[str, object]) -> dict[str, object]:
        pattern = schema.get("pattern")
        if isinstance(pattern, str) and not _PATTERN.fullmatch(pattern):
            del schema["pattern"]
        return schema
