"""Streams that break after content, to the official SDKs: what is recovered looks as if nothing had happened, and what is
not raises their own exception.

All providers, keys and models of the simulator give the same ANSWER in PIECES. A chain is called after its
`stream_recovery` and its providers: in `continue-openai-bedrock` OpenAI's stream breaks and Bedrock has to finish it.
"""

import dataclasses
import hashlib
import itertools
import json
import re
import urllib.request

import pytest

import shapes
import streams
from conftest import CLIENT_KEY
from processes import Backstop
from streams import CLIENTS, Ask, is_helper

CHUNKS = 8
# White space stands at the ends of pieces and at their beginnings, and letters of several bytes are cut beside.
ANSWER = 'Grüße, Welt: a 🌍 of "text". \n\n```rs\nlet x = "\\\\";\n```\n\nIts pieces end anywhere 🧑‍🚀, e.g. here.  And then it is done.'
PIECES = [ANSWER[n * len(ANSWER) // CHUNKS : (n + 1) * len(ANSWER) // CHUNKS] for n in range(CHUNKS)]
OTHER = "This is not what anybody else would have said, from its beginning to its end."

MODELS = {
    "openai": "gpt-4o",
    "anthropic": "claude-opus-4-5",
    "bedrock": "anthropic.claude-3-5-sonnet-20241022-v2:0",
}
# It refuses a prefill, whatever the configuration says.
REFUSER = "claude-sonnet-4-6"
PREFILLED = ["anthropic", "bedrock"]
SECRETS = {
    "openai": ["sk-openai-of-recovery-1111", "sk-openai-of-recovery-2222"],
    "anthropic": ["sk-ant-of-recovery-3333", "sk-ant-of-recovery-4444"],
    "bedrock": ["AKIAOFRECOVERYTE5555", "AKIAOFRECOVERYTE6666"],
}
AWS_SECRET = "the-secret-that-signs-in-recovery"

# How a stream breaks after so many pieces.
FAULTS = {
    **{f"cut {n}": (n, {"cut_after_chunks": n}) for n in (1, 2, 5, 8)},
    **{f"stall {n}": (n, {"stall_after_chunks": n}) for n in (2, 5)},
    **{f"error {n}": (n, {"error_in_stream": {"after_chunks": n, "body": 529}}) for n in (1, 5, 8)},
    "reset": (4, {"reset": "mid_body"}),
    "half an event": (3, {"half_event_after_chunks": 3}),
    "corrupt": (3, {"corrupt_after_chunks": 3}),
    "no finish": (8, {"no_finish": True, "no_done": True}),
}
BUFFERED = ["cut 1", "stall 5", "error 8", "no finish"]

# What each SDK raises when a stream says that it is broken, and at a status.
BROKEN = {"openai python": "APIError", "openai node": "APIError", "anthropic python": "APIStatusError", "anthropic node": "APIError"}
REFUSED = {
    "openai python": "InternalServerError",
    "openai node": "InternalServerError",
    "anthropic python": "InternalServerError",
    "anthropic node": "InternalServerError",
}

each_client = pytest.mark.parametrize("client", CLIENTS)
anthropics_clients = pytest.mark.parametrize("client", [client for client in CLIENTS if client.startswith("anthropic")])
each_provider = pytest.mark.parametrize("broken", MODELS)


@dataclasses.dataclass(frozen=True)
class Case:
    """Whose stream breaks, how, and who is left to finish it."""

    mode: str
    broken: str
    finisher: str
    fault: str

    @property
    def chain(self) -> str:
        return f"{self.mode}-{self.broken}-{self.finisher}"

    @property
    def after(self) -> int:
        return FAULTS[self.fault][0]

    def rules(self) -> list[dict]:
        return breaks(self.broken, FAULTS[self.fault][1], again=self.broken == self.finisher)

    def __str__(self) -> str:
        return f"{self.chain}-{self.fault}"


def breaks(provider: str, fault: dict, again: bool = False) -> list[dict]:
    """The provider's first request gets the fault, later ones a 500, or an answer if it may be asked `again`."""
    match = {"provider": provider}
    rules = [{"match": match, "when": {"requests": [1, 1]}, "fault": fault}]
    if not again:
        rules.append({"match": match, "when": {"requests": [2, None]}, "fault": {"status": 500}})
    return rules


def next_of(provider: str) -> str:
    names = list(MODELS)
    return names[(names.index(provider) + 1) % len(names)]


RECOVERED = [
    *(Case("continue", broken, next_of(broken), fault) for fault in FAULTS for broken in MODELS),
    *(Case("continue", *pair, "cut 2") for pair in itertools.product(MODELS, MODELS) if pair[1] != next_of(pair[0])),
    *(Case("buffer", broken, next_of(broken), fault) for fault in BUFFERED for broken in MODELS),
]


def targets(*providers: str) -> list[str]:
    return [f"{provider}/{MODELS[provider]}" for provider in dict.fromkeys(providers)]


def chains() -> dict:
    found = {
        f"{mode}-{broken}-{finisher}": {"targets": targets(broken, finisher), "stream_recovery": mode}
        for mode in ("continue", "buffer", "error")
        for broken, finisher in itertools.product(MODELS, MODELS)
    }
    unset = {f"unset-{broken}-{next_of(broken)}": {"targets": targets(broken, next_of(broken))} for broken in MODELS}
    refuser = [*targets("openai"), {"target": f"anthropic/{REFUSER}", "prefill": True}]
    return {
        "default": targets(*MODELS),
        "all": {"targets": targets(*MODELS), "stream_recovery": "continue"},
        "refuser": {"targets": refuser, "stream_recovery": "continue"},
        **unset,
        **found,
    }


def config(sim, **run) -> dict:
    providers = {
        name: {"base_url": f"{sim.url}/{name}/v1", "keys": SECRETS[name]} for name in MODELS if name != "bedrock"
    }
    pairs = [{"access_key_id": key, "secret_access_key": AWS_SECRET} for key in SECRETS["bedrock"]]
    providers["bedrock"] = {"base_url": f"{sim.url}/bedrock", "region": "us-east-1", "keys": pairs}
    moment = {"first": "1ms", "factor": 1, "cap": "1ms"}
    return {
        "server": {"client_keys": [{"name": "tests", "sha256": hashlib.sha256(CLIENT_KEY.encode()).hexdigest()}]},
        "providers": providers,
        "chains": chains(),
        "cooldowns": {kind: moment for kind in ("broken_stream", "server_error", "overloaded", "network", "timeout")},
        "run": {"stall": "300ms", "same_target_wait": 0, "retry_pause_min": "1ms", "retry_pause_max": "2ms", **run},
    }


@pytest.fixture(scope="module")
def start(simulator, tmp_path_factory):
    """Starts gateways; what is given goes into `run`."""
    running = []

    def one(**run) -> Backstop:
        path = tmp_path_factory.mktemp("recovery") / "gateway.json5"
        path.write_text(json.dumps(config(simulator, **run)))
        gateway = Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=path.with_suffix(".log"))
        running.append(gateway)
        return gateway

    yield one
    for gateway in running:
        gateway.end()
        for secret in [CLIENT_KEY, AWS_SECRET, *itertools.chain(*SECRETS.values())]:
            assert secret not in gateway.written(), "a secret was logged"


@pytest.fixture(scope="module")
def gateway(start):
    """One for all tests: what cools, cools for a moment."""
    return start()


@pytest.fixture(scope="module")
def streaming(tmp_path_factory):
    """The process with the SDKs of Node."""
    from nodes import Node

    running = Node("streams.mjs", tmp_path_factory.mktemp("node") / "streams.log")
    yield running
    running.end()


@pytest.fixture
def ask(gateway, streaming):
    """Lets a client read a stream of a chain."""

    def run(client: str, model: str, at: Backstop | None = None, **more) -> streams.Streamed:
        return streams.stream(client, streaming, Ask(model, (at or gateway).url, CLIENT_KEY, **more))

    return run


def play(sim, *rules: dict) -> None:
    sim.play({"rules": list(rules), "answer": ANSWER, "chunks": CHUNKS})


def left(case: Case) -> int:
    """The pieces that the finisher says: those after the break, or all again where it does not go on from a prefill."""
    if case.mode == "buffer" or case.finisher not in PREFILLED:
        return CHUNKS
    said = "".join(PIECES[: case.after])
    # White space that is left out of the prefill is said again.
    return CHUNKS - case.after + (said != said.rstrip())


def check_whole(out: streams.Streamed, client: str) -> None:
    """One answer, as if nothing had happened."""
    assert out.error is None, out.error
    assert out.text == ANSWER
    assert (out.begins, out.finishes) == (1, ["stop"])
    assert len(set(out.ids)) == 1 and out.ids[0]
    assert len(out.usages) == 1
    if is_helper(client):
        assert (out.final.id, out.final.text, out.final.finish, out.final.calls) == (out.ids[0], ANSWER, "stop", [])


@pytest.mark.parametrize("case", RECOVERED, ids=str)
@each_client
def test_nobody_notices(client, case, ask, sim):
    play(sim, *case.rules())
    out = ask(client, case.chain)
    check_whole(out, client)
    # The sum of what each of them counted, as far as it said so before it broke.
    read, said = out.usages[0]
    most = left(case) if case.mode == "buffer" else left(case) + case.after + 1
    assert left(case) <= said <= most
    assert read > 0
    if is_helper(client):
        assert out.final.usage[1] == said
    sim.wait_for("answered", 1)
    assert sim.total("answered", provider=case.finisher) == 1


@each_client
def test_two_breaks_are_two_seams(client, ask, sim):
    play(sim, *breaks("openai", {"cut_after_chunks": 3}), *breaks("anthropic", {"cut_after_chunks": 2}))
    check_whole(ask(client, "all"), client)
    sim.wait_for("answered", 1)
    assert sim.total("answered", provider="bedrock") == 1


@each_client
def test_a_refused_prefill_is_nobodys_business_and_is_remembered(client, ask, start, sim):
    """Who refuses is asked afresh, and the next time at once."""
    fresh = start()
    for refusals in (1, 0):
        play(sim, *breaks("openai", {"cut_after_chunks": 3}))
        check_whole(ask(client, "refuser", fresh), client)
        sim.wait_for("answered", 1)
        counted = {count: sim.total(count, model=REFUSER) for count in ("requests", "answered")}
        assert counted == {"requests": 1 + refusals, "answered": 1}


@pytest.mark.parametrize("mode", ["continue", "buffer"])
@each_provider
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_the_bytes_are_one_stream_and_the_seam_a_comment(path, broken, mode, gateway, sim):
    finisher = next_of(broken)
    play(sim, *breaks(broken, {"cut_after_chunks": 3}))
    body = {"model": f"{mode}-{broken}-{finisher}", "max_tokens": 100, "stream": True, "messages": streams.HELLO}
    headers = {"authorization": f"Bearer {CLIENT_KEY}", "content-type": "application/json"}
    request = urllib.request.Request(gateway.url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    seams = re.findall(r"^: backstop: continued by (\S+)$", text, re.MULTILINE)
    if mode == "buffer":
        assert seams == []
    else:
        (seam,) = seams
        assert re.fullmatch(re.escape(f"{finisher}/{MODELS[finisher]}") + r"@key-[12]", seam)
    if path == "/v1/messages":
        names = [name for name, _ in shapes.frames(text) if name not in ("ping", "content_block_delta")]
        assert names == ["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"]
    else:
        shapes.chat_stream(text)


# Where a stream can't be recovered: the chain, what happens, and what is asked.
HOPELESS = {
    "nothing is recovered": ("error-{broken}-{next}", {"cut_after_chunks": 4}, {}),
    "nothing is recovered after a stall": ("error-{broken}-{next}", {"stall_after_chunks": 4}, {}),
    "nothing is recovered after an error": ("error-{broken}-{next}", {"error_in_stream": {"after_chunks": 4, "body": 529}}, {}),
    "nothing is said about it": ("unset-{broken}-{next}", {"cut_after_chunks": 4}, {}),
    "the client wants none": ("continue-{broken}-{next}", {"cut_after_chunks": 4}, {"headers": {"x-backstop-stream-recovery": "error"}}),
    "a call has begun": ("continue-{broken}-{next}", {"cut_after_chunks": 3}, {"tool": True}),
}


def check_broken(out: streams.Streamed, client: str) -> None:
    """The client's own exception, and nothing that looks like an end."""
    assert out.error is not None, "a broken answer looked whole"
    assert out.error.type == BROKEN[client.split(",")[0]], out.error
    assert ANSWER.startswith(out.text) and out.text != ANSWER
    assert out.finishes == [] and out.final is None
    for secret in [AWS_SECRET, *itertools.chain(*SECRETS.values())]:
        assert secret not in out.error.message


@each_provider
@pytest.mark.parametrize("name", HOPELESS)
@each_client
def test_what_is_broken_raises(client, name, broken, ask, sim):
    chain, fault, more = HOPELESS[name]
    play(sim, *breaks(broken, fault))
    out = ask(client, chain.format(broken=broken, next=next_of(broken)), **more)
    check_broken(out, client)
    assert more.get("tool") or out.text == "".join(PIECES[:4])
    # Nobody else was asked.
    assert sim.total("requests") == 1


@anthropics_clients
def test_nobody_goes_on_after_anothers_thoughts(client, ask, sim):
    # Two pieces are thoughts and their signature, two more end their block and begin the text.
    play(sim, *breaks("anthropic", {"cut_after_chunks": 6}))
    out = ask(client, "continue-anthropic-bedrock", thinks=True)
    check_broken(out, client)
    assert out.text
    assert sim.total("requests") == 1


@each_client
def test_another_answer_is_not_taken(client, ask, sim):
    """OpenAI's begins anew, and otherwise."""
    other = {"match": {"provider": "openai"}, "fault": {"answer": OTHER}}
    play(sim, *breaks("bedrock", {"cut_after_chunks": 4}), other)
    out = ask(client, "continue-bedrock-openai")
    check_broken(out, client)
    assert out.text == "".join(PIECES[:4])


@each_client
def test_nobody_is_left(client, ask, sim):
    play(sim, *breaks("openai", {"cut_after_chunks": 4}), {"match": {}, "fault": {"status": 500}})
    out = ask(client, "all")
    check_broken(out, client)
    assert out.text == "".join(PIECES[:4])


@each_client
def test_nobody_is_left_before_anything_was_sent(client, ask, sim):
    play(sim, *breaks("openai", {"cut_after_chunks": 4}), {"match": {}, "fault": {"status": 500}})
    out = ask(client, "buffer-openai-anthropic")
    assert out.error is not None and out.text == "" and out.finishes == []
    assert (out.error.type, out.error.status) == (REFUSED[client.split(",")[0]], 502), out.error


@each_provider
@each_client
def test_a_buffered_call_is_whole(client, broken, ask, sim):
    play(sim, *breaks(broken, {"cut_after_chunks": 3}))
    out = ask(client, f"buffer-{broken}-{next_of(broken)}", tool=True)
    assert out.error is None, out.error
    assert (out.text, out.finishes, out.begins) == ("", ["tool_calls"], 1)
    if is_helper(client):
        assert out.final.calls == [[streams.NAME, {"city": "sim"}]]


@anthropics_clients
def test_buffered_thoughts_are_whole(client, ask, sim):
    play(sim, *breaks("anthropic", {"cut_after_chunks": 6}))
    check_whole(ask(client, "buffer-anthropic-bedrock", thinks=True), client)


@pytest.mark.parametrize("mode", ["continue", "buffer"])
@each_client
def test_a_request_may_want_it(client, mode, ask, sim):
    play(sim, *breaks("openai", {"cut_after_chunks": 3}))
    out = ask(client, "error-openai-anthropic", headers={"x-backstop-stream-recovery": mode})
    check_whole(out, client)


@pytest.fixture(scope="module", params=["continue", "buffer"])
def generally(request, start):
    return start(stream_recovery=request.param)


@each_client
def test_it_may_be_the_general_default(client, generally, ask, sim):
    play(sim, *breaks("openai", {"cut_after_chunks": 3}))
    check_whole(ask(client, "default", generally), client)
    # A chain's own word stands above it.
    play(sim, *breaks("openai", {"cut_after_chunks": 3}))
    check_broken(ask(client, "error-openai-anthropic", generally), client)
