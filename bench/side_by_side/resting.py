"""What is measured without a load of requests: memory, the time to be ready, the size of the binary.

Owns when memory is looked at. Refuses to judge it.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable

import machine
import proxies
import rounds
import summary
from children import Children, Failed
from proxies import BENCH, Place, Running
from rounds import Plan
from scenarios import BASE, OURS, RESTED, STREAMS, Scenario

OPEN_SECONDS = 300
CLOSE_SECONDS = 300
# A fresh process is at rest soon. Memory goes back to the system some time after it was freed.
REST_SECONDS = 1
RETURN_SECONDS = 5
STARTS = 10
STARTS_QUICK = 3
STREAMS_QUICK = (100, 300)
# What a program allocates at its first requests, and keeps.
WARM_UPS = (Scenario("warm", "plain", 64), Scenario("warm", "stream", 64, shape="stream"))

Say = Callable[[str, str], None]


def memory_of(running: Running, name: str) -> int:
    """RSS in KB. nginx is its worker: the master serves nothing, and most of its pages are the worker's as well."""
    pids = running.child.pids()
    return sum(machine.resident_kb(pid) for pid in (pids[1:] if name == BASE else pids))


def rested(running: Running, name: str, seconds: float) -> int:
    time.sleep(seconds)
    return memory_of(running, name)


def hold(running: Running, name: str, upstream: Running, count: int, place: Place) -> dict:
    """Opens streams, looks at the memory while all are open, and lets them end."""
    command = [str(BENCH), "hold", "--url", running.stream, "--upstream", upstream.plain, "--model", "default"]
    command += ["--streams", str(count)]
    child = place.children.start(command, place.directory / "hold.log", place.layout.others, talks=True)
    try:
        while child.line(OPEN_SECONDS).strip() != "open":
            pass
        resident = memory_of(running, name)
        child.say("release")
        told = json.loads(child.line(CLOSE_SECONDS))
    except (Failed, ValueError) as error:
        return {"streams": count, "failures": count, "first_failure": str(error), "open_kb": 0}
    finally:
        place.children.end(child)
    return {**told, "open_kb": resident}


def start_for_streams(name: str, place: Place) -> Running:
    return proxies.STARTS["backstop-patient" if name == OURS else name](place)


def memory(name: str, plan: Plan, say: Say, counts: list[int]) -> dict:
    """The life of one process: fresh, warm, with open streams, and after them.

    The idle one is another process, configured for ordinary use.
    """
    layout = machine.layout("two", plan.cpus)
    give_back = REST_SECONDS if plan.quick else RETURN_SECONDS
    with tempfile.TemporaryDirectory(prefix="backstop-bench-") as temporary, Children() as children:
        place = Place(children, pathlib.Path(temporary), layout, plan.programs, 0)
        upstream = proxies.start_upstream(place)
        place.upstream = rounds.port(upstream)
        idle = proxies.STARTS[name](place)
        told: dict = {"idle_kb": rested(idle, name, REST_SECONDS), "failures": [], "held": []}
        children.end(idle.child)
        place.clients = max(counts) + 64
        running = start_for_streams(name, place)
        told["fresh_kb"] = rested(running, name, REST_SECONDS)
        for warm in WARM_UPS:
            if reason := summary.invalid(rounds.drive(running, warm, plan, layout.others)):
                told["failures"].append(f"warm-up, {warm.title}: {reason}")
        told["warm_kb"] = rested(running, name, give_back)
        for count in counts:
            say("memory", f"{name}, {count} streams")
            held = hold(running, name, upstream, count, place)
            if held["failures"]:
                told["failures"].append(f"{count} streams: {held['failures']} failed: {held['first_failure']}")
            held["after_kb"] = rested(running, name, give_back)
            # Over the fresh process: memory that the warm-up left there is used again, and would hide the cost.
            held["kb_per_stream"] = (held["open_kb"] - told["fresh_kb"]) / count
            told["held"].append(held)
    return told


def stream_counts(plan: Plan, most: int) -> list[int]:
    """How many streams are opened, as far as the limit of open files lets them."""
    return sorted({min(one, most) for one in (STREAMS_QUICK if plan.quick else STREAMS)} - {0})


def start_once(name: str, place: Place) -> float:
    running = proxies.STARTS[name](place)
    took = time.perf_counter() - running.child.started
    place.children.end(running.child)
    return took * 1000


def starts(plan: Plan, say: Say) -> dict[str, summary.Spread | None]:
    """From spawn until it says that it listens, or accepts a connection; in milliseconds."""
    found: dict[str, list[float]] = {name: [] for name in RESTED if plan.takes(name)}
    layout = machine.layout("two", plan.cpus)
    with tempfile.TemporaryDirectory(prefix="backstop-bench-") as temporary, Children() as children:
        place = Place(children, pathlib.Path(temporary), layout, plan.programs, 0)
        place.upstream = rounds.port(proxies.start_upstream(place))
        for number in range(STARTS_QUICK if plan.quick else STARTS):
            for name, times in found.items():
                say("start", f"{name}, {number + 1}")
                times.append(start_once(name, place))
    return {name: summary.spread(times) for name, times in found.items()}


def binary() -> dict[str, float | None]:
    """Backstop's program in MB, as it was built and without its symbols."""
    told: dict[str, float | None] = {"built_mb": proxies.BACKSTOP.stat().st_size / 1e6, "stripped_mb": None}
    with tempfile.TemporaryDirectory(prefix="backstop-bench-") as temporary:
        copy = pathlib.Path(temporary) / "backstop"
        shutil.copyfile(proxies.BACKSTOP, copy)
        with contextlib.suppress(OSError):  # no binutils: then this is not known
            done = subprocess.run(["strip", str(copy)], capture_output=True, check=False)
            if done.returncode == 0:
                told["stripped_mb"] = copy.stat().st_size / 1e6
    return told
