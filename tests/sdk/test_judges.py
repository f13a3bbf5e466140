"""Every recorded exchange through the gateway's sockets, and what comes out judged by the SDKs' own types.

An upstream replays the recorded bytes; `model` names the exchange. Where front and upstream speak one dialect bytes
pass as they are and are the vendor's affair; here they do not.
"""

import json
import urllib.error
import urllib.request

import pytest

import recorded
import shapes
from processes import Backstop
from upstream import Answer, Asked, Upstream
from urllib.parse import unquote

# What breaks off with the vendor's error after some content. Before it, nobody else is asked: the client gets an error.
BROKEN = {"groq-instream-error-01", "openrouter-instream-error-01"}
FAILED = {"anthropic-instream-overloaded-first-01", "bedrock-instream-exception-01"}

# Where each API is spoken.
DIALECTS = {"chat": "openai_chat", "messages": "anthropic", "converse": "bedrock", "converse-stream": "bedrock"}
AWS = {"access_key_id": "AKIDOFTHETESTS000000", "secret_access_key": "secret-of-the-tests"}


def errors(*apis: str) -> list[recorded.Exchange]:
    return [one for one in recorded.exchanges() if one.api in apis and one.status != 200]


def replay(asked: Asked) -> Answer:
    name = json.loads(asked.body).get("model") or unquote(asked.path).split("/")[-2]
    known = {exchange.id: exchange for exchange in recorded.exchanges()}
    return known[name].answer()


@pytest.fixture(scope="module")
def upstream():
    running = Upstream(replay)
    yield running
    running.end()


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    """A provider for each dialect, and one for each error: what it does to its key concerns nobody else."""

    def provider(dialect: str) -> dict:
        if dialect == "bedrock":
            return {"dialect": dialect, "base_url": upstream.url, "region": "us-east-1", "keys": [AWS]}
        return {"dialect": dialect, "base_url": f"{upstream.url}/v1", "keys": ["sk-of-the-tests"]}

    config = {
        "providers": {dialect: provider(dialect) for dialect in DIALECTS.values()}
        | {one.id: provider(DIALECTS[one.api]) for one in errors(*DIALECTS)},
        "chains": {"default": ["openai_chat/nothing"]},
    }
    directory = tmp_path_factory.mktemp("judges")
    path = directory / "gateway.json5"
    path.write_text(json.dumps(config))
    running = Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=directory / "gateway.log")
    yield running
    running.end()


def ask(gateway: Backstop, path: str, body: dict) -> tuple[int, str]:
    request = urllib.request.Request(
        gateway.url + path, json.dumps(body).encode(), {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def model(exchange: recorded.Exchange) -> str:
    provider = DIALECTS[exchange.api] if exchange.status == 200 else exchange.id
    return f"{provider}/{exchange.id}"


def in_chat(gateway: Backstop, exchange: recorded.Exchange) -> tuple[int, str]:
    body = {"model": model(exchange), "messages": [{"role": "user", "content": "Hello"}]}
    if exchange.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return ask(gateway, "/v1/chat/completions", body)


def in_messages(gateway: Backstop, exchange: recorded.Exchange) -> tuple[int, str]:
    body = {"model": model(exchange), "max_tokens": 100, "stream": exchange.stream}
    return ask(gateway, "/v1/messages", body | {"messages": [{"role": "user", "content": "Hello"}]})


@pytest.mark.parametrize("exchange", recorded.params("messages", "converse", stream=False, status=200))
def test_a_whole_answer_in_chat(gateway, exchange):
    status, text = in_chat(gateway, exchange)
    assert status == 200, text
    answer = shapes.chat(json.loads(text))
    assert len(answer.choices) == 1
    assert answer.usage.prompt_tokens > 0


@pytest.mark.parametrize("exchange", recorded.params("chat", "converse", stream=False, status=200))
def test_a_whole_answer_in_messages(gateway, exchange):
    status, text = in_messages(gateway, exchange)
    assert status == 200, text
    answer = shapes.message(json.loads(text))
    assert answer.stop_reason
    assert answer.usage.input_tokens >= 0


def check_error(exchange: recorded.Exchange, status: int, text: str) -> None:
    """An error before the content is an answer with a status, and one after it an event without an end."""
    if exchange.id in FAILED:
        assert status >= 400, text
        assert json.loads(text)["error"]["message"]
        return
    assert status == 200
    last = json.loads(shapes.frames(text)[-1][1])
    assert last["error"]["message"], text
    assert "[DONE]" not in text and "message_stop" not in text


@pytest.mark.parametrize("exchange", recorded.params("messages", "converse-stream", stream=True, status=200))
def test_a_stream_in_chat(gateway, exchange):
    status, text = in_chat(gateway, exchange)
    if exchange.id in BROKEN | FAILED:
        check_error(exchange, status, text)
        return
    assert status == 200, text
    *chunks, last = shapes.chat_stream(text)
    assert last.choices == [] and last.usage.prompt_tokens > 0
    assert chunks[0].choices[0].delta.role == "assistant"


@pytest.mark.parametrize("exchange", recorded.params("chat", "converse-stream", stream=True, status=200))
def test_a_stream_in_messages(gateway, exchange):
    status, text = in_messages(gateway, exchange)
    if exchange.id in BROKEN | FAILED:
        check_error(exchange, status, text)
        return
    assert status == 200, text
    shapes.message_stream(text)


def check_refused(upstream: Upstream, status: int, exchange: recorded.Exchange) -> None:
    """The vendor was asked, and what it said is no success here either."""
    assert status >= 400
    assert exchange.id in unquote(upstream.last().path) or exchange.id.encode() in upstream.last().body


@pytest.mark.parametrize("exchange", recorded.these(errors("messages", "converse")))
def test_an_error_of_a_vendor_is_an_error_of_chat(gateway, upstream, exchange):
    status, text = in_chat(gateway, exchange)
    check_refused(upstream, status, exchange)
    error = json.loads(text)["error"]
    assert error["message"] and error["type"] and {"param", "code"} <= set(error)


@pytest.mark.parametrize("exchange", recorded.these(errors("chat", "converse")))
def test_an_error_of_a_vendor_is_an_error_of_messages(gateway, upstream, exchange):
    status, text = in_messages(gateway, exchange)
    check_refused(upstream, status, exchange)
    body = json.loads(text)
    assert body["type"] == "error" and body["error"]["type"] and body["error"]["message"]
