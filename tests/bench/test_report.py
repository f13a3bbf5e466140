"""What `make bench` makes of its windows: medians, ratios, which windows count, verdicts, Markdown and SVG.

Nothing is started here. The numbers are made up so that every expectation can be worked out by hand.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree as ElementTree

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "bench" / "side_by_side"))
import machine  # noqa: E402
import packages  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
import scenarios  # noqa: E402
import summary  # noqa: E402
import targets  # noqa: E402


def window(cpu: float, p50: float = 100.0, *, requests: int = 1000, failures: int = 0, worst: float = 900.0) -> dict:
    return {
        "requests": requests,
        "failures": failures,
        "first_failure": "status 502" if failures else None,
        "seconds": 1.5,
        "cpu_us_per_request": cpu,
        "latency_us": {"p50": p50, "p99": 2 * p50, "max": worst},
        "first_content_us": None,
        "clock": "schedstat",
    }


def told(title: str, baseline: str, windows: dict[str, list[dict]]) -> dict:
    contenders = summary.scenario(windows, baseline, scenarios.DIRECT)
    return {"title": title, "layout": "two", "baseline": baseline, "contenders": contenders}


def results(loads: dict[str, dict], **more) -> dict:
    return {
        "machine": {"cpu": "A CPU <&>", "cores": 2, "memory_mb": 4096, "kernel": "Linux 6", "date": "2026-01-02"},
        "versions": {"nginx": "1.22.1"},
        "method": {"rounds": 3, "window_ms": 1500, "warm_up_ms": 300, "quick": False},
        "notes": ["a note"],
        "invalid": [],
        "scenarios": loads,
        "memory": {},
        "start": {},
        "binary": {},
        **more,
    }


def plain() -> dict:
    """nginx costs 20, Backstop 30 and less; without a proxy an answer takes 50, over nginx 70, over Backstop 74."""
    windows = {
        "direct": [window(5, 50), window(5, 50), window(5, 50)],
        "nginx": [window(20, 70), window(40, 70), window(20, 70)],
        "backstop": [window(26, 74), window(60, 74), window(24, 74)],
    }
    return results({"plain-c64": told("plain, c = 64", "nginx", windows), "plain-c16": told("plain", "nginx", windows)})


def memory(after_kb: int) -> dict:
    held = {"streams": 1000, "failures": 0, "first_failure": None, "open_kb": 34_000, "after_kb": after_kb}
    found = {"idle_kb": 8192, "fresh_kb": 9000, "warm_kb": 10_000, "failures": [], "held": [{**held, "kb_per_stream": 25.0}]}
    return {"backstop": found}


def verdict(found: dict, beginning: str) -> targets.Verdict:
    (one,) = [one for one in targets.judge(found) if one.text.startswith(beginning)]
    return one


def test_a_ratio_compares_windows_of_the_same_round():
    # The second round was slow for both: 1.3, 1.5, 1.2, though the medians alone are 26 and 20.
    cell = plain()["scenarios"]["plain-c64"]["contenders"]["backstop"]
    assert cell["ratio"] == {"median": pytest.approx(1.3), "min": pytest.approx(1.2), "max": pytest.approx(1.5)}
    assert cell["cpu_us"] == {"median": 26, "min": 24, "max": 60}
    assert cell["added"]["p50_us"]["median"] == 24


def test_no_proxy_has_no_cost():
    direct = plain()["scenarios"]["plain-c64"]["contenders"]["direct"]
    assert (direct["cpu_us"], direct["ratio"], direct["p50_us"]["median"]) == (None, None, 50)


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        (window(1, failures=2), "2 of 1002 failed: status 502"),
        (window(0, requests=0), "no request was answered"),
        (window(0), "no CPU time was counted"),
        ({"failed": "no window: code 1"}, "no window: code 1"),
    ],
)
def test_a_window_with_a_failure_counts_nowhere(broken: dict, why: str):
    windows = {"nginx": [window(20), window(20), window(20)], "backstop": [window(30), broken, window(30)]}
    cell = summary.scenario(windows, "nginx", "direct")["backstop"]
    assert (cell["valid"], cell["invalid"], cell["reasons"]) == (2, False, [why])
    assert cell["ratio"] == {"median": 1.5, "min": 1.5, "max": 1.5}
    # Neither does a round in which the baseline failed.
    turned = {"nginx": windows["backstop"], "backstop": windows["nginx"]}
    assert summary.scenario(turned, "nginx", "direct")["backstop"]["ratio"]["min"] == pytest.approx(2 / 3)


def test_less_than_half_of_the_windows_is_no_measurement():
    bad = window(1, failures=1)
    loads = {
        "plain-c64": told("plain", "nginx", {"nginx": [window(20)] * 4, "backstop": [window(20), bad, bad, bad]}),
        "plain-c16": told("half", "nginx", {"nginx": [window(20)] * 4, "litellm": [bad] * 4, "backstop": [bad, window(20)] * 2}),
    }
    assert summary.broken(loads, ("litellm",)) == ["plain: backstop: 1 of 4 windows valid (1 of 1001 failed: status 502)"]
    assert len(summary.broken(loads)) == 2
    found = results(loads)
    assert verdict(found, "CPU, plain, c = 64").word == "not measured"
    assert "| invalid |" in report.overview(found)


def test_verdicts():
    found = plain()
    assert verdict(found, "CPU, plain, c = 64").word == "met, stretch too"
    assert verdict(found, "CPU, plain, c = 256").word == "not measured"
    added = verdict(found, "added p50, plain, c = 16")
    assert (added.value, added.word, added.note) == (1.2, "met", "24 us, nginx 20 us")
    slow = {"nginx": [window(20)], "backstop": [window(27)]}
    assert verdict(results({"plain-c1": told("", "nginx", slow)}), "CPU, plain, c = 1, one").word == "met"
    slower = {"nginx": [window(20)], "backstop": [window(31)]}
    assert verdict(results({"plain-c1": told("", "nginx", slower)}), "CPU, plain, c = 1, one").word == "**missed**"


def test_a_proxy_that_adds_nothing_is_no_measure():
    windows = {"direct": [window(5, 80)], "nginx": [window(20, 70)], "backstop": [window(20, 90)]}
    added = verdict(results({"plain-c16": told("", "nginx", windows)}), "added p50, plain, c = 16")
    assert (added.value, added.met, added.note) == (None, None, "10 us, nginx -10 us")


def test_a_failing_attempt_may_cost_a_round_trip_and_200_us():
    windows = {
        "direct": [window(5, 50)] * 3,
        "nginx": [window(20, 70)] * 3,
        "nginx-failing": [window(20, 200)] * 3,
        "backstop": [window(30, 100), window(30, 900), window(30, 100)],
        "backstop-failing": [window(60, 349), window(60, 1150), window(60, 351)],
    }
    one = verdict(results({"failing": told("", "nginx", windows)}), "added p50 of a failing")
    assert (one.value, one.limit, one.met) == (250, 250, True)
    assert one.note == "one round trip is 50 us; nginx's proxy_next_upstream 130 us"


def test_a_stall_that_the_machine_has_as_well_is_not_ours():
    def judged(ours: float, direct: float) -> bool | None:
        windows = {"direct": [window(5, worst=direct)], "backstop": [window(5), window(5, worst=ours)]}
        return verdict(results({"plain-c1": told("", "nginx", windows)}), "longest answer").met

    assert judged(19_000, 900)
    assert not judged(21_000, 900)
    assert judged(21_000, 25_000)


def test_memory_start_and_size():
    found = results({}, memory=memory(11_900), start={"backstop": {"median": 12.0, "min": 9, "max": 60}})
    assert verdict(found, "idle RSS").value == 8
    assert verdict(found, "RSS per open stream, 1,000").word == "met"
    back = verdict(found, "RSS after all")
    assert (round(back.value, 2), back.word, back.note) == (1.19, "met", "1.45 × idle")
    assert verdict(results({}, memory=memory(12_100)), "RSS after all").word == "**missed**"
    assert verdict(found, "start to ready").word == "met"
    assert verdict(results({}, binary={"stripped_mb": 15.1}), "stripped").word == "**missed**"


def test_nothing_measured_is_neither_met_nor_missed():
    verdicts = targets.judge(results({}))
    assert {one.met for one in verdicts} == {None}
    assert len({one.text for one in verdicts}) == len(verdicts)


def rows(table: str) -> list[int]:
    return [len(re.split(r"(?<!\\)\|", line)) for line in table.splitlines()]


def test_markdown_has_whole_tables():
    found = results(plain()["scenarios"], memory=memory(9_000), start={"backstop": {"median": 12.0, "min": 9, "max": 60}})
    verdicts = targets.judge(found)
    for table in (report.overview(found), report.judged(verdicts), report.details(found), report.resting(found)):
        assert len(set(rows(table))) == 1, table
    assert "| Backstop | 26.0 (1.30 ×) | – | – | – | – | 8.0 MB / 25.0 KB |" in report.overview(found)
    assert "| nginx | 20.0 | –" in report.overview(found)
    text = report.markdown(found, verdicts)
    assert "Linux 6, 2026-01-02. nginx 1.22.1." in text and "- a note" in text and "## Invalid" not in text


def test_the_plot_is_well_formed_and_to_scale():
    drawn = ElementTree.fromstring(plot.svg(plain()))
    space = "{http://www.w3.org/2000/svg}"
    widths = {one.get("class"): float(one.get("width")) for one in drawn.iter(f"{space}rect")}
    assert widths["bar"] / widths["bar ours"] == pytest.approx(20 / 26, abs=0.01)
    texts = ["".join(one.itertext()) for one in drawn.iter(f"{space}text")]
    assert "26.0 µs1.30 × nginx" in texts and "not measured" in texts
    assert any("A CPU <&>" in one for one in texts)
    assert "prefers-color-scheme: dark" in plot.STYLE
    ElementTree.fromstring(plot.svg(results({})))


def test_layouts():
    many, two, one = frozenset(range(4)), frozenset([2, 5]), frozenset([3])
    assert machine.layout("two", many) == machine.Layout(frozenset([3]), frozenset([0, 1, 2]))
    assert machine.layout("two", two) == machine.Layout(frozenset([5]), frozenset([2]))
    assert machine.layout("one", two) == machine.Layout(frozenset([5]), frozenset([5]))
    assert machine.layout("all", two) == machine.Layout(two, two)
    assert machine.layout("two", one) == machine.Layout(one, one)


def test_packages_that_are_here_stay_as_they_are():
    simulated = "Inst liblua5.3-0 (5.3.6 Debian)\nInst libssl3 [3.0.1] (3.0.2 Debian)\nInst nginx [1.2] (1.22)\nConf nginx (1.22)\n"
    assert packages.wanted(simulated, ["nginx"]) == ["liblua5.3-0", "nginx"]


def test_scenarios_have_names_of_their_own():
    every = [one.name for group in scenarios.GROUPS for one in group.scenarios]
    assert len(set(every)) == len(every)
    for group in scenarios.GROUPS:
        assert group.baseline in group.contenders
        assert group.layout in machine.LAYOUTS
        assert set(group.contenders) <= set(scenarios.TITLES)
    assert set(report.COLUMNS) <= set(scenarios.names())
    assert set(plot.PANELS) <= set(scenarios.names())
