"""The machine under the measurement: which CPUs may be used, how many files may be open, and what to call all of it.

Owns the core layouts. Refuses to know what runs on them, and never tells the machine's name or its paths.
"""

import contextlib
import dataclasses
import datetime
import os
import pathlib
import platform
import resource
from collections.abc import Iterator

# Layouts, by the words that the report uses for them.
LAYOUTS = {
    "two": "two cores: the proxy alone on one, load and mock on the other(s)",
    "one": "one core: proxy, load and mock share it",
    "all": "not pinned: everything on every core",
}
FILES_WANTED = 65536


@dataclasses.dataclass(frozen=True)
class Layout:
    proxy: frozenset[int]
    others: frozenset[int]


def allowed() -> frozenset[int]:
    return frozenset(os.sched_getaffinity(0))


def layout(name: str, cpus: frozenset[int]) -> Layout:
    """The last CPU is the proxy's: interrupts and everybody else's work like the first one."""
    last = frozenset([max(cpus)])
    if name == "one":
        return Layout(last, last)
    if name == "two" and len(cpus) > 1:
        return Layout(last, cpus - last)
    return Layout(cpus, cpus)


@contextlib.contextmanager
def on(cpus: frozenset[int]) -> Iterator[None]:
    """A process that is started inside is on these CPUs from its first instruction: it inherits them."""
    before = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # `pinning` has said so already
        os.sched_setaffinity(0, cpus)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def pinning(cpus: frozenset[int]) -> str | None:
    """Why the layouts do not hold here; None if they do."""
    if len(cpus) < 2:
        return "Only one CPU may be used, so proxy, load and mock share it also where two cores are named."
    try:
        os.sched_setaffinity(0, {max(cpus)})
        os.sched_setaffinity(0, cpus)
    except OSError as error:
        return f"Pinning is refused ({error.strerror}), so nothing is pinned."
    return None


def raise_files() -> int:
    """Lifts the limit of open files as far as it goes, for us and all that we start. Returns where it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for target in (max(hard, FILES_WANTED), hard):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (target, target))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def most_streams(files: int) -> int:
    """How many streams fit: a proxy has two sockets for each, and some files of its own."""
    return max((files - 500) // 2, 0)


def field(path: str, name: str) -> str | None:
    try:
        lines = pathlib.Path(path).read_text().splitlines()
    except OSError:
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def describe(cpus: frozenset[int]) -> dict[str, str | int]:
    memory = field("/proc/meminfo", "MemTotal")
    return {
        "cpu": field("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": len(cpus),
        "memory_mb": int(memory.split()[0]) // 1024 if memory else 0,
        "kernel": f"{platform.system()} {platform.release()}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d"),
    }


def descendants(pid: int) -> list[int]:
    """A process and its children, as nginx has a master and a worker."""
    found = [pid]
    for one in found:  # grows while it is walked
        with contextlib.suppress(OSError):
            for task in pathlib.Path(f"/proc/{one}/task").iterdir():
                found.extend(int(child) for child in (task / "children").read_text().split())
    return found


def resident_kb(pid: int) -> int:
    """RSS; 0 for a process that is gone."""
    size = field(f"/proc/{pid}/status", "VmRSS")
    return int(size.split()[0]) if size else 0
