"""The anthropic SDK, unmodified: what the gateway's Messages is to it besides the chain's levels (test_chain.py)."""

import asyncio
import json

import anthropic
import pytest

import chain
from chain import LEVELS
from conftest import CHUNKS, CLIENT_KEY
from test_chain import HELLO
from upstream import Answer, Upstream

CLAUDE = LEVELS[0]
ASKED = {"max_tokens": 100, "messages": HELLO}


@pytest.fixture
def gateway(sim, tmp_path):
    """The chain, healthy; each test has a ledger of its own."""
    sim.play(chain.broken(0))
    running = chain.start(sim, tmp_path)
    yield running
    chain.end(running)


def open_client(gateway, **options) -> anthropic.Anthropic:
    given = {"api_key": CLIENT_KEY, "max_retries": 0, "timeout": 30.0, **options}
    return anthropic.Anthropic(base_url=gateway.url, **given)


@pytest.fixture
def client(gateway):
    with open_client(gateway) as client:
        yield client


def faults(*rules: dict) -> dict:
    return {"rules": list(rules), "chunks": CHUNKS}


def on(provider: str, **fault) -> dict:
    return {"match": {"provider": provider}, "fault": fault}


def check(error: anthropic.APIStatusError, status: int, kind: str) -> None:
    """Anthropic's shape, and nothing in it that is secret."""
    assert (error.status_code, error.body["type"], error.body["error"]["type"]) == (status, "error", kind)
    assert error.body["error"]["message"]
    assert error.response.headers["x-backstop-request-id"]
    shown = error.response.text + str(dict(error.response.headers))
    for secret in [CLIENT_KEY, chain.AWS_SECRET, *(level.key for level in LEVELS)]:
        assert secret not in shown


@pytest.mark.parametrize("how", [{"api_key": CLIENT_KEY}, {"api_key": None, "auth_token": CLIENT_KEY}], ids=["key", "bearer"])
def test_both_ways_to_give_a_client_key(gateway, how):
    with open_client(gateway, **how) as client:
        assert client.messages.create(model="default", **ASKED).content[0].text == CLAUDE.text


@pytest.mark.parametrize("how", [{"api_key": "wrong"}, {"api_key": None, "auth_token": "wrong"}], ids=["key", "bearer"])
def test_a_wrong_client_key(gateway, how, sim):
    with open_client(gateway, **how) as client, pytest.raises(anthropic.AuthenticationError) as caught:
        client.messages.create(model="default", **ASKED)
    check(caught.value, 401, "authentication_error")
    assert sim.total("requests") == 0


def test_an_unknown_model(client, sim):
    with pytest.raises(anthropic.NotFoundError) as caught:
        client.messages.create(model="no-such-model", **ASKED)
    check(caught.value, 404, "not_found_error")
    assert sim.total("requests") == 0


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "openai"])
def test_what_a_vendor_calls_a_bad_request(client, sim, provider):
    sim.play(faults(on(provider, status=400)))
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model=provider, **ASKED)
    check(caught.value, 400, "invalid_request_error")
    assert sim.total("requests") == 1


def test_what_nobody_understands(client, sim):
    with pytest.raises(anthropic.BadRequestError) as caught:
        client.messages.create(model="openai", max_tokens=9, messages=[{"role": "wizard", "content": "Hello"}])
    check(caught.value, 400, "invalid_request_error")
    assert sim.total("requests") == 0


@pytest.mark.parametrize("provider", ["anthropic", "bedrock", "openai"])
def test_every_key_is_rate_limited(client, sim, provider):
    sim.play(faults(on(provider, status=429, retry_after=30)))
    with pytest.raises(anthropic.RateLimitError) as caught:
        client.messages.create(model=provider, **ASKED)
    check(caught.value, 429, "rate_limit_error")
    assert 1 <= float(caught.value.response.headers["retry-after"]) <= 40


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_everybody_is_overloaded(client, sim, stream):
    sim.play(faults(*(on(level.provider, status=529) for level in LEVELS)))
    with pytest.raises(anthropic.InternalServerError) as caught:
        client.messages.create(model="default", stream=stream, **ASKED)
    assert caught.value.status_code in (502, 503, 529)
    check(caught.value, caught.value.status_code, caught.value.body["error"]["type"])
    assert len(caught.value.body["error"]["attempts"]) >= len(LEVELS)


@pytest.mark.parametrize("level", LEVELS[:3], ids=lambda level: level.provider)
@pytest.mark.parametrize("fault", [{"cut_after_chunks": 3}, {"error_in_stream": {"after_chunks": 3, "body": 529}}], ids=["cut", "error"])
def test_a_broken_stream_never_looks_whole(client, sim, level, fault):
    sim.play(faults(on(level.provider, **fault)))
    pieces = []
    with (
        pytest.raises(anthropic.APIError) as caught,
        client.messages.stream(model=level.provider, **ASKED) as stream,
    ):
        for text in stream.text_stream:
            pieces.append(text)
        stream.get_final_message()
    assert pieces and level.text.startswith("".join(pieces)) and level.text != "".join(pieces)
    assert level.key not in str(caught.value)


