"""pydantic-ai's hooks, asked only of the capabilities that have something to do there.

pydantic-ai asks every capability at every hook, about 18 times a turn, and copies the run's context for each: its own
two, which do nothing at most of them, cost a turn 90 µs of 1,500. To ask two for what they are in a run, it starts two
tasks, for 50 µs. And it enters and leaves a wrapper of the model around each request, for 50 µs, though ours have
nothing to enter (2.62, measured 2026-11-25).

What is given to a single run, such as `run(capabilities=…)`, makes pydantic-ai combine all anew, its own way.
"""

from collections.abc import AsyncIterable, Callable, Sequence
from typing import Any, Self

from pydantic_ai import RunContext
from pydantic_ai.capabilities import AbstractCapability, CombinedCapability
from pydantic_ai.messages import AgentStreamEvent
from pydantic_ai.models import Model, ModelRequestContext

from mamba_agents._internal.identity import ByIdentity
from mamba_agents.agent.layers.hooks import has_own
from mamba_agents.agent.layers.seat import Seat

_HOOKS = (
    *("before_run", "after_run", "wrap_run"),
    *("before_node_run", "after_node_run", "wrap_node_run"),
    *("prepare_tools", "prepare_output_tools", "after_model_request"),
    *("before_tool_validate", "after_tool_validate", "wrap_tool_validate"),
    *("before_tool_execute", "after_tool_execute", "wrap_tool_execute"),
    *("before_output_validate", "after_output_validate", "wrap_output_validate"),
    *("before_output_process", "after_output_process", "wrap_output_process"),
)
"""Those that give back what they were given, where a capability has none of its own."""


_LISTS = {"capabilities", "_dispatch"}
"""Where a container has its capabilities: in 2.62 the first, in 2.68 both, the second in the order to ask them in."""


class SelectiveCapabilities(CombinedCapability[Any]):
    """Capabilities combined as pydantic-ai does it, but asked at each hook as if those without it were not there."""

    _asked_of: Sequence[AbstractCapability[Any]] | None
    _having: dict[str, CombinedCapability[Any]]
    _asking: dict[str, Callable[..., Any]]
    _in_place: ByIdentity[Model, bool]

    @classmethod
    def like(cls, combined: CombinedCapability[Any]) -> Self:
        """The same capabilities in the same order."""
        ours = cls.__new__(cls)
        vars(ours).update(vars(combined), _asked_of=None, _in_place=ByIdentity[Model, bool]())
        return ours

    def _with(self, hook: str) -> CombinedCapability[Any]:
        """Those of the capabilities that have a hook of their own."""
        self._look()
        having = self._having.get(hook)
        if having is None:
            having = CombinedCapability[Any]([])
            # Not through the constructor, which would look for their order anew, and for those that they require.
            for name in vars(self).keys() & _LISTS:
                vars(having)[name] = [each for each in vars(self)[name] if has_own(each, hook)]
            self._having[hook] = having
        return having

    def _ask(self, hook: str) -> Callable[..., Any]:
        """The hook of those; of our layers where nobody else has it, which need no context of their own."""
        if self._asked_of is not self.capabilities or (asking := self._asking.get(hook)) is None:
            having = self._with(hook)
            alone = having.capabilities[0] if len(having.capabilities) == 1 else None
            asking = self._asking[hook] = getattr(alone if isinstance(alone, Seat) else having, hook)
        return asking

    def _look(self) -> None:
        if self._asked_of is not self.capabilities:  # pydantic-ai copies this for a run that changes one of them
            self._having, self._asking = {}, {}  # before the other: what a thread finds is never older than that says
            self._asked_of = self.capabilities

    async def for_run(self, ctx: RunContext[Any]) -> AbstractCapability[Any]:
        """The capabilities as they are in one run: these, where none makes another of itself."""
        return await super().for_run(ctx) if self._with("for_run").capabilities else self

    async def before_model_request(
        self, ctx: RunContext[Any], request_context: ModelRequestContext
    ) -> ModelRequestContext:
        """The request as the capabilities leave it, to the model as our layers wrap it where nobody else does."""
        request_context = await self._ask("before_model_request")(ctx, request_context)
        wrapping = self._with("get_wrapper_model").capabilities
        model = request_context.model
        if len(wrapping) == 1 and isinstance(seat := wrapping[0], Seat) and _sends_what_it_is_asked(model):
            wrapped = seat.get_wrapper_model(model)
            if wrapped is not None:
                request_context.model = wrapped
                if wrapped not in self._in_place:
                    self._in_place[wrapped] = True
        return request_context

    def get_wrapper_model(self, model: Model) -> Model | None:
        """The model as the capabilities wrap it; None where none does, or where it is wrapped already."""
        return None if model in self._in_place else super().get_wrapper_model(model)

    def wrap_run_event_stream(
        self, ctx: RunContext[Any], *, stream: AsyncIterable[AgentStreamEvent]
    ) -> AsyncIterable[AgentStreamEvent]:
        """The run's events as the capabilities pass them on; the stream itself where none looks at them."""
        asked = self._with("wrap_run_event_stream")
        return asked.wrap_run_event_stream(ctx, stream=stream) if asked.capabilities else stream


_SERVING = "_with_serving_wrapper"
"""How pydantic-ai asks a model where its wrappers go. Not public: where it is gone, ours go pydantic-ai's own way."""


def _sends_what_it_is_asked(model: Model) -> bool:
    """Whether a wrapper goes around the model itself; those of durable runs have it go around what a worker asks."""
    return getattr(type(model), _SERVING, None) is getattr(Model, _SERVING, model)


def _selective(hook: str) -> Callable[..., Any]:
    def asking(self: SelectiveCapabilities, *arguments: Any, **named: Any) -> Any:
        return self._ask(hook)(*arguments, **named)  # pyright: ignore[reportPrivateUsage]

    return asking


for _hook in _HOOKS:
    setattr(SelectiveCapabilities, _hook, _selective(_hook))
