"""botocore judges: its model of Bedrock the requests that the gateway sends, its signer their signatures, and its parsers
what the simulator says as Bedrock."""

import base64
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions
import botocore.model
import botocore.session
import botocore.validate
import pytest

import recorded
from awsframes import event
from conftest import CHUNKS, said
from processes import Backstop
from upstream import Answer, Asked, Upstream

SERVICE = botocore.session.get_session().get_service_model("bedrock-runtime")
REGION = "eu-central-1"
KEY, SECRET, TOKEN = "AKIAOFTHEBEDROCKTEST", "the-secret-that-signs", "the-token-of-a-session"
API_KEY = "a-bedrock-api-key"
MODELS = ["us.anthropic.claude-sonnet-4-5-20250929-v1:0", "amazon.nova-lite-v1:0", "anthropic.claude-3-5-sonnet-20241022-v2:0"]

WHOLE = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2},
    "metrics": {"latencyMs": 1},
}
STREAM = [
    event("messageStart", {"role": "assistant"}),
    event("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
    event("contentBlockStop", {"contentBlockIndex": 0}),
    event("messageStop", {"stopReason": "end_turn"}),
    event("metadata", {"usage": WHOLE["usage"], "metrics": WHOLE["metrics"]}),
]


def answer(asked: Asked) -> Answer:
    if asked.path.endswith("/converse-stream"):
        return Answer(headers={"content-type": "application/vnd.amazon.eventstream"}, pieces=STREAM)
    return Answer(headers={"content-type": "application/json"}, body=json.dumps(WHOLE).encode())


@pytest.fixture(scope="module")
def upstream():
    running = Upstream(answer)
    yield running
    running.end()


@pytest.fixture(scope="module")
def gateway(upstream, tmp_path_factory):
    """One provider for each way to be let in."""
    keys = {
        "bedrock": {"access_key_id": KEY, "secret_access_key": SECRET},
        "session": {"access_key_id": KEY, "secret_access_key": SECRET, "session_token": TOKEN},
        "bearer": {"key": API_KEY},
    }
    config = {
        "providers": {
            name: {"dialect": "bedrock", "base_url": upstream.url, "region": REGION, "keys": [key]}
            for name, key in keys.items()
        },
        "chains": {"default": [f"bedrock/{MODELS[0]}"]},
    }
    path = tmp_path_factory.mktemp("bedrock") / "gateway.json5"
    path.write_text(json.dumps(config))
    running = Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=path.with_suffix(".log"))
    yield running
    running.end()
    for secret in (SECRET, TOKEN, API_KEY):
        assert secret not in running.written()


def post(gateway: Backstop, path: str, body: dict) -> tuple[int, dict | str]:
    request = urllib.request.Request(gateway.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read().decode()
            return answer.status, json.loads(text) if text.startswith("{") else text
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def blobs(value, shape: botocore.model.Shape):
    """The same value with bytes where the wire has base64."""
    if shape.type_name == "blob":
        return base64.b64decode(value, validate=True)
    if shape.type_name == "list":
        return [blobs(item, shape.member) for item in value]
    if shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        return {name: blobs(item, shape.members[name]) if name in shape.members else item for name, item in value.items()}
    return value


def patterns(value, shape: botocore.model.Shape, at: str = "") -> None:
    """What botocore leaves to the service: enumerations, patterns and lengths of texts."""
    if shape.type_name == "string":
        assert not shape.enum or value in shape.enum, f"{at}: {value!r} is none of {shape.enum}"
        least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 30)
        assert least <= len(value) <= most, f"{at}: {value!r} is too long or too short"
        pattern = shape.metadata.get("pattern")
        assert not pattern or re.fullmatch(pattern, value), f"{at}: {value!r} is not {pattern}"
    elif shape.type_name == "list":
        for number, item in enumerate(value):
            patterns(item, shape.member, f"{at}[{number}]")
    elif shape.type_name == "structure" and not getattr(shape, "is_document_type", False):
        for name, item in value.items():
            patterns(item, shape.members[name], f"{at}.{name}")