@pytest.mark.parametrize("level", LEVELS[:2], ids=lambda level: level.provider)
def test_an_error_before_the_content_is_the_next_levels_answer(client, sim, level):
    sim.play(faults(on(level.provider, error_in_stream={"after_chunks": 0, "body": 529})))
    begin = LEVELS.index(level)
    with client.messages.stream(model=level.target, **ASKED) as stream:
        final = stream.get_final_message()
    assert final.content[0].text == LEVELS[begin + 1].text


def test_a_count_of_tokens(client):
    counted = client.messages.count_tokens(model="default", messages=HELLO)
    assert counted.input_tokens > 0


def test_nobody_who_counts_tokens(client, sim):
    with pytest.raises(anthropic.APIStatusError) as caught:
        client.messages.count_tokens(model="openai", messages=HELLO)
    assert caught.value.status_code == 501
    assert caught.value.body["type"] == "error"
    assert sim.total("requests") == 0


def test_the_models(client):
    listed = [model.id for model in client.models.list(limit=2)]
    assert {"default", *(level.target for level in LEVELS)} <= set(listed)
    assert client.models.retrieve("default").type == "model"


def test_what_is_lost_is_told(client):
    top_k = {"extra_body": {"top_k": 5}}
    raw = client.messages.with_raw_response.create(model="openai", **top_k, **ASKED)
    assert raw.headers["x-backstop-dropped"] == "top_k"
    raw = client.messages.with_raw_response.create(model="anthropic", **top_k, **ASKED)
    assert "x-backstop-dropped" not in raw.headers


@pytest.mark.parametrize("provider", [level.provider for level in LEVELS])
def test_thinking_is_shown_and_comes_back(client, provider):
    """Where the model thinks, its thoughts are blocks; sent back with a tool's result, they are no obstacle anywhere."""
    tools = [{"name": "look", "description": "Looks", "input_schema": {"type": "object", "properties": {}}}]
    asked = {"max_tokens": 3000, "thinking": {"type": "enabled", "budget_tokens": 2000}, "tools": tools}
    first = client.messages.create(model=provider, messages=HELLO, **asked)
    call = first.content[-1]
    assert call.type == "tool_use"
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "a wall"}
    history = [*HELLO, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    # The conversation goes on wherever it may have to.
    for level in LEVELS:
        answer = client.messages.create(model=level.provider, messages=history, **asked)
        assert answer.content[-1].text == level.text
        with client.messages.stream(model=level.provider, messages=history, **asked) as stream:
            assert stream.get_final_message().content[-1].text == level.text


def test_the_same_asynchronously(gateway, sim):
    async def run() -> None:
        async with anthropic.AsyncAnthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0) as client:

            async def whole(level: chain.Level) -> None:
                answer = await client.messages.create(model=level.provider, **ASKED)
                assert (answer.content[0].text, answer.stop_reason) == (level.text, "end_turn")

            async def streamed(level: chain.Level) -> None:
                async with client.messages.stream(model=level.provider, **ASKED) as stream:
                    pieces = [text async for text in stream.text_stream]
                    final = await stream.get_final_message()
                assert ("".join(pieces), final.stop_reason) == (level.text, "end_turn")

            await asyncio.gather(*(task(level) for level in LEVELS for task in (whole, streamed) for _ in range(5)))
            with pytest.raises(anthropic.NotFoundError):
                await client.messages.create(model="no-such-model", **ASKED)

    asyncio.run(run())


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 1, "output_tokens": 1},
}
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


def test_betas_and_versions_go_to_anthropic_only(tmp_path):
    def answer(asked) -> Answer:
        body = COMPLETION if "chat" in asked.path else MESSAGE
        return Answer(headers={"content-type": "application/json"}, body=json.dumps(body).encode())

    upstream = Upstream(answer)
    config = {
        "providers": {
            name: {"dialect": dialect, "base_url": f"{upstream.url}/v1", "keys": ["sk-upstream"]}
            for name, dialect in [("one", "anthropic"), ("two", "openai_chat")]
        },
        "chains": {"default": ["one/m"]},
    }
    path = tmp_path / "gateway.json5"
    path.write_text(json.dumps(config))
    running = chain.Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=path.with_suffix(".log"))
    try:
        with open_client(running) as client:
            for model in ("one/m", "two/m"):
                answer = client.beta.messages.create(model=model, betas=["context-1m-2025-08-07", "b-2"], **ASKED)
                assert answer.content[0].text == "Hi"
            version = client.default_headers["anthropic-version"]
    finally:
        running.end()
        upstream.end()
    one, two = upstream.asked
    assert one.headers["anthropic-beta"] == "context-1m-2025-08-07,b-2"
    assert one.headers["anthropic-version"] == version
    assert one.headers["x-api-key"] == "sk-upstream"
    assert two.headers["authorization"] == "Bearer sk-upstream"
    assert not {"anthropic-beta", "anthropic-version", "x-api-key"} & set(two.headers)
    assert not any(CLIENT_KEY in value for asked in (one, two) for value in asked.headers.values())
