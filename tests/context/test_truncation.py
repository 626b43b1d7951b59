"""What gives away a server that cut a prompt without a word, and what is no cut."""

import logging
import warnings

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import CompactionPart, ModelRequest, ModelResponse, TextPart
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModelSettings
from pydantic_ai.models.test import TestModel
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.settings import ModelSettings

from mamba_agents.backends import (
    create_lmstudio_backend,
    create_ollama_backend,
    create_openai_compatible_backend,
    create_vllm_backend,
)
from mamba_agents.context.truncation import (
    SilentCut,
    SilentTruncationWarning,
    cut_text,
    report_cut,
    setting_to_change,
    shortened_by_provider,
    silent_cut,
)
from mamba_agents.tokens import TokenCounter
from tests.backends.server import Answer, serving
from tests.helpers import user

OLLAMA = create_ollama_backend("qwen3")
REPLY = ModelResponse(parts=[TextPart("Hi.")])


@pytest.mark.parametrize(
    ("reported", "sent"),
    [
        pytest.param(16_387, 160_689, id="github.com/ollama/ollama/issues/3839, 2026-07-11"),
        pytest.param(2_050, 7_900, id="github.com/ollama/ollama/issues/17889, 2026-08-20"),
        pytest.param(2_051, 4_398, id="Ollama's own log, 2026-10-01"),
        pytest.param(2_048, 16_101, id="github.com/RooCodeInc/Roo-Code/issues/1372, 2025-03-04"),
        pytest.param(2_048, 3_858, id="github.com/ollama/ollama/issues/8099, 2024-12-14"),
    ],
)
def test_cuts_that_were_reported_by_users_are_found(reported: int, sent: int) -> None:
    exactly = silent_cut(reported_tokens=reported, counted_tokens=sent, counted_exactly=True)
    assert exactly == SilentCut(reported_tokens=reported, expected_tokens=int(sent * 0.9))


def test_a_count_with_another_tokenizer_finds_those_that_took_more_than_half() -> None:
    def found(reported: int) -> SilentCut | None:
        return silent_cut(reported_tokens=reported, counted_tokens=10_000, counted_exactly=False)

    assert found(4_096) == SilentCut(reported_tokens=4_096, expected_tokens=5_000)
    assert found(4_900) is None


def test_a_history_that_only_grew_and_is_reported_smaller_was_cut() -> None:
    """Ollama drops whole turns: nothing is round about what is left."""

    def found(reported: int) -> SilentCut | None:
        return silent_cut(reported_tokens=reported, counted_tokens=4_000, counted_exactly=False, previous_tokens=3_900)

    assert found(3_100) == SilentCut(reported_tokens=3_100, expected_tokens=3_783)
    assert found(3_700) is None


def test_a_history_that_grew_and_is_reported_as_large_as_before_was_cut() -> None:
    def found(later: int, *, exactly: bool = False) -> SilentCut | None:
        return silent_cut(
            reported_tokens=4_096,
            counted_tokens=4_200,
            counted_exactly=exactly,
            previous_tokens=4_096,
            later_tokens=later,
        )

    assert found(900) == SilentCut(reported_tokens=4_096, expected_tokens=4_423)
    assert found(700) is None
    assert found(450, exactly=True) == SilentCut(reported_tokens=4_096, expected_tokens=4_378)
    assert found(400, exactly=True) is None


@pytest.mark.parametrize("reported", [9_500, 10_000, 20_000])
def test_a_figure_like_the_count_is_no_cut(reported: int) -> None:
    assert silent_cut(reported_tokens=reported, counted_tokens=10_000, counted_exactly=True) is None


@pytest.mark.parametrize("reported", [0, 1, 12, 900])
def test_a_figure_that_leaves_out_what_was_cached_or_all_is_no_cut(reported: int) -> None:
    assert (
        silent_cut(reported_tokens=reported, counted_tokens=10_000, counted_exactly=True, previous_tokens=9_900) is None
    )


def test_in_a_small_window_smaller_figures_count() -> None:
    cut = silent_cut(reported_tokens=258, counted_tokens=7_260, counted_exactly=True, window_tokens=512)
    assert cut == SilentCut(reported_tokens=258, expected_tokens=6_534)


def test_small_requests_are_not_judged() -> None:
    assert silent_cut(reported_tokens=1_100, counted_tokens=1_400, counted_exactly=True) is None


def test_thinking_and_images_that_a_provider_leaves_out_are_no_cut() -> None:
    def found(droppable: int) -> SilentCut | None:
        return silent_cut(
            reported_tokens=6_000,
            counted_tokens=10_000,
            counted_exactly=True,
            previous_tokens=9_500,
            droppable_tokens=droppable,
        )

    assert found(0) is not None
    assert found(4_000) is None


