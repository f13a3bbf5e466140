"""The clients, unmodified: each does a task in its own idiom and says in common words what came of it.

A client gets a base URL, a key, a model and a task, and nothing that knows Backstop. What it raises is kept with its
type, status and text; whatever it had delivered before stays in the outcome. The clients of Node run in one process
(`node/clients.mjs`) that takes a task a line and answers with a line.
"""

import dataclasses
import json
import os
import pathlib
import typing

# LiteLLM otherwise asks GitHub for its price list when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import anthropic
import langchain_core.messages
import langchain_core.tools
import langchain_openai
import litellm
import llama_index.core.llms
import llama_index.core.prompts
import llama_index.core.tools
import llama_index.llms.openai_like
import openai
import pydantic

import nodes

QUESTION = "Hello"
RESULT = "18 degrees"

# No "give feedback" on standard output.
litellm.suppress_debug_info = True


@dataclasses.dataclass(frozen=True)
class Ask:
    """`task`: chat, stream, tool, tool stream, round trip, schema; for Vercel's ai also text stream.

    `retries`: None leaves the client's own number.
    """

    task: str
    model: str = "default"
    key: str = ""
    timeout: float = 30.0
    retries: int | None = 0


@dataclasses.dataclass
class Failed:
    """An exception of the client: its type, the status it names, if any, and its text."""

    type: str
    status: int | None
    message: str


@dataclasses.dataclass
class Outcome:
    """What reached the caller: pieces of text, reasons to finish, (tool, arguments), a parsed object, an exception."""

    pieces: list[str] = dataclasses.field(default_factory=list)
    finishes: list[str] = dataclasses.field(default_factory=list)
    calls: list[tuple[str, dict]] = dataclasses.field(default_factory=list)
    parsed: dict | None = None
    error: Failed | None = None

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def heard(self, piece: str | None, finish: str | None) -> None:
        if piece:
            self.pieces.append(piece)
        if finish:
            self.finishes.append(finish)


class Weather(pydantic.BaseModel):
    """The weather of a city"""

    model_config = pydantic.ConfigDict(extra="forbid")
    city: str
    degrees: int
    hours: list[float]
    rain: bool


def get_weather(city: str, unit: typing.Literal["celsius", "fahrenheit"]) -> str:
    """The weather of a city"""
    return RESULT


TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}},
            "required": ["city", "unit"],
        },
    },
}
HELLO = [{"role": "user", "content": QUESTION}]


def _messages(create, ask: Ask, out: Outcome) -> None:
    """The tasks of a client whose `create` takes and gives what OpenAI's API does."""
    if ask.task in ("stream", "tool stream"):
        name, arguments = None, ""
        for chunk in create(messages=HELLO, stream=True, **({"tools": [TOOL]} if ask.task == "tool stream" else {})):
            for choice in chunk.choices:
                out.heard(choice.delta.content, choice.finish_reason)
                for call in choice.delta.tool_calls or []:
                    name = name or call.function.name
                    arguments += call.function.arguments or ""
        if name:
            out.calls.append((name, json.loads(arguments)))
        return
    answer = create(messages=HELLO, **({"tools": [TOOL]} if ask.task in ("tool", "round trip") else {})).choices[0]
    calls = answer.message.tool_calls or []
    out.calls += [(call.function.name, json.loads(call.function.arguments)) for call in calls]
    if ask.task == "round trip":
        result = {"role": "tool", "tool_call_id": calls[0].id, "content": RESULT}
        answer = create(messages=[*HELLO, answer.message, result], tools=[TOOL]).choices[0]
    out.heard(answer.message.content, answer.finish_reason)


def openai_python(base: str, ask: Ask, out: Outcome) -> None:
    options = {} if ask.retries is None else {"max_retries": ask.retries}
    with openai.OpenAI(base_url=base, api_key=ask.key, timeout=ask.timeout, **options) as client:
        if ask.task == "schema":
            answer = client.chat.completions.parse(model=ask.model, messages=HELLO, response_format=Weather).choices[0]
            out.heard(None, answer.finish_reason)
            out.parsed = answer.message.parsed.model_dump()
            return
        _messages(lambda **more: client.chat.completions.create(model=ask.model, **more), ask, out)


# Anthropic's words for a reason to stop, in common ones.
STOPS = {"end_turn": "stop", "tool_use": "tool_calls"}


