"""The recorded exchanges, for replaying them: the directory in BACKSTOP_FIXTURES, else ../shared/fixtures. Beside them the
requests that are written here.

Where they are not laid out, tests that need them are skipped and say so; with CI=true they fail.
"""

import base64
import dataclasses
import functools
import json
import os
import pathlib

import pytest

from processes import ROOT
from upstream import Answer

FIXTURES = pathlib.Path(os.environ.get("BACKSTOP_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "recorded"

# Headers that belong to the connection that was recorded.
HOPS = {"transfer-encoding", "content-length", "content-encoding", "connection"}


@dataclasses.dataclass(frozen=True)
class Exchange:
    id: str
    api: str
    status: int
    stream: bool
    tags: tuple[str, ...]
    headers: tuple[tuple[str, str], ...]
    body: bytes
    request: str | None

    def answer(self) -> Answer:
        """The recorded bytes; a stream in pieces that end anywhere."""
        headers = {name: value for name, value in self.headers if name.lower() not in HOPS}
        if not self.stream:
            return Answer(self.status, headers, self.body)
        return Answer(self.status, headers, pieces=[self.body[at : at + 997] for at in range(0, len(self.body), 997)])


def _bytes(body: dict) -> bytes:
    return body["text"].encode() if "text" in body else base64.b64decode(body.get("base64", ""))


@functools.cache
def exchanges() -> tuple[Exchange, ...]:
    """Those of chat, messages, converse and converse-stream."""
    index = FIXTURES / "index.jsonl"
    if not index.exists():
        assert os.environ.get("CI") != "true", "no recorded traffic: set BACKSTOP_FIXTURES"
        return ()
    found = []
    for line in index.read_text().splitlines():
        entry = json.loads(line)
        if entry["api"] not in ("chat", "messages", "converse", "converse-stream"):
            continue
        recording = json.loads((FIXTURES / entry["file"]).read_text())
        request = ((recording.get("request") or {}).get("body") or {}).get("text")
        found.append(
            Exchange(
                id=entry["id"],
                api=entry["api"],
                status=entry["status"],
                stream=entry["stream"],
                tags=tuple(entry["tags"]),
                headers=tuple((name, value) for name, value in recording["response"]["headers"]),
                body=_bytes(recording["response"]["body"]),
                request=request,
            )
        )
    return tuple(found)


def these(chosen: list[Exchange]) -> list:
    """A `parametrize` over them, skipped as one where there are none."""
    if not chosen:
        return [pytest.param(None, id="none", marks=pytest.mark.skip(reason="no recorded traffic"))]
    return [pytest.param(one, id=one.id) for one in chosen]


def params(*apis: str, **which) -> list:
    """The same over those of these APIs that match."""
    return these([one for one in exchanges() if one.api in apis and all(getattr(one, k) == v for k, v in which.items())])


def requests(*wires: str) -> list:
    """A `parametrize` over requests, as wire and body: those written here, and the recorded ones that were answered."""
    cases = json.loads((ROOT / "tests" / "fixtures" / "translate" / "requests.json").read_text())
    found = [pytest.param(case["wire"], case["body"], id=case["name"]) for case in cases if case["wire"] in wires]
    for exchange in exchanges():
        if exchange.api in wires and exchange.status == 200 and exchange.request:
            found.append(pytest.param(exchange.api, json.loads(exchange.request), id=exchange.id))
    return found
