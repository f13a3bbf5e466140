"""AsyncOpenAI: the same answers, many at once, and none lost while a key fails."""

import asyncio

import openai
import pytest

from conftest import fault, script, text_of

HELLO = [{"role": "user", "content": "Hello"}]
MANY = 50

# Broken connections cool an endpoint, whichever key they were for: another provider may answer then.
ONE_B = {text_of("one", "gpt-4o", "one-b")}
TWO_A = {text_of("two", "gpt-4o-mini", "two-a")}
FAILING = {
    "401": ({"status": 401}, ONE_B),
    "402": ({"status": 402}, ONE_B),
    "429": ({"status": 429, "retry_after": 30}, ONE_B),
    "500": ({"status": 500}, ONE_B),
    "overloaded in a 200": ({"error_in_200": 529}, ONE_B),
    "reset": ({"reset": "before_headers"}, ONE_B | TWO_A),
    "close after headers": ({"close": "after_headers"}, ONE_B | TWO_A),
}


async def whole(client: openai.AsyncOpenAI, model: str, stream: bool) -> str:
    """The text of one answer, which must have ended well."""
    answer = await client.chat.completions.create(model=model, messages=HELLO, stream=stream)
    if not stream:
        assert answer.choices[0].finish_reason == "stop"
        return answer.choices[0].message.content
    text, finish = "", None
    async for chunk in answer:
        for choice in chunk.choices:
            text += choice.delta.content or ""
            finish = choice.finish_reason or finish
    assert finish == "stop"
    return text


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize("name", FAILING)
def test_none_of_many_fails_while_a_key_does(gateway, async_client_of, sim, name, stream):
    what, expected = FAILING[name]
    sim.play(script(fault(key="one-a", **what)))

    async def run() -> list[str]:
        async with async_client_of(gateway) as client:
            return await asyncio.gather(*(whole(client, "backup", stream) for _ in range(MANY)))

    texts = asyncio.run(run())
    assert len(texts) == MANY
    assert set(texts) <= expected
    assert sim.total("requests", key="one-a") >= 1


def test_none_of_many_fails_on_a_flaky_provider(gateway, async_client_of, sim):
    flaky = fault(provider="one", status=503)
    flaky["when"] = {"probability": 0.3, "seed": 7}
    sim.play(script(flaky))

    async def run() -> list[str]:
        async with async_client_of(gateway) as client:
            return await asyncio.gather(*(whole(client, "backup", n % 2 == 0) for n in range(2 * MANY)))

    known = {text_of("one", "gpt-4o", "one-a")} | ONE_B | TWO_A
    assert set(asyncio.run(run())) <= known


def test_the_other_endpoints(gateway, async_client_of, sim):
    sim.play(script(fault(key="one-a", status=401)))

    async def run() -> None:
        async with async_client_of(gateway) as client:
            listed = [model.id async for model in client.models.list()]
            assert "backup" in listed
            embedded = await client.embeddings.create(model="embed", input=["a", "b", "c"])
            assert [item.index for item in embedded.data] == [0, 1, 2]
            judged = await client.moderations.create(model="moderate", input="Hello")
            assert judged.results[0].flagged is False
            completed = await client.completions.create(model="legacy", prompt="Say")
            assert completed.choices[0].text == text_of("one", "gpt-3.5-turbo-instruct", "one-b")

    asyncio.run(run())


def test_errors_have_the_same_types(gateway, async_client_of, sim):
    sim.play(script(fault(status=429, retry_after=30)))

    async def run() -> None:
        async with async_client_of(gateway) as client:
            with pytest.raises(openai.RateLimitError):
                await whole(client, "default", False)
            with pytest.raises(openai.NotFoundError):
                await whole(client, "no-such-model", True)
        async with async_client_of(gateway, api_key="wrong") as client:
            with pytest.raises(openai.AuthenticationError):
                await whole(client, "default", False)

    asyncio.run(run())


def test_a_cancelled_task_cancels_the_upstream(gateway, async_client_of, sim):
    sim.play(script(fault(hang="before_headers")))

    async def run() -> None:
        async with async_client_of(gateway) as client:
            task = asyncio.create_task(whole(client, "default", False))
            await asyncio.to_thread(sim.wait_for, "in_flight", 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await asyncio.to_thread(sim.wait_for, "cancelled", 1)

    asyncio.run(run())
