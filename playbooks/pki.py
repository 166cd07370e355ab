"""The certificates of a target's own services: one authority per state folder, one certificate per device.

Everything lies in `<state>/pki/`, keys readable by their owner only, and is made once; a certificate is made anew when its
names change or when less than a third of its life is left.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ground import files

AUTHORITY_DAYS = 3650
DEVICE_DAYS = 825
# A device whose clock is behind must still take a new certificate.
SKEW = datetime.timedelta(days=1)


class Identity(msgspec.Struct, frozen=True):
    """What a device shows and checks, each as PEM text. `names[0]` of its request is the common name."""

    authority: str
    certificate: str
    key: str


def identity(state: Path, names: Sequence[str], now: datetime.datetime | None = None) -> Identity:
    """The identity for `names` (DNS names, the first is the common name). Made on first use, under a lock."""
    if not names:
        raise ValueError("a certificate needs a name")
    moment = now or datetime.datetime.now(datetime.UTC)
    folder = state / "pki"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)
    with files.lock(folder / ".lock"):
        authority, authority_key = _authority(folder, moment)
        certificate_path, key_path = folder / f"{names[0]}.crt", folder / f"{names[0]}.key"
        if not _good(certificate_path, key_path, authority, names, moment):
            key = ec.generate_private_key(ec.SECP256R1())
            certificate = _issue(names, key, authority, authority_key, moment)
            # The key first: a certificate is only trusted beside its own key.
            files.write(key_path, _pem(key), 0o600)
            files.write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
        return Identity((folder / "ca.crt").read_text(), certificate_path.read_text(), key_path.read_text())


def _authority(folder: Path, moment: datetime.datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    certificate_path, key_path = folder / "ca.crt", folder / "ca.key"
    if not (certificate_path.exists() and key_path.exists()):
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jinbao authority")])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(moment - SKEW)
            .not_valid_after(moment + datetime.timedelta(days=AUTHORITY_DAYS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        files.write(key_path, _pem(key), 0o600)
        files.write(certificate_path, certificate.public_bytes(serialization.Encoding.PEM))
    loaded = serialization.load_pem_private_key(key_path.read_bytes(), None)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    return x509.load_pem_x509_certificate(certificate_path.read_bytes()), loaded


def _issue(
    names: Sequence[str],
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    moment: datetime.datetime,
) -> x509.Certificate:
    # Both uses: a database host calls the repository, and the repository host calls the database host.
    uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - SKEW)
        .not_valid_after(moment + datetime.timedelta(days=DEVICE_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(uses, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _good(
    certificate_path: Path, key_path: Path, authority: x509.Certificate, names: Sequence[str], moment: datetime.datetime
) -> bool:
    if not (certificate_path.exists() and key_path.exists()):
        return False
    certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
    key = serialization.load_pem_private_key(key_path.read_bytes(), None)
    held = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return (
        certificate.issuer == authority.subject
        and certificate.public_key() == key.public_key()
        and held.get_values_for_type(x509.DNSName) == list(names)
        and certificate.not_valid_after_utc - moment > datetime.timedelta(days=DEVICE_DAYS / 3)
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    plain = serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
