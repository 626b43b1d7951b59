"""The agent: pydantic-ai's, with the layers of an operator around it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, cast

from pydantic_ai import (
    AgentCapability,
    AgentModelSettings,
    AgentRun,
    AgentSpec,
    AgentToolset,
    InstructionPart,
    ModelMessage,
    Tool,
)
from pydantic_ai.agent.abstract import AgentInstructions
from pydantic_ai.models import Model
from pydantic_ai.output import OutputDataT, OutputSpec
from pydantic_ai.result import StreamedRunResultSync
from pydantic_ai.tools import AgentDepsT, ToolFuncEither

from mamba_agents._internal.background_loop import run_sync
from mamba_agents.agent.assembly import Layers, Tools
from mamba_agents.agent.callables import as_function
from mamba_agents.agent.config import AgentConfig
from mamba_agents.agent.layers.dispatch import SelectiveCapabilities
from mamba_agents.agent.layers.graceful import registered
from mamba_agents.agent.layers.seat import Seat, SharedSeat
from mamba_agents.agent.message_utils import ChatMessage, model_messages_to_dicts
from mamba_agents.agent.models import made_model, named_model, ready_model, settings_for, with_model, with_settings
from mamba_agents.agent.naming import infer_name_of_caller
from mamba_agents.agent.options import HostOptions, Prompt, RunOptions
from mamba_agents.agent.place import RunIds, surrounding_session_id
from mamba_agents.agent.run_stream import ReadEvents, RememberedStream
from mamba_agents.agent.session import AgentSession
from mamba_agents.agent.session_context import SessionContext
from mamba_agents.agent.sessions import Sessions
from mamba_agents.agent.signatures import TypedAgent
from mamba_agents.agent.specs import from_spec
from mamba_agents.agent.stream import TextStream
from mamba_agents.agent.sync_stream import BackgroundStreamedResult
from mamba_agents.agent.turn import Turn
from mamba_agents.config import AgentSettings
from mamba_agents.context import CompactionResult, ContextState
from mamba_agents.sessions import Session
from mamba_agents.sessions.log import SessionLog
from mamba_agents.tokens import (
    BudgetLedger,
    CostBreakdown,
    CostEstimator,
    TokenCounter,
    TokenUsage,
    UsageRecord,
    UsageTracker,
)
from mamba_agents.tokens.given import require


class Agent(TypedAgent[AgentDepsT, OutputDataT]):
    """A pydantic-ai agent that remembers its conversations, knows what it spent and stops when it should.

    Whatever takes a pydantic-ai agent takes this one. Runs without a `conversation_id` are one conversation, the
    agent's own; `session` gives others.
    """

    def __init__(
        self,
        model: Model | str | None = None,
        *,
        tools: Sequence[Tool[AgentDepsT] | ToolFuncEither[AgentDepsT, ...]] | None = None,
        toolsets: Sequence[AgentToolset[AgentDepsT]] | None = None,
        system_prompt: str | Sequence[str] = "",
        instructions: AgentInstructions[AgentDepsT] = None,
        deps_type: type[AgentDepsT] = object,
        output_type: OutputSpec[OutputDataT] = str,
        config: AgentConfig | None = None,
        settings: AgentSettings | None = None,
        session: Session | None = None,
        budget_ledger: BudgetLedger | None = None,
        model_settings: AgentModelSettings[AgentDepsT] | None = None,
        capabilities: Sequence[AgentCapability[AgentDepsT]] | None = None,
        **host: Unpack[HostOptions[AgentDepsT]],
    ) -> None:
        """Make an agent.

        `model` is a pydantic-ai model, `"provider:name"`, a bare name or None; the last two are looked up in
        `settings.model_backend`. Without `settings`, a name reads them from the environment and the project's files.
        `session` is the agent's own conversation, a new one in memory if left out. Agents that are given one
        `budget_ledger` share the caps of `settings.budget` on all runs together.

        Raises:
            ValueError: neither a model nor settings that name one.
            ConfigurationError: a setting is wrong, or the model's name leads nowhere.
        """
        self.config = config or AgentConfig()
        self.settings = settings_for(model, settings)
        self.usage_tracker = UsageTracker(self.settings.cost_rates)
        self.budget_ledger = budget_ledger or BudgetLedger()
        """What was spent against the caps of the budget; agents that share one share the caps."""
        prompt = _as_text(system_prompt) or self.config.system_prompt
        # Without memory, the prompt is sent as pydantic-ai sends it. With memory it is an instruction: those are
        # with every request, whatever becomes of the first message.
        is_remembered = self.config.track_context
        self._system_prompt = InstructionPart(prompt if is_remembered else "")
        self._sessions = Sessions(self, (Session() if session is None else session).log)
        self._run_ids = RunIds()
        name = self.settings.model_backend.model if model is None else model
        self.model_name = name if isinstance(name, str) else None
        """The name the model was asked for by; None for a model instance."""
        counted = model.model_name if isinstance(model, Model) else self.model_name
        self.token_counter = TokenCounter(self.config.tokenizer or self.settings.tokenizer, model=counted)
        self.layers = Layers(
            self.config,
            self.settings,
            Tools(counter=self.token_counter, estimator=self.usage_tracker.estimator, ledger=self.budget_ledger),
        )
        """What stands around every model request."""
        if name is not None or not host.get("defer_model_check"):
            model = named_model(model, self.settings)
        super().__init__(
            ready_model(model, capabilities or (), deferred=host.get("defer_model_check", False)),
            tools=[as_function(tool) for tool in tools or ()],
            toolsets=toolsets,
            system_prompt=() if is_remembered or not prompt else system_prompt or prompt,
            instructions=[self._system_prompt, *_as_list(instructions)],
            deps_type=deps_type,
            output_type=output_type,
            capabilities=[SharedSeat(layers=self.layers.in_order), *(capabilities or ())],
            model_settings=with_settings(model_settings, model, self.settings),
            **host,
        )
        self._root_capability = SelectiveCapabilities.like(self._root_capability)

    @classmethod
    def from_settings(cls, settings: AgentSettings, **options: Any) -> Self:
        """An agent on the model that the settings name."""
        return cls(None, settings=settings, **options)

    @classmethod
    def from_spec(  # pyright: ignore[reportIncompatibleMethodOverride] - pydantic-ai's parameters are in `options`
        cls,
        spec: dict[str, Any] | AgentSpec,
        *,
        config: AgentConfig | None = None,
        settings: AgentSettings | None = None,
        session: Session | None = None,
        **options: Any,
    ) -> Self:
        """The agent that a spec describes; what a spec has no word for is given as arguments."""
        return from_spec(partial(cls, config=config, settings=settings, session=session), spec, **options)

    @classmethod
    def from_file(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, path: Path | str, *, fmt: Literal["yaml", "json"] | None = None, **options: Any
    ) -> Self:
        """The agent that a YAML or JSON file describes; `options` are those of `from_spec`."""
        return cls.from_spec(AgentSpec.from_file(path, fmt=fmt), **options)

    def session(self, session_id: str | None = None) -> AgentSession[AgentDepsT, OutputDataT]:
        """The conversation with this id, begun if there is none yet; the agent's own when no id is given.

        Raises:
            RuntimeError: the agent was made with `track_context=False`.
            ValueError: the id is empty, or "new", which as a `conversation_id` begins a session under an id of its own.
        """
        if not self.config.track_context:
            raise RuntimeError(
                "Context tracking is disabled for this agent, so it has no sessions; "
                "make it with AgentConfig(track_context=True)"
            )
        return self._sessions.get(session_id)

    @property
    def messages(self) -> list[ModelMessage]:
        """The agent's own conversation, oldest first; a new list."""
        return self.session().messages

    def get_messages(self) -> list[ChatMessage]:
        """The agent's own conversation as OpenAI chat messages; `messages` has all that this form cannot say."""
        return model_messages_to_dicts(self.messages)

    @property
    def context_manager(self) -> SessionContext | None:
        """The context of the agent's own conversation; None when it keeps none (`track_context=False`)."""
        return self._sessions.own.context if self.config.track_context else None

    def should_compact(self) -> bool:
        """Whether the agent's own conversation is past the size from which on it is shortened."""
        return self.session().context.should_compact()

    async def compact(self) -> CompactionResult[ModelMessage]:
        """Shorten the agent's own conversation to the target now; `context_manager.plan` says what that would do."""
        return await self.session().context.compact()

    def get_context_state(self) -> ContextState:
        """How large the agent's own conversation is, and what was done to shorten it."""
        return self.session().context.get_context_state()

    def clear_context(self) -> None:
        """Start the agent's own conversation anew; its log keeps what was said."""
        self.session().clear()

    def get_system_prompt(self) -> str:
        """The system prompt as it is sent."""
        return self._system_prompt.content or "\n\n".join(self._system_prompts)

    def set_system_prompt(self, prompt: str) -> None:
        """Replace the system prompt from the very next request on, also inside a run that is under way."""
        require("the system prompt", prompt, str, expected='text, "" for none')
        # pydantic-ai reads the part anew for every request.
        self._system_prompt.content = prompt
        self._system_prompts = ()

    def get_usage(self) -> TokenUsage:
        """The tokens of all runs, as of now."""
        return self.usage_tracker.get_total_usage()

    def get_usage_history(self) -> list[UsageRecord]:
        """One record for every response, oldest first."""
        return self.usage_tracker.get_usage_history()

    @property
    def cost_estimator(self) -> CostEstimator:
        """What prices requests: a rate that is set here counts from the next one on."""
        return self.layers.prices.estimator

    def get_cost(self) -> Decimal | None:
        """USD for all runs; None when the price of a response is unknown."""
        return self.usage_tracker.get_cost_estimate()

    def get_cost_breakdown(self) -> CostBreakdown | None:
        """USD for all runs, in and out apart; None when the price of a response is unknown."""
        return self.usage_tracker.get_cost_breakdown()

    def get_token_count(self, text: str | None = None) -> int:
        """The tokens of a text; without one, those of the agent's own conversation, as the next request will have."""
        if text is not None:
            return self.token_counter.count(text)
        return self.session().context.get_token_count()

    def reset_tracking(self) -> None:
        """Forget what was spent."""
        self.usage_tracker.reset()

    def reset_all(self) -> None:
        """Forget what was spent, and start the agent's own conversation anew, if it keeps one."""
        self.reset_tracking()
        if self.config.track_context:
            self.clear_context()

    def run_stream_sync(
        self, user_prompt: Prompt = None, *, infer_name: bool = True, **options: Any
    ) -> StreamedRunResultSync[AgentDepsT, Any]:
        """pydantic-ai's streamed result, for code that is not async; wherever `run_sync` works."""
        infer_name_of_caller(self, infer_name)
        return BackgroundStreamedResult(self.run_stream(user_prompt, infer_name=False, **options))

    def stream(self, user_prompt: Prompt = None, **options: Unpack[RunOptions[AgentDepsT]]) -> TextStream[OutputDataT]:
        """The answer's text as it comes; after the last piece, `result` is what `run` would have given."""
        infer_name_of_caller(self, options.pop("infer_name", True))
        events = self.run_stream_events(user_prompt, infer_name=False, **cast("Any", options))
        return TextStream(cast("ReadEvents[OutputDataT]", events))

    if not TYPE_CHECKING:  # pydantic-ai's signatures; what type checkers see of them stands in signatures.py

        def iter(self, user_prompt=None, *, infer_name=True, **options):
            """pydantic-ai's run, on its session. Every entry point ends here."""
            infer_name_of_caller(self, infer_name)
            log = self._log_for(options)
            return Turn(
                lambda history: self._open_run(user_prompt, log, history, options),
                log,
                self.usage_tracker,
                self.layers,
                self._run_ids,
                run_id=options.get("run_id"),
                answers_calls=user_prompt is None or options.get("deferred_tool_results") is not None,
            )

        def run_sync(self, user_prompt=None, *, infer_name=True, **options):
            """The result of a run, for code that is not async: inside a running loop, in a sync tool, in any thread."""
            infer_name_of_caller(self, infer_name)
            return run_sync(lambda: self.run(user_prompt, infer_name=False, **options))

        def run_stream(self, user_prompt=None, *, infer_name=True, **options):
            """pydantic-ai's streamed result of a run."""
            infer_name_of_caller(self, infer_name)
            return RememberedStream(super().run_stream(user_prompt, infer_name=False, **options))

        def run_stream_events(self, user_prompt=None, *, infer_name=True, **options):
            """pydantic-ai's events of a run."""
            infer_name_of_caller(self, infer_name)
            return ReadEvents(super().run_stream_events(user_prompt, infer_name=False, **options))

        def to_cli_sync(self, *args, **options):
            """pydantic-ai's chat in the terminal, for code that is not async."""
            return run_sync(lambda: self.to_cli(*args, **options))

        @contextmanager
        def override(self, **options):
            """pydantic-ai's `override`; a bare model name is looked up in the settings."""
            options = with_model(options, self.settings)
            if isinstance(options.get("model"), str):
                options["model"] = ready_model(options["model"], self.root_capability.capabilities)
            with super().override(**options):
                self._keep_system_prompt()
                yield

        def tool(self, func=None, /, *, graceful_errors=None, **options):
            """pydantic-ai's decorator for a tool that takes the run's context, and whether its errors are graceful."""
            default = self.config.graceful_tool_errors
            return registered(super().tool, func, options, graceful_errors=graceful_errors, default=default)

        def tool_plain(self, func=None, /, *, graceful_errors=None, **options):
            """pydantic-ai's decorator for a tool that takes its arguments only, and whether its errors are graceful."""
            default = self.config.graceful_tool_errors
            return registered(super().tool_plain, func, options, graceful_errors=graceful_errors, default=default)

    def _log_for(self, options: RunOptions[AgentDepsT]) -> SessionLog | None:
        """The conversation a run belongs to; None for one that brings its own history."""
        if not self.config.track_context or options.get("message_history") is not None or options.get("conversation"):
            return None
        # A delegate joins the conversation it is called from: its own would mix those of all callers.
        session_id = options.get("conversation_id")
        return self._sessions.log_of_run(surrounding_session_id() if session_id is None else session_id)

    def _open_run(
        self, user_prompt: Prompt, log: SessionLog | None, history: list[ModelMessage] | None, options: dict[str, Any]
    ) -> AbstractAsyncContextManager[AgentRun[AgentDepsT, Any]]:
        if log is not None:
            options["message_history"], options["conversation_id"] = history, log.session_id
        options = with_model(options, self.settings)
        if self._override_root_capability.get() is not None:
            # The capabilities of `override(spec=…)` take the place of all others.
            options["capabilities"] = [Seat(layers=self.layers.in_order), *(options.get("capabilities") or ())]
        return super().iter(user_prompt, infer_name=False, **options)

    def current_model(self) -> Model | None:
        """The model of a run that is given none: that of an `override` around this code, else the agent's own."""
        overriding = self._override_model.get()
        return made_model(self.model if overriding is None else overriding.value)

    def _keep_system_prompt(self) -> None:
        """Send it beside overriding instructions too, as pydantic-ai's `override` leaves a system prompt alone."""
        overriding = self._override_instructions.get()
        if overriding is None or any(instruction is self._system_prompt for instruction in overriding.value):
            return
        overriding.value.insert(0, self._system_prompt)


def _as_text(prompt: str | Sequence[str]) -> str:
    return prompt if isinstance(prompt, str) else "\n\n".join(prompt)


def _as_list[T](instructions: T | Sequence[T] | None) -> list[T]:
    if instructions is None:
        return []
    is_one = isinstance(instructions, str | InstructionPart) or callable(instructions)
    return [instructions] if is_one else list(instructions)  # pyright: ignore[reportUnknownVariableType, reportReturnType, reportArgumentType]
