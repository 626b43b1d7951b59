"""The figures of spending."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from pydantic_ai.usage import RequestUsage

from mamba_agents.tokens import Spending, TokenUsage, UsageRecord
from mamba_agents.tokens.usage import token_usage

FIELDS = tuple(TokenUsage.__slots__)
COUNTED = [name for name in FIELDS if name != "request_count"]


def numbered(start: int) -> TokenUsage:
    return TokenUsage(**{name: start + place for place, name in enumerate(FIELDS)})


def test_a_sum_has_every_figure_and_leaves_its_parts_alone() -> None:
    one, two = numbered(1), numbered(100)
    assert one + two == TokenUsage(**{name: getattr(one, name) + getattr(two, name) for name in FIELDS})
    assert (one, two) == (numbered(1), numbered(100))


@pytest.mark.parametrize("count", [1, 2, 3, 7])
def test_shares_add_up_to_the_whole_to_the_token(count: int) -> None:
    whole = TokenUsage(**{**{name: place * 5 + 1 for place, name in enumerate(FIELDS)}, "total_tokens": 7})
    shares = [whole.share(place, place + 1, count) for place in range(count)]
    assert {share.request_count for share in shares} == {whole.request_count}
    for name in COUNTED:
        assert sum(getattr(share, name) for share in shares) == getattr(whole, name)


def test_no_two_shares_differ_by_more_than_a_token() -> None:
    shares = [TokenUsage(prompt_tokens=11).share(place, place + 1, 4).prompt_tokens for place in range(4)]
    assert max(shares) - min(shares) == 1


def test_what_pydantic_ai_reports_has_a_place_here() -> None:
    reported = RequestUsage(
        input_tokens=100,
        output_tokens=50,
        cache_read_tokens=40,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        input_audio_tokens=10,
        cache_audio_read_tokens=4,
        output_audio_tokens=6,
        output_reasoning_tokens=30,
    )
    assert token_usage(reported) == TokenUsage(
        prompt_tokens=100,
        completion_tokens=50,
        total_tokens=150,
        request_count=1,
        cached_tokens=40,
        cache_write_tokens=20,
        cache_write_1h_tokens=5,
        input_audio_tokens=10,
        cached_audio_tokens=4,
        output_audio_tokens=6,
        reasoning_tokens=30,
    )


def test_reasoning_that_stands_among_the_details_counts() -> None:
    assert token_usage(RequestUsage(details={"reasoning_tokens": 3})).reasoning_tokens == 3


def test_only_a_record_of_a_run_can_be_told_from_another() -> None:
    now = datetime.now(UTC)
    assert UsageRecord(timestamp=now, usage=TokenUsage()).key is None
    first = UsageRecord(timestamp=now, usage=TokenUsage(), run_id="r", index=0, kind="response")
    again = UsageRecord(timestamp=now, usage=TokenUsage(), run_id="r", index=0, kind="response")
    summary = UsageRecord(timestamp=now, usage=TokenUsage(), run_id="r", index=0, kind="compaction")
    assert first.key == again.key != summary.key


def test_spending_with_an_unknown_part_has_no_cost() -> None:
    known = Spending(usage=TokenUsage(), known_cost=Decimal(2), unpriced_requests=0)
    assert known.cost == 2
    partly = Spending(usage=TokenUsage(), known_cost=Decimal(2), unpriced_requests=1)
    assert (partly.cost, partly.known_cost) == (None, 2)
