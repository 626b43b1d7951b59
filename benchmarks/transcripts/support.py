"""An operator of a shop looks into customers' orders, in a database, turn by turn, and comes back to earlier ones."""

import sqlite3
from dataclasses import dataclass
from random import Random

from pydantic_ai import ModelRetry

from benchmarks.transcripts.play import Ask, Say, Scene, Script, use
from benchmarks.transcripts.words import (
    CITIES,
    ITEMS,
    POLICY,
    STREETS,
    amount,
    code,
    digits,
    earlier,
    name,
)

SYSTEM = "You help the operators of a web shop. Use the tools; never guess an id or an amount."


class Shop:
    """The tools, over a database in memory."""

    def __init__(self, rng: Random, customers: int) -> None:
        self._db = sqlite3.connect(":memory:", check_same_thread=False)
        self._db.row_factory = sqlite3.Row
        self._db.execute("CREATE TABLE customers (customer_id, name, email, city, street, since)")
        self._db.execute(
            "CREATE TABLE orders (order_id, customer_id, item, amount, status, placed, tracking, warehouse, note)"
        )
        self._db.execute("CREATE TABLE actions (reference, kind, subject, detail)")
        self._rng = rng
        self.names: list[str] = []
        while len(self.names) < customers:
            if (full := name(rng)) not in self.names:
                self.names.append(full)
                self._add(full)

    def _add(self, full: str) -> None:
        rng, customer_id = self._rng, f"C-{digits(self._rng, 5)}"
        street = f"{rng.choice(STREETS)} {rng.randrange(1, 180)}"
        mail = f"{full.lower().replace(' ', '.')}@example.com"
        row = (customer_id, full, mail, rng.choice(CITIES), street, f"20{rng.randrange(15, 26)}")
        self._db.execute("INSERT INTO customers VALUES (?,?,?,?,?,?)", row)
        for item in rng.sample(list(ITEMS), k=rng.randrange(2, 6)):
            status, placed = (
                rng.choice(("delivered", "shipped", "packed")),
                f"2026-0{rng.randrange(1, 10)}-1{rng.randrange(10)}",
            )
            order = (f"ORD-{digits(rng, 6)}", customer_id, item, amount(rng), status, placed)
            more = (f"TRK{digits(rng, 10)}", f"WH-{rng.randrange(11, 99)}", rng.choice(POLICY))
            self._db.execute("INSERT INTO orders VALUES (?,?,?,?,?,?,?,?,?)", (*order, *more))

    def _rows(self, query: str, *values: object) -> list[dict[str, object]]:
        return [dict(row) for row in self._db.execute(query, values)]

    def _done(self, kind: str, subject: str, detail: object) -> str:
        reference = f"{kind[:2].upper()}-{code(self._rng)}"
        self._db.execute("INSERT INTO actions VALUES (?,?,?,?)", (reference, kind, subject, str(detail)))
        return reference

    def find_customer(self, name: str) -> list[dict[str, object]]:
        """Customers whose name contains this."""
        rows = self._rows("SELECT customer_id, name, email, city FROM customers WHERE name LIKE ?", f"%{name}%")
        if not rows:
            raise ModelRetry(f"no customer is called {name!r}; try the last name alone")
        return rows

    def list_orders(self, customer_id: str) -> list[dict[str, object]]:
        """A customer's orders."""
        query = "SELECT order_id, item, amount, status, placed FROM orders WHERE customer_id = ?"
        return self._rows(query, customer_id)

    def order_details(self, order_id: str) -> dict[str, object]:
        """All about one order."""
        return self._rows("SELECT * FROM orders WHERE order_id = ?", order_id)[0]

    def track(self, tracking: str) -> str:
        """Where a parcel is."""
        stops = [
            f"2026-11-{day:02} {self._rng.choice(CITIES)} hub {self._rng.randrange(100, 999)}" for day in range(9, 15)
        ]
        return f"{tracking}\n" + "\n".join(stops)

    def refund(self, order_id: str, amount: float) -> dict[str, object]:
        """Pay money back for an order."""
        return {"refund": self._done("refund", order_id, amount), "amount": amount, "state": "queued"}

    def open_ticket(self, order_id: str, about: str) -> dict[str, object]:
        """Have a colleague look at an order."""
        return {"ticket": self._done("ticket", order_id, about), "state": "open", "queue": "second line"}

    def set_note(self, customer_id: str, note: str) -> str:
        """Write a note on a customer."""
        return f"saved as {self._done('note', customer_id, note)}"


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """An order that has been shown, with what the operator may call it."""

    customer: str
    customer_id: str
    order_id: str
    item: str
    amount: float
    tracking: str | None


