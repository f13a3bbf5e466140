#!/usr/bin/env python3
"""What gateways do when providers fail, seen from both ends: what the client got and what the providers were asked.

Each scenario starts the simulator and one gateway afresh, and says in a few words what happened. The table goes to
docs/comparison.md; README repeats some of its rows. `--only backstop --check` compares our own column with the stored one
and needs nothing but our binary: `make test` runs that. All three: `make compare`.
"""

import argparse
import datetime
import http.client
import json
import pathlib
import socket
import sys
import tempfile
import threading
import time
import urllib.parse

from gateways import CLIENT_KEY, KEYS, MODEL, OTHER_MODEL, ROOT, LiteLLM, Ours, Portkey
from processes import Sim

PAGE = ROOT / "docs" / "comparison.md"
GATEWAYS = {"backstop": Ours, "litellm": LiteLLM, "portkey": Portkey}
ROUNDS = 10
# Longer than any of the three waits by default before it tries once more.
PATIENCE = 90


class World:
    """One simulator, one gateway, and what a client sees."""

    def __init__(self, kind: type, directory: pathlib.Path):
        start = directory / "script.json"
        start.write_text(json.dumps({"keys": KEYS}))
        self.sim = Sim(directory / "sim.log", start)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.gateway = kind(self.sim.url, directory, port)

    def end(self) -> None:
        self.gateway.end()
        self.sim.end()

    def play(self, *rules: dict) -> None:
        self.sim.play({"rules": list(rules), "keys": KEYS})

    def asked(self, **which: str) -> int:
        return self.sim.total("requests", **which)

    def open(self, body: dict) -> http.client.HTTPConnection:
        address = urllib.parse.urlsplit(self.gateway.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
        headers = {"content-type": "application/json", "authorization": f"Bearer {CLIENT_KEY}", **self.gateway.headers}
        body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], **body}
        connection.request("POST", f"{address.path}/chat/completions", json.dumps(body), headers)
        return connection

    def ask(self, **body) -> tuple[int, dict[str, str], bytes]:
        """Status (0 if the answer broke off), headers, body as far as it came."""
        connection = self.open(body)
        try:
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            try:
                return answer.status, headers, answer.read()
            except http.client.IncompleteRead as broken:
                return 0, headers, broken.partial
        except (http.client.HTTPException, ConnectionError):
            return 0, {}, b""
        finally:
            connection.close()


def fault(**rule) -> dict:
    match = {name: rule.pop(name) for name in ("key", "provider") if name in rule}
    return {"match": match, "fault": rule}


def times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def answered(world: World) -> int:
    return sum(world.ask()[0] == 200 for _ in range(ROUNDS))


def dead_key(world: World) -> str:
    world.play(fault(key="one-a", status=401))
    good = answered(world)
    return f"{good} answered; the key was asked {times(world.asked(key='one-a'))}"


def limited_key(world: World) -> str:
    world.play(fault(key="one-a", status=429, retry_after=60))
    good = answered(world)
    return f"{good} answered; the key was asked {times(world.asked(key='one-a'))}"


def unpaid_key(world: World) -> str:
    world.play(fault(key="one-a", status=429, error="insufficient_quota"))
    good = answered(world)
    return f"{good} answered; the key was asked {times(world.asked(key='one-a'))}"


def key_of_two_models(world: World) -> str:
    world.play(fault(key="one-a", status=401))
    good = answered(world)
    good += sum(world.ask(model=OTHER_MODEL)[0] == 200 for _ in range(ROUNDS))
    return f"{good} answered; the key was asked {times(world.asked(key='one-a'))}"


def recovery(world: World) -> str:
    world.play(*[{**fault(key=key, status=429, retry_after=2), "when": {"requests": [1, 1]}} for key in ("one-a", "one-b")])
    limited = answered(world)
    # The providers' own word: after two seconds they are good again.
    time.sleep(3)
    before = world.asked(provider="one")
    later = answered(world)
    used = world.asked(provider="one") - before
    return f"{limited + later} answered; after it, {used} of {ROUNDS} went to the first provider again"


def provider_down(world: World) -> str:
    world.play(fault(provider="one", status=503))
    good = answered(world)
    return f"{good} answered; the provider was asked {times(world.asked(provider='one'))}"


def stream(world: World, **broken) -> str:
    world.play()
    status, _, body = world.ask(stream=True)
    if status != 200 or b"[DONE]" not in body:
        return f"not tried: a healthy stream fails, too (status {status})"
    world.play(fault(provider="one", **broken))
    status, _, body = world.ask(stream=True)
    first, second = b"I am one/" in body, b"I am two/" in body
    if first and second:
        return "the part, and after it a second answer from its beginning"
    if status == 200 and second and b"[DONE]" in body and b'"error"' not in body:
        return "a whole answer from the second provider"
    if first:
        ends = b"[DONE]" in body, b'"error"' in body, status == 0
        return {
            (True, False, False): "the part, then `[DONE]`, as if it were whole",
            (False, True, False): "the part, then an error event",
            (True, True, False): "the part, then an error event, then `[DONE]`",
            (False, False, True): "the part, then the connection breaks",
            (False, False, False): "the part, then nothing: neither an error nor `[DONE]`",
        }.get(ends, f"the part, then something else: {ends}")
    return f"no answer: status {status or 200}" + (", an error event" if b'"error"' in body and status in (0, 200) else "")


