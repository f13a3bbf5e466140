"""What fails, as the SDK's own exception types, and that no error shows a secret."""

import time

import openai
import pytest

from conftest import CLIENT_KEY, KEYS, fault, script

HELLO = [{"role": "user", "content": "Hello"}]


def ask(client, model="default", **options):
    return client.chat.completions.create(model=model, messages=HELLO, **options)


def check(error: openai.APIStatusError, status: int) -> None:
    """OpenAI's error shape, and nothing in it that is secret."""
    assert error.status_code == status
    shown = error.response.text + str(dict(error.response.headers))
    for secret in [CLIENT_KEY, *KEYS.values()]:
        assert secret not in shown
    body = error.response.json()["error"]
    assert isinstance(body["message"], str) and body["message"]
    assert isinstance(body["type"], str) and body["type"]
    assert {"param", "code"} <= set(body)
    assert error.response.headers["x-backstop-request-id"]


def test_a_wrong_client_key(gateway, client_of, sim):
    with pytest.raises(openai.AuthenticationError) as caught:
        ask(client_of(gateway, api_key="wrong"))
    check(caught.value, 401)
    assert sim.total("requests") == 0


def test_an_unknown_model(client, sim):
    with pytest.raises(openai.NotFoundError) as caught:
        ask(client, model="defualt")
    check(caught.value, 404)
    assert caught.value.code == "model_not_found"
    assert "default" in caught.value.message
    for nothing in ("", "one/", "/gpt-4o", "nobody/gpt-4o"):
        with pytest.raises(openai.NotFoundError) as caught:
            ask(client, model=nothing)
        check(caught.value, 404)
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")
    assert sim.total("requests") == 0


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b"", b'{"messages":[]}', b'{"model":7}', b'{"model":"default","model":"backup"}', b"\xff\xfe"],
    ids=["cut", "no object", "empty", "no model", "model is no text", "two models", "no UTF-8"],
)
def test_a_malformed_request(client, sim, body):
    with pytest.raises(openai.BadRequestError) as caught:
        headers = {"content-type": "application/json"}
        client.post("/chat/completions", cast_to=object, content=body, options={"headers": headers})
    check(caught.value, 400)
    assert sim.total("requests") == 0


def test_what_the_vendor_calls_a_bad_request_is_not_retried(client, sim):
    sim.play(script(fault(status=400)))
    with pytest.raises(openai.BadRequestError) as caught:
        ask(client)
    check(caught.value, 400)
    assert sim.total("requests") == 1


def test_every_key_is_rate_limited(client, sim):
    sim.play(script(fault(status=429, retry_after=30)))
    with pytest.raises(openai.RateLimitError) as caught:
        ask(client)
    check(caught.value, 429)
    assert sim.total("requests", key="one-a") == 1
    assert sim.total("requests", key="one-b") == 1
    assert 1 <= float(caught.value.response.headers["retry-after"]) <= 31
    # While both cool, nothing goes upstream: the answer is at once and still honest.
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert caught.value.status_code in (429, 503)
    assert sim.total("requests") == 2


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_every_upstream_is_broken(client, sim, stream):
    sim.play(script(fault(status=500)))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, model="backup", stream=stream)
    check(caught.value, 502)
    for slot in ("one-a", "one-b", "two-a"):
        assert sim.total("requests", key=slot) >= 1, slot
        assert f"{slot}=server_error:500" in caught.value.response.headers["x-backstop-trail"]


def test_every_slot_is_cooling(client, sim):
    sim.play(script(fault(status=503, retry_after=60)))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    assert caught.value.status_code in (502, 503)
    before = sim.total("requests")
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client)
    check(caught.value, 503)
    assert "retry-after" in caught.value.response.headers
    assert sim.total("requests") == before


def test_every_upstream_is_silent(start_gateway, client_of, sim):
    sim.play(script(fault(hang="before_headers")))
    client = client_of(start_gateway(run={"response_timeout": "300ms"}))
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, model="backup")
    check(caught.value, 504)


def test_a_client_lowers_the_deadline(client, sim):
    sim.play(script(fault(hang="before_headers")))
    begin = time.monotonic()
    with pytest.raises(openai.InternalServerError) as caught:
        ask(client, extra_headers={"x-backstop-deadline-ms": "300"})
    check(caught.value, 504)
    assert 0.3 <= time.monotonic() - begin < 10
    assert sim.total("requests") == 1


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_client_that_gives_up_cancels_the_upstream(gateway, client_of, sim, stream):
    sim.play(script(fault(hang="before_headers")))
    with pytest.raises(openai.APITimeoutError):
        ask(client_of(gateway, timeout=0.5), stream=stream)
    sim.wait_for("cancelled", 1)
    assert sim.total("requests") == 1
    # An abandoned attempt changes nothing: the same key is asked next.
    sim.play(script())
    raw = client_of(gateway).chat.completions.with_raw_response.create(model="default", messages=HELLO)
    assert raw.headers["x-backstop-key"] == "one-a"


def test_a_client_that_leaves_a_stream_cancels_the_upstream(client, sim):
    sim.play(script(fault(stall_after_chunks=2)))
    stream = ask(client, stream=True)
    for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            break
    stream.close()
    sim.wait_for("cancelled", 1)


def test_a_cut_stream_never_looks_complete(client, sim):
    sim.play(script(fault(cut_after_chunks=3)))
    contents, finishes = [], []
    with pytest.raises(openai.APIError):
        for chunk in ask(client, stream=True):
            contents += [c.delta.content for c in chunk.choices if c.delta.content]
            finishes += [c.finish_reason for c in chunk.choices if c.finish_reason]
    assert len(contents) == 3
    assert finishes == []
    # And the same for a client that collects: the SDK's own helper raises too.
    with pytest.raises(openai.APIError), client.chat.completions.stream(model="two/gpt-4o-mini", messages=HELLO) as stream:
        stream.get_final_completion()
    assert sim.total("requests") == 2
