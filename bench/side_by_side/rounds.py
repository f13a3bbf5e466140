"""Runs the scenarios of a group: proxies up, rounds interleaved, one window each.

Owns the order of rounds and the call of the load generator. Refuses to judge: what it returns are windows.
"""

import dataclasses
import json
import pathlib
import tempfile
from collections.abc import Callable

import machine
import proxies
import scenarios
from children import Children, Failed, run
from proxies import BENCH, Place, Running
from scenarios import DIRECT, Group, Scenario

# Over warm-up and window: connecting, and the last answers of the window.
SLACK_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    warm_up_ms: int
    window_ms: int
    cpus: frozenset[int]
    programs: dict[str, pathlib.Path]
    only: frozenset[str]
    proxies: frozenset[str]
    quick: bool = False

    def takes(self, contender: str) -> bool:
        return scenarios.family(contender) in self.proxies


def drive(running: Running, scenario: Scenario, plan: Plan, cpus: frozenset[int]) -> dict:
    """One window of load; a window that is none says why."""
    command = [
        *[str(BENCH), "drive", "--url", running.url(scenario.shape), "--front", "chat", "--shape", scenario.shape],
        *["--connections", str(scenario.connections), "--body-bytes", str(scenario.body)],
        *["--contents", str(scenarios.CONTENTS), "--model", "default"],
        *["--warm-up-ms", str(plan.warm_up_ms), "--window-ms", str(plan.window_ms)],
        *["--pids", ",".join(str(pid) for pid in running.child.pids())],
        *(["--translated", "1"] if running.translated else []),
        *[part for header in running.headers for part in ("--header", header)],
    ]
    try:
        printed = run(command, cpus, (plan.warm_up_ms + plan.window_ms) / 1000 + SLACK_SECONDS)
        return json.loads(printed.splitlines()[-1])
    except (Failed, ValueError, IndexError) as error:
        return {"failed": f"no window: {error}"}


def start(group: Group, plan: Plan, place: Place, upstream: Running) -> dict[str, Running]:
    """Everyone of the group that was asked for. `direct` is the upstream itself."""
    taken = [one for one in group.contenders if one == DIRECT or plan.takes(one)]
    return {one: upstream if one == DIRECT else proxies.STARTS[one](place) for one in taken}


def measure(group: Group, plan: Plan, say: Callable[[str, str], None]) -> dict[str, dict[str, list[dict]]]:
    """Scenario -> contender -> its windows, one for each round."""
    chosen = [one for one in group.scenarios if one.name in plan.only]
    layout = machine.layout(group.layout, plan.cpus)
    with tempfile.TemporaryDirectory(prefix="backstop-bench-") as temporary, Children() as children:
        place = Place(children, pathlib.Path(temporary), layout, plan.programs, 0)
        upstream = proxies.start_upstream(place)
        place.upstream = port(upstream)
        if any(one == "nginx-failing" and plan.takes(one) for one in group.contenders):
            place.overloaded = port(proxies.start_upstream(place, "overloaded"))
        running = start(group, plan, place, upstream)
        return {one.name: interleaved(one, plan, running, layout, say) for one in chosen}


def port(running: Running) -> int:
    return int(running.plain.rsplit(":", 1)[1])


def interleaved(
    scenario: Scenario,
    plan: Plan,
    running: dict[str, Running],
    layout: machine.Layout,
    say: Callable[[str, str], None],
) -> dict[str, list[dict]]:
    windows: dict[str, list[dict]] = {name: [] for name in running}
    for number in range(plan.rounds):
        # Nobody is always first, nor always behind the same one's leftovers.
        turn = number % len(running)
        order = [*list(running)[turn:], *list(running)[:turn]]
        for name in order:
            say(scenario.title, f"round {number + 1} of {plan.rounds}, {scenarios.TITLES[name]}")
            windows[name].append(drive(running[name], scenario, plan, layout.others))
    return windows
