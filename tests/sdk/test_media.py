"""Images and audio through the SDK: forms and bytes, whole and streamed, through a failover on the first key."""

import base64

import openai
import pytest

from conftest import fault, script, text_of

NOISE = b"\xff\xfb\x90\x00"
SOUND = b"RIFF\x00\xff\r\n--" + bytes(range(256)) * 400

CHAINS = {"voice": ["one/tts-1", "two/tts-1-hd"], "draw": ["one/gpt-image-1"], "hear": ["one/whisper-1"]}


@pytest.fixture(params=["healthy", "first key refused"])
def client(request, start_gateway, client_of, sim):
    if request.param != "healthy":
        sim.play(script(fault(key="one-a", status=401)))
    client = client_of(start_gateway(chains=CHAINS))
    client.key = "one-a" if request.param == "healthy" else "one-b"
    return client


def said(client, model: str) -> bytes:
    return text_of("one", model, client.key).encode()


def test_speech(client):
    answer = client.audio.speech.create(model="voice", voice="alloy", input="Hello")
    assert answer.content == NOISE + said(client, "tts-1")
    assert answer.response.headers["content-type"] == "audio/mpeg"
    assert answer.response.headers["x-backstop-key"] == client.key


def test_speech_is_read_as_it_comes(client):
    asked = {"model": "voice", "voice": "alloy", "input": "Hello", "response_format": "wav"}
    with client.audio.speech.with_streaming_response.create(**asked) as answer:
        assert answer.headers["content-type"] == "audio/wav"
        assert b"".join(answer.iter_bytes()) == NOISE + said(client, "tts-1")


def test_transcriptions(client):
    answer = client.audio.transcriptions.create(model="hear", file=("a.wav", SOUND), language="de")
    assert answer.text == f"{said(client, 'whisper-1').decode()} Heard {len(SOUND)} bytes."
    text = client.audio.transcriptions.create(model="hear", file=("a.wav", SOUND), response_format="text")
    assert text.strip() == answer.text


def test_a_transcription_streams(client):
    events = list(client.audio.transcriptions.create(model="hear", file=("a.wav", SOUND), stream=True))
    assert [event.type for event in events] == ["transcript.text.delta"] * 8 + ["transcript.text.done"]
    assert "".join(event.delta for event in events[:-1]).encode() == said(client, "whisper-1")


def test_translations(client):
    answer = client.audio.translations.create(model="hear", file=("a.wav", SOUND))
    assert answer.text.endswith(f"Heard {len(SOUND)} bytes.")


def test_images(client):
    picture = NOISE + said(client, "gpt-image-1")
    made = client.images.generate(model="draw", prompt="a hat")
    edited = client.images.edit(model="draw", prompt="a hat", image=("a.png", SOUND, "image/png"))
    varied = client.images.create_variation(model="draw", image=("a.png", SOUND, "image/png"))
    for answer in (made, edited, varied):
        assert base64.b64decode(answer.data[0].b64_json) == picture
    assert made.usage.output_tokens == 8


def test_an_image_streams(client):
    events = list(client.images.generate(model="draw", prompt="a hat", stream=True, partial_images=2))
    assert [event.type for event in events] == ["image_generation.partial_image"] * 8 + ["image_generation.completed"]


def test_only_a_chain_of_its_own_falls_back(start_gateway, client_of, sim):
    sim.play(script(fault(provider="one", status=500)))
    client = client_of(start_gateway(chains=CHAINS))
    with pytest.raises(openai.InternalServerError):
        client.audio.speech.create(model="tts-1", voice="alloy", input="Hello")
    assert sim.total("requests", provider="two") == 0
    answer = client.audio.speech.create(model="voice", voice="alloy", input="Hello")
    assert answer.content == NOISE + text_of("two", "tts-1-hd", "two-a").encode()


def test_sound_that_breaks_off_is_an_error(start_gateway, client_of, sim):
    sim.play(script(fault(provider="one", close="mid_body")))
    client = client_of(start_gateway(chains=CHAINS))
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(model="voice", voice="alloy", input="Hello").read()


def test_a_model_is_needed(start_gateway, client_of):
    client = client_of(start_gateway(chains=CHAINS))
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="a hat")
    assert (caught.value.param, caught.value.code) == ("model", "missing_required_parameter")
    with pytest.raises(openai.NotFoundError):
        client.audio.transcriptions.create(model="nobody", file=("a.wav", SOUND))
