from itertools import pairwise

import pytest
from pydantic_ai import Agent
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    SystemPromptPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from mamba_agents.context.compaction import ImportanceScoringStrategy
from mamba_agents.context.compaction.layout import layout_of
from mamba_agents.context.compaction.ranking import Ranking
from mamba_agents.context.compaction.receipts import is_receipt
from tests.context.compaction.laws import COUNTER, holds_its_laws
from tests.context.strategy_laws import assert_strategy_laws, assert_takes_dicts
from tests.helpers import call, reply, returned, user

pytestmark = pytest.mark.anyio

FILLER = "nothing of note happened while the team went on with its usual work and had lunch " * 3


def strategy() -> ImportanceScoringStrategy:
    return ImportanceScoringStrategy(token_counter=COUNTER)


def chat(count: int) -> list[ModelMessage]:
    return [
        message
        for number in range(count)
        for message in (user(f"part {number}: {FILLER}"), reply(f"fine, {number}: {FILLER}"))
    ]


def text_of(messages: list[ModelMessage]) -> str:
    return "\n".join(str(getattr(part, "content", getattr(part, "args", ""))) for m in messages for part in m.parts)


def customer(name: str, customer_id: str, call_id: str) -> list[ModelMessage]:
    rows = [{"name": name, "customer_id": customer_id, "about": FILLER}]
    return [
        user(f"look up {name}"),
        call("find", {"name": name}, call_id),
        returned("find", rows, call_id),
        reply("ok"),
    ]


def test_laws_hold_for_two_thousand_histories() -> None:
    holds_its_laws(strategy())


async def test_chat_dicts_come_back_as_chat_dicts() -> None:
    await assert_takes_dicts(strategy())


async def test_the_target_is_met_and_the_order_stays() -> None:
    history = [*chat(20), user("and now?")]
    target = COUNTER.count_messages(history) // 3
    result = await assert_strategy_laws(strategy(), history, target)
    assert result.reached_target
    assert result.tokens_after > target // 2, "no more goes than has to"


async def test_what_the_newest_request_names_stays_from_far_back() -> None:
    history = [*chat(4), *customer("Zelda Quist", "C-99817", "c1"), *chat(12), user("Refund Zelda Quist.")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 4)
    assert "C-99817" in text_of(result.messages)


async def test_values_lead_on_to_what_the_request_does_not_name() -> None:
    orders = [
        user("what did they order?"),
        call("orders", {"customer_id": "C-99817"}, "c2"),
        returned("orders", [{"order_id": "ORD-31337", "item": "lamp", "note": FILLER}], "c2"),
        reply("a lamp"),
    ]
    history = [*chat(4), *customer("Zelda Quist", "C-99817", "c1"), *orders, *chat(14), user("Zelda Quist complains.")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 4)
    assert "ORD-31337" in text_of(result.messages)


async def test_a_long_result_is_cut_down_to_what_matters_and_its_values() -> None:
    rows = [{"order": f"ORD-{number:05}", "state": "sent", "about": FILLER} for number in range(12)]
    history = [
        user("list them"),
        call("orders", {}, "c1"),
        returned("orders", rows, "c1"),
        reply("there they are"),
        *chat(3),
        user("When was ORD-00007 sent?"),
    ]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 2)
    [part] = [part for message in result.messages for part in message.parts if isinstance(part, ToolReturnPart)]
    assert is_receipt(part)
    assert all(f"ORD-{number:05}" in str(part.content) for number in range(12))
    assert "more left out to save space" in str(part.content)


async def test_a_thing_to_remember_outlives_newer_talk() -> None:
    wish = user("Remember: never ship to the harbour, always to the mill. That is important.")
    history = [user("hello"), reply("hi"), wish, reply("noted"), *chat(12), user("and now?")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 3)
    assert wish in result.messages


async def test_what_a_user_told_in_passing_stays_without_the_talk_around_it() -> None:
    told = user(f"{'It rained all day. ' * 20}The meter has the serial 853886290. {'We had soup. ' * 20}Is it late?")
    history = [user("hello"), reply("hi"), told, reply("No."), *chat(12), user("Report the electricity.")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 4)
    assert "853886290" in text_of(result.messages)
    kept = [str(part.content) for m in result.messages for part in m.parts if isinstance(part, UserPromptPart)]
    assert "The meter has the serial 853886290. Is it late? […]" in kept


async def test_a_value_that_one_call_has_used_is_told_no_more() -> None:
    def ranked(*calls: ModelMessage) -> frozenset[str]:
        history = [user("hello"), user("My number is KG-6965698."), *calls, *chat(2), user("and now?")]
        layout = layout_of(history, COUNTER.message_counts(history))
        return Ranking(layout, [*pairwise(layout.starts)]).ranks[1, 2].told

    used = [call("book", {"member": "KG-6965698"}), returned("book", "ok")]
    assert ranked() == {"KG-6965698"}
    assert ranked(*used) == frozenset()
    assert ranked(*used, *used) == {"KG-6965698"}, "what is used again and again will be once more"


