"""docker-compose.yml: accepted by Compose, and what it promises about keys, ports and privileges."""

import re
import shutil
import subprocess

import pytest
import yaml

from conftest import COMPOSE, ROOT
from running import path_only

SERVICES = COMPOSE["services"]
EVERY = pytest.mark.parametrize("name", SERVICES)
OURS = pytest.mark.parametrize("name", ["gateway", "demo"])


def compose() -> list[str]:
    """The plugin where it is, else Debian's docker-compose; neither needs an engine for `config`."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True) if shutil.which("docker") else None
    if plugin and plugin.returncode == 0:
        return ["docker", "compose"]
    assert shutil.which("docker-compose"), "no Compose: make install-tools"
    return ["docker-compose"]


def resolved(text: str | None = None, directory=ROOT, **variables: str) -> subprocess.CompletedProcess:
    """`config` of the file, or of another text in a directory."""
    command = [*compose(), "--profile", "demo", "--file", "-" if text else "docker-compose.yml", "config"]
    env = {**path_only(), "HOME": str(directory), **variables}
    return subprocess.run(command, input=text, cwd=directory, env=env, capture_output=True, text=True)


def published(port: str | dict) -> tuple[str, str]:
    """Where a resolved port is published: address and port. The first Compose writes a string, the second a map."""
    if isinstance(port, dict):
        return port["host_ip"], str(port["published"])
    return tuple(port.split(":")[:2])


def seconds(period: str) -> int:
    return int(re.fullmatch(r"(\d+)s", period)[1])


def test_compose_accepts_it():
    done = resolved()
    assert done.returncode == 0, done.stderr
    assert set(yaml.safe_load(done.stdout)["services"]) == set(SERVICES)


@pytest.mark.parametrize(
    "good, bad",
    [
        ("read_only:", "readonly:"),
        ("condition: service_healthy", "condition: service_well"),
        ("- prometheus:/prometheus", "- promotheus:/prometheus"),
    ],
)
def test_compose_refuses_mistakes(good, bad):
    text = (ROOT / "docker-compose.yml").read_text()
    assert good in text
    assert resolved(text.replace(good, bad)).returncode != 0


def test_ports_are_published_on_the_loopback_only():
    services = yaml.safe_load(resolved().stdout)["services"]
    open_ones = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert {name: [published(port) for port in ports] for name, ports in open_ones.items()} == {
        "gateway": [("127.0.0.1", "8080")],
        "prometheus": [("127.0.0.1", "9090")],
        "demo": [("127.0.0.1", "8080")],
    }


def test_the_demo_stays_on_the_loopback_wherever_the_gateway_is_published():
    done = resolved(BACKSTOP_BIND="0.0.0.0", BACKSTOP_PORT="81")
    services = yaml.safe_load(done.stdout)["services"]
    assert published(services["gateway"]["ports"][0]) == ("0.0.0.0", "81")
    assert published(services["demo"]["ports"][0]) == ("127.0.0.1", "81")


def test_the_client_key_reaches_the_gateway_and_nobody_else():
    done = resolved(BACKSTOP_CLIENT_KEY_SHA256="ab" * 32)
    services = yaml.safe_load(done.stdout)["services"]
    assert services["gateway"]["environment"] == {"BACKSTOP_CLIENT_KEY_SHA256": "ab" * 32}
    assert not any("CLIENT_KEY" in str(services[name]) for name in services.keys() - {"gateway"})
    # The configuration needs exactly this: unset, the gateway does not start (test_image.py).
    config = (ROOT / "config/compose.json5").read_text()
    assert re.findall(r"\$\{(\w+)[^}]*\}", config) == ["BACKSTOP_CLIENT_KEY_SHA256"]


def test_secrets_are_files_that_git_and_the_builder_never_see():
    wanted = re.findall(r"file:/run/secrets/(\w+)", (ROOT / "config/compose.json5").read_text())
    assert SERVICES["gateway"]["secrets"] == wanted
    assert COMPOSE["secrets"] == {name: {"file": f"./secrets/{name}"} for name in wanted}
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/secrets/" in ignored and "/.env" in ignored


def test_the_demo_has_no_secret_and_needs_nothing():
    demo = {name: service for name, service in SERVICES.items() if service.get("profiles") == ["demo"]}
    assert demo.keys() == {"demo", "simulator"} == {"demo", *SERVICES["demo"]["depends_on"]}
    assert not any(service.keys() & {"secrets", "env_file"} for service in demo.values())
    # Its keys are the simulator's, and every address is: nothing leaves.
    variables = SERVICES["demo"]["environment"]
    keys = {name: value for name, value in variables.items() if "KEY" in name}
    config = (ROOT / "config/article.json5").read_text()
    assert keys.keys() == set(re.findall(r"\$\{(\w+)\}", config))
    assert all(value.startswith("sim-") for value in keys.values())
    vendors = {name.split("_")[0].replace("AWS", "BEDROCK") for name in keys}
    assert {f"BACKSTOP_PROVIDERS__{vendor}__BASE_URL" for vendor in vendors} < variables.keys()
    assert all(value.startswith("http://simulator:9100/") for name, value in variables.items() if name.endswith("URL"))
    # Compose fills in every variable of the file, also for services that are not started: none may be required.
    assert ":?" not in re.sub(r"#.*", "", (ROOT / "docker-compose.yml").read_text())


def test_each_image_has_one_build_and_is_never_pulled():
    built = {name: service["image"] for name, service in SERVICES.items() if "build" in service}
    assert built == {"gateway": "backstop", "demo": "backstop-demo"}
    assert SERVICES["simulator"]["image"] == built["demo"]
    assert [SERVICES[name]["pull_policy"] for name in ("gateway", "demo", "simulator")] == ["build", "build", "never"]


def test_gateway_and_prometheus_need_no_profile():
    assert [name for name, service in SERVICES.items() if "profiles" not in service] == ["gateway", "prometheus"]


@EVERY
def test_containers_are_hardened(name):
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert int(service["user"].split(":")[0]) >= 1000
    assert not service.keys() & {"privileged", "cap_add", "network_mode", "pid", "devices"}
    assert all(volume.endswith(":ro") for volume in service.get("volumes", []) if volume.startswith("."))
    assert "max-size" in service["logging"]["options"]


@pytest.mark.parametrize("name", ["gateway", "prometheus", "demo"])
def test_health_is_checked(name):
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("name", ["gateway", "prometheus"])
def test_what_runs_for_long_comes_back(name):
    assert SERVICES[name]["restart"] == "unless-stopped"


@OURS
def test_the_healthcheck_and_the_user_are_the_images(name, image):
    check = SERVICES[name]["healthcheck"]
    assert check["test"][1:] == image.final.health
    assert {"interval", "timeout", "start-period", "retries"} == image.final.health_options.keys()
    assert all(str(check[key.replace("-", "_")]) == value for key, value in image.final.health_options.items())
    assert SERVICES[name]["user"] == image.final.user


@OURS
def test_open_answers_may_end_before_docker_kills(name):
    drain = re.search(r'drain: "(\w+)"', (ROOT / "config/backstop.json5").read_text())[1]
    assert seconds(SERVICES[name]["stop_grace_period"]) > seconds(drain)


def test_prometheus_is_pinned_and_waits_for_the_gateway():
    prometheus = SERVICES["prometheus"]
    assert re.fullmatch(r"prom/prometheus:v\d+\.\d+\.\d+", prometheus["image"])
    assert prometheus["depends_on"] == {"gateway": {"condition": "service_healthy"}}
    config = yaml.safe_load((ROOT / "config/prometheus.yml").read_text())
    [job] = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["gateway:8080"]}]
    mounted = [volume.split(":")[0] for volume in prometheus["volumes"]]
    assert mounted == ["./config/prometheus.yml", "./config/alerts.yml", "prometheus"]


def test_what_is_mounted_is_there():
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (ROOT / volume.split(":")[0]).is_file(), volume
