"""Bearer tokens (RFC 6750) as ASGI 3 middleware, for any framework or none.

```python
app = BearerMiddleware(app, verifier, BearerOptions(is_open=lambda path: path == "/login"))
```

What the token says is in `scope["state"]["claims"]` (`request.state.claims` in Starlette and
FastAPI); None where none was brought. Wrap it outside of a cache and inside of rate limits; and
inside of CORS, for a browser asks without a token whether it may send one (OPTIONS).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples.bearer_rules import BearerOptions, Refused
from socialflow_core.auth import AsyncVerifier, Claims, TokenError, UnavailableError

if TYPE_CHECKING:
    from examples.asgi.rate_limit import App, Message, Receive, Scope, Send

__all__ = ["BearerMiddleware"]


class BearerMiddleware:
    """Lets HTTP requests and websockets through to *app* that bring a token it believes."""

    def __init__(self, app: App, verifier: AsyncVerifier, options: BearerOptions) -> None:
        self._app = app
        self._verifier = verifier
        self._options = options

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer for the application, or let it answer."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        answer = await self._judge(scope)
        if not isinstance(answer, Refused):
            state = {**scope.get("state", {}), "claims": answer}
            await self._app({**scope, "state": state}, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the connect
            if "websocket.http.response" in (scope.get("extensions") or {}):
                await _refuse(answer, "GET", send, kind="websocket.http.response")
            else:  # by a close, which the server makes a 403
                await send({"type": "websocket.close", "code": 1008})
        else:
            await _refuse(answer, scope["method"], send)

    async def _judge(self, scope: Scope) -> Claims | Refused | None:
        options, path = self._options, _routed(scope)
        headers = (
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        )
        token = options.token(headers)
        if token is None:
            return None if options.is_open(path) else options.needs_token()
        if not token:
            return options.refuses(None)
        try:
            return await self._verifier.verify(token, failure=options.policy(path))
        except TokenError as error:
            return options.refuses(error)
        except UnavailableError:
            return options.uncertain()


def _routed(scope: Scope) -> str:
    """The path that the application routes: `root_path` is where it is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    return path.removeprefix(root) if f"{path}/".startswith(f"{root}/") else path


async def _refuse(answer: Refused, method: str, send: Send, *, kind: str = "http.response") -> None:
    headers = [
        (name.lower().encode("ascii"), value.encode("ascii")) for name, value in answer.headers
    ]
    start: Message = {"type": f"{kind}.start", "status": answer.status, "headers": headers}
    await send(start)
    body = b"" if method == "HEAD" else answer.body
    await send({"type": f"{kind}.body", "body": body})
