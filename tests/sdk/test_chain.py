"""Each level of the article's chain answers both SDKs: chat, streams, tools, vision and schemas with the same meaning."""

import base64
import json

import anthropic
import openai
import pydantic
import pytest

import chain
from chain import LEVELS, Level
from conftest import CLIENT_KEY
from processes import Backstop

HELLO = [{"role": "user", "content": "Hello"}]
SYSTEM = "Be brief."
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
    "required": ["city", "unit"],
}
ABOUT = "The weather of a city"
CALL = ("get_weather", {"city": "sim", "unit": "celsius"})
# A picture of one pixel.
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360f8ffff3f0005fe02fe"
        "a7350000000049454e44ae426082"
    )
).decode()
ELSEWHERE = "https://example.com/picture.png"


class Weather(pydantic.BaseModel):
    """What a structured answer must look like."""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    degrees: int
    hours: list[float]
    rain: bool


WEATHER = {"city": "sim", "degrees": 1, "hours": [1.0], "rain": True}


@pytest.fixture(scope="module", params=range(len(LEVELS)), ids=[level.provider for level in LEVELS])
def number(request) -> int:
    return request.param


@pytest.fixture(scope="module")
def level(number) -> Level:
    return LEVELS[number]


@pytest.fixture(scope="module")
def gateway(simulator, number, tmp_path_factory):
    """In front of the chain with all levels before this one broken. The first request finds that out."""
    simulator.play(chain.broken(number))
    running = chain.start(simulator, tmp_path_factory.mktemp("chain"))
    yield running
    chain.end(running)


@pytest.fixture(scope="module")
def openai_client(gateway):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(gateway):
    with anthropic.Anthropic(base_url=gateway.url, api_key=CLIENT_KEY, max_retries=0, timeout=30) as client:
        yield client


def test_the_trail_names_every_broken_level(simulator, number, level, tmp_path):
    simulator.play(chain.broken(number))
    fresh = chain.start(simulator, tmp_path)
    try:
        with openai.OpenAI(base_url=f"{fresh.url}/v1", api_key=CLIENT_KEY, max_retries=0) as client:
            raw = client.chat.completions.with_raw_response.create(model="default", messages=HELLO)
    finally:
        chain.end(fresh)
    steps = raw.headers["x-backstop-trail"].split(", ")
    assert steps == [f"{one.target}@key-1={one.kind}" for one in LEVELS[:number]] + [f"{level.target}@key-1=ok:200"]
    assert raw.parse().choices[0].message.content == level.text


