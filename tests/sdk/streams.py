"""The streams of the official SDKs, unmodified, and their helpers: each says in common words what came of one.

A client gets an address, a key, a model and headers, and nothing that knows Backstop. What arrived before an exception stays
in the outcome. The clients of Node run in one process (`node/streams.mjs`).
"""

import dataclasses
import json
import typing

import anthropic
import openai

from nodes import Node

HELLO = [{"role": "user", "content": "Hello"}]
NAME = "get_weather"
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}

# Anthropic's words for a reason to stop, in common ones.
STOPS = {"end_turn": "stop", "tool_use": "tool_calls"}


@dataclasses.dataclass(frozen=True)
class Ask:
    """`tool`: one is offered, and called. `thinks`: Anthropic's only."""

    model: str
    url: str = ""
    key: str = ""
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    tool: bool = False
    thinks: bool = False


@dataclasses.dataclass
class Final:
    """What a helper put together."""

    id: str
    text: str
    finish: str
    calls: list
    usage: list[int]


@dataclasses.dataclass
class Failed:
    """An exception of the client: its type, the status it names, if any, and its text."""

    type: str
    status: int | None
    message: str


@dataclasses.dataclass
class Streamed:
    """What arrived: ids, beginnings (a role, a message), text, reasons to end, (input, output) tokens."""

    ids: list[str] = dataclasses.field(default_factory=list)
    begins: int = 0
    pieces: list[str] = dataclasses.field(default_factory=list)
    finishes: list[str] = dataclasses.field(default_factory=list)
    usages: list[list[int]] = dataclasses.field(default_factory=list)
    final: Final | None = None
    error: Failed | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)


def _chat(ask: Ask) -> tuple[openai.OpenAI, dict]:
    tools = [{"type": "function", "function": {"name": NAME, "parameters": PARAMETERS}}]
    asked = {"model": ask.model, "messages": HELLO, "stream_options": {"include_usage": True}}
    address = {"base_url": f"{ask.url}/v1", "api_key": ask.key, "default_headers": ask.headers}
    return openai.OpenAI(max_retries=0, timeout=30, **address), asked | ({"tools": tools} if ask.tool else {})


def _chatted(out: Streamed, chunk) -> None:
    out.ids.append(chunk.id)
    for choice in chunk.choices:
        out.begins += choice.delta.role is not None
        out.pieces += [choice.delta.content] if choice.delta.content else []
        out.finishes += [choice.finish_reason] if choice.finish_reason else []
    if chunk.usage:
        assert chunk.usage.total_tokens == chunk.usage.prompt_tokens + chunk.usage.completion_tokens
        out.usages.append([chunk.usage.prompt_tokens, chunk.usage.completion_tokens])


def chunks(ask: Ask, out: Streamed) -> None:
    client, asked = _chat(ask)
    with client, client.chat.completions.create(stream=True, **asked) as stream:
        for chunk in stream:
            _chatted(out, chunk)


def completion_stream(ask: Ask, out: Streamed) -> None:
    client, asked = _chat(ask)
    with client, client.chat.completions.stream(**asked) as stream:
        for event in stream:
            if event.type == "chunk":
                _chatted(out, event.chunk)
        final = stream.get_final_completion()
    (choice,) = final.choices
    calls = [[call.function.name, json.loads(call.function.arguments)] for call in choice.message.tool_calls or []]
    usage = [final.usage.prompt_tokens, final.usage.completion_tokens]
    out.final = Final(final.id, choice.message.content or "", choice.finish_reason, calls, usage)


def _message(ask: Ask) -> tuple[anthropic.Anthropic, dict]:
    asked = {"model": ask.model, "max_tokens": 3000, "messages": HELLO}
    if ask.tool:
        asked["tools"] = [{"name": NAME, "input_schema": PARAMETERS}]
    if ask.thinks:
        asked["thinking"] = {"type": "enabled", "budget_tokens": 1024}
    address = {"base_url": ask.url, "api_key": ask.key, "default_headers": ask.headers}
    return anthropic.Anthropic(max_retries=0, timeout=30, **address), asked


def _said(out: Streamed, event) -> None:
    if event.type == "message_start":
        out.begins += 1
        out.ids.append(event.message.id)
    elif event.type == "content_block_delta" and event.delta.type == "text_delta":
        out.pieces.append(event.delta.text)
    elif event.type == "message_delta":
        out.finishes.append(STOPS[event.delta.stop_reason])
        out.usages.append([event.usage.input_tokens or 0, event.usage.output_tokens])


def events(ask: Ask, out: Streamed) -> None:
    client, asked = _message(ask)
    with client, client.messages.create(stream=True, **asked) as stream:
        for event in stream:
            _said(out, event)


def message_stream(ask: Ask, out: Streamed) -> None:
    client, asked = _message(ask)
    with client, client.messages.stream(**asked) as stream:
        for event in stream:
            _said(out, event)
        final = stream.get_final_message()
    text = "".join(block.text for block in final.content if block.type == "text")
    calls = [[block.name, block.input] for block in final.content if block.type == "tool_use"]
    usage = [final.usage.input_tokens, final.usage.output_tokens]
    out.final = Final(final.id, text, STOPS[final.stop_reason], calls, usage)


PYTHON: dict[str, typing.Callable[[Ask, Streamed], None]] = {
    "openai python, chunks": chunks,
    "openai python, helper": completion_stream,
    "anthropic python, events": events,
    "anthropic python, helper": message_stream,
}
NODE = ["openai node, chunks", "openai node, helper", "anthropic node, events", "anthropic node, helper"]
CLIENTS = [*PYTHON, *NODE]


def is_helper(client: str) -> bool:
    return client.endswith("helper")


def stream(client: str, node: Node, ask: Ask) -> Streamed:
    """Lets a client ask for a stream and read it to its end."""
    if client not in PYTHON:
        said = node.tell({"client": client, **dataclasses.asdict(ask)})
        final, error = said.pop("final"), said.pop("error")
        return Streamed(**said, final=final and Final(**final), error=error and Failed(**error))
    out = Streamed()
    try:
        PYTHON[client](ask, out)
    except Exception as error:
        out.error = Failed(type(error).__name__, getattr(error, "status_code", None), str(error))
    return out