def support(rng: Random, size: int) -> Scene:
    shop = Shop(rng, customers=max(6, size // 2))
    tools = [shop.find_customer, shop.list_orders, shop.order_details, shop.track]
    return Scene(
        name="support",
        system_prompt=SYSTEM,
        tools=[*tools, shop.refund, shop.open_ticket, shop.set_note],
        script=_script(rng, shop, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random, shop: Shop, turns: int) -> Script:
    seen: list[_Seen] = []
    waiting = list(shop.names)
    yield Ask("You are my helper for today's cases. I will name customers and orders; keep refunds exact to the cent.")
    yield Say("Understood. Name the first customer, and I will look up what there is.")
    for _ in range(turns):
        kind = rng.choices(("new", "again", "talk"), weights=(4, 5, 1))[0] if seen else "new"
        if kind == "talk" or (kind == "new" and not waiting):
            yield Ask(
                rng.choice(("How long do refunds take?", "What was our rule for parcels again?", "And exchanges?"))
            )
            yield Say(" ".join(rng.sample(POLICY, k=3)))
        elif kind == "new":
            seen += yield from _new(rng, waiting.pop())
        else:
            yield from _again(rng, earlier(rng, seen), seen)


def _new(rng: Random, full: str) -> Script:
    yield Ask(
        rng.choice((f"Next is {full}. What did they order?", f"Please look up {full}.", f"{full} is on the phone."))
    )
    if rng.random() < 0.2:
        yield use("find_customer", name=full.replace(" ", "  "))
    [found] = yield use("find_customer", name=full, saying=rng.choice(("", "", "Let me look them up.")))
    customer_id = found[0]["customer_id"]
    [orders] = yield use("list_orders", customer_id=customer_id)
    shown: dict[str, str] = {}
    for order in orders:
        if rng.random() < 0.5:
            [details] = yield use("order_details", order_id=order["order_id"])
            shown[order["order_id"]] = details["tracking"]
    names = [f"{order['item']} ({order['status']})" for order in orders]
    with_ids = [f"{order['order_id']}: {order['item']}, {order['amount']:.2f}" for order in orders]
    yield Say(f"{full} has {len(orders)} orders: " + "; ".join(with_ids if rng.random() < 0.3 else names) + ".")
    return [
        _Seen(
            customer=full, customer_id=customer_id, order_id=order["order_id"], item=order["item"],
            amount=order["amount"], tracking=shown.get(order["order_id"]),
        )
        for order in orders
    ]  # fmt: skip


def _again(rng: Random, order: _Seen, seen: list[_Seen]) -> Script:
    first, item = order.customer.split()[0], rng.choice((order.item, order.item, ITEMS[order.item]))
    whose = rng.choice((first, order.customer, "the customer" if order in seen[-4:] else order.customer))
    kinds = ["refund", "ticket", "note", "details", *(["track"] if order.tracking else [])]
    kind = rng.choice(kinds)
    if kind == "refund":
        yield Ask(
            f"Refund {item} for {whose}." if rng.random() < 0.5 else f"{whose} sent back {item}; pay it back in full."
        )
        [paid] = yield use("refund", order_id=order.order_id, amount=order.amount)
        if rng.random() < 0.4:
            yield use("set_note", customer_id=order.customer_id, note=f"refunded, {paid['refund']}")
        yield Say(f"Done, {paid['refund']}: {order.amount:.2f} goes back to the card.")
    elif kind == "ticket":
        yield Ask(f"Something is wrong with {item} of {whose}, have the second line look at it.")
        [ticket] = yield use("open_ticket", order_id=order.order_id, about=f"complaint about {order.item}")
        yield Say(f"I opened {ticket['ticket']}.")
    elif kind == "note":
        yield Ask(f"Write down for {whose} that they prefer to be called after six.")
        yield use("set_note", customer_id=order.customer_id, note="prefers calls after six")
        yield Say("Noted.")
    elif kind == "details":
        yield Ask(f"Show me everything about {item} that {whose} ordered.")
        yield use("order_details", order_id=order.order_id)
        yield Say(f"It is {order.item}, {order.amount:.2f}, and here is the rest of what we know.")
    else:
        yield Ask(f"Where is {item} for {whose} now?")
        yield use("track", tracking=order.tracking)
        yield Say("It left the last hub and should be there within two days.")
