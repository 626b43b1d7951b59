"""The fidelity benchmark measures what it says: the values a call uses, whether a cut passes, what baselines keep."""

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from benchmarks.cuts.baselines import Baseline, blanked_then_newest, bm25, newest, oracle, random_units
from benchmarks.cuts.cut import Cut, Verdict, cuts, judged
from benchmarks.cuts.origin import origin
from benchmarks.cuts.values import holds, used_values
from benchmarks.fidelity import BM25, ORACLE, RIVALS, STRATEGIES, Score, by_scene, scores, verdicts
from benchmarks.transcripts.audit import audit
from benchmarks.transcripts.embedded import TOPICS
from benchmarks.transcripts.generated import DEVELOPMENT, HELD_OUT, SCENES, Transcript, generated
from benchmarks.transcripts.play import played, recorded
from benchmarks.transcripts.recordings import FOLDER, recordings
from benchmarks.transcripts.support import support
from pydantic_ai.messages import (
    CompactionPart,
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)

from mamba_agents.context.laws import check_history
from mamba_agents.tokens import TokenCounter
from tests.helpers import call, reply, returned, user

COUNTER = TokenCounter()
BASELINES = {
    "newest": newest, "blanked": blanked_then_newest, "random": random_units(1), "bm25": bm25, "oracle": oracle,
}  # fmt: skip


def history() -> list[ModelMessage]:
    """Four turns: the order is found in the second, the third is small talk, the fourth asks to refund it."""
    system = SystemPromptPart("You help.")
    return [
        ModelRequest(parts=[system, UserPromptPart("Help me through the day.")]),
        reply("Gladly."),
        user("Look for the lamp."),
        call("find", {"what": "lamp"}),
        returned("find", {"order": "ORD-4711", "amount": 26.5}),
        reply("I have it."),
        user("How is the weather?"),
        reply("It rains, as it has for days, and it will go on until the end of the week at least."),
        user("Refund the lamp."),
    ]


HISTORY = history()


def cut_of(
    messages: list[ModelMessage], *, values: tuple[str | float, ...] = ("ORD-4711", 26.5), share: float = 0.8
) -> Cut:
    return Cut(
        transcript="own", messages=messages, values=list(values), known=True, fraction=share,
        target_tokens=int(COUNTER.count_messages(messages) * share), is_possible=True,
    )  # fmt: skip


def without(messages: list[ModelMessage], *indexes: int) -> list[ModelMessage]:
    return [message for index, message in enumerate(messages) if index not in indexes]


def verdict(messages: list[ModelMessage], cut: Cut | None = None) -> Verdict:
    return judged(cut or cut_of(HISTORY), messages, COUNTER)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("order 1042 is late", 1042),
        ("it costs 26.50.", 26.5),
        ('{"amount":26.5}', 26.5),
        ("it costs 1,042 euros", 1042),
        ("1042,Maria,Oslo", "1042"),
        ("see src/app.py.", "src/app.py"),
        ("航班 MU5137 从上海到北京", "上海"),
    ],
)
def test_a_text_holds_a_value_however_it_is_written(text: str, value: str | float) -> None:
    assert holds(text, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("order 21042 is late", 1042),
        ("order 10420 is late", 1042),
        ("A-1042 is late", 1042),
        ("it costs 126.5", 26.5),
        ("it costs 26.51", 26.5),
        ("see src/app.py.bak", "src/app.py"),
        ("see my_src/app.py", "src/app.py"),
    ],
)
def test_a_value_inside_another_is_not_there(text: str, value: str | float) -> None:
    assert not holds(text, value)


def test_a_call_uses_what_the_history_has_and_not_what_it_invented() -> None:
    response = call("refund", {"order": "ORD-4711", "amount": 26.5, "reference": "R-99812", "deep": {"to": ["C-204"]}})
    assert used_values(response, "ORD-4711 of C-204 costs 26.50") == ["ORD-4711", 26.5, "C-204"]


def test_plain_words_and_small_numbers_are_no_values() -> None:
    response = call("search", {"what": "lamp", "page": 12, "all": True})
    assert used_values(response, "the lamp of page 12, True") == []


def test_a_command_counts_by_the_ids_and_paths_in_it() -> None:
    response = call("run", {"command": "grep -n req-8812 logs/web.log | tail --lines 4"})
    assert used_values(response, "see logs/web.log for req-8812 at once") == ["req-8812", "logs/web.log"]


def test_arguments_that_are_a_json_string_count_alike() -> None:
    assert used_values(call("refund", '{"order": "ORD-4711"}'), "ORD-4711") == ["ORD-4711"]


def test_a_cut_passes_that_left_out_what_nobody_needs() -> None:
    found = verdict(without(HISTORY, 6, 7))
    assert found.passed
    assert not found.lost


def test_a_cut_fails_that_lost_a_value() -> None:
    found = verdict(without(HISTORY, 3, 4, 5))
    assert found.lost == ["ORD-4711", 26.5]
    assert not found.passed


