#!/usr/bin/env python3
"""The cost gate: what Backstop costs per request and per stream chunk, against a bare hyper proxy.

Instructions come from valgrind's callgrind, allocations from memcheck's heap summary. Only the proxy runs under
valgrind; load and mock upstream are one native process that keeps each stream in lockstep, so that every event after
the role is one read and one write in the proxy and the counts repeat. A cost is the difference between a run and the same run with
more requests of one kind, divided by how many more: start-up and warm-up fall out. How often a connection is polled in vain
depends on how two processes happen to fall into step, and stays so for a whole run (seen: 1 % of a plain request); so the
fewest of RUNS runs count, for either proxy.

    bench/gate.py                    judge: ratio to bare, and growth over bench/baseline.json
    bench/gate.py --write-baseline   store the counts as the new baseline
    bench/gate.py --only bare        measure one proxy, judge nothing
    bench/gate.py --keep DIR         keep callgrind's files, for callgrind_annotate
"""

import argparse
import json
import os
import pathlib
import platform
import queue
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

# The limits of this gate, in one place.
RATIO_LIMIT = 1.3  # Backstop's count over bare's
GROWTH_LIMIT = 1.10  # Backstop's count over its stored baseline
ALLOCATION_SLACK = 0.5  # less than one allocation is noise of growing buffers, not a cost

ROOT = pathlib.Path(__file__).resolve().parent.parent
BASELINE = ROOT / "bench" / "baseline.json"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BENCH = str(TARGET / "backstop-bench")

# Every run does the warm-up; each of the others does more of one kind on top.
WARM = {"plain": 100, "stream64": 5, "stream128": 5}
MORE = {"plain": 4000, "stream64": 50, "stream128": 50}
RUNS = {"instructions": 5, "allocations": 1}
PHASE = {"plain": "plain:{}", "stream64": "stream:64:{}", "stream128": "stream:128:{}"}
CHUNKS_BETWEEN = 128 - 64
ROWS = [
    ("plain", "request, plain"),
    ("stream64", "request, stream of 64"),
    ("chunk", "stream chunk"),
]
UNITS = ["instructions", "allocations"]

READY = re.compile(r"listening on http://[^\s:]+:(\d+)")
START_SECONDS = 60  # valgrind translates a whole program first
STOP_SECONDS = 60
LOAD_SECONDS = 120


