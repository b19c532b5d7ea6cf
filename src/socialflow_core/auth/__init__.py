"""Tokens that can be revoked, and the sessions that they belong to.

```python
from socialflow_core.auth import TokenRules
from socialflow_core.auth.jwt import KeyRing, TokenIssuer, TokenKey, TokenVerifier
```
"""

from socialflow_core._kit.errors import UnavailableError

from ._interface import (
    AsyncRevocations,
    AsyncVerifier,
    Claims,
    Json,
    Reason,
    ReusedError,
    Revocation,
    RevocationFailure,
    Revocations,
    Scope,
    Signer,
    SpentError,
    Standing,
    TokenError,
    TokenKind,
    Verifier,
)
from ._revocation import (
    mark_of,
    of_all,
    of_session,
    of_token,
    of_user,
)
from ._rules import KindRules, TokenRules
from ._sessions import (
    SessionOptions,
    TokenPair,
)
from ._store import (
    AsyncRefreshChains,
    AsyncSessionBook,
    AsyncSessionStore,
    Issued,
    Outcome,
    RefreshChains,
    Session,
    SessionBook,
    SessionStore,
    Turn,
)

__all__ = [
    "AsyncRefreshChains",
    "AsyncRevocations",
    "AsyncSessionBook",
    "AsyncSessionStore",
    "AsyncVerifier",
    "Claims",
    "Issued",
    "Json",
    "KindRules",
    "Outcome",
    "Reason",
    "RefreshChains",
    "ReusedError",
    "Revocation",
    "RevocationFailure",
    "Revocations",
    "Scope",
    "Session",
    "SessionBook",
    "SessionOptions",
    "SessionStore",
    "Signer",
    "SpentError",
    "Standing",
    "TokenError",
    "TokenKind",
    "TokenPair",
    "TokenRules",
    "Turn",
    "UnavailableError",
    "Verifier",
    "mark_of",
    "of_all",
    "of_session",
    "of_token",
    "of_user",
]
