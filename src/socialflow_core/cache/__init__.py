"""Answers that are computed once: in this process, or across all of them.

>>> from datetime import timedelta
>>> from socialflow_core.cache.memory import MemoryCache
>>> cache = MemoryCache()
>>> cache.get_or_compute("answer", lambda: 42, ttl=timedelta(minutes=1))
42
"""

from socialflow_core._kit.errors import UnavailableError

from ._cache_control import CacheControl
from ._codecs import BYTES, JSON, TEXT
from ._conditional import etag_of, http_date, not_modified, parse_http_date, with_etag
from ._http import (
    SAFE_METHODS,
    HttpPolicy,
    age_of,
    cache_status,
    freshness_of,
    http_key,
    http_tag,
    may_store,
    why_not_asked,
    why_not_stored,
)
from ._interface import DEFAULT_POLICY, AsyncCache, Cache, Cached, Codec, Policy, Ttl
from ._keys import key_of
from ._response import RESPONSE, CacheRequest, Headers, StoredResponse, field_values
from ._stored import AsyncStore, Claim, Entry, Kind, Query, Reply, Store, Written
from ._ttls import TTLS

__all__ = [
    "BYTES",
    "DEFAULT_POLICY",
    "JSON",
    "RESPONSE",
    "SAFE_METHODS",
    "TEXT",
    "TTLS",
    "AsyncCache",
    "AsyncStore",
    "Cache",
    "CacheControl",
    "CacheRequest",
    "Cached",
    "Claim",
    "Codec",
    "Entry",
    "Headers",
    "HttpPolicy",
    "Kind",
    "Policy",
    "Query",
    "Reply",
    "Store",
    "StoredResponse",
    "Ttl",
    "UnavailableError",
    "Written",
    "age_of",
    "cache_status",
    "etag_of",
    "field_values",
    "freshness_of",
    "http_date",
    "http_key",
    "http_tag",
    "key_of",
    "may_store",
    "not_modified",
    "parse_http_date",
    "why_not_asked",
    "why_not_stored",
    "with_etag",
]
