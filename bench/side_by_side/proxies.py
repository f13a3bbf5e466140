"""The proxies under measurement: how each is configured to do the same work, and how it is started.

The work: pass a request on to one upstream over a kept connection, with the upstream's key in the place of the client's.
Owns their configurations. Refuses to know the scenarios and what is measured. nginx and haproxy log nothing for each
request, and neither does Backstop by its default.
"""

import dataclasses
import json
import os
import pathlib
from collections.abc import Callable

import packages
from children import Child, Children, free_port
from machine import Layout

ROOT = packages.ROOT
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"
BACKSTOP = TARGET / "backstop"
BENCH = TARGET / "backstop-bench"
COMPARE = ROOT / ".cache" / "compare"

KEY = "k-1"
MODEL = "gpt-4o"
# Room for the longest body: the window that the table of models knows would refuse it, and rightly.
ROOM = {"context_window": 100_000_000}
CLAUDE = "claude-sonnet-4-5"
# Clients at once. More only where thousands of streams are held: nginx fills its table at the start, so that would be in
# its idle memory.
CLIENTS = 512
# haproxy keeps no more idle connections than a fifth of the files that its limit stands for (tune.pool-low-fd-ratio).
HAPROXY_CLIENTS = 2048
# nginx and haproxy wait long, so that holding thousands of streams open on a slow machine times out nowhere.
PATIENCE = "600s"


@dataclasses.dataclass
class Place:
    """What a proxy is started with."""

    children: Children
    directory: pathlib.Path
    layout: Layout
    programs: dict[str, pathlib.Path]
    upstream: int
    overloaded: int = 0  # the port of an upstream that answers 503 only
    clients: int = CLIENTS

    def room(self, name: str) -> pathlib.Path:
        room = self.directory / name
        room.mkdir(parents=True, exist_ok=True)
        return room


@dataclasses.dataclass
class Running:
    """A proxy that may be asked."""

    child: Child
    plain: str
    stream: str
    # Its answers are the upstream's in words of its own, so they are compared by content.
    translated: bool = False
    headers: tuple[str, ...] = ()

    def url(self, shape: str) -> str:
        return self.stream if shape == "stream" else self.plain


