"""The same table for every client: what works, what fails over, what fails, what breaks off, what is asked again.

A client's words for a failure are its own; the tables below say which. docs/clients.md shows them to readers, and
test_documents.py holds the two together.
"""

import collections
import dataclasses
import urllib.request

import pytest

from clients import CLIENTS, Ask, do
from conftest import CLIENT_KEY, KEYS, fault, script, text_of

TASKS = ["chat", "stream", "tool", "tool stream", "round trip", "schema"]
MODELS = {"one-a": ("one", "gpt-4o"), "one-b": ("one", "gpt-4o"), "two-a": ("two", "gpt-4o-mini")}


@dataclasses.dataclass(frozen=True)
class Case:
    """What fails, on the way to which model; the slots that are tried in vain, who answers, and who answers after."""

    rules: list[dict]
    served: str
    failed: tuple[str, ...] = ()
    later: str | None = None
    model: str = "default"


def first_key(**what) -> Case:
    return Case([fault(key="one-a", **what)], "one-b", ("one-a",))


CASES = {
    "healthy": Case([], "one-a"),
    "401": first_key(status=401),
    "429": first_key(status=429),
    "500": first_key(status=500),
    # One broken connection is forgiven: the next request asks this key again.
    "reset": dataclasses.replace(first_key(reset="before_headers", requests=[1, 1]), later="one-a"),
    "error before content": first_key(error_in_stream={"after_chunks": 0, "body": 503}),
    "provider refuses": Case([fault(provider="one", status=401)], "two-a", ("one-a", "one-b"), model="backup"),
    "provider is down": Case([fault(provider="one", close="before_headers")], "two-a", ("one-a", "one-b"), model="backup"),
}

# What a client calls a status.
OPENAI = {
    400: "BadRequestError",
    401: "AuthenticationError",
    404: "NotFoundError",
    429: "RateLimitError",
    502: "InternalServerError",
    503: "InternalServerError",
    504: "InternalServerError",
}
EXCEPTIONS = {
    "openai python": OPENAI,
    "anthropic python": OPENAI | {503: "ServiceUnavailableError", 504: "GatewayTimeoutError"},
    "openai node": OPENAI,
    "llama-index": OPENAI,
    "litellm": OPENAI | {502: "BadGatewayError", 503: "ServiceUnavailableError", 504: "Timeout"},
    "langchain": {
        400: "OpenAIInvalidRequestError",
        401: "OpenAIAuthenticationError",
        404: "OpenAIModelNotFoundError",
        429: "OpenAIRateLimitError",
        502: "OpenAIAPIError",
        503: "OpenAIAPIError",
        504: "OpenAIAPIError",
    },
    "vercel ai": dict.fromkeys(OPENAI, "APICallError"),
}

# What a client raises when a stream breaks after content, and when its own time is up: plain, stream.
BROKEN = {
    "openai python": "APIError",
    "anthropic python": "APIStatusError",
    "openai node": "APIError",
    "llama-index": "APIError",
    "litellm": "MidStreamFallbackError",
    "langchain": "APIError",
    "vercel ai": "StreamProviderError",
}
GIVEN_UP = {
    "openai python": ("APITimeoutError", "APITimeoutError"),
    "anthropic python": ("APITimeoutError", "APITimeoutError"),
    "openai node": ("APIConnectionTimeoutError", "APIConnectionTimeoutError"),
    "llama-index": ("APITimeoutError", "APITimeoutError"),
    "litellm": ("Timeout", "Timeout"),
    "langchain": ("OpenAITimeoutError", "OpenAITimeoutError"),
    # A stream does not raise: its last part says that it was aborted.
    "vercel ai": ("TimeoutError", "AbortPart"),
}

# Requests that a client sends by itself when every key is refused: one where `x-should-retry: false` is heard.
ASKED = {"openai python": 1, "anthropic python": 1, "openai node": 1, "litellm": 1, "langchain": 1, "llama-index": 3, "vercel ai": 3}

SHORT = {"response_timeout": "300ms", "first_content": "300ms", "stall": "300ms"}

each_client = pytest.mark.parametrize("client", CLIENTS)


@dataclasses.dataclass(frozen=True)
class Failure:
    """What fails, and the status and words that reach the caller. `again`: the second request in a row is meant."""

    rules: list[dict]
    status: int
    words: str
    tasks: tuple[str, ...] = ("chat", "stream")
    ask: dict = dataclasses.field(default_factory=dict)
    settings: dict = dataclasses.field(default_factory=dict)
    again: bool = False


FAILURES = {
    "wrong client key": Failure([], 401, "client keys", ask={"key": "wrong"}),
    "unknown model": Failure([], 404, "is called `defualt`", ask={"model": "defualt"}),
    "no schema": Failure(
        [],
        400,
        "schema",
        tasks=("schema",),
        ask={"model": "one/gpt-4"},
        settings={"chains": {"default": ["one/gpt-4"]}},
    ),
    "bad request": Failure([fault(status=400)], 400, "The request is not valid."),
    "every key refused": Failure([fault(status=401)], 502, "one/gpt-4o@one-b=auth:401"),
    "every key limited": Failure([fault(status=429, retry_after=30)], 429, "one/gpt-4o@one-b=rate_limit:429"),
    "all broken": Failure([fault(status=500)], 502, "one/gpt-4o@one-b=server_error:500"),
    "all cooling": Failure([fault(status=503, retry_after=60)], 503, "cool", again=True),
    "all silent": Failure([fault(hang="before_headers")], 504, "timeout", settings={"run": SHORT}),
}