def test_a_value_in_a_summary_is_there() -> None:
    short = [HISTORY[0], ModelRequest(parts=[CompactionPart("The lamp is ORD-4711, 26.50.")]), HISTORY[-1]]
    assert verdict(short).passed


def test_a_cut_fails_that_parted_a_call_from_its_result() -> None:
    found = verdict(without(HISTORY, 3, 6, 7))
    assert not found.is_valid
    assert not found.passed


def test_a_cut_fails_that_is_over_the_target() -> None:
    found = verdict(HISTORY)
    assert not found.in_budget
    assert not found.passed


@pytest.mark.parametrize(("index", "part"), [(0, 0), (0, 1), (8, 0)])
def test_a_cut_fails_that_lost_the_system_prompt_the_task_or_the_question(index: int, part: int) -> None:
    messages = without(HISTORY, 6, 7)
    message = messages[min(index, len(messages) - 1)]
    assert isinstance(message, ModelRequest)
    left = [each for number, each in enumerate(message.parts) if number != part]
    changed = [replace(message, parts=left) if each is message else each for each in messages]
    found = verdict([each for each in changed if each.parts])
    assert not found.is_kept
    assert not found.passed


def test_a_cut_fails_whose_newest_request_was_changed() -> None:
    messages = [*without(HISTORY, 6, 7, 8), user("Refund the lamp, please.")]
    assert not verdict(messages).is_kept


def long(answer: ModelResponse) -> Transcript:
    talk = [message for _ in range(20) for message in (user("And the weather?"), reply("It rains and rains. " * 8))]
    return Transcript(name="own", messages=[*HISTORY[:6], *talk, HISTORY[-1], answer])


def test_a_transcript_is_cut_where_the_next_call_uses_a_value_from_before() -> None:
    found = list(cuts(long(call("refund", {"order": "ORD-4711"})), COUNTER))
    assert [(cut.fraction, cut.known, cut.values, cut.is_possible) for cut in found] == [
        (0.5, True, ["ORD-4711"], True),
        (0.25, True, ["ORD-4711"], True),
    ]
    assert found[0].target_tokens == COUNTER.count_messages(found[0].messages) // 2


def test_a_transcript_is_not_cut_where_the_next_call_needs_nothing_that_could_be_lost() -> None:
    assert list(cuts(long(call("refund", {"order": "ORD-9999"})), COUNTER)) == []
    assert list(cuts(long(reply("I refunded ORD-4711.")), COUNTER)) == []


def test_a_cut_whose_newest_request_alone_is_too_large_is_not_possible() -> None:
    transcript = long(call("refund", {"order": "ORD-4711"}))
    transcript.messages[-2] = user("Refund the lamp. " * 2_000)
    assert [cut.is_possible for cut in cuts(transcript, COUNTER)] == [False, False]


def small_cuts() -> list[Cut]:
    rng = Random(5)
    scenes = [support(rng, 14), audit(rng, 20)]
    transcripts = [Transcript(name=scene.name, messages=played(scene)) for scene in scenes]
    return [cut for transcript in transcripts for cut in cuts(transcript, COUNTER) if cut.is_possible]


@pytest.mark.parametrize("name", BASELINES)
def test_a_baseline_is_fair(name: str) -> None:
    """It is valid, in the target and keeps what must stay, so that it fails for lost values only."""
    found = [judged(cut, BASELINES[name](cut, COUNTER), COUNTER) for cut in small_cuts()]
    assert len(found) > 10
    assert all(each.is_valid and each.in_budget and each.is_kept for each in found)


@pytest.mark.parametrize("baseline", BASELINES.values(), ids=BASELINES)
def test_a_baseline_leaves_the_same_each_time(baseline: Baseline) -> None:
    cut = small_cuts()[0]
    assert baseline(cut, COUNTER) == baseline(cut, COUNTER)


def test_newest_keeps_the_newest_and_bm25_what_the_question_names() -> None:
    [cut, _] = cuts(long(call("refund", {"order": "ORD-4711"})), COUNTER)
    assert judged(cut, newest(cut, COUNTER), COUNTER).lost == ["ORD-4711"]
    assert judged(cut, bm25(cut, COUNTER), COUNTER).passed


def test_blanked_results_go_before_turns_do() -> None:
    reads = [each for n in range(6) for each in (call("read", {"n": n}), returned("read", f"text {n} " * 60))]
    messages = [*HISTORY[:2], user("Read it all."), *reads, reply("Read."), user("And now?")]
    left = blanked_then_newest(cut_of(messages, share=0.7), COUNTER)
    contents = [part.content for message in left for part in message.parts if isinstance(part, ToolReturnPart)]
    assert len(left) == len(messages)
    assert contents[0] == "[old result cleared]"
    assert contents[-1] == "text 5 " * 60


def test_who_knows_the_next_call_passes_where_others_do_not() -> None:
    [_, cut] = cuts(long(call("refund", {"order": "ORD-4711"})), COUNTER)
    assert judged(cut, oracle(cut, COUNTER), COUNTER).passed


