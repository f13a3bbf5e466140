"""The Dockerfile's steps, and what comes out of them."""

import re
import shutil

import pytest

from conftest import ROOT, SECRETS, chat, libraries
from dockerfile import Build, NotUnderstood, context
from running import ask

# What debian:bookworm-slim has without installing anything: libc6 and libgcc-s1.
IN_THE_BASE = re.compile(r"libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|ld-linux-[\w-]+\.so\.\d")


def compiled(output: str) -> set[str]:
    return set(re.findall(r"^\s*Compiling (\S+) v", output, re.MULTILINE))


def test_dependencies_are_a_layer_that_lasts_until_a_manifest_changes(image):
    dependencies, program = image.build.steps
    assert dependencies.copied == ["Cargo.toml", "Cargo.lock", "bench/Cargo.toml", "memory"]
    assert {"tokio", "hyper", "ring", "backstop"} <= compiled(dependencies.output)
    assert compiled(program.output) == {"backstop"}, program.output


def test_the_image_has_the_binary_certificates_and_a_configuration(image):
    assert image.final.files() == {
        "/usr/local/bin/backstop",
        "/etc/ssl/certs/ca-certificates.crt",
        "/etc/backstop/backstop.json5",
    }
    assert (image.final.root / "etc/backstop/backstop.json5").read_text() == (ROOT / "config/compose.json5").read_text()
    assert "BEGIN CERTIFICATE" in (image.final.root / "etc/ssl/certs/ca-certificates.crt").read_text()
    assert image.binary.stat().st_mode & 0o777 == 0o755


def test_the_binary_needs_no_library_that_the_base_lacks(image):
    names = [library.name for library in libraries(image.binary)]
    assert names and all(IN_THE_BASE.fullmatch(name) for name in names), names


def test_it_is_not_root(image):
    user, group = image.final.user.split(":")
    # Numbers, so that Kubernetes' runAsNonRoot can tell.
    assert int(user) >= 1000 and int(group) >= 1000


def test_base_images_are_the_promised_ones(image):
    assert (image.build.base, image.final.base) == ("rust:1-slim-bookworm", "debian:bookworm-slim")


def test_the_container_serves_is_healthy_and_ends_on_sigterm(gateway, sim):
    assert chat(gateway).status == 200
    health = gateway.container.run(*gateway.container.image.health)
    assert health.returncode == 0, health.stderr
    assert gateway.end() == 0
    health = gateway.container.run(*gateway.container.image.health)
    assert health.returncode == 1, "nobody listens any more"


def test_secrets_are_read_from_their_files(gateway, sim):
    refused = {"rules": [{"match": {"provider": "anthropic"}, "fault": {"status": 401}}]}
    assert ask(f"{sim.url}/script", refused).status == 200
    answer = chat(gateway)
    assert (answer.status, answer.headers["x-backstop-provider"]) == (200, "openai")
    # The simulator answers with the end of the key that it was sent.
    assert f"...{SECRETS['openai_api_key'][-4:]}" in answer.json()["choices"][0]["message"]["content"]
    slots = ask(f"{sim.url}/stats").json()["slots"]
    assert [(slot["provider"], slot["requests"]) for slot in slots] == [("anthropic", 1), ("openai", 1)]


def test_clients_need_their_key(gateway):
    assert chat(gateway, key="another").status == 401
    assert chat(gateway).status == 200


def test_it_does_not_start_without_a_client_key(container):
    made = container("gateway", client=False)
    ended = made.run(*made.image.entrypoint, *made.image.command)
    assert ended.returncode == 2
    assert "BACKSTOP_CLIENT_KEY_SHA256" in ended.stderr


def test_it_does_not_start_without_a_secret_that_is_named(container):
    made = container("gateway")
    (made.root / "run/secrets/openai_api_key").unlink()
    ended = made.run(*made.image.entrypoint, *made.image.command)
    assert ended.returncode == 2
    assert "/run/secrets/openai_api_key" in ended.stderr


def test_the_demo_shows_a_failover_without_any_key(container):
    made = container("demo")
    simulator = container("simulator").start(ready="/stats")
    urls = {name: value.replace("http://simulator:9100", simulator.url) for name, value in made.env.items()}
    # The address of the container, which it would refuse if anonymous clients were not allowed.
    urls["BACKSTOP_SERVER__LISTEN"] = f"0.0.0.0:{made.port}"
    try:
        demo = made.start(**urls)
        try:
            first, second = chat(demo, key="none"), chat(demo, key="none")
        finally:
            code = demo.end()
    finally:
        simulator.end()
    assert first.status == 200, first.body
    primary, backup = first.headers["x-backstop-trail"].split(", ")
    assert primary.endswith("@Primary=rate_limit:429") and backup.endswith("@Backup=ok:200")
    assert (second.status, second.headers["x-backstop-attempts"]) == (200, "1")
    assert code == 0, demo.written()


def test_nothing_secret_or_built_is_sent_to_the_builder(tmp_path):
    source = tmp_path / "source"
    for name in ["Cargo.toml", "Cargo.lock", "bench/Cargo.toml", "memory/src/lib.rs", "src/main.rs", "config/compose.json5"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    sent = {path.relative_to(source) for path in source.rglob("*") if path.is_file()}
    for name in ["secrets/openai_api_key", ".env", ".git/config", "target/release/backstop", "bench/src/lib.rs"]:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()
    shutil.copy(ROOT / ".dockerignore", source)
    target = context(source, tmp_path / "context")
    assert {path.relative_to(target) for path in target.rglob("*") if path.is_file()} == sent


@pytest.mark.parametrize(
    "text, error",
    [
        ("FROM rust:1-slim-bookworm\nCOPY missing .", FileNotFoundError),
        ("FROM rust:1-slim-bookworm\nADD src src", NotUnderstood),
        ("FROM rust:1-slim-bookworm\nRUN cat /etc/hostname", NotUnderstood),
        ("FROM rust:1-slim-bookworm\nRUN false", RuntimeError),
        ("FROM alpine", NotUnderstood),
    ],
)
def test_a_broken_dockerfile_is_noticed(tmp_path, text, error):
    (tmp_path / "files").mkdir()
    (tmp_path / "Dockerfile").write_text(text + "\n")
    with pytest.raises(error):
        Build(tmp_path / "Dockerfile", tmp_path / "files", tmp_path, {"PATH": "/usr/bin:/bin"})
