"""Processes that the tests start, each ended by its own id; a free port; requests to them."""

import json
import os
import pathlib
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request

READY_SECONDS = 30
END_SECONDS = 40


def free_port() -> int:
    with socket.socket() as any_port:
        any_port.bind(("127.0.0.1", 0))
        return any_port.getsockname()[1]


def until(what, condition, seconds: float = READY_SECONDS):
    """The first result of `condition()` that is true; fails with `what()` if there is none in time."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, what()
        threading.Event().wait(0.05)
    return result


class Answer:
    def __init__(self, status: int, headers, body: bytes):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        return json.loads(self.body)


def ask(url: str, body: dict | None = None, **headers: str) -> Answer:
    """One request, directly; every HTTP status is an answer."""
    data = None if body is None else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = urllib.request.Request(url, data, {"content-type": "application/json", **named})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read())
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read())


class Running:
    """A command that serves at a URL. Its environment is what is given, and nothing of this machine's."""

    def __init__(self, command: list[str], log: pathlib.Path, url: str, ready: str, env: dict[str, str]):
        self.log, self.url = log, url
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        try:
            until(lambda: f"{command} is not ready:\n{self.written()}", lambda: self._answers(ready))
        except AssertionError:
            self.end()
            raise

    def _answers(self, ready: str) -> bool:
        code = self.process.poll()
        assert code is None, f"ended with {code}:\n{self.written()}"
        try:
            return ask(self.url + ready).status == 200
        except OSError:
            return False

    def written(self) -> str:
        return self.log.read_text(errors="replace")

    def end(self) -> int:
        """SIGTERM, as `docker stop` sends it, to this process."""
        if self.process.poll() is None:
            try:
                self.process.terminate()
            except PermissionError:  # it was started with sudo, which hands the signal on
                subprocess.run(["sudo", "kill", str(self.process.pid)], check=True)
        try:
            return self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"still there {END_SECONDS} s after SIGTERM:\n{self.written()}") from None


def path_only() -> dict[str, str]:
    return {"PATH": os.environ["PATH"]}