async def test_a_list_stays_young_while_calls_work_through_it() -> None:
    ids = [f"INV-{number}" for number in range(63478, 63484)]
    listed = [call("invoices", {}, "c0"), returned("invoices", [{"invoice": each} for each in ids], "c0")]

    def age(*taken: str) -> int:
        work = [m for each in taken for m in (call("pay", {"invoice": each}, each), returned("pay", "paid", each))]
        history = [user("pay them"), *listed, *chat(3), *work, user("and now?")]
        layout = layout_of(history, COUNTER.message_counts(history))
        return Ranking(layout, [*pairwise(layout.starts)]).ranks[1, 3].age

    assert age() == 6
    assert age(*ids[:1]) == 7, "one of several may be an offer that was taken"
    assert age(*ids[:3]) == 0
    assert age(*ids) == 12, "it is worked off"


async def test_recent_turns_stay_whole_where_they_fit() -> None:
    history = [*chat(10), user("and now?")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 2, preserve_recent=4)
    assert result.messages[-7:] == history[-7:]
    short = await strategy().compact(history, 60, preserve_recent=9)
    assert short.messages[-1] is history[-1]


async def test_the_task_the_system_prompt_and_the_newest_request_stay() -> None:
    first = ModelRequest(parts=[SystemPromptPart("Be brief."), UserPromptPart("my task")])
    history = [first, reply("ok"), *chat(10), user("and now?")]
    result = await strategy().compact(history, COUNTER.count_messages(history) // 5)
    assert result.messages[0] is first
    assert result.messages[-1] is history[-1]


async def test_a_very_long_history_keeps_its_newest_turns() -> None:
    history = [*chat(1_500), user("and now?")]
    target = int(COUNTER.count_messages(history) * 0.9)
    result = await strategy().compact(history, target)
    kept = len(result.messages) - 1
    assert result.messages[1:] == history[-kept:]
    assert result.reached_target


def scores(*each: float) -> FunctionModel:
    """A model that scores the first parts so and the others 0."""

    def respond(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        [tool] = info.output_tools
        asked = str(messages[-1].parts[-1].content).count("<part ")
        answer = [*each, *[0.0] * asked][:asked]
        return ModelResponse(parts=[ToolCallPart(tool.name, {"response": answer})])

    return FunctionModel(respond)


def failing(_messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
    raise RuntimeError("no luck")


@pytest.mark.parametrize("as_agent", [True, False])
async def test_a_scoring_agent_decides_in_one_request(*, as_agent: bool) -> None:
    model = scores(0, 0, 0, 10)
    asked = ImportanceScoringStrategy(Agent(model) if as_agent else model, token_counter=COUNTER)
    history = [*chat(12), user("and now?")]
    target = COUNTER.count_messages(history) // 3
    plain = await strategy().compact(history, target)
    result = await asked.compact(history, target)
    assert asked.calls_model
    assert history[4] not in plain.messages
    assert history[4] in result.messages, "the fourth part, the task not counted"
    assert len(result.responses) == 1
    assert result.notes == ()


async def test_without_a_scoring_agent_no_model_is_called() -> None:
    assert not strategy().calls_model


@pytest.mark.parametrize("wrong", ["openai:gpt-4o", FunctionModel, 3])
def test_whom_nobody_can_ask_is_refused(wrong: object) -> None:
    with pytest.raises(TypeError, match="as scoring_agent; expected an agent or a Model, as infer_model"):
        ImportanceScoringStrategy(wrong)


async def test_a_scoring_agent_that_fails_is_done_without_and_said() -> None:
    history = [*chat(12), user("and now?")]
    target = COUNTER.count_messages(history) // 3
    result = await ImportanceScoringStrategy(FunctionModel(failing), token_counter=COUNTER).compact(history, target)
    assert result.messages == (await strategy().compact(history, target)).messages
    assert result.notes == ("the scoring agent failed with RuntimeError: no luck; scored without it.",)


async def test_replies_of_a_scoring_agent_that_fails_are_billed() -> None:
    model = FunctionModel(lambda _messages, _info: reply("I would rather not"))
    history = [*chat(12), user("and now?")]
    strategy = ImportanceScoringStrategy(Agent(model, retries=0), token_counter=COUNTER)
    result = await strategy.compact(history, COUNTER.count_messages(history) // 3)
    assert len(result.responses) >= 1
    assert len(result.notes) == 1