class Broken(Exception):
    """The measurement itself went wrong."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def bare_command(upstream: int, _directory: pathlib.Path) -> list[str]:
    url = f"http://127.0.0.1:{upstream}/v1/chat/completions"
    return [BENCH, "bare", "--listen", "127.0.0.1:0", "--upstream", url]


def backstop_command(upstream: int, directory: pathlib.Path) -> list[str]:
    provider = {"dialect": "openai_chat", "base_url": f"http://127.0.0.1:{upstream}/v1", "keys": ["k-1", "k-2"]}
    config = {"server": {"workers": 1}, "providers": {"sim": provider}, "chains": {"default": ["sim/gpt-4o"]}}
    path = directory / "backstop.json5"
    path.write_text(json.dumps(config))
    return [str(TARGET / "backstop"), "serve", "--config", str(path), "--listen", "127.0.0.1:0"]


COMMANDS = {"bare": bare_command, "backstop": backstop_command}


class Proxy:
    """A proxy under valgrind, from ready to cleanly ended."""

    def __init__(self, valgrind: list[str], command: list[str], log: pathlib.Path):
        self.log = log
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("BACKSTOP_", "RUST_LOG"))}
        self.process = subprocess.Popen(
            [*valgrind, f"--log-file={log}", *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        # One thread reads stdout all the time, so that a talkative proxy never blocks on a full pipe.
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ready(self) -> str:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise Broken(f"not listening after {START_SECONDS} s") from None
            if line is None:
                raise Broken(f"ended before it listened, exit code {self.process.wait()}")
            if found := READY.search(line):
                break
        url = f"http://127.0.0.1:{found[1]}"
        # One look, not a poll: the number of looks would be in the counts.
        with urllib.request.urlopen(f"{url}/livez", timeout=START_SECONDS) as answer:
            if answer.status != 200:
                raise Broken(f"/livez answered {answer.status}")
        return url

    def stop(self) -> str:
        """Ends it by its own id and returns what valgrind wrote."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Broken(f"still there {STOP_SECONDS} s after SIGTERM") from None
        if code != 0:
            raise Broken(f"exit code {code} after SIGTERM\n{self.log.read_text()[-2000:]}")
        return self.log.read_text()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def count(name: str, unit: str, extra: str | None, directory: pathlib.Path) -> int:
    """One run: the warm-up, and more requests of the kind `extra`."""
    label = f"{name}.{unit}.{extra or 'warm'}"
    if unit == "instructions":
        valgrind = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={directory / label}.callgrind"]
        total = re.compile(r"Collected : (\d+)")
    else:
        valgrind = ["valgrind", "--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]
        total = re.compile(r"total heap usage: ([\d,]+) allocs")
    phases = [PHASE[kind].format(warm) for kind, warm in WARM.items()]
    if extra:
        phases.append(PHASE[extra].format(MORE[extra]))
    upstream = free_port()
    proxy = Proxy(valgrind, COMMANDS[name](upstream, directory), directory / f"{label}.log")
    try:
        url = proxy.ready()
        load = [BENCH, "load", "--url", url, "--host-mock", f"127.0.0.1:{upstream}", *phases]
        done = subprocess.run(load, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LOAD_SECONDS)
        if done.returncode != 0:
            raise Broken(f"wrong answers: {done.stderr.strip()}")
        report = proxy.stop()
    except (Broken, OSError, subprocess.TimeoutExpired) as error:
        raise Broken(f"{label}: {error}") from error
    finally:
        proxy.kill()
    found = total.search(report)
    if not found:
        raise Broken(f"{label}: no total in valgrind's report\n{report[-2000:]}")
    return int(found[1].replace(",", ""))


def fewest(name: str, unit: str, extra: str | None, directory: pathlib.Path) -> int:
    """The least of as many runs as the unit needs."""
    return min(count(name, unit, extra, directory) for _ in range(RUNS[unit]))


def measure(name: str, directory: pathlib.Path) -> dict[str, dict[str, float]]:
    """Row -> unit -> cost of one."""
    costs: dict[str, dict[str, float]] = {row: {} for row, _ in ROWS}
    for unit in UNITS:
        warm = fewest(name, unit, None, directory)
        each = {kind: (fewest(name, unit, kind, directory) - warm) / more for kind, more in MORE.items()}
        costs["plain"][unit] = round(each["plain"], 2)
        costs["stream64"][unit] = round(each["stream64"], 2)
        costs["chunk"][unit] = round((each["stream128"] - each["stream64"]) / CHUNKS_BETWEEN, 2) + 0.0  # no minus zero
    return costs


def line_of(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def circumstances() -> dict[str, str]:
    """What counts depend on besides the code."""
    profile = re.search(r"^\[profile\.release\]\n((?:\w.*\n)+)", (ROOT / "Cargo.toml").read_text(), re.MULTILINE)
    flags = pathlib.Path("/proc/cpuinfo").read_text() if pathlib.Path("/proc/cpuinfo").exists() else ""
    return {
        "rustc": line_of("rustc", "--version"),
        "valgrind": line_of("valgrind", "--version"),
        "profile": "; ".join(profile[1].split("\n")[:-1]) if profile else "default",
        "machine": platform.machine() + (" avx2" if " avx2" in flags else ""),
        "libc": " ".join(platform.libc_ver()),
    }


def slack(unit: str) -> float:
    return ALLOCATION_SLACK if unit == "allocations" else 0.0


def judge(counts: dict, baseline: dict | None) -> list[str]:
    """Prints the table and returns what is over a limit."""
    problems = []
    print(f"{'per':24}{'':14}{'bare':>12}{'backstop':>12}{'ratio':>8}{'baseline':>12}{'growth':>8}")
    for unit in UNITS:
        for row, words in ROWS:
            floor, cost = counts["bare"][row][unit], counts["backstop"][row][unit]
            ratio = cost / floor if floor else float("inf") if cost else 1.0
            line = f"{words:24}{unit:14}{floor:12,.1f}{cost:12,.1f}{ratio:8.2f}"
            if cost > floor * RATIO_LIMIT + slack(unit):
                problems.append(f"{words}: {ratio:.2f} x bare's {unit} (limit {RATIO_LIMIT})")
            if baseline:
                before = baseline["backstop"][row][unit]
                growth = cost / before - 1 if before else 0.0
                line += f"{before:12,.1f}{growth:+8.1%}"
                if cost > before * GROWTH_LIMIT + slack(unit):
                    problems.append(f"{words}: {growth:+.1%} {unit} over the baseline (limit {GROWTH_LIMIT - 1:+.0%})")
            print(line)
    return problems


def comparable(now: dict) -> dict | None:
    """The stored counts, if they were taken under the same circumstances."""
    if not BASELINE.exists():
        print("No baseline is stored: only the ratio is judged (--write-baseline stores one).")
        return None
    stored = json.loads(BASELINE.read_text())
    different = [f"{key}: {stored['circumstances'].get(key)} then, {value} now"
                 for key, value in now.items() if stored["circumstances"].get(key) != value]
    if different:
        print("The baseline was taken under other circumstances, so only the ratio is judged:")
        for one in different:
            print(f"  {one}")
        return None
    return stored["counts"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write-baseline", action="store_true", help="store the counts instead of judging growth")
    parser.add_argument("--only", choices=COMMANDS, help="measure one proxy, judge nothing")
    parser.add_argument("--keep", type=pathlib.Path, metavar="DIR", help="keep callgrind's files there")
    options = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="backstop-gate-") as temporary:
        directory = options.keep.resolve() if options.keep else pathlib.Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        try:
            counts = {name: measure(name, directory) for name in ([options.only] if options.only else COMMANDS)}
        except Broken as error:
            print(f"cost gate: cannot measure: {error}", file=sys.stderr)
            return 2
    now = circumstances()
    if options.only:
        print(json.dumps({"circumstances": now, "counts": counts}, indent=2))
        return 0
    problems = judge(counts, None if options.write_baseline else comparable(now))
    if options.write_baseline:
        BASELINE.write_text(json.dumps({"circumstances": now, "counts": counts}, indent=2) + "\n")
        print(f"Wrote {BASELINE.relative_to(ROOT)}.")
    for problem in problems:
        print(f"cost gate: {problem}", file=sys.stderr)
    print(f"cost gate: {'failed' if problems else 'passed'} in {time.monotonic() - started:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