def at(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def start_upstream(place: Place, fault: str | None = None) -> Running:
    room = place.room(f"upstream-{fault}" if fault else "upstream")
    command = [str(BENCH), "upstream", "--listen", "127.0.0.1:0", *(["--fault", fault] if fault else [])]
    child = place.children.start(command, room / "log", place.layout.others)
    url = at(child.listening())
    return Running(child, url, url)


NGINX = """
{user}worker_processes 1;
worker_rlimit_nofile {files};
daemon off;
pid {room}/pid;
error_log {room}/error.log;
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {room}/body;
    proxy_temp_path {room}/proxy;
    fastcgi_temp_path {room}/fastcgi;
    uwsgi_temp_path {room}/uwsgi;
    scgi_temp_path {room}/scgi;
    tcp_nodelay on;
    keepalive_timeout 600s;
    keepalive_requests 1000000000;
    client_max_body_size 64m;
    # No body of ours goes to the disk.
    client_body_buffer_size 16m;
    upstream model {{
        {servers}
        keepalive 512;
        keepalive_requests 1000000000;
    }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    proxy_set_header Authorization "Bearer {key}";
    proxy_read_timeout {patience};
    proxy_send_timeout {patience};
    proxy_next_upstream {again};
    server {{
        listen 127.0.0.1:{plain} backlog=4096;
        location / {{ proxy_pass http://model; }}
    }}
    server {{
        listen 127.0.0.1:{stream} backlog=4096;
        # With its buffers on, nginx holds back what a stream has to pass on at once.
        location / {{ proxy_pass http://model; proxy_buffering off; }}
    }}
}}
"""


def nginx(place: Place, failing: bool = False) -> Running:
    room = place.room("nginx-failing" if failing else "nginx")
    plain, stream = free_port(), free_port()
    servers = f"server 127.0.0.1:{place.upstream};"
    if failing:
        # `backup` keeps the good one out of the rotation, so that every request fails first; `max_fails=0` forgets it.
        servers = (
            f"server 127.0.0.1:{place.overloaded} max_fails=0; server 127.0.0.1:{place.upstream} max_fails=0 backup;"
        )
    config = room / "nginx.conf"
    text = NGINX.format(
        # A worker that drops root's rights could not enter the temporary directory.
        user="user root root;\n" if os.geteuid() == 0 else "",
        # A connection on either side, and a sixteenth more: with fewer free ones nginx resets clients that are new.
        connections=2 * place.clients * 16 // 15 + 64,
        files=2 * place.clients + 128,
        room=room,
        servers=servers,
        key=KEY,
        patience=PATIENCE,
        # A POST is tried again only where that is written down.
        again="error timeout http_503 non_idempotent" if failing else "off",
        plain=plain,
        stream=stream,
    )
    config.write_text(text)
    program = place.programs["nginx"]
    command = [str(program), "-p", str(room), "-e", str(room / "error.log"), "-c", str(config)]
    child = place.children.start(command, room / "log", place.layout.proxy, packages.variables(program))
    child.accepting(plain)
    # The master listens before it has a worker, and what serves is the worker.
    child.with_children()
    return Running(child, at(plain), at(stream))


HAPROXY = """
global
    nbthread 1
    maxconn {clients}
defaults
    mode http
    timeout connect {patience}
    timeout client {patience}
    timeout server {patience}
    timeout http-request {patience}
    option http-keep-alive
    http-reuse always
listen model
    bind 127.0.0.1:{port} backlog 4096
    maxconn {clients}
    http-request set-header Authorization "Bearer {key}"
    server upstream 127.0.0.1:{upstream}
"""


def haproxy(place: Place) -> Running:
    room = place.room("haproxy")
    port = free_port()
    config = room / "haproxy.cfg"
    text = HAPROXY.format(
        clients=max(place.clients, HAPROXY_CLIENTS), patience=PATIENCE, port=port, key=KEY, upstream=place.upstream
    )
    config.write_text(text)
    program = place.programs["haproxy"]
    command = [str(program), "-db", "-f", str(config)]
    child = place.children.start(command, room / "log", place.layout.proxy, packages.variables(program))
    child.accepting(port)
    return Running(child, at(port), at(port))


def floor(place: Place) -> Running:
    url = f"{at(place.upstream)}/v1/chat/completions"
    command = [str(BENCH), "bare", "--listen", "127.0.0.1:0", "--upstream", url]
    child = place.children.start(command, place.room("floor") / "log", place.layout.proxy)
    port = at(child.listening())
    return Running(child, port, port)


def provider(place: Place, keys: list[str], dialect: str = "openai_chat") -> dict:
    return {"dialect": dialect, "base_url": f"{at(place.upstream)}/v1", "keys": keys}


def backstop(place: Place, name: str, config: dict, workers: int = 1, translated: bool = False) -> Running:
    room = place.room(name)
    path = room / "backstop.json"
    path.write_text(json.dumps({"server": {"workers": workers}, **config}, indent=1))
    command = [str(BACKSTOP), "serve", "--config", str(path), "--listen", "127.0.0.1:0"]
    child = place.children.start(command, room / "log", place.layout.proxy)
    url = at(child.listening())
    return Running(child, url, url, translated)


def chain(place: Place, keys: list[str]) -> dict:
    return {
        "providers": {"sim": provider(place, keys)},
        "chains": {"default": [f"sim/{MODEL}"]},
        "models": {f"sim/{MODEL}": ROOM},
    }


def healthy(place: Place) -> Running:
    return backstop(place, "backstop", chain(place, [KEY, "k-2"]))


def patient(place: Place) -> Running:
    """For streams that are held: to open them all may take longer than a silence that is a stall, or that is filled."""
    return backstop(place, "backstop-patient", {**chain(place, [KEY, "k-2"]), "run": {"stall": PATIENCE, "keep_alive": PATIENCE}})


def cooling(place: Place) -> Running:
    return backstop(place, "backstop-cooling", chain(place, ["limited-1", KEY]))


def failing(place: Place) -> Running:
    """Its first target finds every request too long, which cools nothing, so every request pays for that attempt.

    The second one's window is longer, or it would not be asked.
    """
    config = chain(place, [KEY, "k-2"])
    config["providers"]["first"] = provider(place, ["toolong-1"])
    config["chains"]["default"].insert(0, f"first/{MODEL}")
    return backstop(place, "backstop-failing", config)


def translated(place: Place) -> Running:
    config = {"providers": {"sim": provider(place, [KEY, "k-2"], "anthropic")}, "chains": {"default": [f"sim/{CLAUDE}"]}}
    return backstop(place, "backstop-translated", config, translated=True)


def slots(count: int) -> Callable[[Place], Running]:
    """As many keys of one target."""
    keys = [f"k-{number}" for number in range(1, count + 1)]
    return lambda place: backstop(place, f"backstop-{count}-slots", chain(place, keys))


def two_workers(place: Place) -> Running:
    return backstop(place, "backstop-2-workers", chain(place, [KEY, "k-2"]), workers=2)


def litellm(place: Place) -> Running:
    room, port = place.room("litellm"), free_port()
    parameters = {"model": f"openai/{MODEL}", "api_base": f"{at(place.upstream)}/v1", "api_key": KEY}
    config = room / "litellm.yaml"
    # JSON is YAML.
    config.write_text(json.dumps({"model_list": [{"model_name": "default", "litellm_params": parameters}]}))
    command = [str(COMPARE / "venv" / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1"]
    # It refuses to start without a key of its own.
    own = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False", "LITELLM_MASTER_KEY": "sk-of-the-bench"}
    child = place.children.start([*command, "--port", str(port)], room / "log", place.layout.proxy, own)
    child.accepting(port)
    return Running(child, at(port), at(port), True, ("authorization: Bearer sk-of-the-bench",))


def portkey(place: Place) -> Running:
    room, port = place.room("portkey"), free_port()
    script = COMPARE / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    child = place.children.start(["node", str(script), f"--port={port}", "--headless"], room / "log", place.layout.proxy)
    child.accepting(port)
    config = {"provider": "openai", "api_key": KEY, "custom_host": f"{at(place.upstream)}/v1"}
    return Running(child, at(port), at(port), True, (f"x-portkey-config: {json.dumps(config)}",))


STARTS: dict[str, Callable[[Place], Running]] = {
    "nginx": nginx,
    "haproxy": haproxy,
    "floor": floor,
    "backstop": healthy,
    "litellm": litellm,
    "portkey": portkey,
    "nginx-failing": lambda place: nginx(place, failing=True),
    "backstop-cooling": cooling,
    "backstop-failing": failing,
    "backstop-translated": translated,
    "backstop-20-slots": slots(20),
    "backstop-200-slots": slots(200),
    "backstop-2-workers": two_workers,
    "backstop-patient": patient,
}
