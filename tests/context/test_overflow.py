"""Which errors mean that a prompt was too long, and what they tell of the window."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    FallbackExceptionGroup,
    ModelAPIError,
    ModelContextWindowExceededError,
    ModelHTTPError,
)
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.backends import create_local_backend, create_openai_compatible_backend
from mamba_agents.context.overflow import is_context_overflow, prompt_tokens_in, window_in
from tests.backends.server import failure, serving

pytestmark = pytest.mark.anyio


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """One server's answer, as `overflow_texts.json` records it."""

    server: str
    source: str
    """Where it was read, and when it was written there."""
    status: int | None
    body: object
    window: int | None = None
    prompt: int | None = None


RECORDED = json.loads(Path(__file__).with_name("overflow_texts.json").read_text("utf-8"))
OVERFLOWS = [Refusal(**entry) for entry in RECORDED["overflows"]]
OTHERS = [Refusal(**entry) for entry in RECORDED["others"]]

overflows = pytest.mark.parametrize("refusal", OVERFLOWS, ids=lambda refusal: refusal.server)
others = pytest.mark.parametrize("refusal", OTHERS, ids=lambda refusal: refusal.server)


def raised(refusal: Refusal) -> ModelAPIError:
    if refusal.status is None:
        return ModelAPIError("m", str(refusal.body), body=refusal.body, in_stream=True)
    return ModelHTTPError(refusal.status, "m", refusal.body)


def overflow(window: int, prompt: int) -> ModelHTTPError:
    return ModelHTTPError(400, "m", f"prompt is too long: {prompt} tokens > {window} maximum")


@overflows
def test_every_server_s_words_are_recognised(refusal: Refusal) -> None:
    assert is_context_overflow(raised(refusal))


@overflows
def test_the_figures_are_read_where_the_server_tells_them(refusal: Refusal) -> None:
    assert (window_in(raised(refusal)), prompt_tokens_in(raised(refusal))) == (refusal.window, refusal.prompt)


@others
def test_other_refusals_are_not_taken_for_it(refusal: Refusal) -> None:
    error = raised(refusal)
    assert not is_context_overflow(error)
    assert (window_in(error), prompt_tokens_in(error)) == (None, None)


@pytest.mark.parametrize("refusal", [o for o in OVERFLOWS if o.status], ids=lambda refusal: refusal.server)
@pytest.mark.parametrize("wrapped", [True, False])
async def test_it_is_recognised_as_it_comes_from_a_real_server(refusal: Refusal, wrapped: bool) -> None:
    """Both ways that servers put their errors: within `error`, as OpenAI does, and bare."""
    body = {"error": refusal.body} if wrapped else refusal.body
    with serving(failure(refusal.status or 0, body)) as server:
        model = create_openai_compatible_backend("m", base_url=server.url, max_retries=0)
        with pytest.raises(ModelAPIError) as caught:
            await Agent(model).run("Hi")
    assert is_context_overflow(caught.value)
    assert (window_in(caught.value), prompt_tokens_in(caught.value)) == (refusal.window, refusal.prompt)


async def test_it_is_recognised_within_a_stream() -> None:
    with serving(failure(400, {"error": "Cannot truncate prompt with n_keep (15028) >= n_ctx (7424)"})) as server:
        model = create_openai_compatible_backend("m", base_url=server.url, max_retries=0)
        with pytest.raises(ModelAPIError) as caught:
            async with Agent(model).run_stream("Hi"):
                pass
    assert is_context_overflow(caught.value)
    assert window_in(caught.value) == 7_424


def test_the_class_is_enough_where_the_words_are_new() -> None:
    assert is_context_overflow(ModelContextWindowExceededError("m", "Too much of everything."))


def test_an_answer_as_long_as_the_window_is_no_overflow_whatever_its_class() -> None:
    words = "This model's maximum context length is 4096 tokens. However, you requested 4100 tokens "
    error = ModelContextWindowExceededError("m", words + "(4 in the messages, 4096 in the completion).")
    assert not is_context_overflow(error)


def test_what_a_tool_or_a_program_says_is_not_taken_for_it() -> None:
    assert not is_context_overflow(ValueError("maximum context length is 10 tokens"))
    assert not is_context_overflow(RuntimeError("prompt is too long"))


def test_a_group_is_an_overflow_where_all_its_members_are() -> None:
    both = FallbackExceptionGroup("all failed", [overflow(8_000, 9_000), overflow(4_000, 9_100)])
    assert is_context_overflow(both)
    assert (window_in(both), prompt_tokens_in(both)) == (4_000, 9_100)

    mixed = ExceptionGroup("two", [overflow(8_000, 9_000), ModelHTTPError(429, "m", "slow down")])
    assert not is_context_overflow(mixed)
    assert is_context_overflow(ExceptionGroup("nested", [both]))


async def test_a_fallback_whose_members_all_refuse_is_recognised() -> None:
    def refuse(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        raise overflow(2_048, 5_000)

    model = FallbackModel(FunctionModel(refuse), FunctionModel(refuse))
    with pytest.raises(FallbackExceptionGroup) as caught:
        await Agent(model).run("Hi")
    assert is_context_overflow(caught.value)
    assert window_in(caught.value) == 2_048


@pytest.mark.parametrize("body", [[], {}, 0, "", [[[[]]]], {"error": {"error": {"error": None}}}, {"message": 3}])
def test_a_body_that_says_nothing_is_no_overflow(body: object) -> None:
    assert not is_context_overflow(ModelHTTPError(400, "m", body))


def test_a_body_without_end_is_read_as_far_as_it_goes() -> None:
    endless: dict[str, object] = {"message": "x" * 1_000_000}
    endless["error"] = endless
    assert not is_context_overflow(ModelHTTPError(400, "m", endless))


@pytest.mark.model
async def test_llama_cpp_s_own_refusal_is_recognised_with_its_figures() -> None:
    model: Model = create_local_backend(context_window=512, constrained_tools=False)
    with pytest.raises(ModelHTTPError) as caught:
        await Agent(model).run("hi " * 2_000)
    assert is_context_overflow(caught.value)
    assert window_in(caught.value) == 512
    assert (prompt_tokens_in(caught.value) or 0) > 2_000
