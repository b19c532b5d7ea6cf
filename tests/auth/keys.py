"""Keys of every algorithm, each made once: an RSA key takes a while."""

from __future__ import annotations

from functools import cache
from hashlib import sha512
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from socialflow_core.auth.jwt import TokenKey

CURVES = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}


def material(algorithm: str, name: str = "") -> Any:
    """A secret, or a private key of `cryptography`; another one for another *name*."""
    return _made(algorithm, name)


@cache
def _made(algorithm: str, name: str) -> Any:
    match algorithm[:2]:
        case "HS":
            return sha512(name.encode()).digest()
        case "RS" | "PS":
            return _rsa(name)
        case "ES":
            return ec.generate_private_key(CURVES[algorithm])
        case _ if algorithm == "Ed448":
            return ed448.Ed448PrivateKey.generate()
        case _:
            return ed25519.Ed25519PrivateKey.generate()


@cache
def _rsa(name: str) -> rsa.RSAPrivateKey:
    del name
    return rsa.generate_private_key(65537, 2048)


def key_of(algorithm: str, name: str = "", **options: Any) -> TokenKey:
    """The same as one of ours."""
    return TokenKey(algorithm, material(algorithm, name), **options)


def private_pem(algorithm: str, name: str = "") -> str:
    """A private key as it lies in a file."""
    key = material(algorithm, name)
    told: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return told.decode()


def public_pem(algorithm: str, name: str = "") -> str:
    """Its public part."""
    key = material(algorithm, name).public_key()
    told: bytes = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return told.decode()
