"""A private key made for this run, as files and variables hold one."""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def pem(passphrase: str | None = None) -> str:
    """The key as text, encrypted if there is a passphrase."""
    how = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    return KEY.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()
