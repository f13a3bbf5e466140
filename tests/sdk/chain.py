"""The article's four-level chain in front of the simulator, with levels broken one after the other.

Level n answers when those before it are broken, each in its vendor's own way. Clients see the same meaning at every
level: what the simulator answers differs in who it says it is, and in nothing else.
"""

import dataclasses
import hashlib
import json
import pathlib

from conftest import CHUNKS, CLIENT_KEY, said
from processes import Backstop, Sim


@dataclasses.dataclass(frozen=True)
class Level:
    provider: str
    model: str
    # What the simulator takes for the key: at Bedrock the id of an access key.
    key: str
    # How its vendor fails when it is broken, and what that is called.
    fault: dict
    kind: str

    @property
    def target(self) -> str:
        return f"{self.provider}/{self.model}"

    @property
    def text(self) -> str:
        return said(self.provider, self.model, self.key)


AWS_SECRET = "the-secret-that-signs-in-the-chain"
LEVELS = [
    Level("anthropic", "claude-opus-4-5", "sk-ant-of-the-chain-1111", {"status": 529}, "overloaded:529"),
    Level(
        "bedrock",
        "anthropic.claude-3-5-sonnet-20241022-v2:0",
        "AKIAOFTHECHAINSL2222",
        {"status": 429},
        "rate_limit:429",
    ),
    Level("openai", "gpt-4o", "sk-openai-of-the-chain-3333", {"status": 401}, "auth:401"),
    Level("openrouter", "anthropic/claude-3.5-sonnet", "sk-or-of-the-chain-4444", {"status": 402}, "billing:402"),
]


def broken(levels: int) -> dict:
    """The script in which so many levels fail."""
    rules = [{"match": {"provider": level.provider}, "fault": level.fault} for level in LEVELS[:levels]]
    return {"rules": rules, "chunks": CHUNKS}


def config(sim: Sim) -> dict:
    """The chain `default`, and each level alone under its provider's name."""
    providers = {level.provider: {"base_url": f"{sim.url}/{level.provider}/v1", "keys": [level.key]} for level in LEVELS}
    key = {"access_key_id": LEVELS[1].key, "secret_access_key": AWS_SECRET}
    providers["bedrock"] = {"base_url": f"{sim.url}/bedrock", "region": "us-east-1", "keys": [key]}
    return {
        "server": {"client_keys": [{"name": "tests", "sha256": hashlib.sha256(CLIENT_KEY.encode()).hexdigest()}]},
        "providers": providers,
        "chains": {
            "default": [level.target for level in LEVELS],
            **{level.provider: [level.target] for level in LEVELS},
        },
        "run": {"same_target_wait": 0, "retry_pause_min": "1ms", "retry_pause_max": "2ms"},
    }


def start(sim: Sim, directory: pathlib.Path) -> Backstop:
    path = directory / "chain.json5"
    path.write_text(json.dumps(config(sim)))
    return Backstop("serve", "--config", str(path), "--listen", "127.0.0.1:0", log=directory / "chain.log")


def end(gateway: Backstop) -> None:
    gateway.end()
    for secret in [CLIENT_KEY, AWS_SECRET, *(level.key for level in LEVELS)]:
        assert secret not in gateway.written(), "a secret was logged"
