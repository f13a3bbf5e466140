"""What works: chat, streams, tools, and the other endpoints, through the SDK's own types."""

import json
import time

import openai
import pydantic
import pytest

from conftest import CHAINS, CHUNKS, fault, script, text_of

HELLO = [{"role": "user", "content": "Hello"}]

TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "unit": {"enum": ["celsius", "fahrenheit"]}},
                "required": ["city", "unit"],
            },
        },
    }
]


class Weather(pydantic.BaseModel):
    """What a structured answer must look like."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    degrees: int
    hours: list[float]
    rain: bool


class GetWeather(pydantic.BaseModel):
    city: str


def test_a_chat_answer_is_the_providers_own(client, sim):
    answer = client.chat.completions.create(model="default", messages=HELLO)
    assert answer.choices[0].message.content == text_of("one", "gpt-4o", "one-a")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.model == "gpt-4o"
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert sim.total("requests") == 1


def test_a_target_can_be_named(client):
    answer = client.chat.completions.create(model="two/gpt-4o-mini", messages=HELLO)
    assert answer.choices[0].message.content == text_of("two", "gpt-4o-mini", "two-a")


def test_headers_say_who_answered(client):
    raw = client.chat.completions.with_raw_response.create(model="default", messages=HELLO)
    assert raw.status_code == 200
    assert raw.headers["x-backstop-provider"] == "one"
    assert raw.headers["x-backstop-model"] == "gpt-4o"
    assert raw.headers["x-backstop-key"] == "one-a"
    assert raw.headers["x-backstop-attempts"] == "1"
    assert raw.headers["x-backstop-trail"].endswith("=ok:200")
    assert raw.headers["x-backstop-request-id"]
    assert float(raw.headers["x-backstop-overhead-ms"]) >= 0
    assert raw.parse().choices[0].message.content


def test_a_stream_is_whole_and_in_its_chunks(client):
    chunks = list(client.chat.completions.create(model="default", messages=HELLO, stream=True))
    contents = [c.choices[0].delta.content for c in chunks if c.choices and c.choices[0].delta.content]
    assert len(contents) == CHUNKS
    assert "".join(contents) == text_of("one", "gpt-4o", "one-a")
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == "stop"
    assert len({c.id for c in chunks}) == 1
    assert all(c.model == "gpt-4o" for c in chunks)


def test_chunks_arrive_when_they_are_made(client, sim):
    pause = 0.05
    sim.play(script(chunk_delay_ms=int(pause * 1000)))
    arrivals = []
    for chunk in client.chat.completions.create(model="default", messages=HELLO, stream=True):
        if chunk.choices and chunk.choices[0].delta.content:
            arrivals.append(time.monotonic())
    assert len(arrivals) == CHUNKS
    # A gateway that collects would deliver all at once. Only a lower bound: slow machines may take longer.
    assert arrivals[-1] - arrivals[0] > (CHUNKS - 1) * pause / 2


def test_a_stream_has_headers_and_usage(client):
    raw = client.chat.completions.with_raw_response.create(
        model="default", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    assert raw.headers["content-type"].startswith("text/event-stream")
    assert raw.headers["x-backstop-attempts"] == "1"
    used = [chunk.usage for chunk in raw.parse() if chunk.usage]
    assert len(used) == 1
    assert used[0].completion_tokens > 0


def test_a_tool_is_called(client):
    answer = client.chat.completions.create(model="default", messages=HELLO, tools=TOOLS)
    assert answer.choices[0].finish_reason == "tool_calls"
    (call,) = answer.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert json.loads(call.function.arguments)["unit"] == "celsius"
    # And the round goes on with its result.
    messages = [*HELLO, answer.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}]
    final = client.chat.completions.create(model="default", messages=messages, tools=TOOLS)
    assert final.choices[0].finish_reason == "stop"
    assert final.choices[0].message.content


def test_a_streamed_tool_call_is_whole(client):
    whole = client.chat.completions.create(model="default", messages=HELLO, tools=TOOLS)
    expected = whole.choices[0].message.tool_calls[0].function
    with client.chat.completions.stream(model="default", messages=HELLO, tools=TOOLS) as stream:
        final = stream.get_final_completion()
    (call,) = final.choices[0].message.tool_calls
    assert call.id
    assert call.function.name == expected.name
    assert json.loads(call.function.arguments) == json.loads(expected.arguments)
    assert final.choices[0].finish_reason == "tool_calls"


@pytest.mark.parametrize("failing", [False, True], ids=["at once", "after a failover"])
def test_a_structured_answer_is_parsed(client, sim, failing):
    sim.play(script(fault(key="one-a", status=500)) if failing else script())
    answer = client.chat.completions.parse(model="default", messages=HELLO, response_format=Weather)
    assert answer.choices[0].message.parsed == Weather(city="sim", degrees=1, hours=[1.0], rain=True)
    with client.chat.completions.stream(model="default", messages=HELLO, response_format=Weather) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.parsed == answer.choices[0].message.parsed


def test_a_strict_tool_is_parsed(client):
    tools = [openai.pydantic_function_tool(GetWeather)]
    answer = client.chat.completions.parse(model="default", messages=HELLO, tools=tools)
    assert answer.choices[0].message.tool_calls[0].function.parsed_arguments == GetWeather(city="sim")


def test_a_model_that_takes_no_schema_is_skipped(client, sim):
    raw = client.chat.completions.with_raw_response.parse(model="old", messages=HELLO, response_format=Weather)
    assert raw.parse().choices[0].message.parsed.city == "sim"
    first, second = raw.headers["x-backstop-trail"].split(", ")
    assert first == "one/gpt-4=skipped:no_json_schema"
    assert second == "two/gpt-4o-mini@two-a=ok:200"
    assert sim.total("requests", provider="one") == 0


def test_a_long_conversation_and_odd_fields_get_through(client):
    messages = [{"role": "user", "content": "日本語 \u0000 \\ \" 🦀 " + "x" * 300_000}]
    answer = client.chat.completions.create(
        model="default", messages=messages, seed=7, user="someone", extra_body={"field_of_the_future": {"a": [1, None]}}
    )
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens > 10_000


def test_embeddings(client):
    answer = client.embeddings.create(model="embed", input=["a", "b"], dimensions=24)
    assert [item.index for item in answer.data] == [0, 1]
    assert all(len(item.embedding) == 24 for item in answer.data)
    assert answer.data[0].embedding != answer.data[1].embedding
    assert answer.model == "text-embedding-3-small"


def test_completions(client):
    expected = text_of("one", "gpt-3.5-turbo-instruct", "one-a")
    answer = client.completions.create(model="legacy", prompt="Say")
    assert answer.choices[0].text == expected
    stream = client.completions.create(model="legacy", prompt="Say", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream if chunk.choices) == expected


def test_moderations(client):
    answer = client.moderations.create(model="moderate", input="Hello")
    assert answer.results[0].flagged is False


def test_models_are_chains_and_targets(client, sim):
    listed = {model.id for model in client.models.list()}
    assert set(CHAINS) <= listed
    assert {"one/gpt-4o", "two/gpt-4o-mini"} <= listed
    assert client.models.retrieve("default").id == "default"
    assert sim.total("requests") == 0
