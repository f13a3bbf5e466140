"""The SDK retries by itself, twice unless told otherwise: it must where that helps, and only there."""

import openai
import pytest

from conftest import fault, script, text_of

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def counted(gateway, client_of):
    """A client with the SDK's own number of retries, and the requests it sent."""
    sent = []
    http = openai.DefaultHttpxClient(event_hooks={"request": [sent.append]})
    return client_of(gateway, max_retries=openai.DEFAULT_MAX_RETRIES, http_client=http), sent


def ask(client, model="default"):
    return client.chat.completions.create(model=model, messages=HELLO)


@pytest.mark.parametrize("status", [401, 402, 403, 404], ids=str)
def test_what_somebody_must_repair_is_not_asked_again(counted, sim, status):
    client, sent = counted
    sim.play(script(fault(status=status)))
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1
    assert sim.total("requests", key="one-a") == 1
    assert sim.total("requests", key="one-b") == 1


@pytest.mark.parametrize("status", [400, 405, 409, 415, 422], ids=str)
def test_what_the_request_itself_is_to_blame_for_is_not_asked_again(counted, sim, status):
    # The SDK would ask again after a 409.
    client, sent = counted
    sim.play(script(fault(status=status)))
    with pytest.raises(openai.APIStatusError) as caught:
        ask(client)
    assert caught.value.status_code == status
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert len(sent) == 1
    assert sim.total("requests") == 1


def test_the_gateways_own_refusals_are_not_asked_again(counted, sim):
    client, sent = counted
    with pytest.raises(openai.NotFoundError):
        ask(client, model="no-such-model")
    with pytest.raises(openai.AuthenticationError):
        ask(client.with_options(api_key="wrong"))
    assert len(sent) == 2
    assert sim.total("requests") == 0


def test_a_short_outage_is_survived_by_asking_when_told(counted, sim):
    client, sent = counted
    once = [fault(key=key, requests=[1, 1], status=503, retry_after=1) for key in ("one-a", "one-b")]
    sim.play(script(*once))
    answer = ask(client)
    assert answer.choices[0].message.content == text_of("one", "gpt-4o", "one-a")
    # The first was told to come again after a second, and the second found a provider that was back.
    assert len(sent) == 2
    assert sim.total("requests") == 3


def test_a_failover_is_no_retry_of_the_sdk(counted, sim):
    client, sent = counted
    sim.play(script(fault(provider="one", status=500)))
    assert ask(client, model="backup").choices[0].message.content == text_of("two", "gpt-4o-mini", "two-a")
    assert len(sent) == 1
