"""Starts and ends `backstop sim` and `backstop serve`, and talks to the simulator's own endpoints.

A process is ready when it prints where it listens, and is ended by its own id. Nothing here knows the SDK.
"""

import json
import os
import pathlib
import queue
import re
import subprocess
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("BACKSTOP_BIN", str(ROOT / "target" / "release" / "backstop"))

READY = re.compile(r"listening on (http://[^\s:]+:\d+)")
READY_SECONDS = 20
END_SECONDS = 40  # more than the 30 s that a drain may take


class Backstop:
    """One running `backstop` command."""

    def __init__(self, *arguments: str, log: pathlib.Path, variables: dict[str, str] | None = None):
        self.log = log
        # No setting of the machine reaches the process under test.
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("BACKSTOP_", "RUST_LOG"))}
        environment.update(variables or {})
        with log.open("wb") as errors:
            self.process = subprocess.Popen(
                [BINARY, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        self.output: list[str] = []
        self._ready: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.url = self._wait_ready()
        except AssertionError:
            self.process.kill()
            self.process.wait()
            raise

    def _read(self) -> None:
        for line in self.process.stdout:
            self.output.append(line)
            if found := READY.search(line):
                self._ready.put(found[1])
        self._ready.put(None)

    def _wait_ready(self) -> str:
        try:
            url = self._ready.get(timeout=READY_SECONDS)
        except queue.Empty:
            raise AssertionError(f"not listening after {READY_SECONDS} s:\n{self.written()}") from None
        assert url, f"ended with code {self.process.wait()} before it listened:\n{self.written()}"
        return url

    def written(self) -> str:
        """Everything it wrote so far, to stdout and stderr."""
        return "".join(self.output) + self.log.read_text(errors="replace")

    def end(self) -> None:
        """SIGTERM to this process; it must end by itself and without an error."""
        self.process.terminate()
        try:
            code = self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still there {END_SECONDS} s after SIGTERM:\n{self.written()}") from None
        finally:
            self._reader.join(END_SECONDS)
            self.process.stdout.close()
        assert code == 0, f"exit code {code}:\n{self.written()}"


class Sim(Backstop):
    """`backstop sim`: what the providers do is a script, what they saw is counted."""

    def __init__(self, log: pathlib.Path, script: pathlib.Path | None = None):
        more = ["--script", str(script)] if script else []
        super().__init__("sim", "--listen", "127.0.0.1:0", *more, log=log)

    def _call(self, path: str, body: dict | None = None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read())

    def play(self, script: dict) -> None:
        """Forgets what was and plays this script from now on."""
        self._call("/reset", {})
        self._call("/script", script)

    def faults(self) -> list[dict]:
        """Every fault there is: `name`, `rule`, and its stage in a `stream` and in a `plain` answer."""
        return self._call("/faults")

    def slots(self) -> list[dict]:
        return self._call("/stats")["slots"]

    def total(self, count: str, **which: str) -> int:
        """The sum of `requests`, `answered` or `cancelled` over the slots that match."""
        rows = (slot for slot in self.slots() if all(slot[name] == value for name, value in which.items()))
        return sum(slot[count] for slot in rows)

    def injected(self, fault: str, **which: str) -> int:
        """How many requests got a fault, over the slots that match."""
        rows = (slot for slot in self.slots() if all(slot[name] == value for name, value in which.items()))
        return sum(slot["faults"].get(fault, 0) for slot in rows)

    def wait_for(self, count: str, number: int, seconds: float = 10.0) -> None:
        """Waits until a total reaches a number."""
        deadline = time.monotonic() + seconds
        while self.total(count) < number:
            assert time.monotonic() < deadline, f"{count} stayed under {number}: {self.slots()}"
            threading.Event().wait(0.01)
