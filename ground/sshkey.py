"""SSH key pairs made from secrets: a secret's 32 bytes are the seed of an Ed25519 key (RFC 8032), so that one value gives both halves."""

from __future__ import annotations

import base64
import hashlib
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KIND = b"ssh-ed25519"


def public(value: str) -> str:
    """The public half of the secret `value` (base64 of 32 bytes), as a line of `authorized_keys` has it."""
    return _own(_seed(value)).public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def private(value: str) -> str:
    """The private half as OpenSSH reads it (PROTOCOL.key). The same secret gives the same text, so that a second run changes nothing."""
    seed = _seed(value)
    own = _own(seed).public_bytes(Encoding.Raw, PublicFormat.Raw)
    check = hashlib.sha256(b"check:" + seed).digest()[:4]
    inner = check * 2 + _string(KIND) + _string(own) + _string(seed + own) + _string(b"")
    inner += bytes(range(1, 1 + -len(inner) % 8))
    outer = b"openssh-key-v1\0" + _string(b"none") * 2 + _string(b"") + struct.pack(">I", 1)
    text = base64.b64encode(outer + _string(_string(KIND) + _string(own)) + _string(inner)).decode()
    lines = [text[at : at + 70] for at in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN OPENSSH PRIVATE KEY-----", *lines, "-----END OPENSSH PRIVATE KEY-----"])


def _seed(value: str) -> bytes:
    return base64.b64decode(value)


def _own(seed: bytes) -> Ed25519PublicKey:
    return Ed25519PrivateKey.from_private_bytes(seed).public_key()


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data
