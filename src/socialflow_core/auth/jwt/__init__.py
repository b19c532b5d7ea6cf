"""JSON Web Tokens by PyJWT and cryptography; extra `[auth]`.

```python
from socialflow_core.auth import TokenKind, TokenRules
from socialflow_core.auth.jwt import KeyRing, TokenIssuer, TokenKey, TokenVerifier

rules = TokenRules(issuer="https://api.example.com", audience=("api",))
access = KeyRing(TokenKey("HS256", "a secret of at least thirty-two bytes"))
refresh = KeyRing(TokenKey("HS256", "another secret, and just as long as it"))
issuer = TokenIssuer(rules, access=access, refresh=refresh)
verifier = TokenVerifier(rules, access=access, refresh=refresh)

token = issuer.sign(issuer.claims(TokenKind.ACCESS, "ann"))
verifier.verify(token).subject  # "ann"
```

PyJWT signs, verifies and reads keys; what a token has to say is judged here, by rules of
our own.
"""

from .issuer import TokenIssuer
from .keys import ALGORITHMS, TokenKey
from .ring import KeyRing
from .verifier import AsyncTokenVerifier, TokenVerifier

__all__ = [
    "ALGORITHMS",
    "AsyncTokenVerifier",
    "KeyRing",
    "TokenIssuer",
    "TokenKey",
    "TokenVerifier",
]
