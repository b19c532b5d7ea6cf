"""The service itself."""

from typing import Annotated

from ._fields import PORT, variable
from ._group import Group

__all__ = ["Service"]


class Service(Group):
    """Where it runs."""

    backend_port: Annotated[int, PORT] = variable("Where the service listens.", "3001")
