"""The one choice a model makes in place of a tool call: its JSON schema, its wording, and what a reply to it means."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import TextPart, ToolCallPart
from pydantic_ai.tools import ToolDefinition
from pydantic_core import from_json, to_json

type Schema = dict[str, object]

TEXT: Schema = {"type": "string", "minLength": 1}
"""What an answer in plain words looks like."""

_OUTSIDE = (
    "The reply does not follow the JSON schema that offers the tools; the server must enforce "
    "response_format=json_schema, as llama.cpp, vLLM, Ollama and LM Studio do. Use constrained tools only there."
)

# Values in a schema that are data: nothing in them is a schema of its own.
_DATA = frozenset({"const", "default", "enum", "examples"})

# What already limits a string.
_BOUNDS = frozenset({"maxLength", "minLength", "pattern", "format", "const", "enum"})

# A name that no tool can have.
_ANSWER = ".answer"

# What a reply that was cut off holds of a call's arguments or of a document.
_CUT_ARGUMENTS = re.compile(r'"arguments"\s*:\s*(.*)', re.DOTALL)
_CUT_ANSWER = re.compile(r'"answer"\s*:\s*(.*)', re.DOTALL)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A call of one of the tools with its arguments, or an answer."""

    tools: Sequence[ToolDefinition]
    answer: Schema | None
    """What an answer looks like; None where a tool must be called."""

    max_string_length: int | None = None
    """The most characters of a string in a tool's arguments, unless its schema says."""

    @property
    def schema(self) -> Schema:
        """The JSON schema of a reply; the definitions of each tool are its own."""
        definitions: Schema = {}
        options: list[Schema] = []
        for tool in self.tools:
            definitions |= _definitions(tool.name, tool.parameters_json_schema, self.max_string_length)
            options.append(_object(tool={"const": tool.name}, arguments={"$ref": f"#/$defs/{tool.name}"}))
        if self.answer is not None:
            definitions |= _definitions(_ANSWER, self.answer, None)
            options.append(_object(answer={"$ref": f"#/$defs/{_ANSWER}"}))
        return {"$defs": definitions, "anyOf": options}

    @property
    def instructions(self) -> str:
        """What the model is told about it, since the schema only masks what it may write.

        The wording is the one of ten tried with which SmolLM2-135M chose and went on best (November 2026).
        """
        lines = [_described(tool) for tool in self.tools]
        if self.answer is not None:
            lines.append(f'Otherwise, answer the user. {{"answer": {_kind(self.answer)}}}')
        return "\n".join(["Reply with JSON, in one of these forms.", *lines])

    def read(self, reply: str, *, cut: bool) -> ToolCallPart | TextPart | None:
        """Give what the reply chose, or None if it was cut off before that showed.

        A cut answer is as long as it came; a cut call or document stays unfinished text, which nothing takes for whole.
        Raises `UnexpectedModelBehavior` for a reply outside the schema.
        """
        if (document := _document(reply)) is not None:
            return self._read_whole(document, reply)
        if not cut or (beginning := _beginning(reply)) is None:
            raise UnexpectedModelBehavior(_OUTSIDE, reply)
        return self._read_cut(beginning, reply)

    def _read_whole(self, document: Schema, reply: str) -> ToolCallPart | TextPart:
        match document:
            case {"answer": answer} if self.answer is not None:
                return TextPart(_text(answer))
            case {"tool": str(name), "arguments": given} if self._offers(name) and isinstance(given, dict):
                return ToolCallPart(name, cast("dict[str, object]", given))
            case _:
                raise UnexpectedModelBehavior(_OUTSIDE, reply)

    def _read_cut(self, beginning: Schema, reply: str) -> ToolCallPart | TextPart | None:
        match beginning:
            case {"answer": str(answer)} if self.answer == TEXT:
                return TextPart(answer)
            case {"answer": _} if begun := _CUT_ANSWER.search(reply):
                return TextPart(begun[1])
            case {"tool": str(name)} if self._offers(name) and (begun := _CUT_ARGUMENTS.search(reply)):
                return ToolCallPart(name, begun[1] or "{")  # no text at all would mean no arguments
            case _:
                return None

    def _offers(self, name: str) -> bool:
        return any(tool.name == name for tool in self.tools)

    def answer_so_far(self, reply: str) -> str:
        """Give the answer's text as far as an unfinished reply holds it."""
        if self.answer != TEXT:
            return ""  # a document is no use in parts
        answer = (_beginning(reply) or {}).get("answer")
        return answer if isinstance(answer, str) else ""