def error_first(world: World) -> str:
    return stream(world, error_in_stream={"after_chunks": 0, "body": 529})


def cut_first(world: World) -> str:
    return stream(world, cut_after_chunks=0)


def cut_later(world: World) -> str:
    # Slowly, so that the part has arrived before the connection ends.
    return stream(world, cut_after_chunks=3, chunk_delay_ms=200)


def error_in_200(world: World) -> str:
    world.play(fault(provider="one", error_in_200=529))
    status, _, body = world.ask()
    if status == 200 and b"two/" in body:
        return "an answer from the second provider"
    return f"status {status}" + (" with the provider's error as the answer" if status == 200 else "")


def bad_request(world: World) -> str:
    world.play(fault(status=400, body='{"error":{"message":"bad","type":"invalid_request_error","param":"messages","code":null}}'))
    status, _, _ = world.ask()
    return f"status {status}; providers were asked {times(world.asked())}"


def all_down(world: World) -> str:
    world.play(fault(status=503))
    status, headers, _ = world.ask()
    hint = "with" if "retry-after" in headers else "no"
    return f"status {status}, {hint} `Retry-After`; providers were asked {times(world.asked())}"


def client_leaves(world: World) -> str:
    world.play(fault(hang="before_headers"))
    connection = world.open({})
    deadline = time.monotonic() + PATIENCE
    while not world.asked():
        assert time.monotonic() < deadline, "no provider was asked"
        threading.Event().wait(0.01)
    connection.close()
    since = time.monotonic()
    while time.monotonic() < since + 10:
        if world.sim.total("cancelled"):
            return "the provider's request is ended"
        threading.Event().wait(0.05)
    return "the provider's request is still running after 10 s"


SCENARIOS = {
    f"One of two keys is refused (401), {ROUNDS} requests": dead_key,
    f"One of two keys is rate-limited for 60 s, {ROUNDS} requests": limited_key,
    f"One of two keys has no quota left (429 `insufficient_quota`), {ROUNDS} requests": unpaid_key,
    f"A refused key (401) of two models, {ROUNDS} requests for each": key_of_two_models,
    f"Both keys are limited for 2 s, {ROUNDS} requests at once and {ROUNDS} after 3 s": recovery,
    f"The first provider is down (503), {ROUNDS} requests": provider_down,
    "An error inside a 200": error_in_200,
    "An error as the first event of a stream": error_first,
    "A stream that ends before its first content": cut_first,
    "A stream that is cut after some content": cut_later,
    "The request itself is wrong (400 everywhere)": bad_request,
    "Everything is down (503)": all_down,
    "The client goes away while it waits": client_leaves,
}


def column(kind: type) -> list[str]:
    cells = []
    for title, scenario in SCENARIOS.items():
        with tempfile.TemporaryDirectory() as directory:
            world = World(kind, pathlib.Path(directory))
            try:
                cells.append(scenario(world))
            finally:
                world.end()
        print(f"{kind.title}: {title}: {cells[-1]}", flush=True)
    return cells


def table(columns: dict[str, list[str]]) -> list[str]:
    rows = [["what happens", *columns], ["---"] * (len(columns) + 1)]
    rows += [[title, *cells] for title, *cells in zip(SCENARIOS, *columns.values())]
    return ["| " + " | ".join(row) + " |" for row in rows]


INTRODUCTION = """\
# Comparison

Written by `make compare` (bench/compare) on {date}. Each gateway was started in front of `backstop sim` with the same two
keys of one provider and one key of a second provider, in the way its documentation shows, and with its defaults otherwise:
{versions}. A cell says what was seen: what the client got, and how often the
simulated providers were asked. Other settings give other results; a choice at random (LiteLLM's order of keys) gives other
counts in another run. Nothing is said about what was not tried.

"""


def write(columns: dict[str, list[str]]) -> None:
    versions = ", ".join(f"{kind.title} ({kind.version()})" for kind in GATEWAYS.values())
    introduction = INTRODUCTION.format(date=datetime.date.today().isoformat(), versions=versions)
    PAGE.write_text(introduction + "\n".join(table(columns)) + "\n")


def stored(title: str) -> list[str]:
    """The column of the stored page."""
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in PAGE.read_text().splitlines() if line.startswith("|")]
    at = rows[0].index(title)
    return [row[at] for row in rows[2:]]


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--only", choices=GATEWAYS)
    arguments.add_argument("--check", action="store_true", help="compare with docs/comparison.md and write nothing")
    given = arguments.parse_args()
    kinds = [GATEWAYS[given.only]] if given.only else list(GATEWAYS.values())
    columns = {kind.title: column(kind) for kind in kinds}
    if not given.check:
        if not given.only:
            write(columns)
        return 0
    wrong = [
        f"{title}: {scenario}: it says `{was}`, now `{now}`"
        for title, cells in columns.items()
        for scenario, was, now in zip(SCENARIOS, stored(title), cells, strict=True)
        if was != now
    ]
    print("\n".join(wrong) or f"docs/comparison.md is true of {', '.join(columns)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
