"""A model works in a tree of source files: it searches, reads, edits, reads again, and comes back to earlier files."""

import ast
import builtins
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random

from pydantic_ai import ModelRetry

from benchmarks.transcripts.play import Ask, Calls, Say, Scene, Script, use
from benchmarks.transcripts.words import digits, earlier

SYSTEM = "You work in a repository. Look before you edit, check after it, and change nothing that was not asked for."
PACKAGES = ["core", "web", "store", "jobs", "util"]
NOUNS = [
    "order",
    "invoice",
    "cache",
    "token",
    "report",
    "session",
    "queue",
    "parcel",
    "price",
    "stock",
    "user",
    "event",
]
VERBS = ["load", "save", "check", "merge", "render", "parse", "count", "expire", "send", "split"]
BODY = [
    "    if {a} is None:\n        raise ValueError(\"{a} is missing\")",
    "    {b} = [{a}_{b} for {a}_{b} in {a} if {a}_{b}.active]",
    "    with lock:\n        {b} = registry.get({a}, {n})",
    "    log.debug(\"{a}=%s {b}=%s\", {a}, {n})",
    "    for {b} in range({n}):\n        {a} = step({a}, {b})",
    "    {b} = sum(item.size for item in {a}) // {n}",
]  # fmt: skip


FINDINGS = 15
"""The most that the check shows."""


class Tree:
    """The tools, over the source files in a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        texts = [path.read_text(encoding="utf-8") for path in self._files()]
        self.functions = sorted({name for text in texts for name in re.findall(r"^def (\w{6,})", text, re.MULTILINE)})
        self.constants = sorted(
            {name for text in texts for name in re.findall(r"^(\w{4,}) = \d+$", text, re.MULTILINE)}
        )

    def _files(self) -> list[Path]:
        return sorted(self._root.rglob("*.py"))

    def list_files(self, folder: str) -> str:
        """The files in a folder, with their sizes."""
        files = sorted((self._root / folder).rglob("*.py"))
        return "\n".join(f"{path.relative_to(self._root)} {path.stat().st_size}" for path in files)

    def grep(self, text: str) -> str:
        """All lines with this text, as path:line: content."""
        hits = [
            f"{path.relative_to(self._root)}:{number}: {line}"
            for path in sorted(self._root.rglob("*.py"))
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
            if text in line
        ]
        if not hits:
            raise ModelRetry(f"no line contains {text!r}")
        return "\n".join(hits)

    def read_file(self, path: str, first_line: int = 1, lines: int = 200) -> str:
        """Lines of a file, numbered."""
        text = (self._root / path).read_text(encoding="utf-8").splitlines()
        return "\n".join(f"{n:4} {line}" for n, line in enumerate(text, 1) if first_line <= n < first_line + lines)

    def edit_line(self, path: str, line: int, old: str, new: str) -> str:
        """Replace a text in one line."""
        file = self._root / path
        text = file.read_text(encoding="utf-8").splitlines()
        text[line - 1] = text[line - 1].replace(old, new)
        file.write_text("\n".join(text) + "\n", encoding="utf-8")
        return f"{path}:{line}: {text[line - 1].strip()}"

    def check(self) -> str:
        """Names that no module of the file's own defines or imports, as path:line: what."""
        found = [
            f"{path.relative_to(self._root)}:{line}: {what}" for path in self._files() for line, what in _unknown(path)
        ]
        return "\n".join([*found[:FINDINGS], f"{len(found)} findings"])


