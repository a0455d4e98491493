"""Which mechanisms there are, in order of preference, and which one to use."""

__all__ = ["best", "choose", "client_mechanism", "mechanism", "mechanism_names", "register", "server_mechanism"]

from smtpkit.errors import ParseError
from smtpkit.sasl.facts import ClientFacts, ServerFacts
from smtpkit.sasl.mechanism import ClientLogin, Mechanism

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, TypeVar

    from smtpkit.sasl.mechanism import ServerSteps

    OwnMechanism = TypeVar("OwnMechanism", bound=Mechanism)

_NAME_LIMIT = 20
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")

# Name to class, or to where the class is; the best comes first.
_MECHANISMS: "dict[str, type[Mechanism] | tuple[str, str]]" = {
    "SCRAM-SHA-512-PLUS": ("scram", "ScramSHA512Plus"),
    "SCRAM-SHA-256-PLUS": ("scram", "ScramSHA256Plus"),
    "SCRAM-SHA-1-PLUS": ("scram", "ScramSHA1Plus"),
    "SCRAM-SHA-512": ("scram", "ScramSHA512"),
    "SCRAM-SHA-256": ("scram", "ScramSHA256"),
    "SCRAM-SHA-1": ("scram", "ScramSHA1"),
    "EXTERNAL": ("external", "External"),
    "OAUTHBEARER": ("oauth", "OAuthBearer"),
    "XOAUTH2": ("oauth", "XOAuth2"),
    "PLAIN": ("plain", "Plain"),
    "LOGIN": ("login", "Login"),
    "CRAM-MD5": ("cram_md5", "CramMD5"),
    "ANONYMOUS": ("external", "Anonymous"),
}


def client_mechanism(name: "str | type[Mechanism]", **facts: "Any") -> ClientLogin:
    """A client's login by a mechanism, a name or a class, with the arguments of `ClientFacts`.

    Raises:
        ParseError: there is no such mechanism.
    """
    return ClientLogin(mechanism(name)(), ClientFacts(**facts))


def server_mechanism(name: "str | type[Mechanism]", response: bytes | None = None, **facts: "Any") -> "ServerSteps":
    """A server's side of a login by the mechanism `name`, as a generator that has not begun.

    Args:
        name: the mechanism, in any case, or its class.
        response: the initial response, or None.
        facts: the arguments of `ServerFacts`.

    Raises:
        ParseError: there is no such mechanism (504 5.5.4).
    """
    return mechanism(name)().server(ServerFacts(**facts), response)


def mechanism_names(credential: str | None = None) -> tuple[str, ...]:
    """The names of all mechanisms that this Python can do, best first; only those for `credential` if given."""
    classes = [mechanism(name) for name in _MECHANISMS]
    return tuple(cls.name for cls in classes if credential in (None, cls.credential) and cls.available())


def register(added: "type[OwnMechanism]") -> "type[OwnMechanism]":
    """Add a mechanism, preferred to all others, or put it in the place of the one of that name; a decorator."""
    if added.name in _MECHANISMS:
        _MECHANISMS[added.name] = added
    else:
        others = dict(_MECHANISMS)
        _MECHANISMS.clear()
        _MECHANISMS.update({added.name: added}, **others)
    return added


def mechanism(name: "str | type[Mechanism]") -> "type[Mechanism]":
    """The class of a mechanism; a class comes back as it is.

    Raises:
        ParseError: there is no mechanism of that name (504 5.5.4), or the class is none or has no name.
    """
    if isinstance(name, type) and issubclass(name, Mechanism):
        # RFC 4422 section 3.1
        if not 0 < len(name.name) <= _NAME_LIMIT or not set(name.name) <= _NAME_CHARACTERS:
            raise ParseError("a mechanism's name is 1 to 20 of A-Z, 0-9, - and _", name.name)
        return name
    if not isinstance(name, str):
        raise ParseError("a mechanism is a name or a class derived from Mechanism", repr(name))
    found = _MECHANISMS.get(name.upper())
    if found is None:
        raise ParseError("unknown authentication mechanism", name, code=504, enhanced="5.5.4")
    if isinstance(found, tuple):
        module, cls = found
        loaded: type[Mechanism] = getattr(__import__(f"smtpkit.sasl.{module}", fromlist=[cls]), cls)
        return loaded
    return found


def choose(
    offered: "Iterable[str]",
    credentials: "Collection[str]",
    *,
    tls: bool,
    allow_in_clear: bool = False,
    channel_binding: bool = False,
    allowed: "Collection[str | type[Mechanism]] | None" = None,
) -> str | None:
    """The name, in upper case, of the mechanism that a client should use; `best()` gives its class."""
    found = best(
        offered, credentials, tls=tls, allow_in_clear=allow_in_clear, channel_binding=channel_binding, allowed=allowed
    )
    return found.name if found is not None else None


def best(
    offered: "Iterable[str]",
    credentials: "Collection[str]",
    *,
    tls: bool,
    allow_in_clear: bool = False,
    channel_binding: bool = False,
    allowed: "Collection[str | type[Mechanism]] | None" = None,
) -> "type[Mechanism] | None":
    """The mechanism that a client should use.

    Args:
        offered: the names that the server offers; under TLS, those offered under TLS.
        credentials: what the client has: of "password", "token", "certificate" and "nothing" (to be anonymous).
        tls: whether the line is encrypted.
        allow_in_clear: whether the secret may be shown to whoever reads an unencrypted line.
        channel_binding: whether the channel binding octets of the TLS connection are at hand.
        allowed: the only ones to be considered, by name in upper case, or as classes of one's own, which come
            first; None for all.

    Returns:
        The class, or None if there is none that may be used.
    """
    names = {name.upper() for name in offered}
    own = [each for each in allowed or () if not isinstance(each, str)]
    registered = (mechanism(name) for name in _MECHANISMS if name in names and (allowed is None or name in allowed))
    usable = [
        each
        for each in (*own, *registered)
        if each.name in names
        and each.credential in credentials
        and (tls or allow_in_clear or not each.plaintext)
        and (channel_binding or not each.binds_channel)
        and each.available()
    ]
    if not tls:
        # Under TLS, PLAIN beats CRAM-MD5, which keeps the server from hashing what it stores; in clear it is worse.
        usable.sort(key=lambda each: each.plaintext)
    return usable[0] if usable else None
