"""`make bench`: Backstop beside nginx and haproxy, under the same load, on the same cores.

Owns the command line, the order of the measurements and the files that are written. Refuses to measure or to judge
anything itself. Exit codes: 0; 1 if a measurement is invalid, or with --judge a target is missed; 2 if nothing can be
measured.

    bench/side_by_side                      everything, into docs/benchmark/ (about a quarter of an hour)
    bench/side_by_side --quick              a smoke test: numbers of no worth, in a temporary directory
    bench/side_by_side --only plain-c64     one scenario, not in place of the whole; --list names them all
    bench/side_by_side --with litellm       also a gateway that `make compare` has installed
"""

import argparse
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import machine
import packages
import plot
import proxies
import report
import resting
import rounds
import scenarios
import summary
import targets
from children import Failed, clean
from scenarios import BASE, BINARY, DIRECT, GROUPS, MEMORY, OPTIONAL, OURS, START

OUT = packages.ROOT / "docs" / "benchmark"
ROUNDS, WINDOW_MS, WARM_UP_MS = 5, 1500, 300
QUICK_ROUNDS, QUICK_WINDOW_MS, QUICK_WARM_UP_MS = 1, 150, 50
MEASURED = (BASE, "haproxy", "floor", OURS)
METHOD = (
    "nginx: one worker, no access log, 512 kept connections to the upstream, 16 MB for a body so that none goes to the disk; "
    "for streams `proxy_buffering off`, else its default. haproxy: one thread, `http-reuse always`, no log. "
    "Backstop: one worker, else its defaults, so that every failover is a line in its log. All set the upstream's key.",
    "RSS of nginx is its worker's; the others are one process.",
)


def words(text: str) -> list[str]:
    return [one.strip() for one in text.split(",") if one.strip()]


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="side_by_side", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a smoke test in under two minutes")
    parser.add_argument("--judge", action="store_true", help="a missed target is a failure")
    parser.add_argument("--only", type=words, metavar="SCENARIO[,..]", help="these scenarios")
    parser.add_argument("--proxies", type=words, metavar="NAME[,..]", help=f"these of {', '.join(MEASURED)}")
    parser.add_argument("--with", type=words, default=[], dest="more", metavar="NAME[,..]", help=f"also {', '.join(OPTIONAL)}")
    parser.add_argument("--rounds", type=int, help=f"windows for each proxy and scenario ({ROUNDS}; quick {QUICK_ROUNDS})")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where the files go (docs/benchmark; of a part or a quick run a temporary directory)")
    parser.add_argument("--list", action="store_true", help="name the scenarios")
    told = parser.parse_args()
    known = scenarios.names()
    if wrong := [one for one in told.only or [] if one not in known]:
        parser.error(f"no scenario {', '.join(wrong)}; there are {', '.join(known)}")
    if wrong := [one for one in told.proxies or [] if one not in MEASURED]:
        parser.error(f"no proxy {', '.join(wrong)}; there are {', '.join(MEASURED)}")
    if wrong := [one for one in told.more if one not in OPTIONAL]:
        parser.error(f"--with knows {', '.join(OPTIONAL)}, not {', '.join(wrong)}")
    if told.rounds is not None and told.rounds < 1:
        parser.error("--rounds needs at least one")
    return told


class Progress:
    """What people see on stderr: a line for each scenario, and on a terminal what happens within it."""

    def __init__(self):
        self.terminal = sys.stderr.isatty()

    def __call__(self, title: str, now: str) -> None:
        if self.terminal:
            print(f"\r\x1b[K{title}: {now}", end="", file=sys.stderr, flush=True)

    def line(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self.terminal else text, file=sys.stderr, flush=True)