def anthropic_python(base: str, ask: Ask, out: Outcome) -> None:
    options = {} if ask.retries is None else {"max_retries": ask.retries}
    # It appends `/v1` itself.
    address = {"base_url": base.removesuffix("/v1"), "api_key": ask.key, "timeout": ask.timeout}
    function = TOOL["function"]
    tool = {"name": function["name"], "description": function["description"], "input_schema": function["parameters"]}
    asked = {"model": ask.model, "max_tokens": 256, "messages": HELLO}
    if ask.task in ("tool", "tool stream", "round trip"):
        asked["tools"] = [tool]
    with anthropic.Anthropic(**address, **options) as client:
        if ask.task == "schema":
            answer = client.messages.parse(output_format=Weather, **asked)
            out.heard(None, STOPS[answer.stop_reason])
            out.parsed = answer.parsed_output.model_dump()
            return
        if ask.task in ("stream", "tool stream"):
            with client.messages.stream(**asked) as stream:
                for text in stream.text_stream:
                    out.heard(text, None)
                answer = stream.get_final_message()
        else:
            answer = client.messages.create(**asked)
        calls = [block for block in answer.content if block.type == "tool_use"]
        out.calls += [(call.name, call.input) for call in calls]
        if ask.task == "round trip":
            result = {"type": "tool_result", "tool_use_id": calls[0].id, "content": RESULT}
            more = [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
            answer = client.messages.create(**asked | {"messages": [*HELLO, *more]})
        if ask.task in ("chat", "tool", "round trip"):
            out.pieces += [block.text for block in answer.content if block.type == "text"]
        out.heard(None, STOPS[answer.stop_reason])


def litellm_sdk(base: str, ask: Ask, out: Outcome) -> None:
    options = {} if ask.retries is None else {"max_retries": ask.retries}

    def create(**more):
        address = {"api_base": base, "api_key": ask.key}
        return litellm.completion(model=f"openai/{ask.model}", timeout=ask.timeout, **address, **options, **more)

    if ask.task == "schema":
        answer = create(messages=HELLO, response_format=Weather).choices[0]
        out.heard(None, answer.finish_reason)
        out.parsed = Weather.model_validate_json(answer.message.content).model_dump()
        return
    _messages(create, ask, out)


def langchain(base: str, ask: Ask, out: Outcome) -> None:
    options = {} if ask.retries is None else {"max_retries": ask.retries}
    model = langchain_openai.ChatOpenAI(
        base_url=base, api_key=ask.key, model=ask.model, timeout=ask.timeout, **options
    )
    if ask.task == "schema":
        out.parsed = model.with_structured_output(Weather).invoke(QUESTION).model_dump()
        return
    tool = langchain_core.tools.tool(get_weather)
    asked = model if ask.task in ("chat", "stream") else model.bind_tools([tool])
    if ask.task in ("stream", "tool stream"):
        whole = None
        for chunk in asked.stream(QUESTION):
            out.heard(chunk.text, chunk.response_metadata.get("finish_reason"))
            whole = chunk if whole is None else whole + chunk
        out.calls += [(call["name"], call["args"]) for call in whole.tool_calls]
        return
    answer = asked.invoke(QUESTION)
    out.calls += [(call["name"], call["args"]) for call in answer.tool_calls]
    if ask.task == "round trip":
        user = langchain_core.messages.HumanMessage(QUESTION)
        answer = asked.invoke([user, answer, *(tool.invoke(call) for call in answer.tool_calls)])
    out.heard(answer.text, answer.response_metadata["finish_reason"])


def llama_index_like(base: str, ask: Ask, out: Outcome) -> None:
    options = {} if ask.retries is None else {"max_retries": ask.retries}
    like = {"is_chat_model": True, "is_function_calling_model": True, "should_use_structured_outputs": True}
    llm = llama_index.llms.openai_like.OpenAILike(
        api_base=base, api_key=ask.key, model=ask.model, timeout=ask.timeout, **like, **options
    )
    if ask.task == "schema":
        prompt = llama_index.core.prompts.PromptTemplate(QUESTION)
        out.parsed = llm.structured_predict(Weather, prompt).model_dump()
        return
    tool = llama_index.core.tools.FunctionTool.from_defaults(get_weather)
    user = llama_index.core.llms.ChatMessage(role="user", content=QUESTION)
    if ask.task in ("stream", "tool stream"):
        stream = llm.stream_chat([user]) if ask.task == "stream" else llm.stream_chat_with_tools([tool], user)
        for last in stream:
            out.heard(last.delta, next((choice.finish_reason for choice in last.raw.choices), None))
    else:
        last = llm.chat([user]) if ask.task == "chat" else llm.chat_with_tools([tool], user)
    calls = llm.get_tool_calls_from_response(last, error_on_no_tool_call=False)
    out.calls += [(call.tool_name, call.tool_kwargs) for call in calls]
    if ask.task == "round trip":
        named = {"tool_call_id": calls[0].tool_id}
        result = llama_index.core.llms.ChatMessage(role="tool", content=RESULT, additional_kwargs=named)
        last = llm.chat_with_tools([tool], chat_history=[user, last.message, result])
    if ask.task in ("chat", "tool", "round trip"):
        out.heard(last.message.content, last.raw.choices[0].finish_reason)


class Node(nodes.Node):
    """The process with the clients of Node."""

    def __init__(self, log: pathlib.Path):
        super().__init__("clients.mjs", log)

    def do(self, client: str, base: str, ask: Ask) -> Outcome:
        said = self.tell({"client": client, "base": base, **dataclasses.asdict(ask)})
        error = said.pop("error")
        calls = [(name, arguments) for name, arguments in said.pop("calls")]
        return Outcome(**said, calls=calls, error=error and Failed(**error))


PYTHON = {
    "openai python": openai_python,
    "anthropic python": anthropic_python,
    "litellm": litellm_sdk,
    "langchain": langchain,
    "llama-index": llama_index_like,
}
CLIENTS = [*PYTHON, "openai node", "vercel ai"]


def do(client: str, node: Node, base: str, ask: Ask) -> Outcome:
    """Lets a client do a task."""
    if client not in PYTHON:
        return node.do(client, base, ask)
    out = Outcome()
    try:
        PYTHON[client](base, ask, out)
    except Exception as error:
        out.error = Failed(type(error).__name__, getattr(error, "status_code", None), str(error))
    return out
