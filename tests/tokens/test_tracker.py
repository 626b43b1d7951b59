"""The record of what was spent."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from mamba_agents.tokens import ModelRate, TokenUsage, UsageRecord, UsageTracker

RATE = ModelRate(input=Decimal(2), output=Decimal(8), cache_read=Decimal(1), cache_write=Decimal(3))
MILLION = 1_000_000
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
CENT = Decimal("0.01")


def row(tokens: int = 10, cost: Decimal | None = CENT, **fields: Any) -> UsageRecord:
    usage = TokenUsage(prompt_tokens=tokens, completion_tokens=1, total_tokens=tokens + 1, request_count=1)
    return UsageRecord(**{"timestamp": NOON, "usage": usage, "kind": "response", "cost": cost, **fields})


def tracked(*rows: UsageRecord, **options: Any) -> UsageTracker:
    tracker = UsageTracker(**options)
    tracker.add(rows)
    return tracker


def test_a_tracker_sums_and_keeps_order() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.record_raw(MILLION, 0, "m", "search")
    tracker.record_raw(0, MILLION, "m", "search")
    tracker.record_usage(TokenUsage(prompt_tokens=MILLION, total_tokens=MILLION, request_count=1), "m")
    total = tracker.get_total_usage()
    assert (total.prompt_tokens, total.completion_tokens, total.total_tokens) == (2 * MILLION, MILLION, 3 * MILLION)
    assert total.request_count == 3
    assert [record.tool_name for record in tracker.get_usage_history()] == ["search", "search", None]
    assert {record.kind for record in tracker.get_usage_history()} == {"manual"}
    assert tracker.get_breakdown_by_tool()["search"].total_tokens == 2 * MILLION
    assert tracker.get_cost_estimate() == tracker.get_cost_estimate("m") == 12
    assert tracker.get_cost_estimate("other") is None
    breakdown = tracker.get_cost_breakdown()
    assert breakdown is not None
    assert (breakdown.prompt_cost, breakdown.completion_cost, breakdown.model) == (4, 8, "m")
    tracker.reset()
    assert tracker.get_total_usage() == TokenUsage()
    assert (tracker.get_cost_estimate(), tracker.get_usage_history(), tracker.get_breakdown_by_day()) == (0, [], {})
    assert total.request_count == 3


def test_one_unknown_price_makes_the_sum_unknown_and_is_counted() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.record_raw(1, 1, "m")
    tracker.record_raw(1, 1, "no-such-model")
    tracker.record_raw(1, 1)
    tracker.record_usage(TokenUsage(prompt_tokens=5, total_tokens=5, request_count=4))
    assert tracker.get_cost_estimate() is None
    assert tracker.get_cost_breakdown() is None
    assert tracker.get_cost_estimate("m") is not None
    assert tracker.unpriced_requests == 6
    assert tracker.get_total().known_cost == tracker.get_cost_estimate("m")
    assert tracker.get_breakdown_by_model()["no-such-model"].unpriced_requests == 1


def test_breakdowns_by_model_provider_session_day_and_kind_have_usage_and_cost() -> None:
    late = datetime(2026, 11, 24, 23, 30, tzinfo=timezone(timedelta(hours=-1)))  # the next day by UTC
    tracker = tracked(
        row(model="a", provider="x", session_id="s"),
        row(model="a", provider="y", session_id="t", kind="compaction"),
        row(model="b", provider="x", session_id="s", cost=None, timestamp=late),
        row(),
    )
    models = tracker.get_breakdown_by_model()
    assert {name: (spent.usage.request_count, spent.cost) for name, spent in models.items()} == {
        "a": (2, 2 * CENT),
        "b": (1, None),
        None: (1, CENT),
    }
    assert (models["b"].unpriced_requests, models["b"].known_cost, models["a"].unpriced_requests) == (1, 0, 0)
    sessions = tracker.get_breakdown_by_session()
    assert {name: spent.known_cost for name, spent in sessions.items()} == {"s": CENT, "t": CENT, None: CENT}
    assert sessions["s"].usage.total_tokens == 22
    providers = tracker.get_breakdown_by_provider()
    assert {name: spent.usage.request_count for name, spent in providers.items()} == {"x": 2, "y": 1, None: 1}
    days = tracker.get_breakdown_by_day()
    assert {day: spent.usage.request_count for day, spent in days.items()} == {
        date(2026, 11, 24): 3,
        date(2026, 11, 25): 1,
    }
    kinds = tracker.get_breakdown_by_kind()
    assert {kind: spent.usage.request_count for kind, spent in kinds.items()} == {"response": 3, "compaction": 1}


def test_a_reply_belongs_to_the_tools_it_calls_in_equal_shares() -> None:
    tracker = tracked(row(11, tool_calls=("read", "write", "read")), row(7, tool_calls=("write",)), row(100))
    tools = tracker.get_breakdown_by_tool()
    assert (tools["read"].prompt_tokens, tools["write"].prompt_tokens) == (7, 4 + 7)
    assert tools["read"].total_tokens + tools["write"].total_tokens == 12 + 8
    assert (tools["read"].request_count, tools["write"].request_count) == (1, 2)
    costs = tracker.get_spending_by_tool()
    assert (costs["read"].cost or 0) + (costs["write"].cost or 0) == 2 * CENT
    assert costs["read"].cost == pytest.approx(CENT * 2 / 3)


def test_an_unpriced_reply_is_one_unpriced_request_of_each_tool_it_calls() -> None:
    tools = tracked(row(tool_calls=("read", "write", "read"), cost=None)).get_spending_by_tool()
    assert {name: spent.unpriced_requests for name, spent in tools.items()} == {"read": 1, "write": 1}


def test_the_tool_that_a_record_names_by_hand_has_all_of_it() -> None:
    assert tracked(row(tool_name="search", tool_calls=("other",))).get_breakdown_by_tool() == {
        "search": TokenUsage(prompt_tokens=10, completion_tokens=1, total_tokens=11, request_count=1)
    }


def test_what_is_handed_out_is_a_snapshot() -> None:
    tracker = tracked(row(model="m", tool_calls=("t",)))
    before = (tracker.get_total_usage(), tracker.get_breakdown_by_tool()["t"], tracker.get_breakdown_by_model()["m"])
    tracker.get_usage_history().clear()
    tracker.get_total_usage().prompt_tokens = 1000
    tracker.add([row(model="m", tool_calls=("t",))])
    assert [each.total_tokens for each in (before[0], before[1], before[2].usage)] == [11, 11, 11]
    assert tracker.get_total_usage().total_tokens == 22


def test_a_row_that_is_known_is_not_counted_again() -> None:
    rows = [row(run_id="r", index=place, timestamp=NOON + timedelta(seconds=place)) for place in range(3)]
    tracker = tracked(*rows[:2])
    tracker.add(rows)
    assert tracker.get_usage_history() == rows
    assert tracker.get_cost_estimate() == 3 * CENT
    tracker.add([row(run_id="r", index=0, kind="compaction"), row(), row()])
    assert tracker.get_total_usage().request_count == 6
    tracker.reset()
    tracker.add(rows)
    assert tracker.get_total_usage().request_count == 3


def filled(**options: Any) -> UsageTracker:
    tracker = UsageTracker({"m": RATE}, **options)
    for place in range(100):
        cost = tracker.estimator.estimate(row().usage, "m")
        fields = {"model": "m", "session_id": f"s{place % 3}", "tool_calls": ("a", "b")[: place % 3]}
        tracker.add([row(cost=cost, run_id=f"r{place}", index=0, timestamp=NOON + timedelta(hours=place), **fields)])
    return tracker


def test_a_long_life_keeps_the_newest_records_and_exact_totals() -> None:
    bounded, unbounded = filled(max_records=7), filled(max_records=None)
    assert bounded.get_usage_history() == unbounded.get_usage_history()[-7:]
    for figures in (
        "get_total",
        "get_breakdown_by_model",
        "get_breakdown_by_session",
        "get_breakdown_by_day",
        "get_breakdown_by_kind",
        "get_spending_by_tool",
        "get_cost_breakdown",
        "get_cost_estimate",
    ):
        assert getattr(bounded, figures)() == getattr(unbounded, figures)()
    assert bounded.get_cost_breakdown() is not None


def test_what_a_tracker_holds_does_not_grow_with_the_requests() -> None:
    tracker = filled(max_records=7)
    assert [len(held) for held in (tracker._records, tracker._keys, tracker._unsplit)] == [7, 7, 7]


def of_sessions(count: int, **options: Any) -> UsageTracker:
    """A tracker of that many sessions, each of two days and two models."""
    fields = [{"timestamp": NOON + timedelta(days=day), "model": model} for day in range(2) for model in "ab"]
    rows = [row(session_id=f"s{place}", **each) for place in range(count) for each in fields]
    return tracked(*rows, **options)


def test_sessions_beyond_the_bound_share_an_entry_and_the_breakdown_still_adds_up() -> None:
    tracker = of_sessions(50, max_records=7, max_sessions=3)
    tracker.add([row(cost=None)])
    sessions = tracker.get_breakdown_by_session()
    assert set(sessions) == {None, UsageTracker.OLDER_SESSIONS, "s47", "s48", "s49"}
    assert sessions[UsageTracker.OLDER_SESSIONS].usage.request_count == 47 * 4
    assert sessions["s49"].cost == 4 * CENT
    assert (sessions[None].cost, sessions[None].unpriced_requests) == (None, 1)
    total = tracker.get_total()
    assert sum(each.usage.total_tokens for each in sessions.values()) == total.usage.total_tokens
    assert sum(each.known_cost for each in sessions.values()) == total.known_cost == 200 * CENT


def test_the_sessions_used_last_keep_their_entries() -> None:
    tracker = tracked(*(row(session_id=name) for name in ("a", "b", "a", "c")), max_sessions=2)
    used = {name: spent.usage.request_count for name, spent in tracker.get_breakdown_by_session().items()}
    assert used == {UsageTracker.OLDER_SESSIONS: 1, "a": 2, "c": 1}
    tracker.add([row(session_id="b")])
    used = {name: spent.usage.request_count for name, spent in tracker.get_breakdown_by_session().items()}
    assert used == {UsageTracker.OLDER_SESSIONS: 3, "c": 1, "b": 1}
    tracker.reset()
    assert tracker.get_breakdown_by_session() == {}
    with pytest.raises(ValueError, match=r"max_sessions=-1; expected 0 or more"):
        UsageTracker(max_sessions=-1)


def test_what_a_tracker_sums_by_does_not_grow_with_the_sessions() -> None:
    for sessions in (5, 500):
        tracker = of_sessions(sessions)
        assert [spent.usage.request_count for spent in tracker.get_breakdown_by_model().values()] == [2 * sessions] * 2
        assert len(tracker._cells) == 4
    assert len(of_sessions(500, max_sessions=None).get_breakdown_by_session()) == 500


def test_no_records_may_be_kept_at_all() -> None:
    tracker = tracked(row(), row(), max_records=0)
    assert (tracker.get_usage_history(), tracker.get_cost_estimate()) == ([], 2 * CENT)
    with pytest.raises(ValueError, match=r"max_records=-1; expected 0 or more"):
        UsageTracker(max_records=-1)


def test_a_cost_that_the_provider_named_cannot_be_split_in_two() -> None:
    tracker = UsageTracker({"m": RATE})
    tracker.add([row(model="m", cost=Decimal(5))])
    assert (tracker.get_cost_estimate(), tracker.get_cost_breakdown()) == (5, None)


def test_a_free_reply_splits_into_nothing_and_nothing() -> None:
    breakdown = tracked(row(model="a", cost=Decimal(0)), row(model="b", cost=Decimal(0))).get_cost_breakdown()
    assert breakdown is not None
    assert (breakdown.prompt_cost, breakdown.completion_cost, breakdown.model) == (0, 0, "a, b")


def test_threads_lose_nothing() -> None:
    tracker, interval = UsageTracker(max_records=50), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: tracker.add([row(model="m", tool_calls=("t",))] * 5), range(200)))
    finally:
        sys.setswitchinterval(interval)
    assert tracker.get_total_usage().request_count == 1000
    assert tracker.get_breakdown_by_tool()["t"].request_count == 1000
    assert tracker.get_cost_estimate() == 1000 * CENT