def _unknown(path: Path) -> Iterator[tuple[int, str]]:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    known = set(dir(builtins)) | {
        node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    known |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    known |= {node.arg for node in nodes if isinstance(node, ast.arg)}
    known |= {
        alias.asname or alias.name
        for node in nodes
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    for node in nodes:
        if isinstance(node, ast.Name) and node.id not in known:
            yield node.lineno, f"undefined name {node.id!r}"


def written(rng: Random, root: Path) -> None:
    """Make a tree of small modules."""
    names = [f"{verb}_{noun}" for verb in VERBS for noun in NOUNS]
    rng.shuffle(names)
    for index in range(18):
        path = root / rng.choice(PACKAGES) / f"{rng.choice(NOUNS)}_{index}.py"
        path.parent.mkdir(exist_ok=True)
        own, others = names[index * 4 : index * 4 + 4], rng.sample(names[:72], k=3)
        path.write_text(_module(rng, own, others), encoding="utf-8")


def _module(rng: Random, own: list[str], others: list[str]) -> str:
    constant = f"{rng.choice(NOUNS)}_{rng.choice(('limit', 'port', 'seconds', 'size'))}".upper()
    pieces = ["import logging\n\nlog = logging.getLogger(__name__)", f"{constant} = {digits(rng, 4)}"]
    for function in own:
        a, b = rng.sample(NOUNS, k=2)
        body = [line.format(a=a, b=b, n=digits(rng, 2)) for line in rng.sample(BODY, k=rng.randrange(2, 5))]
        used = f"    return {rng.choice(others)}({b})" if rng.random() < 0.6 else f"    return {b}"
        pieces.append("\n".join([f"def {function}({a}, *, {b}=None):", *body, used]))
    return "\n\n\n".join(pieces) + "\n"


def code(rng: Random, size: int, root: Path) -> Scene:
    """In an empty folder, over modules that are made; else over those that are there."""
    if not any(root.iterdir()):
        written(rng, root)
    tree = Tree(root)
    return Scene(
        name="code",
        system_prompt=SYSTEM,
        tools=[tree.list_files, tree.grep, tree.read_file, tree.edit_line, tree.check],
        script=_script(rng, tree, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random, tree: Tree, jobs: int) -> Script:
    paths: list[str] = []
    renamed: list[tuple[str, str]] = []
    one_turn = rng.random() < 0.5
    yield Ask(
        "Work through the list in the tracker: renames, constants, whatever the check finds. Stop when it is done."
        if one_turn else "You have the repository in front of you. I will say what to do, one thing at a time."
    )  # fmt: skip
    if one_turn:
        [listing] = yield use("list_files", folder=".", saying="First the lay of the land.")
        paths += [line.split()[0] for line in listing.splitlines()]
    else:
        yield Say("Ready.")
    for _ in range(jobs):
        kind = rng.choice(("rename", "read", "constant", "again") if paths else ("rename", "constant"))
        if kind == "rename":
            old = rng.choice(tree.functions)
            renamed.append((old, f"{old}_{rng.choice(('all', 'now', 'safely'))}"))
            if not one_turn:
                yield Ask(f"Rename {old} to {renamed[-1][1]} everywhere.")
            yield from _rename(rng, *renamed[-1], paths)
        elif kind == "constant":
            yield from _constant(rng, tree, paths, one_turn=one_turn)
        else:
            yield from _read(rng, earlier(rng, paths), paths, one_turn=one_turn, again=kind == "again")
        if not one_turn:
            yield Say(
                rng.choice(("Done.", "Done, and the check is as it was.", f"Done; the last file was {paths[-1]}."))
            )
    if one_turn:
        yield Say("That was the whole list.")


def _rename(rng: Random, old: str, new: str, paths: list[str]) -> Script:
    [hits] = yield use("grep", text=old)
    for hit in [line for line in hits.splitlines() if old in line][:6]:
        path, line, _ = hit.split(":", 2)
        paths.append(path)
        if rng.random() < 0.5:
            yield use("read_file", path=path, first_line=max(1, int(line) - 5), lines=rng.choice((12, 40)))
        yield use("edit_line", path=path, line=int(line), old=old, new=new)
    [report] = yield use("check")
    if len(findings := report.splitlines()) > 1 and rng.random() < 0.5:
        path, line, _ = rng.choice(findings[:-1]).split(":", 2)
        paths.append(path)
        yield use("read_file", path=path, first_line=max(1, int(line) - 8), lines=20, saying=f"{path} needs a look.")


def _constant(rng: Random, tree: Tree, paths: list[str], *, one_turn: bool) -> Script:
    constant = rng.choice(tree.constants)
    if not one_turn:
        yield Ask(f"Is {constant} still what the others use? Bring them in line.")
    [hits] = yield use("grep", text=constant)
    path, _, value = _assignment(constant, hits)
    paths.append(path)
    names = rng.sample(tree.constants, k=2)
    found = yield Calls(calls=tuple(("grep", {"text": name}) for name in names), text=f"{constant} stands in {path}.")
    for name, hits in zip(names, found, strict=True):
        path, line, old = _assignment(name, hits)
        paths.append(path)
        yield use("edit_line", path=path, line=int(line), old=old, new=value)


def _assignment(constant: str, hits: str) -> tuple[str, ...]:
    """The path, the line and the value, out of what a search found."""
    found = re.search(rf"^(.+):(\d+): {constant} = (\d+)$", hits, re.MULTILINE)
    assert found, f"found no assignment to {constant}; expected one, since the constants were read from them"
    return found.groups()


def _read(rng: Random, path: str, paths: list[str], *, one_turn: bool, again: bool) -> Script:
    stem = path.rsplit("/", 1)[-1].removesuffix(".py").replace("_", " ")
    if not one_turn:
        yield Ask(
            f"Go back to the {stem} module and look whether it logs too much."
            if again
            else f"Show me the {stem} module."
        )
    [text] = yield use("read_file", path=path, saying=rng.choice(("", "Back to an earlier file.")) if again else "")
    logs = [line for line in text.splitlines() if "log.debug" in line]
    if logs:
        number = int(logs[0].split()[0])
        yield use("edit_line", path=path, line=number, old="log.debug", new="log.info")
        yield use("read_file", path=path)
    paths.append(path)
