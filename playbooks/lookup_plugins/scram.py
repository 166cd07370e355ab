"""`lookup('scram', 'database/app', state=…)`: the SCRAM-SHA-256 verifier of a secret, as PostgreSQL stores it.

The password itself never leaves the controller; equal secrets give equal text, so a second run changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

from ansible.plugins.lookup import LookupBase

from ground import secret

ITERATIONS = 4096  # PostgreSQL's own scram_iterations


class LookupModule(LookupBase):  # type: ignore[misc]
    """One verifier per name."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **options: Any) -> list[str]:
        """The verifier of each secret named in `terms`; a secret is made when it is first asked for."""
        return [verifier(secret.value(Path(options["state"]), name)) for name in terms]


def verifier(password: str) -> str:
    """`SCRAM-SHA-256$<iterations>:<salt>$<stored key>:<server key>` (RFC 5802, RFC 7677).

    The salt is derived from the password: with 256 random bits in every secret no table of guesses can be prepared.
    """
    salt = hashlib.sha256(b"salt:" + password.encode()).digest()[:16]
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored = hashlib.sha256(client).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(ITERATIONS, *parts)
