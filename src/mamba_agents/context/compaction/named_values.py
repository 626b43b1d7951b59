"""The ids, paths, addresses and numbers in texts: what a later step must have letter for letter."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence

_NAMED = re.compile(
    r"""
    https?://[^\s"'<>()\[\]{},\\]+                    # addresses
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+                    # mail addresses
    | (?:[A-Za-z]:)?[\w.~@+-]*(?:[/\\][\w.@+-]+)+/?   # paths
    | \w+(?:[-_.:]\w+)*\.[A-Za-z]{2,5}(?![\w])        # files
    | (?=[\w.:+-]*\d)\w+(?:[-_.:]\w+)*                # what has a digit in it: ids, numbers, dates, versions
    """,
    re.VERBOSE,
)
_SHORTEST = 3
_LONGEST = 200
_PIECE = re.compile(r"""[^\s"'<>()\[\]{},，。；、]{3,200}""")
"""What values are looked for in, one by one: in a text of one endless word the search would take its length squared."""


def named_values(text: str) -> Iterable[str]:
    """Each value as it stands in the text, in the order of the text, repeats included."""
    for piece in _PIECE.finditer(text):
        for match in _NAMED.finditer(piece[0]):
            value = match[0].rstrip(".:,;")
            if _SHORTEST <= len(value) <= _LONGEST:
                yield value


def worth_keeping(texts: Sequence[str], known: Iterable[str] = ()) -> list[str]:
    """The values in the texts that `known` texts do not have, most worth keeping first.

    What came up in several texts is likely to come up again; of the others the latest are.
    """
    there = {value for text in known for value in named_values(text)}
    times = Counter[str]()
    latest: dict[str, int] = {}
    for index, text in enumerate(texts):
        for value in set(named_values(text)) - there:
            times[value] += 1
            latest[value] = index
    return sorted(latest, key=lambda value: (-min(times[value], 2), -latest[value], value))