def first_line(*command: str, variables: dict[str, str] | None = None) -> str:
    """What a program says of its version; nothing if it is not there."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=20, check=False, env=clean(variables)
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return next(iter((done.stdout + done.stderr).strip().splitlines()), "")


def versions(plan: rounds.Plan) -> dict[str, str]:
    told = {}
    for name, program in plan.programs.items():
        line = first_line(str(program), "-v", variables=packages.variables(program))
        told[name] = line.rpartition("nginx/")[2] if name == BASE else " ".join(line.split()[2:3])
    commit = first_line("git", "-C", str(packages.ROOT), "rev-parse", "--short", "HEAD")
    changed = first_line("git", "-C", str(packages.ROOT), "status", "--porcelain", "--untracked-files=no")
    version = first_line(str(proxies.BACKSTOP), "--version").rpartition(" ")[2]
    told["Backstop"] = f"{version} ({commit}{', changed' if changed else ''})" if commit else version
    return told


def prepare(told: argparse.Namespace, cpus: frozenset[int]) -> rounds.Plan:
    for program in (proxies.BENCH, proxies.BACKSTOP):
        if not program.exists():
            raise Failed(f"{program.name} is not built: cargo build --release --locked --workspace")
    taken = [*(told.proxies or MEASURED), *told.more]
    if {"litellm", "portkey"} & set(taken) and not proxies.COMPARE.exists():
        raise Failed("LiteLLM and Portkey are installed by `make compare`, which was not run")
    programs = packages.provide([one for one in packages.PROGRAMS if one in taken])
    return rounds.Plan(
        rounds=told.rounds or (QUICK_ROUNDS if told.quick else ROUNDS),
        warm_up_ms=QUICK_WARM_UP_MS if told.quick else WARM_UP_MS,
        window_ms=QUICK_WINDOW_MS if told.quick else WINDOW_MS,
        cpus=cpus,
        programs=programs,
        only=frozenset(told.only or scenarios.names()),
        proxies=frozenset(taken),
        quick=told.quick,
    )


def told_of(scenario: scenarios.Scenario, contenders: dict[str, dict]) -> str:
    costs = ", ".join(
        f"{name} {report.number(one['cpu_us']['median']) + ' us' if not one['invalid'] and one['cpu_us'] else 'INVALID'}"
        for name, one in contenders.items()
        if name != DIRECT
    )
    return f"{scenario.title}: {costs}"


def loads(plan: rounds.Plan, progress: Progress) -> dict[str, dict]:
    """The scenarios with a load of requests."""
    results = {}
    for group in GROUPS:
        if not any(one.name in plan.only for one in group.scenarios):
            continue
        if not any(plan.takes(one) for one in group.contenders if one != DIRECT):
            continue
        measured = rounds.measure(group, plan, progress)
        for one in group.scenarios:
            if one.name in measured:
                contenders = summary.scenario(measured[one.name], group.baseline, DIRECT)
                shown = {"title": one.title, "layout": group.layout, "baseline": group.baseline}
                results[one.name] = {**shown, "contenders": contenders}
                progress.line(told_of(one, contenders))
    return results


def rest(plan: rounds.Plan, progress: Progress, most: int) -> dict:
    """The scenarios without one."""
    results: dict = {MEMORY: {}, START: {}, BINARY: {}}
    if MEMORY in plan.only:
        for name in filter(plan.takes, scenarios.RESTED):
            found = resting.memory(name, plan, progress, resting.stream_counts(plan, most))
            each = ", ".join(f"{held['kb_per_stream']:.1f} KB at {held['streams']:,}" for held in report.held(found))
            progress.line(f"memory: {name} idle {found['idle_kb'] / 1024:.1f} MB; per open stream {each or 'INVALID'}")
            results[MEMORY][name] = found
    if START in plan.only:
        results[START] = resting.starts(plan, progress)
        progress.line("start: " + ", ".join(f"{name} {one['median']:.1f} ms" for name, one in results[START].items()))
    if BINARY in plan.only and OURS in plan.proxies:
        results[BINARY] = resting.binary()
    return results


def notes(cpus: frozenset[int], most: int, plan: rounds.Plan) -> list[str]:
    told = [*METHOD]
    if reason := machine.pinning(cpus):
        told.append(reason)
    if most < max(scenarios.STREAMS) and MEMORY in plan.only and not plan.quick:
        told.append(f"Open files are limited here: {most:,} streams in the place of {max(scenarios.STREAMS):,}.")
    if plan.quick:
        told.append("A quick run: a smoke test, whose numbers say nothing about speed.")
    return told


def measure(told: argparse.Namespace, progress: Progress) -> dict:
    cpus, files = machine.allowed(), machine.raise_files()
    plan = prepare(told, cpus)
    most = machine.most_streams(files)
    results = {
        "machine": machine.describe(cpus),
        "versions": versions(plan),
        "method": {"rounds": plan.rounds, "window_ms": plan.window_ms, "warm_up_ms": plan.warm_up_ms, "quick": plan.quick},
        "notes": notes(cpus, most, plan),
        "scenarios": loads(plan, progress),
        **rest(plan, progress, most),
    }
    unstable = [f"memory: {name}: {failure}" for name, one in results[MEMORY].items() for failure in one["failures"]]
    results["invalid"] = summary.broken(results["scenarios"]) + unstable
    # The optional gateways may fail at what they were not made for: that is told, and does not spoil the measurement.
    results["spoiled"] = summary.broken(results["scenarios"], OPTIONAL) + unstable
    return results


def destination(told: argparse.Namespace) -> pathlib.Path:
    """A part of the measurement, or a quick one, never replaces the whole one in the repository."""
    if told.out:
        return told.out
    if told.quick or told.only or told.proxies:
        return pathlib.Path(tempfile.mkdtemp(prefix="backstop-bench-results-"))
    return OUT


def write(results: dict, verdicts: list[targets.Verdict], out: pathlib.Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    stored = {**results, "targets": [one.stored() for one in verdicts]}
    (out / "results.json").write_text(json.dumps(stored, indent=1) + "\n")
    (out / "results.md").write_text(report.markdown(results, verdicts))
    (out / "plot.svg").write_text(plot.svg(results))


def interrupt(_signal: int, _frame: object) -> None:
    # From here on the children are ended, and nothing may come between.
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    told = arguments()
    if told.list:
        print("\n".join(f"{name:20}{title}" for name, title in scenarios.names().items()))
        return 0
    for one in (signal.SIGINT, signal.SIGTERM):
        signal.signal(one, interrupt)
    started, progress = time.monotonic(), Progress()
    try:
        results = measure(told, progress)
    except (Failed, packages.Missing, OSError) as error:
        progress.line(f"bench: cannot measure: {error}")
        return 2
    except KeyboardInterrupt:
        progress.line("bench: interrupted; everything that it started has ended")
        return 130
    verdicts = targets.judge(results)
    out = destination(told)
    write(results, verdicts, out)
    shown = [one for one in verdicts if one.value is not None] if told.only else verdicts
    print(report.overview(results), report.judged(shown), sep="\n\n")
    for one in results["invalid"]:
        print(f"bench: invalid: {one}", file=sys.stderr)
    missed = [one for one in verdicts if one.met is False]
    met = sum(1 for one in verdicts if one.met)
    took = f"{time.monotonic() - started:.0f} s"
    print(f"bench: {met} targets met, {len(missed)} missed, in {took}; {out}/results.md", file=sys.stderr)
    return 1 if results["spoiled"] or (told.judge and missed) else 0


if __name__ == "__main__":
    sys.exit(main())
