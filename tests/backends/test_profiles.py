"""Which profile a model's name finds, and what it changes."""

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import ThinkingPart
from tests.backends.server import Answer, serving

from mamba_agents.backends import (
    ModelProfile,
    create_vllm_backend,
    get_profile,
    list_profiles,
    register_profile,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def families() -> None:
    for name in ["fam", "fam-2", "Fam-2-Vision"]:
        register_profile(ModelProfile(name=name))


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("fam", "fam"),
        ("fam-1:7b", "fam"),
        ("fam-2-8b", "fam-2"),
        ("fam-2-vision-8b", "Fam-2-Vision"),
        ("FAM-2-VISION", "Fam-2-Vision"),
        ("org/fam-2", "fam-2"),
        ("org/team/Fam-1", "fam"),
        ("a-fam", ""),
        ("fa", ""),
        ("", ""),
    ],
)
async def test_the_longest_name_that_the_models_name_starts_with_is_found(model: str, profile: str) -> None:
    assert get_profile(model).name == profile


async def test_a_later_profile_takes_the_place_of_one_with_its_name() -> None:
    later = ModelProfile(name="FAM-2", streams_tool_calls=False)
    register_profile(later)

    assert get_profile("fam-2-8b") is later
    assert [profile.name for profile in list_profiles() if profile.name.lower() == "fam-2"] == ["FAM-2"]


async def test_profiles_are_listed_by_name() -> None:
    names = [profile.name.lower() for profile in list_profiles()]

    assert names == sorted(names)
    assert {"smollm2", "fam"} <= set(names)


async def test_a_profile_changes_what_the_host_knows() -> None:
    register_profile(ModelProfile(name="musing", host={"context_window": 1234, "thinking_tags": ("<muse>", "</muse>")}))
    with serving(Answer("<muse>Hm.</muse>Yes.")) as server:
        model = create_vllm_backend("musing-7b", base_url=server.url)
        result = await Agent(model).run("Well?")

    assert model.context_window == 1234
    assert result.output == "Yes."
    assert [part.content for part in result.response.parts if isinstance(part, ThinkingPart)] == ["Hm."]


@pytest.mark.parametrize("model", ["SmolLM2-135M-Instruct", "smollm2:135m", "gemma3:4b", "phi3"])
async def test_models_without_tool_calls_of_their_own_are_known(model: str) -> None:
    assert get_profile(model).constrained_tools


@pytest.mark.parametrize("model", ["llama3.2", "qwen3:4b", "gpt-oss:20b", "gemma-3-4b-it"])
async def test_other_models_make_their_own_tool_calls(model: str) -> None:
    assert not get_profile(model).constrained_tools