def test_a_share_counts_the_cuts_of_one_kind() -> None:
    good = Verdict(lost=[], is_valid=True, in_budget=True, is_kept=True)
    half, quarter = cut_of(HISTORY), replace(cut_of(HISTORY), known=False, fraction=0.25)
    score = Score(name="own", judged=[(half, good), (quarter, replace(good, lost=["ORD-4711"]))])
    assert (score.share(), score.share(known=True), score.share(fraction=0.25)) == (0.5, 1.0, 0.0)
    assert score.row().split()[:3] == ["own", "nan", "nan"]
    assert score.row().split()[-5:] == ["50.0", "50.0", "100.0", "100.0", "100.0"]


def test_a_lost_value_is_found_where_it_had_stood() -> None:
    assert origin(HISTORY, "ORD-4711") == "in result, ≤ 12 units ago, in 1 units"


@pytest.mark.parametrize("make", [support, audit])
def test_a_script_says_the_same_to_an_agent_and_without_one(make) -> None:
    by_hand, by_agent = played(make(Random(3), 6)), asyncio.run(recorded(make(Random(3), 6)))
    assert said(by_hand) == said(by_agent)
    assert sum(len(m.tool_calls) for m in by_agent if isinstance(m, ModelResponse)) > 5


def said(messages: list[ModelMessage]) -> list[object]:
    return [
        (part.part_kind, part.args_as_dict() if isinstance(part, ToolCallPart) else getattr(part, "content", None))
        for message in messages
        for part in message.parts
    ]


@pytest.mark.parametrize("name", SCENES)
def test_a_scene_is_the_same_for_the_same_numbers(name: str, tmp_path: Path) -> None:
    make, least, _ = SCENES[name]
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    first, second = (played(make(Random(8), least, folder)) for folder in folders)
    assert said(first) == said(second)
    assert check_history(first) == []


def test_no_strategy_is_tuned_on_what_is_published() -> None:
    assert not set(DEVELOPMENT) & set(HELD_OUT)


def test_the_generated_transcripts_have_what_makes_real_ones_hard() -> None:
    """Long turns, many turns, ids that come back, calls at once, failed calls, Chinese."""
    transcripts = list(generated(range(100, 101)))
    turns = [sum(isinstance(part, UserPromptPart) for m in each.messages for part in m.parts) for each in transcripts]
    responses = [m for each in transcripts for m in each.messages if isinstance(m, ModelResponse)]
    ids = [
        [part.tool_call_id for m in each.messages if isinstance(m, ModelResponse) for part in m.tool_calls]
        for each in transcripts
    ]
    results = [
        part for each in transcripts for m in each.messages for part in m.parts if isinstance(part, ToolReturnPart)
    ]
    assert min(turns) == 1
    assert max(turns) > 20
    assert max(map(len, ids)) > 50
    assert any(len(each) > len(set(each)) for each in ids)
    assert any(len(response.tool_calls) > 1 for response in responses)
    assert any(part.outcome == "retried" for part in results)
    assert any("北京" in part.model_response_str() for part in results)


def test_the_recordings_are_valid_small_and_use_tools() -> None:
    found = list(recordings())
    assert {each.name for each in found} == {*SCENES, *TOPICS}
    for each in found:
        assert check_history(each.messages) == []
        assert any(isinstance(m, ModelResponse) and m.tool_calls for m in each.messages)
    assert sum(path.stat().st_size for path in FOLDER.glob("*.json")) < 400_000


def test_every_strategy_and_baseline_is_scored_on_every_cut() -> None:
    some = small_cuts()[:3]
    table = asyncio.run(scores(some, COUNTER))
    assert [*table] == [*(strategy.name for strategy in STRATEGIES), *RIVALS, BM25, ORACLE]
    assert {name: len(score.judged) for name, score in table.items() if len(score.judged) != 3} == {"random units": 9}
    assert len(verdicts(table)) == 2
    assert [line.split(",")[0] for line in by_scene(table).splitlines()[1:]] == ["support"] * 2


def test_on_what_was_recorded_ours_keep_more_than_what_they_have_to_beat() -> None:
    every = [cut for transcript in recordings() for cut in cuts(transcript, COUNTER)]
    table = asyncio.run(scores([cut for cut in every if cut.is_possible], COUNTER))
    assert len(table["hybrid"].judged) > 100
    assert table["hybrid"].share() > max(table[name].share() for name in RIVALS)
    assert table["importance_scoring"].share(known=True) > table[BM25].share(known=True)
    for strategy in STRATEGIES:
        score = table[strategy.name]
        assert score.share(lambda verdict: verdict.is_valid and verdict.is_kept) == 1, strategy.name
        # Pruning alone takes no message out, so that it cannot always be small enough.
        assert score.share(lambda verdict: verdict.in_budget) == 1 or strategy.name == "selective_pruning"