def asked(gateway) -> int:
    """How many requests the gateway has answered."""
    with urllib.request.urlopen(f"{gateway.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(int(float(line.split()[-1])) for line in lines if line.startswith("backstop_requests_total{"))


@pytest.fixture
def perform(start_gateway, node):
    """Lets a client do a task at a gateway, new unless one is given."""

    def run(client, task, gateway=None, **ask):
        gateway = gateway or start_gateway()
        return do(client, node, f"{gateway.url}/v1", Ask(task, **{"key": CLIENT_KEY, **ask}))

    return run


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("case", CASES)
@each_client
def test_it_answers(client, case, task, perform, sim):
    case = CASES[case]
    sim.play(script(*case.rules))
    out = perform(client, task, model=case.model)
    assert out.error is None, out.error
    last = case.served
    if task == "round trip":
        last = case.later or case.served
    if task in ("chat", "stream", "round trip"):
        provider, model = MODELS[last]
        assert out.text == text_of(provider, model, last)
        assert out.finishes == ["stop"]
        # Exactly once, and as it was made: a chunk is a piece.
        assert len(out.pieces) == (8 if task == "stream" else 1)
    if task in ("tool", "tool stream", "round trip"):
        assert out.calls == [("get_weather", {"city": "sim", "unit": "celsius"})]
    if task in ("tool", "tool stream"):
        assert out.text == ""
        assert [finish.replace("-", "_") for finish in out.finishes] == ["tool_calls"]
    if task == "schema":
        assert out.parsed == {"city": "sim", "degrees": 1, "hours": [1.0], "rain": True}
    # Who was asked, and nobody else: these in vain, and the one who answered.
    expected = collections.Counter([*case.failed, case.served])
    if task == "round trip":
        expected[last] += 1
    assert {slot["key"]: slot["requests"] for slot in sim.slots()} == expected


@each_client
def test_a_model_that_takes_no_schema_is_skipped(client, perform, sim):
    out = perform(client, "schema", model="old")
    assert out.error is None, out.error
    assert out.parsed["city"] == "sim"
    assert sim.total("requests", provider="one") == 0
    assert sim.total("requests", key="two-a") == 1


@pytest.mark.parametrize("name, task", [(name, task) for name, failure in FAILURES.items() for task in failure.tasks])
@each_client
def test_it_says_what_failed(client, name, task, perform, start_gateway, sim):
    failure = FAILURES[name]
    sim.play(script(*failure.rules))
    gateway = start_gateway(**failure.settings)
    if failure.again:
        assert perform(client, task, gateway, **failure.ask).error
    out = perform(client, task, gateway, **failure.ask)
    assert out.error is not None
    assert out.text == "" and out.finishes == []
    assert (out.error.type, out.error.status) == (EXCEPTIONS[client][failure.status], failure.status)
    assert failure.words in out.error.message
    for secret in [CLIENT_KEY, *KEYS.values()]:
        assert secret not in out.error.message
    assert asked(gateway) == 1 + failure.again


@pytest.mark.parametrize(
    "what",
    [
        {"cut_after_chunks": 3},
        {"reset": "mid_body"},
        {"error_in_stream": {"after_chunks": 3, "body": 500}},
        {"stall_after_chunks": 3},
    ],
    ids=lambda what: next(iter(what)),
)
@each_client
def test_a_broken_stream_never_looks_complete(client, what, perform, start_gateway, sim):
    sim.play(script(fault(**what)))
    out = perform(client, "stream", start_gateway(run=SHORT), model="backup")
    whole = text_of("one", "gpt-4o", "one-a")
    assert out.text and out.text != whole and whole.startswith(out.text)
    assert out.finishes == []
    assert out.error is not None and out.error.type == BROKEN[client], out.error
    # What was heard from one is never told again by another.
    assert sim.total("requests") == 1


@pytest.mark.parametrize("broken", [False, True], ids=["whole", "broken"])
def test_the_text_stream_of_vercel_only_tells_by_its_finish_reason(broken, perform, sim):
    sim.play(script(fault(cut_after_chunks=3)) if broken else script())
    out = perform("vercel ai", "text stream")
    assert out.error is None, out.error
    assert out.finishes == ["error" if broken else "stop"]
    assert len(out.pieces) == (3 if broken else 8)


@each_client
def test_a_target_can_be_named(client, perform):
    assert perform(client, "chat", model="two/gpt-4o-mini").text == text_of("two", "gpt-4o-mini", "two-a")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@each_client
def test_a_client_that_gives_up_is_no_longer_asked_for(client, stream, perform, gateway, sim):
    sim.play(script(fault(hang="before_headers")))
    out = perform(client, "stream" if stream else "chat", gateway, timeout=0.5)
    assert out.error is not None and out.error.type == GIVEN_UP[client][stream], out.error
    assert out.text == "" and out.finishes == []
    sim.wait_for("cancelled", 1)
    assert sim.total("requests") == 1
    # The slot is not blamed: the next request gets its answer from the same key.
    sim.play(script())
    assert perform(client, "chat", gateway).text == text_of("one", "gpt-4o", "one-a")


@each_client
def test_it_asks_again_when_it_is_told_to(client, perform, gateway, sim):
    once = [fault(key=key, requests=[1, 1], status=503, retry_after=1) for key in ("one-a", "one-b")]
    sim.play(script(*once))
    out = perform(client, "chat", gateway, retries=None)
    assert out.error is None, out.error
    assert out.text == text_of("one", "gpt-4o", "one-a")
    assert asked(gateway) == 2
    assert sim.total("requests") == 3


@each_client
def test_it_asks_again_in_vain(client, perform, gateway, sim):
    sim.play(script(fault(status=401)))
    out = perform(client, "chat", gateway, retries=None)
    assert out.error is not None
    assert asked(gateway) == ASKED[client]
