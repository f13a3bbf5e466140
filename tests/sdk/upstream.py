"""An upstream whose answers a test decides, and that keeps what it was asked, byte for byte.

It serves HTTP/1.1 on a free port of the loopback address. Nothing here knows the gateway or a vendor.
"""

import collections.abc
import dataclasses
import http.server
import threading


@dataclasses.dataclass
class Asked:
    """One request as it came: header names in lower case, the path as it was sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclasses.dataclass
class Answer:
    """What is answered; `pieces` are sent one by one, chunked, so that a stream is one."""

    status: int = 200
    headers: dict[str, str] = dataclasses.field(default_factory=dict)
    body: bytes = b""
    pieces: list[bytes] | None = None


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        asked = Asked(self.command, self.path, headers, self.rfile.read(length))
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.pieces is None:
            self.send_header("content-length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)
            return
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for piece in [piece for piece in answer.pieces if piece] + [b""]:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, *_) -> None:
        pass


class Upstream:
    """A running upstream; `answer` is asked for each request."""

    def __init__(self, answer: collections.abc.Callable[[Asked], Answer]):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.answer = answer
        self._server.asked = []
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def asked(self) -> list[Asked]:
        return self._server.asked

    def last(self) -> Asked:
        return self._server.asked[-1]

    def end(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
