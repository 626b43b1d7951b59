"""Conversations that the embedded model really has, over a table in a database; only the user's part is written down.

The model is small. It asks the tool for one of the numbers it has seen, not always for the right one: what it chose
is what it needed, and what a cut has to leave in place.
"""

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from pydantic_ai import Agent
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelMessage
from pydantic_ai.models import Model
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import UsageLimits

from benchmarks.transcripts.words import CHAT

SETTINGS = ModelSettings(temperature=0.0, max_tokens=80)


@dataclass(frozen=True, kw_only=True)
class Topic:
    """What a user asks about."""

    system_prompt: str
    tell: str
    ask: tuple[str, ...]
    numbers: dict[str, str]
    """What a thing is called, and its number."""

    tool: Callable[[sqlite3.Connection], Callable[[str], str]]


def _orders(database: sqlite3.Connection) -> Callable[[str], str]:
    def order_status(order: str) -> str:
        """Get the status of an order by its number."""
        return _found(database, order, "order {}: {}, parcel {}, {} kg")

    return order_status


def _rooms(database: sqlite3.Connection) -> Callable[[str], str]:
    def room_booking(room: str) -> str:
        """Get the booking of a meeting room by its code."""
        return _found(database, room, "room {}: {}, booking {}, {} seats")

    return room_booking


def _found(database: sqlite3.Connection, number: str, form: str) -> str:
    row = database.execute("SELECT * FROM things WHERE number = ?", (number,)).fetchone()
    return form.format(*row) if row else f"{number} is not known"


TOPICS = {
    "embedded-orders": Topic(
        system_prompt="You look up orders.",
        tell="My {} is order {}. What is its status?",
        ask=("What is the status of my {}?", "Check the {} again.", "And my {}?"),
        numbers={"lamp": "A-48213", "kettle": "A-30977", "tent": "A-77120", "bike": "A-15586", "desk": "A-62049"},
        tool=_orders,
    ),
    "embedded-rooms": Topic(
        system_prompt="You look up meeting rooms.",
        tell="The {} room has the code {}. Who booked it?",
        ask=("Who booked the {} room?", "Look at the {} room again.", "And the {} room?"),
        numbers={"garden": "R7-204", "tower": "R3-118", "river": "R9-551", "attic": "R5-830", "library": "R2-467"},
        tool=_rooms,
    ),
}


async def conversation(topic: Topic, model: Model, *, turns: int = 24) -> list[ModelMessage]:
    """Every thing once, then again in any order, with small talk between."""
    rng, messages = Random(topic.system_prompt), list[ModelMessage]()
    agent = Agent(model, tools=[topic.tool(_database(rng, topic))], system_prompt=topic.system_prompt, retries=3)
    things = list(topic.numbers)
    for turn in range(turns):
        question = rng.choice(topic.ask).format(rng.choice(things))
        if turn < 2 * len(things):
            thing = things[turn // 2]
            question = rng.choice(CHAT) if turn % 2 else topic.tell.format(thing, topic.numbers[thing])
        limits = UsageLimits(request_limit=6)
        try:
            run = await agent.run(question, message_history=messages, model_settings=SETTINGS, usage_limits=limits)
        except AgentRunError as error:
            print(f"left out {question!r}: {error}")
            continue
        messages = run.all_messages()
    return messages


def _database(rng: Random, topic: Topic) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", check_same_thread=False)
    database.execute("CREATE TABLE things (number, state, reference, size)")
    for number in topic.numbers.values():
        row = (
            number,
            rng.choice(("open", "waiting", "closed")),
            str(rng.randrange(10**5, 10**6)),
            rng.randrange(2, 40),
        )
        database.execute("INSERT INTO things VALUES (?, ?, ?, ?)", row)
    return database
