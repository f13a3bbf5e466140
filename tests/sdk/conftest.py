"""The world of the clients' tests: one simulator for all, a gateway of its own for each test, clients that never retry.

Two providers, `one` with two keys and `two` with one, each under a host name of its own: network failures cool a whole
endpoint, and in the world two providers never share one. The chains are in CHAINS. Cooldowns are the defaults: every test
has a fresh ledger because it has a fresh gateway.
"""

import hashlib
import json

import openai
import pytest

from processes import Backstop, Sim

CLIENT_KEY = "client-key-of-the-tests"

# The simulator names a key by this name; secrets are told apart by their last four characters.
KEYS = {"one-a": "sk-one-secret-aaaa", "one-b": "sk-one-secret-bbbb", "two-a": "sk-two-secret-cccc"}

HOSTS = {"one": "127.0.0.1", "two": "localhost"}

CHAINS = {
    "default": ["one/gpt-4o"],
    "backup": ["one/gpt-4o", "two/gpt-4o-mini"],
    "embed": ["one/text-embedding-3-small"],
    "moderate": ["one/omni-moderation-latest"],
    "legacy": ["one/gpt-3.5-turbo-instruct"],
    # The first is known not to take a JSON schema.
    "old": ["one/gpt-4", "two/gpt-4o-mini"],
}

CHUNKS = 8


def script(*rules: dict, **more) -> dict:
    return {"rules": list(rules), "keys": KEYS, "chunks": CHUNKS, **more}


def fault(key: str | None = None, provider: str | None = None, requests: list | None = None, **what) -> dict:
    """A rule of the simulator: for this key or provider, on these requests (from, to), this happens."""
    match = {name: value for name, value in {"key": key, "provider": provider}.items() if value}
    rule = {"match": match, "fault": what}
    if requests:
        rule["when"] = {"requests": requests}
    return rule


def text_of(provider: str, model: str, key: str, chunks: int = CHUNKS) -> str:
    """What the simulator answers, word for word."""
    return said(provider, model, KEYS[key], chunks)


def said(provider: str, model: str, secret: str, chunks: int = CHUNKS) -> str:
    first = f"I am {provider}/{model} with key ...{secret[-4:]}."
    return first + "".join(f" Word {n}." for n in range(2, chunks + 1))


@pytest.fixture(scope="session")
def simulator(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sim")
    start = directory / "script.json"
    start.write_text(json.dumps(script()))
    running = Sim(directory / "sim.log", start)
    yield running
    running.end()


@pytest.fixture(scope="session")
def node(tmp_path_factory):
    """The process with the clients of Node."""
    from clients import Node  # heavy: it imports every client

    running = Node(tmp_path_factory.mktemp("node") / "node.log")
    yield running
    running.end()


@pytest.fixture
def sim(simulator):
    """The simulator, healthy at first; `sim.play(script(...))` changes that."""
    simulator.play(script())
    return simulator


@pytest.fixture
def start_gateway(sim, tmp_path):
    """Starts gateways in front of the simulator; `settings` are more sections of the configuration."""
    running = []

    def start(**settings) -> Backstop:
        def provider(name: str, *keys: str) -> dict:
            auth = [{"key": KEYS[key], "profile": key} for key in keys]
            url = sim.url.replace("127.0.0.1", HOSTS[name])
            return {"dialect": "openai_chat", "base_url": f"{url}/{name}/v1", "auth": auth}

        config = {
            "server": {"client_keys": [{"name": "tests", "sha256": hashlib.sha256(CLIENT_KEY.encode()).hexdigest()}]},
            "providers": {"one": provider("one", "one-a", "one-b"), "two": provider("two", "two-a")},
            "chains": CHAINS,
            **settings,
        }
        path = tmp_path / f"gateway{len(running)}.json5"
        path.write_text(json.dumps(config))
        gateway = Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=path.with_suffix(".log"))
        running.append(gateway)
        return gateway

    yield start
    for gateway in running:
        gateway.end()
        for secret in [CLIENT_KEY, *KEYS.values()]:
            assert secret not in gateway.written(), "a secret was logged"


@pytest.fixture
def gateway(start_gateway):
    return start_gateway()


@pytest.fixture
def client_of():
    """Makes SDK clients. `max_retries=0`: what the gateway does is seen, not what the SDK hides."""
    clients = []

    def make(gateway: Backstop, **options) -> openai.OpenAI:
        given = {"api_key": CLIENT_KEY, "max_retries": 0, "timeout": 30.0, **options}
        client = openai.OpenAI(base_url=f"{gateway.url}/v1", **given)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def async_client_of():
    """The same for asyncio; each client is closed by whoever opens it (`async with`), in its own loop."""

    def make(gateway: Backstop, **options) -> openai.AsyncOpenAI:
        given = {"api_key": CLIENT_KEY, "max_retries": 0, "timeout": 30.0, **options}
        return openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", **given)

    return make


@pytest.fixture
def client(gateway, client_of):
    return client_of(gateway)
