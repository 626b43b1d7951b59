"""Calls that are made again later, so that nobody misses what the first one gave."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pydantic_ai.messages import ToolCallPart, ToolReturnPart

from mamba_agents.context.compaction.receipts import parsed_args

_LOOKED_AT = 8
"""Later calls that a call is compared with, so that a thousand reads of one file take no million comparisons."""

_RANGES = frozenset(("offset", "limit", "start", "end", "line", "lines", "page", "cursor", "head", "tail", "range"))
"""Arguments that ask for a part of the whole, which does not replace the whole."""

type _Arguments = frozenset[tuple[str, object]]
"""Arguments to compare, whatever their order."""

type _Asked = tuple[str, _Arguments]
"""A tool and what it was called with."""


def given_anew(calls: Sequence[ToolCallPart], results: Sequence[ToolReturnPart], at: Sequence[int]) -> set[int]:
    """The numbers of the results that a later call gave anew; `at` are the messages they stand in, ascending."""
    tools = [call.tool_name for call in calls]
    args = [call.args if isinstance(call.args, dict) else _read(call) for call in calls]
    widths = Counter(tool for tool, _ in set(zip(tools, map(len, args), strict=True)))
    varied = {tool for tool, times in widths.items() if times > 1}
    # Nearly all calls are like no other, and to know that their hashes are enough.
    hashes = _hashes(tools, args)
    times = Counter(hashes)
    if not varied and len(times) == len(hashes):
        return set()
    alike = [number for number, tool in enumerate(tools) if times[hashes[number]] > 1 or tool in varied]
    later, found = _LaterCalls(varied), set[int]()
    message, its_calls = -1, list[_Asked]()
    for number in reversed(alike):
        if at[number] != message:  # calls of the same message are not later
            later.add(its_calls)
            message, its_calls = at[number], []
        asked = tools[number], _comparable(args[number])
        if later.made_anew(asked):
            found.add(number)
        if results[number].outcome == "success":
            its_calls.append(asked)
    return found


def _read(call: ToolCallPart) -> Mapping[str, object]:
    args = parsed_args(call.args)
    return {"": call.args} if args is None else args  # what cannot be read is like nothing but itself


def _hashes(tools: Sequence[str], args: Sequence[Mapping[str, object]]) -> list[int]:
    try:
        return [hash((tool, frozenset(each.items()))) for tool, each in zip(tools, args, strict=True)]
    except TypeError:
        return [hash((tool, _comparable(each))) for tool, each in zip(tools, args, strict=True)]


def _comparable(args: Mapping[str, object]) -> _Arguments:
    try:
        arguments = frozenset(args.items())
        hash(arguments)
    except TypeError:
        return frozenset((name, repr(value)) for name, value in args.items())
    return arguments


class _LaterCalls:
    """The calls after some point, to know whether one before it was made again."""

    def __init__(self, varied: set[str]) -> None:
        self._varied = varied
        """The tools that were not always called with as many arguments."""

        self._same: set[_Asked] = set()
        self._more: defaultdict[tuple[str, tuple[str, object]], list[_Arguments]] = defaultdict(list)

    def add(self, calls: Sequence[_Asked]) -> None:
        """Take in the calls of a message, the last first."""
        self._same.update(calls)
        for tool, arguments in reversed(calls):
            if tool in self._varied:
                for argument in arguments:
                    self._more[tool, argument].append(arguments)

    def made_anew(self, asked: _Asked) -> bool:
        """Whether a later call asked for the same, with no more than arguments that do not narrow it."""
        if asked in self._same:
            return True
        tool, arguments = asked
        if tool not in self._varied or not arguments:
            return False
        first = min(arguments, key=repr)
        return any(
            arguments <= others and not any(name in _RANGES for name, _ in others - arguments)
            for others in self._more[tool, first][-_LOOKED_AT:]
        )