def judge(asked: Asked) -> dict:
    """The request as parameters of Converse, valid ones."""
    operation = SERVICE.operation_model("ConverseStream" if asked.path.endswith("-stream") else "Converse")
    prefix, model, _ = asked.path.rsplit("/", 2)
    assert prefix == "/model"
    body = json.loads(asked.body)
    unknown = set(body) - set(operation.input_shape.members)
    assert not unknown, unknown
    params = {"modelId": urllib.parse.unquote(model), **blobs(body, operation.input_shape)}
    report = botocore.validate.ParamValidator().validate(params, operation.input_shape)
    assert not report.has_errors(), report.generate_report()
    patterns(params, operation.input_shape)
    roles = [message["role"] for message in body["messages"]]
    assert roles == (["user", "assistant"] * len(roles))[: len(roles)], "they take turns, and a user begins"
    for message in body["messages"]:
        assert message["content"], "a message says something"
    offered = {tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", []) if "toolSpec" in tool}
    blocks = [block for message in body["messages"] for block in message["content"]]
    assert offered or not any("toolUse" in block or "toolResult" in block for block in blocks)
    return params


PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("wire, body", recorded.requests("chat", "messages"))
def test_a_request_is_one_that_bedrock_takes(gateway, upstream, model, wire, body):
    before = len(upstream.asked)
    status, said = post(gateway, PATHS[wire], body | {"model": f"bedrock/{model}"})
    if status != 200:
        # It cannot be asked of Bedrock: then it was not, and the client is told.
        assert (status, len(upstream.asked)) == (400, before), said
        assert said["error"]["message"]
        return
    (asked,) = upstream.asked[before:]
    params = judge(asked)
    assert params["modelId"] == model
    assert ("-stream" in asked.path) == bool(body.get("stream"))


def signature(asked: Asked, url: str) -> str:
    """What botocore makes of the same request at the same time."""
    given = dict(part.strip().split("=", 1) for part in asked.headers["authorization"].split(" ", 1)[1].split(","))
    signed = given["SignedHeaders"].split(";")
    assert {"host", "x-amz-date"} <= set(signed)
    credentials = botocore.credentials.Credentials(KEY, SECRET, asked.headers.get("x-amz-security-token"))
    request = botocore.awsrequest.AWSRequest("POST", url + asked.path, data=asked.body)
    for name in signed:
        request.headers[name] = asked.headers[name]
    request.context["timestamp"] = asked.headers["x-amz-date"]
    signer = botocore.auth.SigV4Auth(credentials, "bedrock", REGION)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    assert given["Credential"] == signer.scope(request)
    assert given["Signature"] == signer.signature(text, request)
    return given["Signature"]


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("model", [*MODELS, "arn:aws:bedrock:eu-central-1:123456789012:inference-profile/eu.x.y-v1:0"])
@pytest.mark.parametrize("provider", ["bedrock", "session"])
def test_a_signature_is_botocores(gateway, upstream, provider, model, stream):
    body = {"model": f"{provider}/{model}", "stream": stream, "messages": [{"role": "user", "content": "Grüße, Ω"}]}
    status, said = post(gateway, PATHS["chat"], body)
    assert status == 200, said
    asked = upstream.last()
    assert asked.headers["authorization"].startswith("AWS4-HMAC-SHA256 ")
    assert asked.headers.get("x-amz-security-token") == (TOKEN if provider == "session" else None)
    assert asked.path == f"/model/{urllib.parse.quote(model, safe='')}/converse{'-stream' if stream else ''}"
    assert signature(asked, upstream.url)


def test_an_api_key_is_a_bearer(gateway, upstream):
    status, _ = post(gateway, PATHS["chat"], {"model": f"bearer/{MODELS[0]}", "messages": [{"role": "user", "content": "Hi"}]})
    assert status == 200
    assert upstream.last().headers["authorization"] == f"Bearer {API_KEY}"
    assert "x-amz-date" not in upstream.last().headers


def test_a_stream_of_frames_is_a_stream(gateway):
    body = {"model": f"bedrock/{MODELS[0]}", "stream": True, "messages": [{"role": "user", "content": "Hi"}]}
    status, text = post(gateway, PATHS["chat"], body)
    assert status == 200 and text.endswith("data: [DONE]\n\n") and '"content":"Hi"' in text


# The simulator as Bedrock, to boto3.


@pytest.fixture
def boto(sim):
    config = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=10)
    return boto3.client(
        "bedrock-runtime",
        region_name=REGION,
        endpoint_url=f"{sim.url}/bedrock",
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
        config=config,
    )


