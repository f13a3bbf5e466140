"""The Responses API through the SDK's own types: whole, streamed, tools, structured output, failovers, ends."""

import json

import openai
import pydantic
import pytest
from openai.types.responses import Response, ResponseStreamEvent

from conftest import CHUNKS, fault, script, text_of

EVENT = pydantic.TypeAdapter(ResponseStreamEvent)

TOOL = {
    "type": "function",
    "name": "get_weather",
    "strict": True,
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}

FAULTS = {
    "401": {"status": 401},
    "429": {"status": 429},
    "quota": {"status": 429, "error": "insufficient_quota"},
    "500": {"status": 500},
    "529 in a 200": {"error_in_200": 529},
    "cut before content": {"cut_after_chunks": 0},
    "reset": {"reset": "before_headers"},
}


class Weather(pydantic.BaseModel):
    """What a structured answer must look like."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    degrees: int


def strict(event):
    """The event as the SDK's types have it, checked field by field: the SDK itself checks nothing."""
    return EVENT.validate_python(event.to_dict())


def test_a_whole_answer(client):
    raw = client.responses.with_raw_response.create(model="default", input="Hello")
    answer = raw.parse()
    Response.model_validate(answer.to_dict())
    assert answer.output_text == text_of("one", "gpt-4o", "one-a")
    assert (answer.status, answer.model) == ("completed", "gpt-4o")
    assert answer.usage.output_tokens == CHUNKS
    assert raw.headers["x-backstop-trail"] == "one/gpt-4o@one-a=ok:200"


def test_a_stream_is_whole_and_in_its_events(client):
    events = list(client.responses.create(model="default", input="Hello", stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert len(deltas) == CHUNKS
    assert "".join(deltas) == events[-1].response.output_text == text_of("one", "gpt-4o", "one-a")
    assert [strict(event).type for event in events] == [event.type for event in events]


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_the_next_key_or_provider_answers(client, sim, name, stream):
    # The first provider fails altogether, so that a reset is no matter of one more try.
    sim.play(script(fault(provider="one", **FAULTS[name])))
    raw = client.responses.with_raw_response.create(model="backup", input="Hello", stream=stream)
    answer = raw.parse()
    if stream:
        answer = list(answer)[-1].response
    assert answer.output_text == text_of("two", "gpt-4o-mini", "two-a")
    assert raw.headers["x-backstop-trail"].endswith("two-a=ok:200")
    assert int(raw.headers["x-backstop-attempts"]) >= 2


def test_the_sdks_own_accumulator(client, sim):
    sim.play(script(fault(key="one-a", status=503)))
    with client.responses.stream(model="default", input="Hello") as stream:
        kinds = [event.type for event in stream]
        answer = stream.get_final_response()
    assert kinds.count("response.output_text.delta") == CHUNKS
    assert answer.output_text == text_of("one", "gpt-4o", "one-b")


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_a_tool_is_called_and_answered(client, sim, stream):
    sim.play(script(fault(key="one-a", error_in_stream={"after_chunks": 0, "body": 529})))
    answer = client.responses.create(model="default", input="Weather?", tools=[TOOL], stream=stream)
    if stream:
        answer = list(answer)[-1].response
    [call] = answer.output
    assert (call.type, call.name, json.loads(call.arguments)) == ("function_call", "get_weather", {"city": "sim"})
    history = [
        {"role": "user", "content": "Weather?"},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "rain"},
    ]
    answer = client.responses.create(model="default", input=history, tools=[TOOL])
    assert answer.output_text == text_of("one", "gpt-4o", "one-b")


def test_structured_output(client, sim):
    sim.play(script(fault(key="one-a", status=500)))
    answer = client.responses.parse(model="default", input="Weather?", text_format=Weather)
    assert answer.output_parsed == Weather(city="sim", degrees=1)


def test_a_target_known_not_to_take_a_schema_is_skipped(client):
    raw = client.responses.with_raw_response.parse(model="old", input="Weather?", text_format=Weather)
    assert raw.headers["x-backstop-trail"] == "one/gpt-4=skipped:no_json_schema, two/gpt-4o-mini@two-a=ok:200"


@pytest.mark.parametrize("what", [{"cut_after_chunks": 3}, {"no_finish": True}, {"reset": "mid_body"}], ids=str)
def test_what_breaks_after_content_ends_with_a_failed_response(client, sim, what):
    sim.play(script(fault(provider="one", **what)))
    events = list(client.responses.create(model="backup", input="Hello", stream=True))
    last = strict(events[-1])
    assert last.type == "response.failed"
    assert (last.response.status, last.response.error.code) == ("failed", "server_error")
    assert "broken_stream" in last.response.error.message
    assert last.response.id == events[0].response.id
    assert all(event.type != "response.completed" for event in events)
    assert sim.total("requests", provider="two") == 0, "nothing is tried after the first content"


def test_errors_are_the_sdks_own(client, sim):
    sim.play(script(fault(status=429, retry_after=30)))
    with pytest.raises(openai.RateLimitError) as caught:
        client.responses.create(model="default", input="Hello")
    assert 0 < int(caught.value.response.headers["retry-after"]) <= 30
    assert len(caught.value.body["attempts"]) == 2
    with pytest.raises(openai.NotFoundError):
        client.responses.create(model="nobody", input="Hello")


def test_what_is_not_served_says_so(client, sim):
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="default", input="Hello", background=True)
    assert caught.value.code == "background_not_served"
    for ask in (client.responses.retrieve, client.responses.cancel, client.responses.delete):
        with pytest.raises(openai.NotFoundError, match="stored responses"):
            ask("resp_1")
    assert sim.total("requests") == 0


def test_what_one_account_keeps_stays_there(client, sim):
    sim.play(script(fault(provider="one", status=503)))
    raw = client.responses.with_raw_response.create
    with pytest.raises(openai.InternalServerError) as caught:
        raw(model="backup", input="Go on", previous_response_id="resp_1")
    assert caught.value.response.headers["x-backstop-trail"].endswith("two/gpt-4o-mini=skipped:stateful")
    assert sim.total("requests", provider="two") == 0


def test_a_provider_without_responses_is_skipped(start_gateway, client_of, sim):
    url = f"{sim.url}/one/v1"
    providers = {
        "local": {"base_url": url, "keys": ["sk-local-1"], "endpoints": ["chat"]},
        "other": {"base_url": url, "keys": ["sk-other-1"]},
    }
    client = client_of(start_gateway(providers=providers, chains={"default": ["local/a", "other/b"]}))
    raw = client.responses.with_raw_response.create(model="default", input="Hello")
    assert raw.headers["x-backstop-trail"] == "local/a=skipped:endpoint_not_served, other/b@key-1=ok:200"
    chat = client.chat.completions.with_raw_response.create(model="default", messages=[{"role": "user", "content": "a"}])
    assert chat.headers["x-backstop-trail"] == "local/a@key-1=ok:200"
