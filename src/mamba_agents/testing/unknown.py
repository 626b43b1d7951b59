"""Parts of kinds that code which handles histories has never heard of."""

from dataclasses import dataclass, field

from pydantic_ai.messages import ToolReturnPart


@dataclass
class UnknownPart:
    """A part as a later version of pydantic-ai may bring it: with a kind and content of its own."""

    content: str
    part_kind: str = "from-a-later-version"


@dataclass(repr=False)
class AnnotatedToolReturnPart(ToolReturnPart):
    """A tool result of an application's own class, with a field more than pydantic-ai's."""

    sources: tuple[str, ...] = field(default=(), kw_only=True)