ASKED = {"modelId": MODELS[2], "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}
TOOLS = {
    "tools": [
        {
            "toolSpec": {
                "name": "get_weather",
                "description": "The weather of a city",
                "inputSchema": {"json": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}},
            }
        }
    ]
}
TEXT = said("bedrock", MODELS[2], KEY)


def play(sim, **fault) -> None:
    sim.play({"rules": [{"match": {"provider": "bedrock"}, "fault": fault}] if fault else [], "chunks": CHUNKS})


def test_boto_reads_an_answer(boto, sim):
    play(sim)
    answer = boto.converse(**ASKED)
    assert answer["output"]["message"]["content"] == [{"text": TEXT}]
    assert answer["stopReason"] == "end_turn"
    assert answer["usage"]["totalTokens"] > 0 and answer["metrics"]["latencyMs"] > 0


def test_boto_reads_a_call(boto, sim):
    play(sim)
    answer = boto.converse(toolConfig=TOOLS, **ASKED)
    call = answer["output"]["message"]["content"][-1]["toolUse"]
    assert (call["name"], call["input"], answer["stopReason"]) == ("get_weather", {"city": "sim"}, "tool_use")


def test_boto_reads_a_stream(boto, sim):
    play(sim)
    events = list(boto.converse_stream(**ASKED)["stream"])
    names = [next(iter(event)) for event in events]
    assert names[0] == "messageStart" and names[-2:] == ["messageStop", "metadata"]
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert "".join(delta["text"] for delta in deltas) == TEXT
    # Only a tool's block has a start.
    assert "contentBlockStart" not in names


def test_boto_reads_a_streamed_call(boto, sim):
    play(sim)
    events = list(boto.converse_stream(toolConfig=TOOLS, **ASKED)["stream"])
    start = next(event["contentBlockStart"]["start"] for event in events if "contentBlockStart" in event)
    assert start["toolUse"]["name"] == "get_weather"
    deltas = [event["contentBlockDelta"]["delta"] for event in events if "contentBlockDelta" in event]
    assert json.loads("".join(delta["toolUse"]["input"] for delta in deltas if "toolUse" in delta)) == {"city": "sim"}


@pytest.mark.parametrize(
    "fault, status, code",
    [
        ({"status": 429}, 429, "ThrottlingException"),
        ({"status": 401}, 403, "UnrecognizedClientException"),
        ({"status": 403}, 403, "AccessDeniedException"),
        ({"error": "ExpiredTokenException"}, 403, "ExpiredTokenException"),
        ({"status": 503}, 503, "ServiceUnavailableException"),
        ({"status": 500}, 500, "InternalServerException"),
        ({"error": "ModelNotReadyException"}, 429, "ModelNotReadyException"),
        ({"error": "ModelErrorException"}, 424, "ModelErrorException"),
    ],
    ids=lambda value: str(value) if isinstance(value, int | str) else "",
)
def test_boto_knows_the_simulators_exceptions(boto, sim, fault, status, code):
    play(sim, **fault)
    for call in (boto.converse, boto.converse_stream):
        with pytest.raises(botocore.exceptions.ClientError) as caught:
            call(**ASKED)
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["Error"]["Message"]
        assert status is None or caught.value.response["ResponseMetadata"]["HTTPStatusCode"] in (status, fault.get("status"))


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("body, code", [(429, "throttlingException"), ("modelStreamErrorException", "modelStreamErrorException"), (500, "internalServerException")])
def test_boto_knows_exceptions_within_a_stream(boto, sim, after, body, code):
    play(sim, error_in_stream={"after_chunks": after, "body": body})
    texts = []
    with pytest.raises(botocore.exceptions.EventStreamError) as caught:
        for event in boto.converse_stream(**ASKED)["stream"]:
            texts.append(event.get("contentBlockDelta", {}).get("delta", {}).get("text", ""))
    assert caught.value.response["Error"]["Code"] == code
    assert len([text for text in texts if text]) == after
