"""Adapters as pure ASGI 3 middleware, for any framework or none."""
