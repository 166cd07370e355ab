"""References to secrets, and the certificates of devices: made once, for their owner only, never in a tree."""

from __future__ import annotations

import base64
import datetime
import hashlib
import hmac
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ground import secret
from playbooks import pki
from playbooks.lookup_plugins import scram


def test_a_secret_is_made_once_and_is_for_its_owner_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        values = set(pool.map(lambda _: secret.value(tmp_path, "database/a/app"), range(32)))
    assert len(values) == 1
    assert len(base64.b64decode(values.pop())) == 32
    assert (tmp_path / "secrets/database/a/app").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert secret.known(tmp_path) == ("database/a/app",)
    assert secret.value(tmp_path, "other") != secret.value(tmp_path, "database/a/app")


@pytest.mark.parametrize("name", ["", "/etc/passwd", "../x", "a/../b", "a//b", ".hidden", "a/.lock", "a b", "a\n"])
def test_what_is_no_name_reaches_no_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a secret"):
        secret.value(tmp_path, name)
    with pytest.raises(ValueError, match="no name of a secret"):
        secret.reference(name)
    assert not (tmp_path / "secrets").exists()


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,8}(/[A-Za-z0-9][A-Za-z0-9._-]{0,8}){0,2}", fullmatch=True)


@given(before=st.binary(max_size=20), name=names, after=st.binary(max_size=20))
def test_only_references_are_replaced(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, name: str, after: bytes
) -> None:
    state = tmp_path_factory.mktemp("state")
    content = before + secret.reference(name).encode() + after
    assert name in secret.references(content)
    assert secret.fill(state, content).endswith(secret.value(state, name).encode() + secret.fill(state, after))
    assert secret.fill(state, before.replace(b"@", b"")) == before.replace(b"@", b"")


def test_both_halves_of_an_ssh_key_come_from_one_secret(tmp_path: Path) -> None:
    public, private = (
        secret.fill(tmp_path, f"{secret.reference('ssh/a/b', form)}\n".encode())
        for form in ("ssh-public", "ssh-private")
    )
    path = tmp_path / "key"
    path.write_bytes(private)
    path.chmod(0o600)
    read = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, check=True).stdout
    assert read.split()[:2] == public.split() and secret.fill(tmp_path, b"@ssh-private:ssh/a/b@\n") == private
    assert secret.references(b"@ssh-public:ssh/a/b@") == ("ssh/a/b",)


def test_the_verifier_is_that_of_rfc_7677() -> None:
    """RFC 7677 §3, with the salt of its example: the client's proof has to open the stored key."""
    password, salt = "pencil", base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
    _, rest, keys = scram.verifier(password).split("$")
    iterations, own = rest.split(":")
    stored, server = (base64.b64decode(key) for key in keys.split(":"))
    assert iterations == "4096" and scram.verifier(password) == scram.verifier(password)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(own), 4096)
    assert hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest() == stored
    assert hmac.digest(salted, b"Server Key", "sha256") == server
    # The same derivation gives the server signature that the RFC prints.
    message = (
        b"n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
    )
    key = hmac.digest(hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096), b"Server Key", "sha256")
    assert base64.b64encode(hmac.digest(key, message, "sha256")) == b"6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


NAMES = ["bkup1.a.internal", "repo.backup.a.internal"]


def test_an_identity_is_made_once_by_one_authority(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: pki.identity(tmp_path, NAMES), range(8)))
    assert len(set(made)) == 1
    other = pki.identity(tmp_path, ["prod1.a.internal"])
    assert other.authority == made[0].authority and other.key != made[0].key
    authority = x509.load_pem_x509_certificate(made[0].authority.encode())
    certificate = x509.load_pem_x509_certificate(made[0].certificate.encode())
    certificate.verify_directly_issued_by(authority)
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert held.get_values_for_type(x509.DNSName) == NAMES
    assert certificate.subject.rfc4514_string() == f"CN={NAMES[0]}"
    assert isinstance(certificate.public_key(), ec.EllipticCurvePublicKey)
    keys = list((tmp_path / "pki").glob("*.key"))
    assert len(keys) == 3 and all(path.stat().st_mode & 0o777 == 0o600 for path in keys)


def test_a_certificate_is_made_anew_before_it_ends_and_when_names_change(tmp_path: Path) -> None:
    start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    days = datetime.timedelta(days=1)
    first = pki.identity(tmp_path, NAMES, start)
    assert pki.identity(tmp_path, NAMES, start + days * (pki.DEVICE_DAYS * 2 // 3 - 2)) == first
    late = pki.identity(tmp_path, NAMES, start + days * (pki.DEVICE_DAYS * 2 // 3 + 2))
    assert late.certificate != first.certificate and late.authority == first.authority
    assert (
        pki.identity(tmp_path, [NAMES[0]], start + days * (pki.DEVICE_DAYS * 2 // 3 + 2)).certificate
        != late.certificate
    )


def test_a_key_that_does_not_fit_is_replaced(tmp_path: Path) -> None:
    first = pki.identity(tmp_path, NAMES)
    other = pki.identity(tmp_path, ["other.a.internal"])
    (tmp_path / "pki" / f"{NAMES[0]}.key").write_text(other.key)
    assert pki.identity(tmp_path, NAMES).key not in (first.key, other.key)
