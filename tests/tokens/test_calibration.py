"""What counts for unknown models learn from the usage that replies report."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_agents.tokens import TokenCounter
from mamba_agents.tokens.calibration import HIGHEST_FACTOR, LOWEST_FACTOR, SMALLEST_SAMPLE, Calibration

TEXT = "What a model of another maker reads, it cuts in other places. " * 20


def test_nothing_learnt_is_a_factor_of_one() -> None:
    assert TokenCounter().factor("claude-opus-4-5") == 1.0
    assert TokenCounter().factor() == 1.0


def test_counts_for_a_model_follow_what_it_reports() -> None:
    counter = TokenCounter()
    plain = counter.count(TEXT, "claude-opus-4-5")
    counter.calibrate("claude-opus-4-5", counted=1_000, reported=1_300)
    assert counter.factor("claude-opus-4-5") == 1.3
    assert counter.count(TEXT, "claude-opus-4-5") == round(plain * 1.3)
    assert counter.count_batch([TEXT, ""], "claude-opus-4-5") == [round(plain * 1.3), 0]
    assert counter.count(TEXT, "gemini-3-pro") == plain, "each model has its own factor"


def test_the_default_model_is_the_one_that_learns_and_counts() -> None:
    counter = TokenCounter(model="claude-opus-4-5")
    counter.calibrate(None, counted=1_000, reported=1_500)
    assert counter.factor() == counter.factor("claude-opus-4-5") == 1.5
    nameless = TokenCounter()
    nameless.calibrate(None, counted=1_000, reported=1_500)
    assert nameless.factor() == 1.0, "samples of no model would be of any"


@pytest.mark.parametrize("model", ["gpt-5", "openai:gpt-4o", "gpt-4", "gpt-oss-20b", "qwen3.5-9b"])
def test_an_exact_model_learns_nothing(model: str) -> None:
    counter = TokenCounter()
    counter.calibrate(model, counted=1_000, reported=2_000)
    assert counter.factor(model) == 1.0


def test_later_samples_weigh_more() -> None:
    calibration = Calibration()
    for _ in range(5):
        calibration.add("m", counted=1_000, reported=1_000)
    for _ in range(10):
        calibration.add("m", counted=1_000, reported=2_000)
    assert 1.9 < calibration.factor("m") < 2.0


def test_large_samples_weigh_more_than_small_ones() -> None:
    calibration = Calibration()
    calibration.add("m", counted=100_000, reported=150_000)
    calibration.add("m", counted=100, reported=100)
    assert calibration.factor("m") > 1.49


@pytest.mark.parametrize(
    ("counted", "reported"),
    [(0, 1_000), (1_000, 0), (-1_000, 1_000), (1_000, -5), (SMALLEST_SAMPLE - 1, 500), (500, SMALLEST_SAMPLE - 1)],
)
def test_a_sample_that_tells_nothing_is_left_out(counted: int, reported: int) -> None:
    calibration = Calibration()
    calibration.add("m", counted=1_000, reported=1_200)
    calibration.add("m", counted=counted, reported=reported)
    assert calibration.factor("m") == 1.2


def test_one_absurd_sample_is_believed_up_to_the_limits_only() -> None:
    calibration = Calibration()
    calibration.add("m", counted=1_000, reported=1_000_000)
    assert calibration.factor("m") == HIGHEST_FACTOR
    calibration = Calibration()
    calibration.add("m", counted=1_000_000, reported=1_000)
    assert calibration.factor("m") == LOWEST_FACTOR


@given(st.lists(st.tuples(st.integers(-10, 10**7), st.integers(-10, 10**7)), max_size=30))
def test_the_factor_stays_within_its_limits_and_is_the_same_for_the_same_samples(
    samples: list[tuple[int, int]],
) -> None:
    first, second = Calibration(), Calibration()
    for counted, reported in samples:
        first.add("m", counted=counted, reported=reported)
        second.add("m", counted=counted, reported=reported)
        assert LOWEST_FACTOR <= first.factor("m") <= HIGHEST_FACTOR
        assert first.factor("m") == second.factor("m")


def test_threads_lose_no_sample() -> None:
    calibration, alone = Calibration(), Calibration()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: calibration.add("m", counted=1_000, reported=1_250), range(400)))
    for _ in range(400):
        alone.add("m", counted=1_000, reported=1_250)
    assert calibration.factor("m") == alone.factor("m") == pytest.approx(1.25)
