"""The reference service: every block at work, once under ASGI and once under WSGI."""
