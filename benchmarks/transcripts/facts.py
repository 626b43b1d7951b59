"""A long chat whose user tells things in passing; some are needed much later, some never, and some change."""

import ast
import operator
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from benchmarks.transcripts.play import Ask, Say, Scene, Script, use
from benchmarks.transcripts.words import CHAT, CITIES, STREETS, amount, code, digits, earlier, name, prose

SYSTEM = "You are a personal assistant. Use the tools for forms, sums and reminders; be brief."


@dataclass(frozen=True)
class Fact:
    """Something with a number in it."""

    make: Callable[[Random], str]
    told: str
    asked: str
    """What the user says when it is needed."""


FACTS = {
    "account number": Fact(
        lambda rng: digits(rng, 8),
        told="By the way, my new bank is fine, the account number is {v}.",
        asked="Send the bank's form off for me.",
    ),
    "licence plate": Fact(
        lambda rng: f"{code(rng, 2)} {digits(rng, 4)}",
        told="We finally picked up the car today, plate {v}, it is green!",
        asked="I need a parking permit for the car.",
    ),
    "policy": Fact(
        lambda rng: f"HH-{digits(rng, 7)}",
        told="The insurer wrote at last: {v} is our household cover.",
        asked="Water came through the ceiling, report it to the insurance.",
    ),
    "landlord": Fact(
        lambda rng: f"{rng.choice(STREETS)} {rng.randrange(9, 99)}, {rng.choice(CITIES)}",
        told="Our landlord moved, letters go to {v} now.",
        asked="Write the landlord that the heating is cold.",
    ),
    "passport": Fact(
        lambda rng: f"X{digits(rng, 8)}",
        told="My passport came back from the office, it is {v} and valid till 2034.",
        asked="Fill in the visa form.",
    ),
    "school class": Fact(
        lambda rng: f"{rng.randrange(2, 9)}{rng.choice('abcd')} room {digits(rng, 3)}",
        told="Mia starts school in {v}, she is so proud.",
        asked="Tell Mia's teacher that she is ill.",
    ),
    "dentist": Fact(
        lambda rng: f"+49 {digits(rng, 3)} {digits(rng, 7)}",
        told="A friend swears by her dentist, {v}, I should go.",
        asked="Get me an appointment for my tooth.",
    ),
    "meter": Fact(
        lambda rng: digits(rng, 9),
        told="I read the power meter this morning, serial {v}, what a dusty place.",
        asked="Report the electricity reading.",
    ),
    "gym": Fact(
        lambda rng: f"GYM{digits(rng, 5)}",
        told="I joined that gym after all; they gave me {v} and a towel.",
        asked="Please pause my membership for a month.",
    ),
    "router": Fact(
        lambda rng: f"SN-{code(rng, 8)}",
        told="The router's sticker says {v}, in letters made for ants.",
        asked="The internet is down again, open a case with the provider.",
    ),
}


class Desk:
    """The tools."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng

    def submit_form(self, kind: str, value: str) -> dict[str, object]:
        """Fill in a form with a number, an address or the like, and send it."""
        return {"kind": kind, "characters": len(value), "receipt": f"R-{code(self._rng, 7)}", "state": "sent"}

    def calculate(self, expression: str) -> float:
        """The value of a sum with + - * /."""
        return round(_value(ast.parse(expression, mode="eval").body), 2)

    def set_reminder(self, date: str, text: str) -> str:
        """Remind the user on a day."""
        return f"reminder {self._rng.randrange(100, 999)} on {date}: {text}"

    def withdraw_form(self, receipt: str) -> str:
        """Take a form back."""
        return f"{receipt} is withdrawn"


def _value(node: ast.expr) -> float:
    signs = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv}
    if isinstance(node, ast.BinOp):
        return signs[type(node.op)](_value(node.left), _value(node.right))
    assert isinstance(node, ast.Constant), f"found {ast.dump(node)}; expected a number"
    return float(str(node.value))


def facts(rng: Random, size: int) -> Scene:
    desk = Desk(rng)
    return Scene(
        name="facts",
        system_prompt=SYSTEM,
        tools=[desk.submit_form, desk.calculate, desk.set_reminder, desk.withdraw_form],
        script=_script(rng, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random, turns: int) -> Script:
    known: dict[str, str] = {}
    receipts: list[tuple[str, str]] = []
    prices: list[tuple[str, float]] = []
    yield Ask("Hello! I will write to you through the day, about this and that.")
    yield Say("Lovely, I am here whenever you need me.")
    for turn in range(turns):
        told = [kind for kind in FACTS if kind not in known or rng.random() < 0.1]
        kinds = ["talk", "tell", "price", "ask", "sum", "withdraw"]
        weights = [
            5,
            4 if told and turn < turns * 2 // 3 else 0,
            2,
            3 if known else 0,
            1 if len(prices) > 1 else 0,
            1 if receipts else 0,
        ]
        kind = rng.choices(kinds, weights=weights)[0]
        if kind == "talk":
            yield Ask(rng.choice(CHAT))
            yield Say(prose(rng, rng.randrange(2, 6)))
        elif kind == "tell":
            yield from _tell(rng, rng.choice(told), known)
        elif kind == "price":
            yield from _price(rng, prices)
        elif kind == "ask":
            yield from _ask(rng, earlier(rng, list(known)), known, receipts)
        elif kind == "sum":
            first, second = rng.sample(prices, k=2)
            yield Ask(f"What do {first[0]} and {second[0]} come to together?")
            [total] = yield use("calculate", expression=f"{first[1]:.2f} + {second[1]:.2f}")
            yield Say(f"{total:.2f} in all.")
        else:
            about, receipt = receipts.pop(rng.randrange(len(receipts)))
            yield Ask(f"I changed my mind about the {about} thing, take it back please.")
            yield use("withdraw_form", receipt=receipt)
            yield Say("It is withdrawn.")


def _tell(rng: Random, kind: str, known: dict[str, str]) -> Script:
    fact = FACTS[kind]
    correction = (
        f"Sorry, I misread it: for the {kind} it is {{v}}, forget the other one." if kind in known else fact.told
    )
    known.pop(kind, None)  # told again, it is the newest of all
    known[kind] = fact.make(rng)
    around = [prose(rng, rng.randrange(0, 3)), correction.format(v=known[kind]), prose(rng, rng.randrange(0, 2))]
    yield Ask(" ".join(part for part in [*around, rng.choice(CHAT)] if part))
    yield Say((f"Good to know about the {kind}. " if rng.random() < 0.3 else "") + prose(rng, rng.randrange(2, 5)))


def _price(rng: Random, prices: list[tuple[str, float]]) -> Script:
    who, cost = name(rng), amount(rng, 20, 400)
    prices.append((f"{who}'s present", cost))
    day = f"2026-12-{rng.randrange(10, 29)}"
    yield Ask(f"I found a present for {who}, it costs {cost:.2f}. Remind me to buy it on {day}.")
    yield use("set_reminder", date=day, text=f"buy {who}'s present")
    yield Say("I will remind you.")


def _ask(rng: Random, kind: str, known: dict[str, str], receipts: list[tuple[str, str]]) -> Script:
    yield Ask(f"{FACTS[kind].asked} {rng.choice(('', '', 'You have it all.', 'I told you what you need.'))}".strip())
    [sent] = yield use("submit_form", kind=kind, value=known[kind])
    receipts.append((kind, sent["receipt"]))
    yield Say("Sent." if rng.random() < 0.5 else f"Sent, the receipt is {sent['receipt']}.")
