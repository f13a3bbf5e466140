"""The vendors' own OpenAPI files judge the requests that the gateway writes in their dialects."""

import json
import urllib.error
import urllib.request

import pytest

import recorded
import shapes
from processes import Backstop
from test_messages import COMPLETION, MESSAGE
from upstream import Answer, Asked, Upstream

PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
CLAUDES = ["claude-opus-4-5", "claude-3-5-sonnet-20241022", "claude-sonnet-4-6"]
GPTS = ["gpt-4o", "gpt-5", "o3"]


def answer(asked: Asked) -> Answer:
    """Nothing that matters here, of the right shape; a stream's client is content with a plain error."""
    if json.loads(asked.body).get("stream"):
        return Answer(400, {"content-type": "application/json"}, b'{"error":{"message":"seen","type":"invalid_request_error"}}')
    body = COMPLETION if "chat" in asked.path else MESSAGE
    return Answer(headers={"content-type": "application/json"}, body=json.dumps(body).encode())


@pytest.fixture(scope="module")
def upstream():
    running = Upstream(answer)
    yield running
    running.end()


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    config = {
        "providers": {name: {"base_url": f"{upstream.url}/v1", "keys": ["sk-upstream"]} for name in ("anthropic", "openai")},
        "chains": {"default": ["openai/gpt-4o"]},
    }
    path = tmp_path_factory.mktemp("specs") / "gateway.json5"
    path.write_text(json.dumps(config))
    running = Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=path.with_suffix(".log"))
    yield running
    running.end()


def sent(gateway: Backstop, upstream: Upstream, wire: str, body: dict, target: str) -> dict | None:
    """What the vendor is asked; `None` if it cannot be, and the client is told so."""
    before = len(upstream.asked)
    data = json.dumps(body | {"model": target}).encode()
    request = urllib.request.Request(gateway.url + PATHS[wire], data, {"content-type": "application/json"})
    try:
        urllib.request.urlopen(request, timeout=30).close()
    except urllib.error.HTTPError as error:
        assert error.code == 400
        assert json.loads(error.read())["error"]["message"]
    asked = upstream.asked[before:]
    assert len(asked) <= 1
    return json.loads(asked[0].body) if asked else None


@pytest.mark.parametrize("model", CLAUDES)
@pytest.mark.parametrize("wire, body", recorded.requests("chat"))
def test_a_chat_becomes_a_message_that_anthropics_file_knows(gateway, upstream, wire, body, model):
    request = sent(gateway, upstream, wire, body, f"anthropic/{model}")
    if request:
        shapes.messages_request(request)
        assert request["model"] == model


@pytest.mark.parametrize("model", GPTS)
@pytest.mark.parametrize("wire, body", recorded.requests("messages"))
def test_a_message_becomes_a_chat_that_openais_file_knows(gateway, upstream, wire, body, model):
    request = sent(gateway, upstream, wire, body, f"openai/{model}")
    if request:
        shapes.chat_request(request)
        assert request["model"] == model
