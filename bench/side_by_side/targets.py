"""What is good enough: every target with its limit, and whether the results meet it.

Pure. The limits stand here and nowhere else. Refuses to know how anything was measured; a target without a measurement is
neither met nor missed.
"""

import dataclasses

import summary
from scenarios import BASE, BINARY, DIRECT, MEMORY, OURS, START, TITLES, names

PLAIN, PLAIN_STRETCH = 1.5, 1.3
ADDED = 1.5
BODY = 1.4
LINEAR = 12.0  # ten times the bytes, and a fifth for caches that the longer body does not fit into
STREAM, STREAM_ONE = 1.3, 1.8
COOLING = 1.05
FAILED_ATTEMPT_US = 200.0
TRANSLATED, TRANSLATED_STREAM = 3.0, 2.0
SLOTS = 1.10
WORKERS = 1 / 0.9  # 1.8 times the work of one worker by two: each request costs at most 2 / 1.8
STALL_US = 20_000.0
IDLE_MB = 10.0
STREAM_KB, STREAM_KB_STRETCH = 32.0, 20.0
RETURN = 1.2
START_MS = 50.0
BINARY_MB = 15.0


@dataclasses.dataclass(frozen=True)
class Verdict:
    text: str
    value: float | None
    limit: float | None  # None: reported, not judged
    unit: str = "×"
    stretch: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.value is None or self.limit is None else self.value <= self.limit

    @property
    def word(self) -> str:
        if self.value is None:
            return "not measured"
        if self.limit is None:
            return "reported"
        if not self.met:
            return "**missed**"
        return "met, stretch too" if self.stretch is not None and self.value <= self.stretch else "met"

    def stored(self) -> dict:
        return {**dataclasses.asdict(self), "met": self.met}


def cell(results: dict, scenario: str, contender: str) -> dict | None:
    """A contender's numbers in a scenario, if enough of its windows count."""
    found = results["scenarios"].get(scenario, {}).get("contenders", {}).get(contender)
    return None if found is None or found["invalid"] else found


def median(results: dict, scenario: str, contender: str, *path: str) -> float | None:
    found = cell(results, scenario, contender)
    for step in path:
        found = found.get(step) if found else None
    return found["median"] if found else None


def cpu(results: dict, scenario: str, limit: float, stretch: float | None = None, of: str = OURS) -> Verdict:
    beside = "nginx" if of == OURS else "our own ordinary case"
    found = cell(results, scenario, of)
    note = "{min:.2f} to {max:.2f}".format(**found["ratio"]) if found and found["ratio"] else ""
    who = "" if of == OURS else f" ({TITLES[of]})"
    return Verdict(f"CPU, {names()[scenario]}{who}, to {beside}", median(results, scenario, of, "ratio"), limit, "×", stretch, note)


def over(ours: float | None, theirs: float | None) -> float | None:
    return None if ours is None or theirs is None or theirs <= 0 else ours / theirs


def added(results: dict, scenario: str, measure: str, words: str, limit: float | None) -> Verdict:
    """Of what two proxies add, the medians are compared: a ratio of two small differences in one round says little."""
    ours, theirs = (median(results, scenario, who, "added", measure) for who in (OURS, BASE))
    note = f"{ours:.0f} us, nginx {theirs:.0f} us" if ours is not None and theirs is not None else ""
    return Verdict(f"{words}, {names()[scenario]}, to nginx's", over(ours, theirs), limit, "×", None, note)


def linear(results: dict) -> Verdict:
    ours, theirs = (
        over(median(results, "body-10m", who, "cpu_us"), median(results, "body-1m", who, "cpu_us"))
        for who in (OURS, BASE)
    )
    note = f"nginx {theirs:.1f} ×" if theirs is not None else ""
    return Verdict("CPU, 10 MB body to 1 MB body", ours, LINEAR, "×", None, note)