def call_text(name: str, arguments: Mapping[str, object]) -> str:
    """Give the reply that a call was read from."""
    return _json({"tool": name, "arguments": arguments})


def answer_text(answer: str) -> str:
    """Give the reply that an answer was read from."""
    return _json({"answer": answer})


def _document(reply: str) -> dict[str, object] | None:
    """Give the JSON object that the reply is, or None."""
    try:
        return _as_object(from_json(reply))
    except ValueError:
        return None


def _beginning(reply: str) -> dict[str, object] | None:
    """Give as much of a JSON object as an unfinished reply holds, or None if it begins as something else."""
    try:
        return _as_object(from_json(reply, allow_partial="trailing-strings"))
    except ValueError:
        return {} if not reply.strip() else None


def _as_object(value: object) -> dict[str, object] | None:
    return cast("dict[str, object]", value) if isinstance(value, dict) else None


def _text(answer: object) -> str:
    return answer if isinstance(answer, str) else _json(answer)


def _json(value: object) -> str:
    return to_json(value).decode()


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _definitions(owner: str, schema: Schema, max_string_length: int | None) -> Schema:
    """Give the schema as a definition, and beside it those it refers to, under names of the owner's own."""
    mended = cast("Schema", _mended(schema, owner, max_string_length))
    shared = [cast("Schema", mended.pop(key)) for key in ("$defs", "definitions") if key in mended]
    return {owner: mended} | {f"{owner}.{name}": schema for group in shared for name, schema in group.items()}


def _mended(schema: object, owner: str, max_string_length: int | None) -> object:
    """Give the schema with references that hold in the whole choice, and with every string bounded."""
    if schema is True:
        return {}  # llama.cpp knows no boolean schemas
    if isinstance(schema, list):
        return [_mended(item, owner, max_string_length) for item in cast("list[object]", schema)]
    if not isinstance(schema, dict):
        return schema
    mended: Schema = {
        key: value if key in _DATA else _mended(value, owner, max_string_length)
        for key, value in cast("Schema", schema).items()
    }
    if isinstance(reference := mended.get("$ref"), str):
        mended["$ref"] = _moved(reference, owner)
    if max_string_length is not None and mended.get("type") == "string" and not mended.keys() & _BOUNDS:
        mended["maxLength"] = max_string_length
    return mended


def _moved(reference: str, owner: str) -> str:
    for group in ("#/$defs/", "#/definitions/"):
        if reference.startswith(group):
            return f"#/$defs/{owner}.{reference.removeprefix(group)}"
    return f"#/$defs/{owner}{reference.removeprefix('#')}"


def _described(tool: ToolDefinition) -> str:
    arguments = _form(tool.parameters_json_schema)
    return f'{tool.description or tool.name} {{"tool": "{tool.name}", "arguments": {arguments}}}'


def _form(parameters: Schema) -> str:
    """Give the arguments as the model is to write them, or their schema where a form would leave something out."""
    properties = parameters.get("properties", {})
    if parameters.keys() & {"$defs", "definitions", "anyOf", "oneOf", "allOf", "$ref"}:
        return _json(parameters)
    required = cast("list[str]", parameters.get("required", []))
    fields = cast("Schema", properties).items()
    forms = (f'"{name}"{"" if name in required else " (optional)"}: {_kind(schema)}' for name, schema in fields)
    return f"{{{', '.join(forms)}}}"


def _kind(schema: object) -> str:
    match schema:
        case {"enum": values}:  # pyright: ignore[reportUnknownVariableType]
            return "|".join(_json(value) for value in cast("list[object]", values))
        case {"type": "array" | "object"}:
            return _json(schema)
        case {"type": str(kind), "description": str(about)}:
            return f"<{kind}: {about}>"
        case {"type": str(kind)}:
            return f"<{kind}>"
        case _:
            return _json(schema)
