"""What is measured, as data: which load on which proxies, on which cores, and beside whom.

Refuses to know how any of it is done, and what is good enough: that is targets.py.
"""

import dataclasses

KB, MB = 1000, 1000_000
SMALL_BODY = 1 * KB
CONTENTS = 64

# Contenders of the ordinary scenarios. `direct` is the load at the upstream with nothing between.
OURS = "backstop"
BASE = "nginx"
DIRECT = "direct"
OPTIONAL = ("litellm", "portkey")
EVERYONE = (DIRECT, BASE, "haproxy", "floor", OURS, *OPTIONAL)
TITLES = {
    DIRECT: "no proxy",
    BASE: "nginx",
    "haproxy": "haproxy",
    "floor": "floor (a bare hyper proxy)",
    OURS: "Backstop",
    "litellm": "LiteLLM proxy",
    "portkey": "Portkey gateway",
    "nginx-failing": "nginx, first upstream fails",
    "backstop-cooling": "Backstop, first key cools",
    "backstop-failing": "Backstop, first attempt fails",
    "backstop-translated": "Backstop, translating",
    "backstop-20-slots": "Backstop, 20 slots",
    "backstop-200-slots": "Backstop, 200 slots",
    "backstop-2-workers": "Backstop, 2 workers",
}


def family(contender: str) -> str:
    """The proxy that a contender is a configuration of: what --proxies names."""
    return contender.split("-")[0]


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    connections: int
    shape: str = "plain"
    body: int = SMALL_BODY


@dataclasses.dataclass(frozen=True)
class Group:
    """Scenarios with the same proxies on the same cores: these are started once, and stay."""

    name: str
    layout: str
    contenders: tuple[str, ...]
    baseline: str
    scenarios: tuple[Scenario, ...]


# What is compared with ourselves is measured on one core, where a few percent can be told apart.
GROUPS = (
    Group(
        "pass",
        "two",
        EVERYONE,
        BASE,
        (
            Scenario("plain-c16", "plain, c = 16", 16),
            Scenario("plain-c64", "plain, c = 64", 64),
            Scenario("plain-c256", "plain, c = 256", 256),
            # Fewer connections for longer bodies: all of them at once would measure the machine's caches.
            Scenario("body-100k", "100 KB body, c = 16", 16, body=100 * KB),
            Scenario("body-1m", "1 MB body, c = 4", 4, body=1 * MB),
            Scenario("body-10m", "10 MB body, c = 2", 2, body=10 * MB),
            Scenario("stream-c16", "stream of 64, c = 16", 16, shape="stream"),
            Scenario("stream-c64", "stream of 64, c = 64", 64, shape="stream"),
        ),
    ),
    Group(
        "one-core",
        "one",
        EVERYONE,
        BASE,
        (
            Scenario("plain-c1", "plain, c = 1, one core", 1),
            Scenario("stream-c1", "stream of 64, c = 1, one core", 1, shape="stream"),
        ),
    ),
    Group(
        "cooling",
        "one",
        (OURS, "backstop-cooling"),
        OURS,
        (Scenario("cooling", "first key cools, plain, c = 1, one core", 1),),
    ),
    Group(
        "failing",
        "one",
        (DIRECT, BASE, "nginx-failing", OURS, "backstop-failing"),
        BASE,
        (Scenario("failing", "first attempt fails, plain, c = 1, one core", 1),),
    ),
    Group(
        "translated",
        "one",
        (OURS, "backstop-translated"),
        OURS,
        (
            Scenario("translated-plain", "translated, plain, c = 1, one core", 1),
            Scenario("translated-stream", "translated, stream of 64, c = 1, one core", 1, shape="stream"),
        ),
    ),
    Group(
        "slots",
        "one",
        (OURS, "backstop-20-slots", "backstop-200-slots"),
        OURS,
        (Scenario("slots", "2, 20, 200 slots, plain, c = 1, one core", 1),),
    ),
    Group(
        "workers",
        "all",
        (OURS, "backstop-2-workers"),
        OURS,
        (Scenario("workers", "1 and 2 workers, plain, c = 64", 64),),
    ),
)

# Measured without a load of requests.
MEMORY, START, BINARY = "memory", "start", "binary"
RESTING = {
    MEMORY: "memory: idle, 1,000 and 10,000 open streams, after the load",
    START: "from spawn to ready",
    BINARY: "size of the stripped binary",
}
RESTED = (BASE, "haproxy", "floor", OURS)
STREAMS = (1_000, 10_000)


def names() -> dict[str, str]:
    """Every scenario's name and title, in the order in which they are measured."""
    return {one.name: one.title for group in GROUPS for one in group.scenarios} | RESTING
