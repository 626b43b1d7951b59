"""One turn of an on-call engineer: huge log outputs of which one line matters, several calls at once."""

from pathlib import Path
from random import Random

from pydantic_ai import ModelRetry

from benchmarks.transcripts.play import Ask, Calls, Say, Scene, Script, use
from benchmarks.transcripts.words import digits

SYSTEM = "You are on call. Find the cause in the logs, note the requests that show it, and restart only what is broken."
SERVICES = ["checkout", "billing", "search", "gateway", "inventory", "mailer"]
NOISE = [
    "GET /health 200 {ms}ms", "cache refresh {n} keys in {ms}ms", "request {id} GET /items/{n} 200 {ms}ms",
    "request {id} POST /cart 201 {ms}ms", "gc pause {ms}ms", "pool size {n}, waiting 0",
    "request {id} GET /me 304 {ms}ms",
]  # fmt: skip
FAULTS = [
    "request {id} failed: connection to {host}:5432 refused after {ms}ms",
    "request {id} failed: certificate of {host} expired, serial {n}",
    "request {id} failed: queue on {host} is full at offset {n}",
]


class Cluster:
    """The tools, over log files in a folder."""

    def __init__(self, rng: Random, root: Path, lines: int) -> None:
        self._rng, self._root, self._seed = rng, root, rng.getrandbits(32)
        self.hosts = [f"{service}-{rng.choice('abcdef')}{digits(rng, 2)}" for service in SERVICES for _ in range(3)]
        for service in SERVICES:
            (root / f"{service}.log").write_text("\n".join(self._log(lines)), encoding="utf-8")

    def _log(self, lines: int) -> list[str]:
        rng, log = self._rng, list[str]()
        for line in range(lines):
            form = rng.choice(FAULTS) if rng.random() < 0.02 else rng.choice(NOISE)
            host, request = rng.choice(self.hosts), f"{rng.getrandbits(40):010x}"
            stamp = f"2026-11-24T0{line * 9 // lines}:{rng.randrange(10, 60)}:{rng.randrange(10, 60)}"
            log.append(
                f"{stamp} {form.format(id=request, host=host, n=rng.randrange(1000, 99999), ms=rng.randrange(1, 900))}"
            )
        return log

    def tail_log(self, service: str, lines: int) -> str:
        """The last lines of a service's log."""
        return "\n".join(self._lines(service)[-lines:])

    def search_log(self, service: str, text: str, context: int = 0) -> str:
        """The lines of a log that contain a text, with their neighbours."""
        lines = self._lines(service)
        hits = [index for index, line in enumerate(lines) if text in line]
        if not hits:
            raise ModelRetry(f"{text!r} is not in {service}.log")
        near = sorted({n for hit in hits for n in range(max(0, hit - context), min(len(lines), hit + context + 1))})
        return "\n".join(f"{n + 1}: {lines[n]}" for n in near)

    def _lines(self, service: str) -> list[str]:
        return (self._root / f"{service}.log").read_text(encoding="utf-8").splitlines()

    def _of(self, host: str) -> Random:
        return Random(f"{self._seed} {host}")

    def describe_host(self, host: str) -> dict[str, object]:
        """What is known of a host."""
        rng = self._of(host)
        return {
            "host": host, "address": f"10.{rng.randrange(9)}.{rng.randrange(256)}.{rng.randrange(256)}",
            "uptime_hours": rng.randrange(1, 4000), "release": f"2026.{rng.randrange(1, 11)}.{rng.randrange(40)}",
            "volume": f"vol-{rng.getrandbits(32):08x}",
        }  # fmt: skip

    def metrics(self, host: str) -> str:
        """Load, memory and open connections of the last hours."""
        rng = self._of(host)
        return "\n".join(
            f"0{hour}:00 load {rng.random() * 8:.2f} memory {rng.randrange(20, 99)}% open {rng.randrange(10, 3000)}"
            for hour in range(9)
        )

    def note_request(self, request: str, service: str) -> str:
        """Put a request into the incident's report."""
        return f"{request} noted for {service}"

    def restart(self, host: str) -> str:
        """Restart a host."""
        return f"{host} is back after {self._of(host).randrange(4, 40)} seconds"

    def snapshot(self, volume: str) -> str:
        """Keep a copy of a volume."""
        return f"snap-{self._of(volume).getrandbits(32):08x}"


def incident(rng: Random, size: int, root: Path) -> Scene:
    cluster = Cluster(rng, root, lines=400)
    reads = [cluster.tail_log, cluster.search_log, cluster.describe_host, cluster.metrics]
    return Scene(
        name="incident",
        system_prompt=SYSTEM,
        tools=[*reads, cluster.note_request, cluster.restart, cluster.snapshot],
        script=_script(rng, size),
        ids=rng.choice(("unique", "per_reply", "per_turn")),
        json_arguments=rng.random() < 0.5,
        rng=rng,
    )


def _script(rng: Random, size: int) -> Script:
    yield Ask("INC-40718: customers see errors since this morning. Find the causes, write the requests down, mend it.")
    found: list[tuple[str, str, str]] = []
    volumes: dict[str, str] = {}
    for _ in range(size):
        service = rng.choice(SERVICES)
        [tail] = yield use(
            "tail_log",
            service=service,
            lines=rng.choice((20, 40, 90)),
            saying=rng.choice(("", f"I look at {service}.")),
        )
        faults = [line for line in tail.splitlines() if "failed" in line]
        if not faults:
            [hits] = yield use("search_log", service=service, text="failed", context=rng.choice((0, 0, 3)))
            faults = [line for line in hits.splitlines() if "failed" in line]
        yield from _follow(rng, service, rng.choice(faults), found, volumes)
        if len(found) > 3 and rng.random() < 0.4:
            yield from _mend(rng, found, volumes)
    while found:
        yield from _mend(rng, found, volumes)
    yield Say("The broken hosts are restarted and the requests are in the report.")


def _follow(
    rng: Random, service: str, fault: str, found: list[tuple[str, str, str]], volumes: dict[str, str]
) -> Script:
    request = fault.split("request ")[1].split(maxsplit=1)[0]
    host = next(word.split(":")[0] for word in fault.split() if word.rsplit("-", 1)[0] in SERVICES)
    other = rng.choice(SERVICES)
    both = (("search_log", {"service": service, "text": request}), ("search_log", {"service": other, "text": request}))
    yield Calls(calls=both if rng.random() < 0.3 else both[:1])
    described, _ = yield Calls(
        calls=(("describe_host", {"host": host}), ("metrics", {"host": host})), text=f"{host} looks bad."
    )
    volumes[host] = described["volume"]
    if rng.random() < 0.4:
        yield use("note_request", request=request, service=service)
    else:
        found.append((request, service, host))


def _mend(rng: Random, found: list[tuple[str, str, str]], volumes: dict[str, str]) -> Script:
    request, service, host = found.pop(rng.randrange(len(found)))
    yield use("note_request", request=request, service=service, saying=rng.choice(("", "Back to one I saw before.")))
    if rng.random() < 0.5:
        yield use("snapshot", volume=volumes[host])
    yield use("restart", host=host)
