"""From windows to numbers: medians with their least and most, ratios to a baseline, and which windows count.

Pure: no clock, no files, no processes. Refuses to know what a scenario is for and what is good enough.

A window is what `backstop-bench drive` printed, or `{"failed": why}` if it printed nothing.
"""

import statistics

Window = dict
Spread = dict[str, float]

# Name in the report -> place in a window.
MEASURES = {
    "cpu_us": ("cpu_us_per_request",),
    "p50_us": ("latency_us", "p50"),
    "p99_us": ("latency_us", "p99"),
    "max_us": ("latency_us", "max"),
    "first_content_p50_us": ("first_content_us", "p50"),
    "first_content_p99_us": ("first_content_us", "p99"),
}
# What a proxy adds over no proxy at all.
ADDED = ("p50_us", "p99_us", "first_content_p50_us")


def invalid(window: Window) -> str | None:
    """Why a window does not count; None if it does."""
    if "failed" in window:
        return str(window["failed"])
    if window["failures"]:
        return f"{window['failures']} of {window['requests'] + window['failures']} failed: {window['first_failure']}"
    if not window["requests"]:
        return "no request was answered"
    if not window["cpu_us_per_request"]:
        return "no CPU time was counted"
    return None


def value(window: Window, measure: str) -> float | None:
    found = window
    for step in MEASURES[measure]:
        found = found.get(step) if found is not None else None
    return found


def spread(values: list[float]) -> Spread | None:
    if not values:
        return None
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def of_all(windows: list[Window], measure: str) -> list[float | None]:
    """Its value in every round; None for a window that does not count."""
    return [None if invalid(one) else value(one, measure) for one in windows]


def paired(ours: list[float | None], theirs: list[float | None]) -> list[tuple[float, float]]:
    """Both values of each round that has both: what disturbs a machine for seconds disturbs both."""
    return [(a, b) for a, b in zip(ours, theirs) if a is not None and b is not None]


def ratio(ours: list[float | None], theirs: list[float | None]) -> Spread | None:
    return spread([a / b for a, b in paired(ours, theirs) if b > 0])


def difference(ours: list[float | None], theirs: list[float | None]) -> Spread | None:
    return spread([a - b for a, b in paired(ours, theirs)])


def contender(windows: list[Window], baseline: list[Window] | None, direct: list[Window] | None) -> dict:
    """What the report says of one contender in one scenario."""
    reasons = [reason for one in windows if (reason := invalid(one))]
    valid = len(windows) - len(reasons)
    told: dict = {
        "valid": valid,
        "rounds": len(windows),
        "invalid": valid * 2 < len(windows),
        "reasons": sorted(set(reasons)),
        **{measure: spread([v for v in of_all(windows, measure) if v is not None]) for measure in MEASURES},
        "ratio": None,
        "added": {},
        "windows": windows,
    }
    if baseline is not None:
        told["ratio"] = ratio(of_all(windows, "cpu_us"), of_all(baseline, "cpu_us"))
    if direct is not None:
        told["added"] = {one: difference(of_all(windows, one), of_all(direct, one)) for one in ADDED}
    return told


def scenario(windows: dict[str, list[Window]], baseline: str, direct: str) -> dict[str, dict]:
    """Every contender of a scenario. What goes to no proxy has no cost of its own: the CPU named there is the mock's."""
    told = {name: contender(own, windows.get(baseline), windows.get(direct)) for name, own in windows.items()}
    if direct in told:
        told[direct].update(cpu_us=None, ratio=None, added={})
    return told


def broken(scenarios: dict[str, dict], excused: tuple[str, ...] = ()) -> list[str]:
    """The cells without enough windows that count. The excused ones may fail at what they were not made for."""
    return [
        f"{scenario['title']}: {name}: {cell['valid']} of {cell['rounds']} windows valid"
        + (f" ({cell['reasons'][0]})" if cell["reasons"] else "")
        for scenario in scenarios.values()
        for name, cell in scenario["contenders"].items()
        if cell["invalid"] and name not in excused
    ]
