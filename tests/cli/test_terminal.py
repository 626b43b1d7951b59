"""What a terminal is given."""

import unicodedata
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mamba_agents.cli.terminal import in_dollars, printable


@given(st.text() | st.text(alphabet=[chr(code) for code in range(0xA0)]))
def test_nothing_that_could_command_a_terminal_is_left_and_all_else_stays(text: str) -> None:
    shown = printable(text)
    assert all(c in "\n\t" or unicodedata.category(c) != "Cc" for c in shown)
    assert shown == "".join(c for c in text if c in shown)


@pytest.mark.parametrize(
    ("cost", "written"),
    [
        (None, "cost unknown"),
        (Decimal(0), "$0"),
        (Decimal("0.0000004"), "under $0.000001"),
        (Decimal("0.00012"), "$0.00012"),
        (Decimal("0.5"), "$0.50"),
        (Decimal("0.25"), "$0.25"),
        (Decimal(12), "$12"),
        (Decimal("1234.5"), "$1,234.50"),
    ],
)
def test_an_amount_is_written_as_people_do(cost: Decimal | None, written: str) -> None:
    assert in_dollars(cost) == written
