"""The results as Markdown: the table that the README shows, every target with its verdict, and all scenarios.

Pure: results in, text out. Refuses to know where they came from and where they go.
"""

import summary
from machine import LAYOUTS
from scenarios import BASE, DIRECT, MEMORY, OPTIONAL, START, TITLES
from targets import Verdict, cell

NONE = "–"
COLUMNS = {
    "plain-c64": "plain, c = 64",
    "plain-c1": "plain, c = 1, one core",
    "body-100k": "100 KB body",
    "stream-c16": "stream of 64, c = 16",
    "stream-c1": "stream of 64, c = 1, one core",
}
ROWS = (BASE, "haproxy", "floor", "backstop", *OPTIONAL)


def number(value: float) -> str:
    """Three digits that mean something."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def table(head: list[str], rows: list[list[str]]) -> str:
    line = "|".join(["---", *["---:"] * (len(head) - 1)])
    return "\n".join([f"| {' | '.join(head)} |", f"|{line}|", *(f"| {' | '.join(row)} |" for row in rows)])


def cost(results: dict, scenario: str, contender: str) -> str:
    """`us (x nginx)`."""
    found = cell(results, scenario, contender)
    if found is None:
        known = results["scenarios"].get(scenario, {}).get("contenders", {})
        return "invalid" if contender in known else NONE
    if not found["cpu_us"]:
        return NONE
    beside = f" ({found['ratio']['median']:.2f} ×)" if found["ratio"] and contender != BASE else ""
    return number(found["cpu_us"]["median"]) + beside


def held(found: dict) -> list[dict]:
    """The rounds of open streams that went well."""
    return [one for one in found["held"] if not one["failures"]]


def rest(results: dict, contender: str) -> str:
    found = results[MEMORY].get(contender)
    if not found:
        return NONE
    streams = held(found)
    each = number(streams[-1]["kb_per_stream"]) if streams else NONE
    return f"{found['idle_kb'] / 1024:.1f} MB / {each} KB"


def present(results: dict) -> list[str]:
    """The proxies that anything is known of, in the order of the table."""
    known = {name for one in results["scenarios"].values() for name in one["contenders"]} | set(results[MEMORY])
    return [name for name in ROWS if name in known]


def overview(results: dict) -> str:
    rows = [
        [TITLES[name], *(cost(results, column, name) for column in COLUMNS), rest(results, name)]
        for name in present(results)
    ]
    return table(["CPU per request, µs (× nginx)", *COLUMNS.values(), "idle RSS / per open stream"], rows)


def judged(verdicts: list[Verdict]) -> str:
    def shown(value: float | None, unit: str) -> str:
        return NONE if value is None else f"{value:.2f} {unit}" if value < 100 else f"{value:,.0f} {unit}"

    rows = [
        [
            one.text,
            shown(one.value, one.unit),
            shown(one.limit, one.unit) + (f" (stretch {one.stretch:g})" if one.stretch is not None else ""),
            one.word,
            one.note or NONE,
        ]
        for one in verdicts
    ]
    return table(["target", "value", "limit", "", "beside it"], rows)


def ranged(spread: summary.Spread | None, digits: str = "{:.2f}") -> str:
    if not spread:
        return NONE
    least, most = digits.format(spread["min"]), digits.format(spread["max"])
    return f"{digits.format(spread['median'])} ({least} to {most})"


def details(results: dict) -> str:
    """Every cell. A ratio is to the scenario's own baseline, within the same round."""
    rows = []
    for one in results["scenarios"].values():
        for name, found in one["contenders"].items():
            gained = found["added"]
            rows.append(
                [
                    one["title"],
                    TITLES[name],
                    ranged(found["cpu_us"], "{:.1f}"),
                    ranged(found["ratio"]) if name != one["baseline"] else NONE,
                    ranged(found["p50_us"], "{:.0f}"),
                    ranged(found["p99_us"], "{:.0f}"),
                    ranged(gained.get("p50_us"), "{:.0f}"),
                    ranged(found["first_content_p50_us"], "{:.0f}"),
                    f"{found['valid']} of {found['rounds']}",
                ]
            )
    head = ["scenario", "proxy", "CPU µs", "× baseline", "p50 µs", "p99 µs", "added p50 µs", "first content µs", "valid"]
    return table(head, rows)


def resting(results: dict) -> str:
    def megabytes(kilobytes: int) -> str:
        return f"{kilobytes / 1024:.1f}"

    rows = []
    for name, found in results[MEMORY].items():
        streams = "; ".join(
            f"{one['streams']:,}: {megabytes(one['open_kb'])} open, {one['kb_per_stream']:.1f} KB each, "
            f"{megabytes(one['after_kb'])} after"
            for one in held(found)
        )
        ready = results[START].get(name)
        rows.append([TITLES[name], ranged(ready, "{:.1f}"), megabytes(found["idle_kb"]), megabytes(found["warm_kb"]), streams or NONE])
    return table(["proxy", "ready after ms", "idle RSS MB", "warm", "open streams, RSS in MB"], rows)


def markdown(results: dict, verdicts: list[Verdict]) -> str:
    machine, told = results["machine"], results["method"]
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    notes = "\n".join(f"- {note}" for note in results["notes"])
    invalid = "\n".join(f"- {one}" for one in results["invalid"])
    layouts = "; ".join(LAYOUTS.values())
    parts = [
        "# Side by side",
        "Written by `make bench`; do not edit.",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['kernel']}, {machine['date']}. {versions}.",
        overview(results),
        "## Targets",
        judged(verdicts),
        "## All scenarios",
        f"Medians of {told['rounds']} windows of {told['window_ms']} ms each, with least and most. Rounds are interleaved; a "
        f"ratio compares two windows of the same round: to nginx, or to Backstop's ordinary case where its own variants stand "
        f"beside each other. The cores: {layouts}. `{TITLES[DIRECT]}` is the load at the upstream "
        "itself, and what is added is over that. Every answer is verified, and a window with a wrong one does not count.",
        details(results),
    ]
    if results[MEMORY]:
        parts += ["## At rest", resting(results)]
    if notes:
        parts += ["## Notes", notes]
    if invalid:
        parts += ["## Invalid", invalid]
    return "\n\n".join(parts) + "\n"
