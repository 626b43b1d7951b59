"""The conversations of one agent."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from mamba_agents.agent.session import AgentSession
from mamba_agents.sessions import SessionLog
from mamba_agents.sessions.session import new_session_id

if TYPE_CHECKING:
    from mamba_agents.agent.core import Agent


_RECENT = 64
"""So many conversations that went on last are not read from the store again for their next run."""


class Sessions[DepsT, OutputT]:
    """One session object and one log for each id, for as long as a run or a caller holds it.

    Runs of one session meet in its log, whichever thread begins them. What nobody holds is read from the store again,
    but for a few of those that were used last.
    """

    def __init__(self, agent: "Agent[DepsT, OutputT]", log: SessionLog) -> None:
        self.own = AgentSession(agent, log)
        """The conversation of runs that name none."""
        self._agent = agent
        self._guard = threading.Lock()
        self._recent: dict[str, SessionLog] = {}
        """Those of the last runs, the last one at the end."""

    @cached_property
    def _logs(self) -> WeakValueDictionary[str, SessionLog]:
        return WeakValueDictionary()  # not before it is needed: many agents have one conversation

    @cached_property
    def _sessions(self) -> WeakValueDictionary[str, AgentSession[DepsT, OutputT]]:
        return WeakValueDictionary()

    def __len__(self) -> int:
        """How many are held, the agent's own among them."""
        return 1 + len(self._logs)

    def get(self, session_id: str | None) -> AgentSession[DepsT, OutputT]:
        """The session with this id, begun if there is none yet; the agent's own where no id is given.

        Raises:
            ValueError: the id is empty, or "new".
        """
        if session_id is None or session_id == self.own.id:
            return self.own
        if session_id == "new":
            raise _no_name(session_id)
        log = self._log(session_id)
        with self._guard:
            if (session := self._sessions.get(session_id)) is None:
                session = self._sessions[session_id] = AgentSession(self._agent, log)
        return session

    def log_of_run(self, conversation_id: str | None) -> SessionLog:
        """The log of the session that a run belongs to; "new" is one that nobody has yet.

        Raises:
            ValueError: the id is empty.
        """
        if conversation_id is None:
            return self.own.log
        log = self._log(new_session_id() if conversation_id == "new" else conversation_id)
        if log is not self.own.log:
            self._keep(log)
        return log

    def _keep(self, log: SessionLog) -> None:
        with self._guard:
            self._recent.pop(log.session_id, None)
            self._recent[log.session_id] = log
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]

    def _log(self, session_id: str) -> SessionLog:
        if session_id == self.own.id:
            return self.own.log
        if not session_id:
            raise _no_name(session_id)
        with self._guard:
            if (log := self._logs.get(session_id)) is None:
                log = self._logs[session_id] = SessionLog(self.own.log.store, session_id)
        return log


def _no_name(session_id: str) -> ValueError:
    return ValueError(f"found the session id {session_id!r}; expected a name, or None for the agent's own session")
