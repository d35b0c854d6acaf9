"""The ways to sign in to Snowflake: which options each takes, and the connector's keyword arguments that they become.

Everything else about a connection is in ``options``; nothing is imported from the connector here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import attrs

from pipeline.domain.errors import Missing

#: An option that is wrong: its name, what is wrong with it, and what to do.
Trouble = tuple[str, str, str]

_PROVIDERS = ("AWS", "AZURE", "GCP", "OIDC")


@attrs.frozen
class Way:
    """One way to sign in. ``authenticator`` is its name in the pipeline file, and the connector's.

    ``needs`` is given as groups: of each group exactly one option must be there. ``may`` are options that can be added.
    ``marks`` are the options that tell this way where no ``authenticator`` is written.
    """

    authenticator: str
    needs: tuple[tuple[str, ...], ...]
    may: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()

    @property
    def takes(self) -> frozenset[str]:
        """Every option that this way understands."""
        return frozenset(option for group in self.needs for option in group) | frozenset(self.may)


#: ``connection`` is no authenticator: the connector reads the way to sign in from its own ``connections.toml``.
CONNECTION = Way("", needs=(("connection",),), marks=("connection",))
PASSWORD = Way("snowflake", needs=(("user",), ("password",)), marks=("password",))
KEY_PAIR = Way(
    "snowflake_jwt",
    needs=(("user",), ("private_key", "private_key_file")),
    may=("private_key_passphrase",),
    marks=("private_key", "private_key_file"),
)
ACCESS_TOKEN = Way("programmatic_access_token", needs=(("token",),), may=("user",))
OAUTH = Way("oauth", needs=(("token",),), may=("user",))
OAUTH_CLIENT = Way(
    "oauth_client_credentials",
    needs=(("oauth_client_id",), ("oauth_client_secret",), ("oauth_token_request_url",)),
    may=("user", "oauth_scope"),
    marks=("oauth_client_id", "oauth_client_secret", "oauth_token_request_url", "oauth_scope"),
)
BROWSER = Way("externalbrowser", needs=(("user",),))
WORKLOAD = Way(
    "workload_identity",
    needs=(("workload_identity_provider",),),
    may=("token", "token_file", "workload_identity_entra_resource"),
    marks=("workload_identity_provider", "workload_identity_entra_resource", "token_file"),
)

WAYS = (CONNECTION, PASSWORD, KEY_PAIR, ACCESS_TOKEN, OAUTH, OAUTH_CLIENT, BROWSER, WORKLOAD)
AUTHENTICATORS = tuple(way.authenticator for way in WAYS if way.authenticator)

#: Every option that has to do with signing in, other than the user's name.
OPTIONS = frozenset(option for way in WAYS for option in way.takes) - {"user"} | {"authenticator"}

_CHOICE = (
    "Give one of password, private_key, private_key_file, oauth_client_id, workload_identity_provider or connection, "
    "or an authenticator (programmatic_access_token, oauth, externalbrowser) with what it needs."
)


def way_of(given: Mapping[str, object]) -> Way | Trouble:
    """The way to sign in that the options mean; options without a value are not given. A ``Trouble`` if there is none,
    or more than one.
    """
    authenticator = given.get("authenticator")
    if authenticator:
        known = {way.authenticator: way for way in WAYS if way.authenticator}
        found = known.get(str(authenticator).lower())
        return found or ("authenticator", f"is not known; allowed: {', '.join(AUTHENTICATORS)}", "")
    marked = [way for way in WAYS if any(given.get(option) for option in way.marks)]
    if len(marked) == 1:
        return marked[0]
    if marked:
        options = [next(option for option in way.marks if given.get(option)) for way in marked]
        return (
            options[-1],
            f"is one way to sign in beside {' and '.join(options[:-1])}",
            "Keep one of them, or write the authenticator.",
        )
    if given.get("token"):
        return ("token", "needs an authenticator", "Write authenticator: programmatic_access_token, or oauth.")
    return ("authenticator", "is missing: nothing says how to sign in", _CHOICE)


def troubles(way: Way, given: Mapping[str, object]) -> Iterator[Trouble]:
    """What is missing for ``way``, or given without a use in it."""
    name = way.authenticator or "connection"
    for group in way.needs:
        there = [option for option in group if given.get(option)]
        if not there:
            yield group[0], f"is missing; {name} needs {' or '.join(group)}", ""
        elif len(there) > 1:
            yield there[-1], f"is given beside {there[0]}", "Keep one of them."
    for option in sorted(OPTIONS - way.takes - {"authenticator"}):
        if given.get(option):
            yield option, f"has no use with {name}", f"Take it out; {name} takes {', '.join(sorted(way.takes))}."
    if way is WORKLOAD:
        yield from _workload_troubles(given)


def arguments(way: Way, given: Mapping[str, object]) -> dict[str, object]:
    """The keyword arguments of ``snowflake.connector.connect`` for ``way``; secrets inside.

    Raises ``KeyUnusable`` for a private key that cannot be read, ``Missing`` without the library that reads keys.
    """
    made: dict[str, object] = {"authenticator": way.authenticator} if way.authenticator else {}
    for option, argument in _ARGUMENTS.items():
        if given.get(option) and option in way.takes:
            made[argument] = str(given[option])
    if way is KEY_PAIR:
        made.update(_key(given))
    if way is BROWSER:
        # Without it every session would open a browser window of its own.
        made["client_store_temporary_credential"] = True
    if way is WORKLOAD:
        made["workload_identity_provider"] = str(given["workload_identity_provider"]).upper()
    return made


class KeyUnusable(Exception):
    """A private key that cannot be read: ``option`` names it, ``what`` says why without showing it."""

    def __init__(self, option: str, what: str, hint: str) -> None:
        super().__init__(what)
        self.trouble: Trouble = (option, what, hint)


#: Options that are handed to the connector as they are, under its name for them.
_ARGUMENTS = {
    "connection": "connection_name",
    "user": "user",
    "password": "password",
    "token": "token",
    "token_file": "token_file_path",
    "oauth_client_id": "oauth_client_id",
    "oauth_client_secret": "oauth_client_secret",
    "oauth_token_request_url": "oauth_token_request_url",
    "oauth_scope": "oauth_scope",
    "workload_identity_entra_resource": "workload_identity_entra_resource",
}


def _workload_troubles(given: Mapping[str, object]) -> Iterator[Trouble]:
    provider = str(given.get("workload_identity_provider") or "").upper()
    if provider and provider not in _PROVIDERS:
        yield "workload_identity_provider", f"is not known; allowed: {', '.join(_PROVIDERS)}", ""
    there = [option for option in ("token", "token_file") if given.get(option)]
    if provider == "OIDC" and len(there) != 1:
        problem = "is given beside token" if there else "is missing; the provider OIDC needs token or token_file"
        yield "token_file", problem, "" if not there else "Keep one of them."
    if provider != "OIDC":
        for option in there:
            yield option, f"has no use with the provider {provider}", "Take it out; the platform gives the token."
    if given.get("workload_identity_entra_resource") and provider != "AZURE":
        yield "workload_identity_entra_resource", "has a use with the provider AZURE only", "Take it out."


def _key(given: Mapping[str, object]) -> dict[str, object]:
    """The private key, read once to be sure that it can be; a file is named to the connector, which reads it at each
    sign-in, a text is handed over decrypted.
    """
    passphrase = str(given.get("private_key_passphrase") or "") or None
    if given.get("private_key"):
        return {"private_key": _der("private_key", str(given["private_key"]).encode(), passphrase)}
    path = Path(str(given["private_key_file"])).expanduser()
    try:
        content = path.read_bytes()
    except OSError as error:
        hint = "Name a PEM file that this user may read."
        raise KeyUnusable("private_key_file", f"cannot be read: {error.strerror}", hint) from None
    _der("private_key_file", content, passphrase)
    return {"private_key_file": str(path), **({"private_key_file_pwd": passphrase} if passphrase else {})}


def _der(option: str, pem: bytes, passphrase: str | None) -> bytes:
    try:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives import serialization
    except ModuleNotFoundError as error:
        raise Missing(
            "signing in with a key needs cryptography, which is not installed",
            where="warehouse snowflake",
            hint="Install it with: pip install 'realtime-data-pipeline[snowflake]'",
        ) from error
    hint = "Make one with: openssl genrsa 2048 | openssl pkcs8 -topk8 -inform PEM -out rsa_key.p8"
    try:
        key = serialization.load_pem_private_key(pem, password=passphrase.encode() if passphrase else None)
    except TypeError:  # says that a passphrase is missing, or given for a key without one
        what = "is not encrypted" if passphrase else "is encrypted"
        todo = "Take private_key_passphrase out." if passphrase else "Give its private_key_passphrase."
        raise KeyUnusable(option, what, todo) from None
    except (ValueError, UnsupportedAlgorithm):
        what = "cannot be decrypted with its passphrase, or is no PEM key" if passphrase else "is no private key in PEM"
        raise KeyUnusable(option, what, hint) from None
    return key.private_bytes(
        encoding=serialization.Encoding.DER,
        format=serialization.PrivateFormat.PKCS8,
        encryption_algorithm=serialization.NoEncryption(),
    )
