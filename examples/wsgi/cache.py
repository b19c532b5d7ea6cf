"""Whole responses from a cache, as WSGI (PEP 3333) middleware, for any framework or none.

```python
app = CacheMiddleware(app, MemoryCache(), HttpCacheOptions())
```

Wrap it inside of what knows who calls (rate limits, tokens), so that a refusal is not kept and a
hit is not free of it; whom the server or what stands before this has authenticated is known by
`REMOTE_USER`, `AUTH_TYPE` and `SSL_CLIENT_VERIFY`. Of many who ask the same at once, one reaches the application; if its
answer turns out to be for itself alone, the others are let through too.
"""

from __future__ import annotations

import io
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from examples.http_cache_rules import PASS, HttpCacheOptions, ServerError
from socialflow_core.cache import (
    RESPONSE,
    SAFE_METHODS,
    Cache,
    CacheRequest,
    StoredResponse,
    http_key,
    http_tag,
    why_not_asked,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

__all__ = ["CacheMiddleware"]

_FIRST_ERROR = 400


class CacheMiddleware:
    """Answers GET requests to *app* from *cache*."""

    def __init__(self, app: WSGIApplication, cache: Cache, options: HttpCacheOptions) -> None:
        self._app = app
        self._cache = cache
        self._options = options

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer for the application, or let it answer."""
        request = _request(environ)
        reason = why_not_asked(request, self._options.http)
        if not reason:
            return self._look(request, environ, start_response)
        fwd = "method" if reason == "method" else "bypass"
        telling = _telling(self._options.status(fwd=fwd, detail=reason), start_response)
        if request.method not in SAFE_METHODS:
            telling = self._dropping(request, telling)
        return self._app(environ, telling)

    def _dropping(self, request: CacheRequest, start_response: StartResponse) -> StartResponse:
        """Forget what is kept of a target before its change is confirmed (RFC 9111, 4.4)."""

        def dropping(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
        ) -> Callable[[bytes], object]:
            if int(status[:3]) < _FIRST_ERROR:
                self._cache.invalidate_tags(http_tag(request))
            return start_response(status, headers, exc_info)

        return dropping

    def _look(
        self, request: CacheRequest, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        options, client, runs = self._options, _Client(), list[_Run]()

        def compute() -> StoredResponse:
            runs.append(_Run(client, request, options))
            return runs[-1].respond(self._app, environ)

        mine: _Run | None = None
        cached, passes = None, False
        try:
            cached = self._cache.lookup(
                http_key(request, options.http),
                compute,
                ttl=partial(options.lifetime, request),
                tags=options.all_tags(request),
                codec=RESPONSE,
                policy=options.policy,
            )
            passes = cached.value == PASS
        except ServerError:  # and nothing older is at hand: it is answered as it is
            passes = True
        finally:
            if passes:
                mine = next((run for run in runs if run.is_private), None)
            client.is_gone = True
            for run in runs:
                if run.is_private and run is not mine:
                    run.close()
        if cached and not passes:
            return _send(options.answer(request, cached, is_mine=bool(runs)), start_response)
        telling = _telling(options.status(fwd="miss"), start_response)
        return mine.go_on(telling) if mine else self._app(environ, telling)


class _Client:
    """Who asked; while it is there, an application may turn out to need it."""

    def __init__(self) -> None:
        self.is_gone = False


class _Run:
    """One run of the application; an iterable of what is left of it, if it is not for all."""

    def __init__(self, client: _Client, request: CacheRequest, options: HttpCacheOptions) -> None:
        self._client = client
        self._request = request
        self._options = options
        self._start: tuple[str, list[tuple[str, str]]] | None = None
        self._may_be_kept = True
        self._parts: list[bytes] = []
        self._size = 0
        self._iterable: Iterable[bytes] = ()
        self._rest: Iterator[bytes] = iter(())
        self._write: Callable[[bytes], object] = self._hold
        self._has_gone_on = False
        self.is_private = False

    def respond(self, app: WSGIApplication, environ: WSGIEnvironment) -> StoredResponse:
        """The response for everybody, or `PASS` if it is not for everybody."""
        asked = {**environ, "wsgi.input": io.BytesIO()}
        try:
            self._iterable = app(asked, self._hear)
            self._rest = iter(self._iterable)
            whole = self._whole()
        except BaseException:
            self.close()
            raise
        self.is_private = whole is None
        if whole is None:
            if self._client.is_gone:  # it was computed for whoever comes next
                self.close()
            if self._start and self._options.is_error(int(self._start[0][:3])):
                raise ServerError(self._start[0])
            return PASS
        self.close()
        return whole

    def _whole(self) -> StoredResponse | None:
        """All of the response; None as soon as it turns out not to be for everybody."""
        while self._may_be_kept and self._size <= self._options.http.max_body:
            part = next(self._rest, None)
            if part is None:
                response = self._options.finished(self._response())
                return response if self._options.is_for_all(self._request, response) else None
            self._hold(part)
        return None

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        self._parts.append(part)

    def go_on(self, start_response: StartResponse) -> _Run:
        """Begin the answer with what was held back; iterating goes on from there."""
        if self._start:
            self._has_gone_on = True
            self._write = start_response(*self._start)
        return self

    def __iter__(self) -> Iterator[bytes]:
        yield from self._parts
        yield from self._rest

    def close(self) -> None:
        """Close the application's iterable, as PEP 3333 wants it."""
        close = getattr(self._iterable, "close", None)
        self._iterable = ()
        if close:
            close()

    def _hear(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info and self._has_gone_on:
            raise exc_info[1].with_traceback(exc_info[2])
        self._start = status, list(headers)
        begun = StoredResponse(int(status[:3]), tuple(headers))
        self._may_be_kept = self._options.may_become(self._request, begun)

        def write(part: bytes) -> object:
            return self._write(part)  # what that is changes when the answer goes on

        return write

    def _response(self) -> StoredResponse:
        if not self._start:
            raise RuntimeError("the application sent no response")
        status, headers = self._start
        return StoredResponse(int(status[:3]), tuple(headers), b"".join(self._parts))


def _request(environ: WSGIEnvironment) -> CacheRequest:
    headers = [
        (variable[5:].replace("_", "-"), value)
        for variable, value in environ.items()
        if variable.startswith("HTTP_")
    ]
    if environ.get("CONTENT_LENGTH"):
        headers.append(("Content-Length", environ["CONTENT_LENGTH"]))
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    target = str(environ["wsgi.url_scheme"]), str(host), path, str(environ.get("QUERY_STRING", ""))
    method, raw = (
        environ["REQUEST_METHOD"].upper(),
        str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""),
    )
    return CacheRequest(
        method,
        target,
        tuple(headers),
        raw_path=raw.partition("?")[0],
        is_authenticated=_is_authenticated(environ),
    )


def _is_authenticated(environ: WSGIEnvironment) -> bool:
    # Servers hide Authorization from applications and say who it is; so do many a middleware.
    if environ.get("REMOTE_USER") or environ.get("AUTH_TYPE"):
        return True
    return bool(environ.get("SSL_CLIENT_VERIFY") == "SUCCESS")


def _send(response: StoredResponse, start_response: StartResponse) -> Iterable[bytes]:
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = "-"
    start_response(f"{response.status} {phrase}", list(response.headers))
    return [response.body]


def _telling(header: tuple[str, str], start_response: StartResponse) -> StartResponse:
    def telling(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        return start_response(status, [*headers, header], exc_info)

    return telling
