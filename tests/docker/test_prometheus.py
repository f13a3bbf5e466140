"""The real Prometheus with our configuration and alerts, scraping a gateway."""

import os
import re
import shutil
import subprocess
import urllib.parse

import pytest
import yaml

from conftest import COMPOSE, ROOT, chat
from running import Running, ask, free_port, path_only, until

FETCHED = ROOT / ".cache/prometheus/usr/bin"
# What the container's health is asked at; here it says when Prometheus is ready.
READY = urllib.parse.urlparse(COMPOSE["services"]["prometheus"]["healthcheck"]["test"][-1]).path
ALERTS = yaml.safe_load((ROOT / "config/alerts.yml").read_text())["groups"][0]["rules"]


def tool(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:{FETCHED}")
    assert found, f"no {name}: make install-tools"
    return found


def promtool(*arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run([tool("promtool"), *arguments], cwd=ROOT, capture_output=True, text=True)


class Prometheus(Running):
    def query(self, expression: str) -> list[tuple[dict, float]]:
        """The samples of an expression now: labels and value."""
        answer = ask(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}").json()
        assert answer["status"] == "success", answer
        return [(row["metric"], float(row["value"][1])) for row in answer["data"]["result"]]

    def wait_for(self, expression: str) -> list[tuple[dict, float]]:
        """Waits until an expression has samples."""
        return until(lambda: f"never: {expression}\n{self.written()[-3000:]}", lambda: self.query(expression))


@pytest.fixture
def prometheus(gateway, tmp_path):
    """Prometheus with our two files as they are, but for the target's address and the pace."""
    home = tmp_path / "prometheus"
    home.mkdir()
    for name in ["prometheus.yml", "alerts.yml"]:
        text = (ROOT / "config" / name).read_text()
        text = text.replace("gateway:8080", gateway.url.removeprefix("http://"))
        text = text.replace("interval: 15s", "interval: 1s")
        (home / name).write_text(text)
    port = free_port()
    command = [tool("prometheus"), f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    running = Prometheus(command, tmp_path / "prometheus.log", f"http://127.0.0.1:{port}", READY, path_only())
    yield running
    running.end()


def test_configuration_and_alerts_are_valid():
    done = promtool("check", "config", "config/prometheus.yml")
    assert done.returncode == 0, done.stderr
    assert f"{len(ALERTS)} rules found" in done.stdout


def test_each_alert_fires_when_it_should_and_only_then():
    done = promtool("test", "rules", "tests/docker/alerts.test.yml")
    assert done.returncode == 0, done.stderr + done.stdout
    tested = yaml.safe_load((ROOT / "tests/docker/alerts.test.yml").read_text())["tests"]
    fired = [check["alertname"] for test in tested for check in test["alert_rule_test"] if check["exp_alerts"]]
    assert sorted(fired) == sorted(rule["alert"] for rule in ALERTS)


def test_the_rule_tests_can_fail(tmp_path):
    text = (ROOT / "tests/docker/alerts.test.yml").read_text().replace("../../config", str(ROOT / "config"))
    (tmp_path / "broken.yml").write_text(text.replace("instance: a, provider: one", "instance: a, provider: two"))
    assert promtool("test", "rules", str(tmp_path / "broken.yml")).returncode != 0


def test_alerts_name_series_that_the_gateway_has(gateway):
    exposed = ask(f"{gateway.url}/metrics")
    # Prometheus 3 refuses what it is not told the format of.
    assert exposed.headers["content-type"].startswith("text/plain; version=0.0.4")
    documented = set(re.findall(r"^\| `(backstop_\w+)`", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE))
    named = {name for rule in ALERTS for name in re.findall(r"backstop_\w+", rule["expr"])}
    assert named and named <= documented


def test_series_arrive_and_alerts_see_them(gateway, sim, prometheus):
    refused = {"rules": [{"match": {"provider": "anthropic"}, "fault": {"status": 401}}]}
    assert ask(f"{sim.url}/script", refused).status == 200
    for _ in range(3):
        assert chat(gateway).status == 200
    [(labels, _)] = prometheus.wait_for('up{job="backstop"} == 1')
    assert labels["instance"] == gateway.url.removeprefix("http://")
    [(labels, count)] = prometheus.wait_for("backstop_requests_total > 0")
    assert (labels["endpoint"], labels["status"], count) == ("chat", "200", 3)
    [(labels, _)] = prometheus.wait_for("backstop_failovers_total > 0")
    assert (labels["from"], labels["to"], labels["kind"]) == ("anthropic/claude-opus-4-5", "openai/gpt-4o", "auth")

    # The dead key is on its way to an alert, and nothing else is.
    [(labels, _)] = prometheus.wait_for('ALERTS{alertname="BackstopProviderRefused"}')
    assert labels["provider"] == "anthropic"
    assert {labels["alertname"] for labels, _ in prometheus.query("ALERTS")} <= {
        "BackstopProviderRefused",
        "BackstopManyFailovers",
    }
    rules = ask(f"{prometheus.url}/api/v1/rules").json()["data"]["groups"][0]["rules"]
    assert [(rule["name"], rule["health"]) for rule in rules] == [(rule["alert"], "ok") for rule in ALERTS]

    assert gateway.end() == 0
    prometheus.wait_for('ALERTS{alertname="BackstopDown"}')
