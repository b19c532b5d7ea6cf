"""Meilisearch."""

from typing import Annotated

from socialflow_core._kit.secrets import Secret

from ._fields import SECRET, URL, variable
from ._group import Group

__all__ = ["Search"]


class Search(Group):
    """Full-text search."""

    meilisearch_host: Annotated[str, URL] = variable("The server.", "http://localhost:7700")
    meilisearch_admin_key: Annotated[Secret | None, SECRET] = variable("To write with.")
    meilisearch_search_key: Annotated[Secret | None, SECRET] = variable("To search with.")
