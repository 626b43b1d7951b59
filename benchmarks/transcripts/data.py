"""A model looks into tables of measurements: figures it read once go into sums and into the report at the end."""

import csv
from pathlib import Path
from random import Random
from statistics import fmean, median

from pydantic_ai import ModelRetry

from benchmarks.transcripts.play import Ask, Calls, Say, Scene, Script, use
from benchmarks.transcripts.words import CITIES, digits, earlier

SYSTEM = "You analyse the tables in this folder. Compute with the tool, and report figures as you read them."
COLUMNS = ["rainfall", "visitors", "revenue", "energy", "complaints"]
OPERATIONS = {"min": min, "max": max, "mean": fmean, "median": median, "sum": sum}


class Tables:
    """The tools, over CSV files in a folder."""

    def __init__(self, rng: Random, root: Path) -> None:
        self._rng, self._root = rng, root
        for city in rng.sample(CITIES, k=6):
            with (root / f"{city.lower()}_{digits(rng, 4)}.csv").open("w", encoding="utf-8", newline="") as file:
                rows = csv.writer(file)
                rows.writerow(["day", "station", *COLUMNS])
                for day in range(60):
                    figures = [round(rng.lognormvariate(4, 1.2), 2) for _ in COLUMNS]
                    rows.writerow([f"2026-0{6 + day // 30}-{day % 30 + 1:02}", f"S{digits(rng, 5)}", *figures])

    def _rows(self, path: str) -> list[dict[str, str]]:
        try:
            with (self._root / path).open(encoding="utf-8", newline="") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            raise ModelRetry(f"{path} does not exist; list_tables says what does") from None

    def list_tables(self) -> list[dict[str, object]]:
        """The tables, with the number of rows."""
        return [{"path": path.name, "rows": len(self._rows(path.name))} for path in sorted(self._root.glob("*.csv"))]

    def head(self, path: str, rows: int) -> str:
        """The first rows of a table."""
        return "\n".join((self._root / path).read_text(encoding="utf-8").splitlines()[: rows + 1])

    def statistic(self, path: str, column: str, operation: str) -> float:
        """One of min, max, mean, median, sum of a column."""
        return round(OPERATIONS[operation]([float(row[column]) for row in self._rows(path)]), 2)

    def rows_above(self, path: str, column: str, limit: float) -> list[dict[str, str]]:
        """The rows whose column is above a limit."""
        return [row for row in self._rows(path) if float(row[column]) > limit]

    def ratio(self, first: float, second: float) -> float:
        """The first figure by the second."""
        return round(first / second, 4)

    def station(self, station: str) -> dict[str, object]:
        """Where a station is and what it is made of."""
        rng = Random(station)
        return {
            "station": station,
            "height": rng.randrange(2000),
            "sensor": f"MK{digits(rng, 4)}",
            "since": f"20{digits(rng, 2)}",
        }

    def report(self, figure: str, value: float) -> str:
        """Write a figure into the report."""
        return f"{figure}: {value}"


def data(rng: Random, size: int, root: Path) -> Scene:
    tables = Tables(rng, root)
    reads = [tables.list_tables, tables.head, tables.statistic, tables.rows_above, tables.station]
    return Scene(
        name="data",
        system_prompt=SYSTEM,
        tools=[*reads, tables.ratio, tables.report],
        script=_script(rng, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random, size: int) -> Script:
    figures: list[tuple[str, float]] = []
    yield Ask("Which tables are there, and what is in them?")
    [tables] = yield use("list_tables")
    paths = [table["path"] for table in tables]
    yield use("head", path=paths[0], rows=8)
    yield Say(f"There are {len(paths)} tables, each with a day, a station and {', '.join(COLUMNS)}.")
    for _ in range(size):
        kind = rng.choices(("figures", "peaks", "compare", "report"), weights=(4, 2, 2, 2))[0]
        if kind == "figures" or len(figures) < 2:
            yield from _figures(rng, rng.choice(paths), figures)
        elif kind == "peaks":
            yield from _peaks(rng, rng.choice(paths), figures)
        elif kind == "compare":
            yield from _compare(rng, earlier(rng, figures), earlier(rng, figures))
        else:
            yield from _report(rng, figures)


def _place(path: str) -> str:
    return path.split("_", maxsplit=1)[0].title()


def _figures(rng: Random, path: str, figures: list[tuple[str, float]]) -> Script:
    column, operations = rng.choice(COLUMNS), rng.sample(list(OPERATIONS), k=rng.randrange(1, 4))
    yield Ask(f"How is the {column} in {_place(path)}? I want the {' and the '.join(operations)}.")
    wanted = tuple(("statistic", {"path": path, "column": column, "operation": operation}) for operation in operations)
    values = yield Calls(calls=wanted)
    figures += [
        (f"{operation} of the {column} in {_place(path)}", value)
        for operation, value in zip(operations, values, strict=True)
    ]
    told = ", ".join(f"{operation} {value}" for operation, value in zip(operations, values, strict=True))
    yield Say(
        f"For {_place(path)}: {told}."
        if rng.random() < 0.5
        else "These are the figures; nothing is out of the ordinary."
    )


def _peaks(rng: Random, path: str, figures: list[tuple[str, float]]) -> Script:
    column = rng.choice(COLUMNS)
    yield Ask(f"On which days was the {column} in {_place(path)} far too high? Look at the worst station.")
    [mean] = yield use("statistic", path=path, column=column, operation="mean")
    figures.append((f"mean of the {column} in {_place(path)}", mean))
    [rows] = yield use("rows_above", path=path, column=column, limit=mean, saying=f"Above {mean} is too high.")
    worst = max(rows, key=lambda row: float(row[column]))
    figures.append((f"worst {column} in {_place(path)}", float(worst[column])))
    yield use("station", station=worst["station"])
    yield Say(f"{len(rows)} days; the worst was {worst['day']}.")


def _compare(rng: Random, first: tuple[str, float], second: tuple[str, float]) -> Script:
    yield Ask(f"How does the {first[0]} compare with the {second[0]}?")
    [ratio] = yield use(
        "ratio", first=first[1], second=second[1], saying=rng.choice(("", "By the figures I read before."))
    )
    yield Say(f"It is {ratio} times as much.")


def _report(rng: Random, figures: list[tuple[str, float]]) -> Script:
    chosen = rng.sample(figures, k=min(len(figures), rng.randrange(1, 4)))
    yield Ask(rng.choice(("Put the ", "Write into the report: the ")) + ", the ".join(name for name, _ in chosen) + ".")
    for name, value in chosen:
        yield use("report", figure=name, value=value)
    yield Say("It is in the report.")
