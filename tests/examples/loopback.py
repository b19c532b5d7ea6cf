"""Real servers for the examples, on 127.0.0.1, and a client that sends what it is told."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple
from wsgiref.simple_server import WSGIRequestHandler, make_server

import uvicorn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from wsgiref.types import WSGIApplication

    from examples.asgi.rate_limit import App


class Answer(NamedTuple):
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        """The values of every header of this name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    @property
    def limits(self) -> dict[str, str]:
        """The headers about limits, in lower case; none may come twice."""
        named = [(key.lower(), value) for key, value in self.headers]
        found = [pair for pair in named if "ratelimit" in pair[0] or pair[0] == "retry-after"]
        assert len(dict(found)) == len(found)
        return dict(found)


class Server(NamedTuple):
    """Where a server listens."""

    port: int

    def __call__(
        self, path: str, method: str = "GET", body: bytes | None = None, **headers: str
    ) -> Answer:
        """Send one request; the path goes out as it is, `_` in names of headers as `-`."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.getheaders(), answer.read())
        finally:
            connection.close()


def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@contextmanager
def served(app: App) -> Iterator[Server]:
    """Serve an ASGI application with uvicorn."""
    config = uvicorn.Config(app, log_level="critical", ws="none", proxy_headers=False)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            end = time.monotonic() + 20
            while not server.started and thread.is_alive() and time.monotonic() < end:
                time.sleep(0.01)
            assert server.started
            yield Server(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing: what is asked here is asserted."""

    def get_environ(self) -> dict[str, str]:
        """Leave out the type of a body that this server makes up, and others do not."""
        environ = super().get_environ()
        if "content-type" not in self.headers:
            environ.pop("CONTENT_TYPE", None)
        return environ


@contextmanager
def served_wsgi(app: WSGIApplication) -> Iterator[Server]:
    """Serve a WSGI application with the standard library's server."""
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield Server(server.server_port)
        finally:
            server.shutdown()
            thread.join(20)
