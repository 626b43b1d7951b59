"""Where a piece of code stands: inside of which runs, and in which session."""

import asyncio
from contextlib import suppress
from contextvars import ContextVar, Token

from mamba_agents._internal.turn_queue import Ticket
from mamba_agents.sessions.log import SessionLog


class Place:
    """The front of a session's queue, once a run holds it."""

    __slots__ = ("_queue_ticket", "_tickets", "is_read", "log")

    def __init__(self) -> None:
        self.log: SessionLog | None = None
        self._queue_ticket: Ticket | None = None
        self.is_read = True
        """False once the reader of the run's events has left."""
        self._tickets = [self]

    def take(self) -> "Place | None":
        """The place, for the first who asks."""
        try:
            return self._tickets.pop()  # one call into C, for tasks of other threads may ask too
        except IndexError:
            return None

    def hold(self, log: SessionLog, ticket: Ticket) -> None:
        """Be the place of the run that has this ticket."""
        self.log, self._queue_ticket = log, ticket

    def leave(self) -> None:
        """Let the next run in."""
        if self.log is not None and self._queue_ticket is not None:
            log, self.log = self.log, None
            log.queue.release(self._queue_ticket)


class RunIds:
    """The ids that callers chose for the runs of one agent that are under way, by which they are billed."""

    __slots__ = ("_under_way",)

    def __init__(self) -> None:
        self._under_way: dict[str, Ticket] = {}

    def take(self, run_id: str) -> Ticket:
        """Have a run under way by this id; the ticket gives it back.

        Raises:
            RuntimeError: another run of the agent has it.
        """
        ticket = Ticket(asyncio.get_running_loop())
        holder = self._under_way.setdefault(run_id, ticket)
        if holder is not ticket:
            if not holder.loop.is_closed():
                raise RuntimeError(
                    f"found the run_id {run_id!r}, which a run of this agent that is still under way has; expected one "
                    "for each run: leave it out to have one made"
                )
            self._under_way[run_id] = ticket
        return ticket

    def give_back(self, run_id: str, ticket: Ticket) -> None:
        """Have the run over; nothing happens when the id is another run's by now."""
        if self._under_way.get(run_id) is ticket:
            del self._under_way[run_id]


def held_places() -> list[Place]:
    """The places of the runs that this code is inside of."""
    return [place for place in _places.get() if place.log is not None and place.is_read]


def refuse_inside(log: SessionLog, method: str, instead: str) -> None:
    """Raise where this code is inside of a run of the session, which the method would wait for.

    Raises:
        RuntimeError: it is; `instead` says what to do.
    """
    if any(place.log is log for place in held_places()):
        raise RuntimeError(
            f"found a call of {method}() inside a run of the same session, which it would wait for; {instead}"
        )


def hold(log: SessionLog, ticket: Ticket) -> Place:
    """Have the place at the front of a session's queue, which is this run's turn.

    Whatever this run calls sees it. The places of runs that ended are dropped here, so nothing need be reset.
    """
    reserved = _reserved.get()
    place = (reserved and reserved.take()) or Place()
    place.hold(log, ticket)
    _places.set((*held_places(), place))
    return place


def reserve_place() -> Place:
    """Have the next run that this code starts, in whatever task, count as one that this code is inside of.

    Who reads a run's events is inside of the run, which goes on in a task of its own and waits for its reader.
    """
    place = Place()
    _places.set((*held_places(), place))
    _reserved.set(place)
    return place


def join_session(session_id: str) -> Token[str | None]:
    """Have what this run calls belong to its session, also what goes on after it; the token ends it for the caller."""
    return _session_id.set(session_id)


def leave_session(outside: Token[str | None]) -> None:
    """Belong to the session from before `join_session` again."""
    # An abandoned run is ended by another task, whose context it is not.
    with suppress(ValueError):
        _session_id.reset(outside)


def surrounding_session_id() -> str | None:
    """The session of the run that this code was called from, as a tool is; None outside of one."""
    return _session_id.get()


_places: ContextVar[tuple[Place, ...]] = ContextVar("mamba_agents_places", default=())
_reserved: ContextVar[Place | None] = ContextVar("mamba_agents_reserved_place", default=None)
_session_id: ContextVar[str | None] = ContextVar("mamba_agents_session_id", default=None)
