"""Adapters as pure WSGI (PEP 3333) middleware, for any framework or none."""
