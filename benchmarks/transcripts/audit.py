"""One long turn: a model works through lists of invoices and keeps what it found for the end."""

from random import Random

from pydantic_ai import ModelRetry

from benchmarks.transcripts.play import Ask, Say, Scene, Script, use
from benchmarks.transcripts.words import CITIES, LAST, amount, code, digits

SYSTEM = "You audit invoices against purchase orders. Flag each invoice whose amount differs, with both amounts."
PAGE = 15


class Ledger:
    """The tools, over invoices and the orders they belong to."""

    def __init__(self, rng: Random, invoices: int) -> None:
        self._rng = rng
        self._invoices: dict[str, dict[str, object]] = {}
        self._orders: dict[str, dict[str, object]] = {}
        for _ in range(invoices):
            self._add(f"INV-2026-{digits(rng, 5)}", f"PO{digits(rng, 7)}")

    def _add(self, invoice: str, order: str) -> None:
        rng, due = self._rng, amount(self._rng, 80, 9_000)
        billed = due if rng.random() < 0.75 else round(due + amount(rng, 1, 60), 2)
        vendor = f"{rng.choice(LAST)} {rng.choice(('GmbH', 'Lda', 'AB', 'SARL'))}"
        lines = [
            {"sku": f"{code(rng, 4)}-{digits(rng, 3)}", "quantity": rng.randrange(1, 40)}
            for _ in range(rng.randrange(1, 5))
        ]
        iban = f"DE{digits(rng, 20)}"
        self._invoices[invoice] = {"vendor": vendor, "order": order, "billed": billed, "iban": iban, "lines": lines}
        self._orders[order] = {"buyer": rng.choice(CITIES), "agreed": due, "cost_centre": digits(rng, 4)}

    def list_invoices(self, page: int) -> dict[str, object]:
        """The invoices of one page, and how many pages there are."""
        ids = list(self._invoices)
        chosen = ids[(page - 1) * PAGE : page * PAGE]
        if not chosen:
            raise ModelRetry(f"there is no page {page}")
        rows = [{"invoice": invoice, "vendor": self._invoices[invoice]["vendor"]} for invoice in chosen]
        return {"pages": -(-len(ids) // PAGE), "rows": rows}

    def get_invoice(self, invoice: str) -> dict[str, object]:
        """One invoice with its lines."""
        return {"invoice": invoice, **self._invoices[invoice]}

    def get_order(self, order: str) -> dict[str, object]:
        """One purchase order."""
        return {"order": order, **self._orders[order]}

    def flag(self, invoice: str, billed: float, agreed: float) -> dict[str, object]:
        """Mark an invoice for a human."""
        return {"flag": f"F{digits(self._rng, 5)}", "invoice": invoice, "difference": round(billed - agreed, 2)}

    def hold_payment(self, iban: str, reason: str) -> str:
        """Stop payments to an account."""
        return f"{iban} is held: {reason}"


def audit(rng: Random, size: int) -> Scene:
    ledger = Ledger(rng, size)
    return Scene(
        name="audit",
        system_prompt=SYSTEM,
        tools=[ledger.list_invoices, ledger.get_invoice, ledger.get_order, ledger.flag, ledger.hold_payment],
        script=_script(rng),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random) -> Script:
    at_once = rng.random() < 0.5  # some models flag as they go, others collect
    yield Ask(
        "Check all invoices of this quarter against their purchase orders. Flag the wrong ones"
        + (
            " as you find them."
            if at_once
            else " when you have seen all, and stop payment where it is more than 40 too much."
        )
    )
    wrong: list[tuple[str, float, float, str]] = []
    page = pages = 1
    while page <= pages:
        [listing] = yield use("list_invoices", page=page, saying="Next page." if page > 1 else "I begin with the list.")
        pages = listing["pages"]
        for row in listing["rows"]:
            [invoice] = yield use("get_invoice", invoice=row["invoice"])
            [order] = yield use("get_order", order=invoice["order"])
            if invoice["billed"] == order["agreed"]:
                continue
            found = (row["invoice"], invoice["billed"], order["agreed"], invoice["iban"])
            if at_once:
                yield use("flag", invoice=found[0], billed=found[1], agreed=found[2])
            else:
                wrong.append(found)
        page += 1
    for invoice, billed, agreed, iban in wrong:
        yield use("flag", invoice=invoice, billed=billed, agreed=agreed, saying=rng.choice(("", f"{invoice} differs.")))
        if billed - agreed > 40:
            yield use("hold_payment", iban=iban, reason=f"{invoice} is {billed - agreed:.2f} too high")
    yield Say(f"All {pages} pages are checked.")
