"""The gateways under comparison: each is started in front of the simulator with the same keys and the same fallback.

Each gets its documented way to say: two keys of one provider, then a second provider; everything else is its default. All
are ended by their own process ids. Nothing here knows the scenarios.
"""

import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Where `make compare` installs the others.
INSTALLED = ROOT / ".cache" / "compare"
sys.path.insert(0, str(ROOT / "tests" / "sdk"))
from processes import Backstop  # noqa: E402

READY_SECONDS = 120
MODEL = "gpt-4o"
OTHER_MODEL = "gpt-4o-mini"
CLIENT_KEY = "sk-of-the-comparing-client-0123456789"
KEYS = {"one-a": "sk-one-secret-aaaa", "one-b": "sk-one-secret-bbbb", "two-a": "sk-two-secret-cccc"}


def slots(sim: str) -> list[tuple[str, str]]:
    """(address, key) in the order in which they are to be tried. Each provider has a host name of its own."""
    two = sim.replace("127.0.0.1", "localhost")
    return [(f"{sim}/one/v1", KEYS["one-a"]), (f"{sim}/one/v1", KEYS["one-b"]), (f"{two}/two/v1", KEYS["two-a"])]


class Ours:
    """Backstop, with the key order and the chain of its short form."""

    title = "Backstop"
    headers: dict[str, str] = {}

    def __init__(self, sim: str, directory: pathlib.Path, port: int):
        (one, a), (_, b), (two, c) = slots(sim)
        config = directory / "backstop.json"
        providers = {
            "one": {"dialect": "openai_chat", "base_url": one, "keys": [a, b]},
            "two": {"dialect": "openai_chat", "base_url": two, "keys": [c]},
        }
        chains = {model: [f"one/{model}", f"two/{model}"] for model in (MODEL, OTHER_MODEL)}
        config.write_text(json.dumps({"providers": providers, "chains": chains}))
        command = ["serve", "--config", str(config), "--listen", f"127.0.0.1:{port}"]
        self.process = Backstop(*command, log=directory / "backstop.log")
        self.url = f"{self.process.url}/v1"

    @staticmethod
    def version() -> str:
        return "this tree"

    def end(self) -> None:
        self.process.end()


class Other:
    """A gateway that is somebody else's program."""

    headers: dict[str, str] = {}

    def run(self, command: list[str], directory: pathlib.Path, url: str, variables: dict[str, str]) -> None:
        with (directory / "log").open("wb") as log:
            environment = {**os.environ, **variables}
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + READY_SECONDS
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).read()
                return
            except OSError:
                alive = self.process.poll() is None and time.monotonic() < deadline
                assert alive, f"{command[0]} did not start:\n{(directory / 'log').read_text(errors='replace')}"
                time.sleep(0.1)

    def end(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class LiteLLM(Other):
    """LiteLLM's proxy: two deployments of one model group, and a fallback to a second group."""

    title = "LiteLLM proxy"

    def __init__(self, sim: str, directory: pathlib.Path, port: int):
        models = (MODEL, OTHER_MODEL)
        deployments = [
            {"model_name": name, "litellm_params": {"model": f"openai/{model}", "api_base": base, "api_key": key}}
            for model in models
            for name, (base, key) in zip([model, model, f"{model}-second"], slots(sim))
        ]
        fallbacks = [{model: [f"{model}-second"]} for model in models]
        config = directory / "litellm.yaml"
        # JSON is YAML.
        config.write_text(json.dumps({"model_list": deployments, "router_settings": {"fallbacks": fallbacks}}))
        command = [str(INSTALLED / "venv" / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
        # It refuses to start without a key of its own; the clients of all gateways show the same one.
        own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_MASTER_KEY": CLIENT_KEY}
        url = f"http://127.0.0.1:{port}"
        self.run([*command, "--port", str(port)], directory, f"{url}/health/liveliness", own)
        self.url = f"{url}/v1"

    @staticmethod
    def version() -> str:
        return (HERE / "requirements.txt").read_text().split("==")[1].strip()


class Portkey(Other):
    """Portkey's open gateway: a fallback strategy over three targets, in the header it reads."""

    title = "Portkey gateway"

    def __init__(self, sim: str, directory: pathlib.Path, port: int):
        targets = [{"provider": "openai", "api_key": key, "custom_host": base} for base, key in slots(sim)]
        self.headers = {"x-portkey-config": json.dumps({"strategy": {"mode": "fallback"}, "targets": targets})}
        script = INSTALLED / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
        url = f"http://127.0.0.1:{port}"
        self.run(["node", str(script), f"--port={port}", "--headless"], directory, url, {})
        self.url = f"{url}/v1"

    @staticmethod
    def version() -> str:
        return json.loads((HERE / "package.json").read_text())["dependencies"]["@portkey-ai/gateway"]