class TestOpenAI:
    """The openai SDK."""

    def test_chat(self, openai_client, level):
        messages = [{"role": "developer", "content": SYSTEM}, *HELLO]
        raw = openai_client.chat.completions.with_raw_response.create(
            model="default", messages=messages, max_completion_tokens=100, temperature=0.5, stop=["END"]
        )
        answer = raw.parse()
        (choice,) = answer.choices
        assert choice.message.content == level.text
        assert (choice.finish_reason, choice.message.role) == ("stop", "assistant")
        assert raw.headers["x-backstop-provider"] == level.provider
        assert answer.model == level.model
        assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0

    def test_stream(self, openai_client, level):
        chunks = list(
            openai_client.chat.completions.create(
                model="default", messages=HELLO, stream=True, stream_options={"include_usage": True}
            )
        )
        choices = [choice for chunk in chunks for choice in chunk.choices]
        assert "".join(choice.delta.content or "" for choice in choices) == level.text
        assert [choice.finish_reason for choice in choices if choice.finish_reason] == ["stop"]
        assert choices[0].delta.role == "assistant"
        assert len({chunk.id for chunk in chunks}) == 1
        assert chunks[-1].usage.completion_tokens > 0

    def test_no_usage_unless_it_is_asked_for(self, openai_client, level):
        chunks = list(openai_client.chat.completions.create(model=level.target, messages=HELLO, stream=True))
        # OpenRouter says it anyway, and there nothing is translated.
        assert level.provider == "openrouter" or all(chunk.usage is None for chunk in chunks)

    def test_a_tool(self, openai_client, level):
        tools = [{"type": "function", "function": {"name": "get_weather", "description": ABOUT, "parameters": SCHEMA}}]
        answer = openai_client.chat.completions.create(model="default", messages=HELLO, tools=tools)
        (choice,) = answer.choices
        (call,) = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls"
        assert (call.function.name, json.loads(call.function.arguments)) == CALL
        result = {"role": "tool", "tool_call_id": call.id, "content": "18 degrees"}
        messages = [*HELLO, choice.message, result]
        final = openai_client.chat.completions.create(model="default", messages=messages, tools=tools)
        assert (final.choices[0].message.content, final.choices[0].finish_reason) == (level.text, "stop")

    def test_a_streamed_tool(self, openai_client):
        tools = [{"type": "function", "function": {"name": "get_weather", "description": ABOUT, "parameters": SCHEMA}}]
        with openai_client.chat.completions.stream(model="default", messages=HELLO, tools=tools) as stream:
            (choice,) = stream.get_final_completion().choices
        (call,) = choice.message.tool_calls
        assert choice.finish_reason == "tool_calls"
        assert (call.function.name, json.loads(call.function.arguments)) == CALL

    def test_parallel_calls_in_the_history(self, openai_client, level):
        def call(id: str, city: str) -> dict:
            arguments = json.dumps({"city": city, "unit": "celsius"})
            return {"id": id, "type": "function", "function": {"name": "get_weather", "arguments": arguments}}

        messages = [
            *HELLO,
            {"role": "assistant", "content": None, "tool_calls": [call("call_1", "Rome"), call("call_2", "Oslo")]},
            {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
            {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "4 degrees"}]},
        ]
        tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
        answer = openai_client.chat.completions.create(
            model="default", messages=messages, tools=tools, parallel_tool_calls=False
        )
        assert answer.choices[0].message.content == level.text

    @pytest.mark.parametrize("url", [f"data:image/png;base64,{PNG}", ELSEWHERE], ids=["bytes", "url"])
    def test_vision(self, openai_client, level, url):
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        raw = openai_client.chat.completions.with_raw_response.create(
            model="default", messages=[{"role": "user", "content": parts}]
        )
        # Bedrock takes bytes only: the next level answers instead.
        skipped = level.provider == "bedrock" and url == ELSEWHERE
        by = LEVELS[2] if skipped else level
        assert raw.parse().choices[0].message.content == by.text
        assert not skipped or "=skipped:no_image_urls" in raw.headers["x-backstop-trail"]

    def test_a_schema(self, openai_client):
        answer = openai_client.chat.completions.parse(model="default", messages=HELLO, response_format=Weather)
        assert answer.choices[0].finish_reason == "stop"
        assert answer.choices[0].message.parsed.model_dump() == WEATHER

    def test_a_streamed_schema(self, openai_client):
        with openai_client.chat.completions.stream(
            model="default", messages=HELLO, response_format=Weather
        ) as stream:
            (choice,) = stream.get_final_completion().choices
        assert choice.finish_reason == "stop"
        assert choice.message.parsed.model_dump() == WEATHER