@pytest.mark.anyio
async def test_a_real_reply_of_a_server_that_cut_is_found_by_its_figures() -> None:
    usage = {"prompt_tokens": 2_050, "completion_tokens": 3, "total_tokens": 2_053}
    with serving(Answer(usage=usage)) as server:
        result = await Agent(create_ollama_backend("qwen3", base_url=server.url)).run("some words " * 5_000)
    sent = TokenCounter().count_messages(result.all_messages()[:1])
    assert silent_cut(
        reported_tokens=result.response.usage.input_tokens, counted_tokens=sent, counted_exactly=False
    ) == SilentCut(reported_tokens=2_050, expected_tokens=sent // 2)


def test_a_provider_that_was_told_not_to_shorten_did_not() -> None:
    settings = OpenAIResponsesModelSettings(openai_truncation="disabled")
    assert not shortened_by_provider([user("Hi")], REPLY, settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"openai_truncation": "auto"},
        {"openai_context_management": [{"type": "compaction"}]},
        {"anthropic_context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
        {"openai_previous_response_id": "auto"},
    ],
)
def test_what_the_provider_was_asked_to_do_is_told_apart(settings: ModelSettings) -> None:
    assert shortened_by_provider([user("Hi")], REPLY, settings)
    assert not shortened_by_provider([user("Hi")], REPLY, {"temperature": 0.5})
    assert not shortened_by_provider([user("Hi")], REPLY, None)


def test_a_provider_s_own_summary_tells_that_it_shortened_and_ours_does_not() -> None:
    theirs = ModelResponse(parts=[CompactionPart(content="So far: …", provider_name="anthropic")])
    ours = ModelRequest(parts=[CompactionPart(content="So far: …")])
    assert shortened_by_provider([user("Hi")], theirs, None)
    assert shortened_by_provider([user("Hi"), theirs, user("And?")], REPLY, None)
    assert not shortened_by_provider([ours], REPLY, None)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (OLLAMA, "OLLAMA_CONTEXT_LENGTH"),
        (WrapperModel(OLLAMA), "OLLAMA_CONTEXT_LENGTH"),
        (create_lmstudio_backend("m"), "context overflow policy"),
        (create_vllm_backend("m"), "--max-model-len"),
        (create_openai_compatible_backend("m", base_url="http://localhost:11434/v1"), "OLLAMA_CONTEXT_LENGTH"),
        (create_openai_compatible_backend("m", base_url="http://localhost:1234/v1"), "Context Length"),
        (create_openai_compatible_backend("m", base_url="http://localhost:8080/v1"), "--ctx-size"),
        (OpenAIChatModel("m", provider=OpenAIProvider(base_url="http://h:11434/v1", api_key="k")), "num_ctx"),
        (TestModel(), "--ctx-size"),
    ],
)
def test_the_server_s_own_setting_is_named(model: Model, words: str) -> None:
    assert words in setting_to_change(model)


@pytest.mark.parametrize("address", ["http://h:port", None])
def test_an_address_that_tells_nothing_leaves_general_words(address: str | None) -> None:
    class Odd(TestModel):
        @property
        def base_url(self) -> str | None:
            if address is None:
                raise RuntimeError("no client yet")
            return address

    assert "--ctx-size" in setting_to_change(Odd())


def test_of_several_models_the_one_that_answered_is_meant() -> None:
    model = FallbackModel(create_vllm_backend("m"), OLLAMA)
    answered = ModelResponse(parts=[TextPart("Hi.")], provider_name="ollama")
    assert "OLLAMA_CONTEXT_LENGTH" in setting_to_change(model, answered)
    assert "transforms" in setting_to_change(model, ModelResponse(parts=[], provider_name="openrouter"))


def test_a_cut_is_warned_of_and_logged_with_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    cut = SilentCut(reported_tokens=2_050, expected_tokens=7_900)
    expected = (
        "qwen3 read 2050 tokens of a request of at least 7900: its server cut the prompt without a word, and the "
        "answer rests on what was left. Start Ollama with a larger OLLAMA_CONTEXT_LENGTH, or give the model a larger "
        "num_ctx in its Modelfile. Or set context.window_tokens to what the server really takes, so that the context "
        "is compacted in time."
    )
    with caplog.at_level(logging.WARNING, "mamba_agents.context"), pytest.warns(SilentTruncationWarning) as caught:
        report_cut(cut, OLLAMA)
    assert [str(warning.message) for warning in caught] == [expected]
    assert caplog.messages == [expected]
    assert cut_text(cut, OLLAMA) == expected


def test_the_warning_can_be_silenced_alone(caplog: pytest.LogCaptureFixture) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SilentTruncationWarning)
        report_cut(SilentCut(reported_tokens=1, expected_tokens=2), OLLAMA)
    assert len(caplog.messages) == 1
