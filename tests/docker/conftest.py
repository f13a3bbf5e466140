"""The image, performed once for all tests, and the containers that it would become.

RUN runs as it stands but for the profile of the optimised build: without whole-program optimisation it takes a minute
instead of many. Everything is built from nothing in a scratch folder; only downloaded crates are this machine's.

A container is the last stage's directory as root directory, its user, its environment and its commands. The libraries
that debian:bookworm-slim brings are copied in from this machine; which those may be is tested.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from dockerfile import Build, Stage, context, copy
from running import Running, ask, free_port, path_only

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())

SUDO = [] if os.geteuid() == 0 else ["sudo"]

QUICK = {
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "0",
    "CARGO_PROFILE_RELEASE_LTO": "off",
    "CARGO_PROFILE_RELEASE_CODEGEN_UNITS": "16",
    "CARGO_PROFILE_RELEASE_DEBUG": "0",
}

CLIENT_KEY = "bsk-client-key-of-the-docker-tests"
SECRETS = {"anthropic_api_key": "sk-ant-docker-aaaa", "openai_api_key": "sk-docker-oooo"}


@dataclasses.dataclass
class Image:
    build: Stage
    final: Stage

    @property
    def binary(self) -> pathlib.Path:
        return self.final.root / "usr/local/bin/backstop"


@pytest.fixture(scope="session")
def image(tmp_path_factory) -> Image:
    scratch = tmp_path_factory.mktemp("image")
    ours = ("CARGO_TARGET", "CARGO_BUILD", "CARGO_PROFILE", "RUSTFLAGS")
    env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    env.update(QUICK, CARGO_TERM_COLOR="never")
    build, final = Build(ROOT / "Dockerfile", context(ROOT, scratch / "context"), scratch, env).stages.values()
    return Image(build, final)


def libraries(binary: pathlib.Path) -> list[pathlib.Path]:
    """What the loader loads with it."""
    told = subprocess.run(["ldd", str(binary)], capture_output=True, text=True, check=True).stdout
    return [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", told)]


class Container:
    """The image's root directory, with what a service of docker-compose.yml mounts and sets."""

    def __init__(self, image: Image, service: dict, root: pathlib.Path, values: dict[str, str]):
        self.image, self.service, self.root = image.final, service, root
        shutil.copytree(image.final.root, root)
        for library in libraries(image.binary):
            copy(library.resolve(), root / str(library).lstrip("/"))
        for volume in service.get("volumes", []):
            here, there, mode = volume.split(":")
            assert mode == "ro"
            copy(ROOT / here, root / there.lstrip("/"))
        (root / "run/secrets").mkdir(parents=True)
        for name in service.get("secrets", []):
            (root / "run/secrets" / name).write_text(SECRETS[name] + "\n")
        environment = service.get("environment", {}).items()
        # As Compose does: what nobody gave is empty.
        given = {name: values.get(name, "") if value == f"${{{name}:-}}" else value for name, value in environment}
        self.port = free_port()
        self.env = {**self.image.env, **given, "BACKSTOP_SERVER__LISTEN": f"127.0.0.1:{self.port}"}
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self, *arguments: str, **more: str) -> list[str]:
        """The same as a plain command: another root directory, another user, only the container's variables."""
        variables = [f"{name}={value}" for name, value in {**path_only(), **self.env, **more}.items()]
        return [*SUDO, "env", "-i", *variables, "chroot", f"--userspec={self.image.user}", str(self.root), *arguments]

    def run(self, *arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=20)

    def start(self, ready: str = "/readyz", **more: str) -> Running:
        arguments = self.service.get("command", self.image.command)
        here = [re.sub(r"^0\.0\.0\.0:\d+$", f"127.0.0.1:{self.port}", argument) for argument in arguments]
        command = self.command(*self.image.entrypoint, *here, **more)
        return Running(command, self.root.with_suffix(".log"), self.url, ready, path_only())


@pytest.fixture
def sim(image, tmp_path):
    """Simulated providers; a POST to /script gives them another script."""
    port = free_port()
    command = [str(image.binary), "sim", "--listen", f"127.0.0.1:{port}"]
    running = Running(command, tmp_path / "sim.log", f"http://127.0.0.1:{port}", "/stats", path_only())
    yield running
    running.end()


@pytest.fixture
def container(image, tmp_path):
    """Makes the container of a service; with `client=False` Compose was not given a client's key."""

    def make(service: str, client: bool = True) -> Container:
        values = {"BACKSTOP_CLIENT_KEY_SHA256": hashlib.sha256(CLIENT_KEY.encode()).hexdigest()} if client else {}
        return Container(image, COMPOSE["services"][service], tmp_path / service, values)

    return make


@pytest.fixture
def gateway(container, sim):
    """The service `gateway`, running, in front of the simulator."""
    made = container("gateway")
    urls = {f"BACKSTOP_PROVIDERS__{name.upper()}__BASE_URL": f"{sim.url}/{name}/v1" for name in ("anthropic", "openai")}
    running = made.start(**urls)
    running.container = made
    yield running
    assert running.end() == 0, running.written()
    for secret in [CLIENT_KEY, *SECRETS.values()]:
        assert secret not in running.written(), "a secret was logged"


def chat(gateway: Running, key: str = CLIENT_KEY):
    body = {"model": "default", "messages": [{"role": "user", "content": "Hello"}]}
    return ask(f"{gateway.url}/v1/chat/completions", body, authorization=f"Bearer {key}")