class TestAnthropic:
    """The anthropic SDK."""

    def test_message(self, anthropic_client, level):
        raw = anthropic_client.messages.with_raw_response.create(
            model="default",
            # What agents ask for, and more than most of these models give.
            max_tokens=32_000,
            system=SYSTEM,
            messages=HELLO,
            stop_sequences=["END"],
            metadata={"user_id": "someone"},
            # What this version of the SDK has no name for any more.
            extra_body={"temperature": 0.5},
        )
        answer = raw.parse()
        (block,) = answer.content
        assert (block.type, block.text) == ("text", level.text)
        assert (answer.stop_reason, answer.role, answer.type) == ("end_turn", "assistant", "message")
        assert raw.headers["x-backstop-provider"] == level.provider
        assert answer.model == level.model
        assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0

    def test_stream(self, anthropic_client, level):
        with anthropic_client.messages.stream(model="default", max_tokens=100, messages=HELLO) as stream:
            pieces = list(stream.text_stream)
            final = stream.get_final_message()
        assert "".join(pieces) == level.text
        (block,) = final.content
        assert (block.text, final.stop_reason) == (level.text, "end_turn")
        assert final.usage.input_tokens > 0 and final.usage.output_tokens > 0

    def test_the_events_of_a_stream(self, anthropic_client):
        events = [
            event.type
            for event in anthropic_client.messages.create(model="default", max_tokens=100, messages=HELLO, stream=True)
        ]
        assert events[:2] == ["message_start", "content_block_start"]
        assert set(events[2:-3]) == {"content_block_delta"}
        assert events[-3:] == ["content_block_stop", "message_delta", "message_stop"]

    def test_a_tool(self, anthropic_client, level):
        tools = [{"name": "get_weather", "description": ABOUT, "input_schema": SCHEMA}]
        asked = {"model": "default", "max_tokens": 100, "tools": tools}
        answer = anthropic_client.messages.create(messages=HELLO, **asked)
        call = answer.content[-1]
        assert (answer.stop_reason, call.type) == ("tool_use", "tool_use")
        assert (call.name, call.input) == CALL
        result = {"type": "tool_result", "tool_use_id": call.id, "content": [{"type": "text", "text": "18 degrees"}]}
        messages = [*HELLO, {"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
        final = anthropic_client.messages.create(messages=messages, **asked)
        assert (final.content[0].text, final.stop_reason) == (level.text, "end_turn")

    def test_a_result_with_a_picture_and_one_that_failed(self, anthropic_client, level):
        def call(id: str) -> dict:
            return {"type": "tool_use", "id": id, "name": "look", "input": {}}

        image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}
        results = [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "This:"}, image]},
            {"type": "tool_result", "tool_use_id": "toolu_2", "content": "no camera", "is_error": True},
        ]
        answer = anthropic_client.messages.create(
            model="default",
            max_tokens=100,
            tools=[{"name": "look", "input_schema": {"type": "object"}}],
            tool_choice={"type": "none"},
            messages=[
                *HELLO,
                {"role": "assistant", "content": [call("toolu_1"), call("toolu_2")]},
                {"role": "user", "content": results},
            ],
        )
        assert (answer.content[0].text, answer.stop_reason) == (level.text, "end_turn")

    def test_a_streamed_tool(self, anthropic_client):
        tools = [{"name": "get_weather", "description": ABOUT, "input_schema": SCHEMA}]
        with anthropic_client.messages.stream(model="default", max_tokens=100, messages=HELLO, tools=tools) as stream:
            final = stream.get_final_message()
        call = final.content[-1]
        assert (final.stop_reason, call.name, call.input) == ("tool_use", *CALL)

    @pytest.mark.parametrize("where", ["bytes", "url"])
    def test_vision(self, anthropic_client, level, where):
        source = {
            "bytes": {"type": "base64", "media_type": "image/png", "data": PNG},
            "url": {"type": "url", "url": ELSEWHERE},
        }[where]
        content = [{"type": "image", "source": source}, {"type": "text", "text": "What is it?"}]
        answer = anthropic_client.messages.create(
            model="default", max_tokens=100, messages=[{"role": "user", "content": content}]
        )
        skipped = level.provider == "bedrock" and where == "url"
        assert answer.content[0].text == (LEVELS[2] if skipped else level).text

    def test_thinking_and_cache_marks(self, anthropic_client, level):
        answer = anthropic_client.messages.create(
            model="default",
            max_tokens=3000,
            system=[{"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}],
            thinking={"type": "enabled", "budget_tokens": 2000},
            messages=HELLO,
        )
        assert answer.stop_reason == "end_turn"
        assert answer.content[-1].text == level.text

    def test_a_schema(self, anthropic_client):
        schema = Weather.model_json_schema()
        answer = anthropic_client.messages.create(
            model="default",
            max_tokens=100,
            messages=HELLO,
            output_config={"format": {"type": "json_schema", "schema": schema}},
        )
        assert answer.stop_reason == "end_turn"
        assert json.loads(answer.content[-1].text) == WEATHER


def test_the_last_level_is_the_last(simulator, tmp_path):
    simulator.play(chain.broken(len(LEVELS)))
    fresh: Backstop = chain.start(simulator, tmp_path)
    try:
        with anthropic.Anthropic(base_url=fresh.url, api_key=CLIENT_KEY, max_retries=0) as client:
            with pytest.raises(anthropic.APIStatusError) as caught:
                client.messages.create(model="default", max_tokens=100, messages=HELLO)
    finally:
        chain.end(fresh)
    attempts = caught.value.body["error"]["attempts"]
    assert len(attempts) == len(LEVELS)