def failed_attempt(results: dict) -> Verdict:
    """What the failing attempt adds to the time of a request, over the same proxy without it."""

    def more(failing: str, healthy: str) -> float | None:
        pair = [cell(results, "failing", one) for one in (failing, healthy)]
        if None in pair:
            return None
        found = summary.difference(*(summary.of_all(one["windows"], "p50_us") for one in pair))
        return found["median"] if found else None

    ours, theirs = more("backstop-failing", OURS), more("nginx-failing", BASE)
    trip = median(results, "failing", DIRECT, "p50_us")
    limit = None if trip is None else trip + FAILED_ATTEMPT_US
    note = f"one round trip is {trip:.0f} us" if trip is not None else ""
    note += f"; nginx's proxy_next_upstream {theirs:.0f} us" if theirs is not None else ""
    return Verdict("added p50 of a failing attempt", ours, limit, "us", None, note.removeprefix("; "))


def stall(results: dict) -> Verdict:
    """The longest answer of any round. What stalls without a proxy as well is the machine's."""
    ours, direct = (cell(results, "plain-c1", who) for who in (OURS, DIRECT))
    worst = ours["max_us"]["max"] if ours and ours["max_us"] else None
    machine = direct["max_us"]["max"] if direct and direct["max_us"] else 0.0
    note = f"{machine / 1000:.1f} ms without a proxy" if machine else ""
    text = "longest answer, plain, c = 1, one core"
    return Verdict(text, None if worst is None else worst / 1000, max(STALL_US, machine) / 1000, "ms", None, note)


def memory(results: dict) -> list[Verdict]:
    found = results[MEMORY].get(OURS)
    if not found:
        return [Verdict("idle RSS", None, IDLE_MB, "MB")]
    told = [Verdict("idle RSS", found["idle_kb"] / 1024, IDLE_MB, "MB")]
    held = [one for one in found["held"] if not one["failures"]]
    for one in held:
        text = f"RSS per open stream, {one['streams']:,} of them"
        told.append(Verdict(text, one["kb_per_stream"], STREAM_KB, "KB", STREAM_KB_STRETCH))
    after = held[-1]["after_kb"] if held else None
    note = f"{after / found['idle_kb']:.2f} × idle" if after else ""
    back = over(after, found["warm_kb"])
    return [*told, Verdict("RSS after all streams, to RSS after the first warm-up", back, RETURN, "×", None, note)]


def judge(results: dict) -> list[Verdict]:
    ready = results[START].get(OURS)
    return [
        *(cpu(results, one, PLAIN, PLAIN_STRETCH) for one in ("plain-c16", "plain-c64", "plain-c256", "plain-c1")),
        *(
            added(results, scenario, f"{measure}_us", f"added {measure}", ADDED)
            for scenario in ("plain-c1", "plain-c16")
            for measure in ("p50", "p99")
        ),
        *(cpu(results, one, BODY) for one in ("body-100k", "body-1m", "body-10m")),
        linear(results),
        *(cpu(results, one, STREAM) for one in ("stream-c16", "stream-c64")),
        cpu(results, "stream-c1", STREAM_ONE),
        *(
            added(results, one, "first_content_p50_us", "added p50 to first content", None)
            for one in ("stream-c1", "stream-c16")
        ),
        cpu(results, "cooling", COOLING, of="backstop-cooling"),
        failed_attempt(results),
        cpu(results, "translated-plain", TRANSLATED, of="backstop-translated"),
        cpu(results, "translated-stream", TRANSLATED_STREAM, of="backstop-translated"),
        *(cpu(results, "slots", SLOTS, of=f"backstop-{count}-slots") for count in (20, 200)),
        cpu(results, "workers", WORKERS, of="backstop-2-workers"),
        stall(results),
        *memory(results),
        Verdict("start to ready", ready["median"] if ready else None, START_MS, "ms"),
        Verdict("stripped binary", results[BINARY].get("stripped_mb"), BINARY_MB, "MB"),
    ]
