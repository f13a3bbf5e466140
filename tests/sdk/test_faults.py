"""The article's own template in front of the simulator: every single fault that it can play, through the SDK.

Each fault (the simulator lists them itself) hits the first slot of the chain, then both keys of the first provider.
What breaks before content the client never sees; what breaks after it raises, and never looks like a short answer.
"""

import functools
import pathlib
import tempfile

import openai
import pytest

from conftest import CHUNKS, said
from processes import ROOT, Backstop, Sim

HELLO = [{"role": "user", "content": "Hello"}]

# (provider, model, profile) of each slot, in the template's order: the variable with its key.
SLOTS = {
    ("anthropic", "claude-opus-4-5", "Primary"): "ANTHROPIC_KEY_1",
    ("anthropic", "claude-opus-4-5", "Backup"): "ANTHROPIC_KEY_2",
    ("bedrock", "anthropic.claude-3-5-sonnet-20241022-v2:0", "Primary"): "AWS_ACCESS_KEY_ID",
    ("openai", "gpt-4o", "Primary"): "OPENAI_API_KEY",
    ("openrouter", "anthropic/claude-3.5-sonnet", "Primary"): "OPENROUTER_API_KEY",
}
SECRETS = {variable: f"sk-of-the-article-{number:04}" for number, variable in enumerate(SLOTS.values(), 1)}
# What signs is never sent.
AWS_SECRET = "the-secret-of-the-article"
FIRST = next(iter(SLOTS))

# The limits that a silent provider meets; healthy answers take a few milliseconds.
LIMITS = ["FIRST_CONTENT", "FIRST_CONTENT_REASONING", "RESPONSE_TIMEOUT", "STALL"]
LIMIT = "600ms"


@functools.cache
def listed() -> dict[str, dict]:
    """The faults by their names."""
    with tempfile.TemporaryDirectory() as directory:
        running = Sim(pathlib.Path(directory) / "sim.log")
        try:
            faults = running.faults()
        finally:
            running.end()
    assert len(faults) > 30
    return {fault["name"]: fault for fault in faults}


def pytest_generate_tests(metafunc):
    if "fault" in metafunc.fixturenames:
        metafunc.parametrize("fault", listed().values(), ids=listed().keys())


@pytest.fixture
def template(sim, tmp_path):
    """A gateway on the template as it is; only addresses, keys and limits come from the environment."""
    variables = SECRETS | {f"BACKSTOP_RUN__{limit}": LIMIT for limit in LIMITS} | {"AWS_SECRET_ACCESS_KEY": AWS_SECRET}
    for provider in {provider for provider, _, _ in SLOTS}:
        # Bedrock's paths have no version.
        path = provider if provider == "bedrock" else f"{provider}/v1"
        variables[f"BACKSTOP_PROVIDERS__{provider.upper()}__BASE_URL"] = f"{sim.url}/{path}"
    path = str(ROOT / "config" / "article.json5")
    log = tmp_path / "gateway.log"
    gateway = Backstop("serve", "--config", path, "--listen", "127.0.0.1:0", log=log, variables=variables)
    yield gateway
    gateway.end()
    no_secret(gateway.written())


def no_secret(shown: str) -> None:
    for secret in [*SECRETS.values(), AWS_SECRET]:
        assert secret not in shown


def play(sim: Sim, fault: dict | None, slots: int) -> None:
    """The fault on the first so many slots."""
    keys = list(SECRETS.values())[:slots] if fault else []
    sim.play({"rules": [fault["rule"] | {"match": {"key": key}} for key in keys], "chunks": CHUNKS})


def served(headers) -> tuple[str, str, str]:
    return headers["x-backstop-provider"], headers["x-backstop-model"], headers["x-backstop-key"]


def check_headers(headers, faulty: int, stage: str) -> None:
    """Who answered, and that the trail tells the truth about it."""
    slot = served(headers)
    no_secret(str(dict(headers)))
    steps = headers["x-backstop-trail"].split(", ")
    attempts = [step for step in steps if "=skipped:" not in step]
    assert len(attempts) == int(headers["x-backstop-attempts"])
    assert attempts[-1] == "{}/{}@{}=ok:200".format(*slot)
    assert attempts[0].startswith("{}/{}@{}=".format(*FIRST))
    if stage == "before_content":
        assert slot not in list(SLOTS)[:faulty]
        assert len(attempts) >= 2
    else:
        assert slot == FIRST
        assert len(attempts) == 1


def text_from(headers) -> str:
    slot = served(headers)
    return said(slot[0], slot[1], SECRETS[SLOTS[slot]])


@pytest.mark.parametrize("slots", [1, 2], ids=["first slot", "two slots"])
def test_plain(template, client_of, sim, fault, slots):
    play(sim, fault, slots)
    raw = client_of(template).chat.completions.with_raw_response.create(model="default", messages=HELLO)
    answer = raw.parse()
    check_headers(raw.headers, slots, fault["plain"])
    assert answer.choices[0].message.content == text_from(raw.headers)
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == raw.headers["x-backstop-model"]
    assert sim.injected(fault["name"]) >= 1


@pytest.mark.parametrize("slots", [1, 2], ids=["first slot", "two slots"])
def test_stream(template, client_of, sim, fault, slots):
    play(sim, fault, slots)
    raw = client_of(template).chat.completions.with_raw_response.create(model="default", messages=HELLO, stream=True)
    contents, finishes, ids, failure = [], [], set(), None
    try:
        for chunk in raw.parse():
            ids.add(chunk.id)
            contents += [choice.delta.content for choice in chunk.choices if choice.delta.content]
            finishes += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    except openai.APIError as error:
        failure = error
    check_headers(raw.headers, slots, fault["stream"])
    assert len(ids) == 1
    assert sim.injected(fault["name"]) >= 1
    text = text_from(raw.headers)
    if fault["stream"] == "after_content":
        assert failure is not None, "a truncated answer looked complete"
        assert failure.message
        no_secret(f"{failure.message} {failure.body}")
        assert finishes == []
        assert contents
        assert text.startswith("".join(contents))
        return
    assert failure is None, failure
    assert "".join(contents) == text
    assert finishes == ["stop"]
    # A chunk in, a chunk out; a malformed one is passed over.
    assert len(contents) == CHUNKS


def test_the_first_slot_serves_whatever_its_model_is_called(template, client_of, sim):
    play(sim, None, 0)
    client = client_of(template)
    for model in ("default", "anthropic/claude-opus-4-5", "claude-opus-4-5"):
        raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
        assert served(raw.headers) == FIRST
    assert {model.id for model in client.models.list()} >= {"default", "openai/gpt-4o"}


@pytest.mark.parametrize("broken", range(2, len(SLOTS)))
def test_each_level_answers_when_those_before_it_are_broken(template, client_of, sim, broken):
    play(sim, listed()["status_500"], broken)
    raw = client_of(template).chat.completions.with_raw_response.create(model="default", messages=HELLO)
    assert served(raw.headers) == list(SLOTS)[broken]
    assert raw.parse().choices[0].message.content == text_from(raw.headers)
