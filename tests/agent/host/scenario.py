"""What is compared between the stock agent and ours: a scenario, and everything that can be seen of it."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_ai import Agent, ModelMessage, ModelMessagesTypeAdapter, RunCancelled, capture_run_messages

type MakeAgent = Callable[..., Agent[Any, Any]]
type Scenario = Callable[[MakeAgent], Awaitable[object]]

SCENARIOS: dict[str, Scenario] = {}
"""Every scenario, by its name."""

_OWN_TO_A_RUN = {"timestamp", "run_id", "conversation_id", "duration"}
_GENERATED_ID = re.compile(r"pyd_ai_[0-9a-f-]+")


@dataclass(frozen=True)
class Seen:
    """What the caller of an agent can see."""

    value: object = None
    error: str | None = None
    messages: Sequence[object] = field(default=())


def scenario(func: Scenario) -> Scenario:
    """Adds it to the table."""
    assert func.__name__ not in SCENARIOS, f"two scenarios are called {func.__name__}"
    SCENARIOS[func.__name__] = func
    return func


async def seen(play: Scenario, make: MakeAgent) -> Seen:
    """What is seen of a scenario: what it gives or raises, and the messages of its first run."""
    with capture_run_messages() as messages:
        try:
            value = await play(make)
        except BaseException as error:
            return Seen(error=_told(error), messages=plain(messages))
    return Seen(value=value, messages=plain(messages))


def plain(messages: Sequence[ModelMessage]) -> list[object]:
    """Messages without what differs between any two runs."""
    return _without_ids(ModelMessagesTypeAdapter.dump_python(list(messages), mode="json"))


def _told(error: BaseException) -> str:
    told = f"{type(error).__name__}: {error}"
    if isinstance(error, RunCancelled):
        told += f" after {plain(error.all_messages())}"
    if error.__cause__ is not None:
        told += f" ← {_told(error.__cause__)}"
    return told


def _without_ids(value: Any) -> Any:
    match value:
        case dict():
            return {key: _without_ids(inner) for key, inner in value.items() if key not in _OWN_TO_A_RUN}
        case list():
            return [_without_ids(inner) for inner in value]
        case str():
            return _GENERATED_ID.sub("generated", value)
        case _:
            return value
