"""Certificates made on the spot, to test TLS with: good ones, and ones to be refused."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from socialflow_core._kit.errors import requires_extra

with requires_extra("servers"):
    import trustme

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

__all__ = ["Authority"]


class Authority:
    """A certificate authority that nobody knows but who is told; one of its own each time."""

    def __init__(self) -> None:
        self._authority = trustme.CA()

    def server(self, *names: str, expires: datetime | None = None) -> ssl.SSLContext:
        """What a server needs to show a certificate for *names*: 127.0.0.1 and localhost if none.

        A time to expire that is past, or a name that is not the server's, makes one that
        clients have to refuse.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        names = names or ("127.0.0.1", "localhost")
        self._authority.issue_cert(*names, not_after=expires).configure_cert(context)
        return context

    def client(self) -> ssl.SSLContext:
        """What a client needs to trust this authority, and no other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._authority.configure_trust(context)
        return context

    def write(self, folder: Path) -> Path:
        """Write the authority's own certificate to a file, for clients that take a path."""
        file = folder / "authority.pem"
        self._authority.cert_pem.write_to_path(str(file))
        return file
