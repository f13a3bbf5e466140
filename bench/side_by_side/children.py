"""The processes of a measurement: started on their CPUs, ready before they are used, and always ended by their own ids.

Owns starting, waiting and ending. Refuses to know what a program is for.
"""

import contextlib
import os
import pathlib
import queue
import re
import signal
import socket
import subprocess
import threading
import time

import machine

READY = re.compile(r"listening on http://[^\s:]+:(\d+)")
READY_SECONDS = 120  # Python gateways load for a long time
STOP_SECONDS = 10
LOOK_SECONDS = 0.0002  # between two looks at a port, small beside the start that is timed


class Failed(Exception):
    """A process did not do what it was started for."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def clean(variables: dict[str, str] | None = None) -> dict[str, str]:
    """The environment without this machine's settings for the programs under test."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BACKSTOP_", "RUST_LOG"))}
    return {**kept, **(variables or {})}


class Child:
    """One process, whose stdout is read all the time so that it never blocks on a full pipe."""

    def __init__(
        self,
        command: list[str],
        log: pathlib.Path,
        cpus: frozenset[int],
        variables: dict[str, str] | None = None,
        talks: bool = False,
    ):
        self.log = log
        self.name = pathlib.Path(command[0]).name
        with log.open("ab") as errors, machine.on(cpus):
            self.started = time.perf_counter()
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=clean(variables),
                start_new_session=True,  # Ctrl-C is ours to pass on, in order
            )
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self, seconds: float) -> str:
        """The next line of its stdout."""
        try:
            line = self.lines.get(timeout=seconds)
        except queue.Empty:
            raise Failed(f"{self.name}: no word after {seconds:.0f} s{self.written()}") from None
        if line is None:
            raise Failed(f"{self.name}: ended with code {self.process.wait()}{self.written()}")
        return line

    def listening(self) -> int:
        """Waits until it says where it listens. Returns the port."""
        deadline = time.monotonic() + READY_SECONDS
        while not (found := READY.search(self.line(max(deadline - time.monotonic(), 0.01)))):
            pass
        return int(found[1])

    def accepting(self, port: int) -> None:
        """Waits until it accepts connections, for a program that does not say so."""
        deadline = time.monotonic() + READY_SECONDS
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                return
            if self.process.poll() is not None:
                raise Failed(f"{self.name}: ended with code {self.process.returncode}{self.written()}")
            if time.monotonic() > deadline:
                raise Failed(f"{self.name}: does not accept after {READY_SECONDS} s{self.written()}")
            time.sleep(LOOK_SECONDS)

    def with_children(self) -> None:
        """Waits until it has started a process of its own."""
        deadline = time.monotonic() + READY_SECONDS
        while len(self.pids()) < 2:
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"{self.name}: starts no process of its own{self.written()}")
            time.sleep(LOOK_SECONDS)

    def say(self, line: str) -> None:
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise Failed(f"{self.name}: does not listen any more: {error}{self.written()}") from error

    def pids(self) -> list[int]:
        return machine.descendants(self.process.pid)

    def written(self) -> str:
        text = self.log.read_text(errors="replace").strip()[-1500:] if self.log.exists() else ""
        return f"\n{text}" if text else ""

    def end(self) -> None:
        """SIGTERM, and if that is not enough SIGKILL, also to what it started itself."""
        family = self.pids() if self.process.poll() is None else []
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
            return
        except subprocess.TimeoutExpired:
            pass
        for pid in reversed(family):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


class Children:
    """All processes that run now. Leaving it ends them, the last one first, whatever happened."""

    def __init__(self):
        self.running: list[Child] = []

    def __enter__(self) -> "Children":
        return self

    def start(self, *arguments, **named) -> Child:
        child = Child(*arguments, **named)
        self.running.append(child)
        return child

    def end(self, child: Child) -> None:
        child.end()
        self.running.remove(child)

    def __exit__(self, *_exception) -> None:
        while self.running:
            self.running.pop().end()


def run(command: list[str], cpus: frozenset[int], seconds: float) -> str:
    """Runs a program to its end and returns what it printed."""
    with machine.on(cpus):
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=clean(),
            start_new_session=True,
        )
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Failed(f"{pathlib.Path(command[0]).name}: still running after {seconds:.0f} s") from None
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()
    if process.returncode != 0:
        raise Failed(f"{pathlib.Path(command[0]).name}: code {process.returncode}: {errors.strip()[-500:]}")
    return output
