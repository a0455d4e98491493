"""The four messages of SCRAM: reading them, down to the last octet (RFC 5802 section 7)."""

__all__ = ["ClientFirst", "base64", "read_client_final", "read_server_final", "read_server_first"]

from binascii import a2b_base64, b2a_base64

from smtpkit.sasl.messages import malformed, read_saslname, read_text
from smtpkit.wire.strings import is_number
from smtpkit.wire.value import Value

_DIGITS = 9  # of a number of iterations: more than anybody would wait for


class ClientFirst(Value):
    """The client's first message.

    Attributes:
        header: the GS2 header, as it stands; the final message repeats it.
        binding: "n" (no channel binding), "y" (the server has none) or the name of the binding that is used.
        bare: the rest, as it stands.
    """

    __slots__ = ("header", "binding", "authzid", "username", "nonce", "bare")

    def __init__(self, header: str, binding: str, authzid: str, username: str, nonce: str, bare: str) -> None:
        self.header = header
        self.binding = binding
        self.authzid = authzid
        self.username = username
        self.nonce = nonce
        self.bare = bare

    @classmethod
    def parse(cls, message: bytes) -> "ClientFirst":
        """Read the message.

        Raises:
            ParseError: it is not one.
        """
        text = read_text(message)
        flag, first_comma, rest = text.partition(",")
        authzid, second_comma, bare = rest.partition(",")
        binding = flag.removeprefix("p=")
        if not (first_comma and second_comma) or (flag not in ("n", "y") and binding in ("", "n", "y", flag)):
            raise malformed("SCRAM wants a GS2 header first")
        if authzid and authzid[:2] != "a=":
            raise malformed("SCRAM wants a= or nothing in the GS2 header")
        username, nonce = _attributes(bare, "n", "r")
        _check_nonce(nonce)
        header = text.removesuffix(bare)
        return cls(header, binding, read_saslname(authzid[2:]), read_saslname(username), nonce, bare)


def read_server_first(message: bytes, client_nonce: str) -> tuple[str, bytes, int]:
    """The common nonce, the salt and the number of iterations.

    Raises:
        ParseError: the message is not one, or the nonce does not go on from the client's.
    """
    nonce, salt, iterations = _attributes(read_text(message), "r", "s", "i")
    _check_nonce(nonce)
    if not nonce.startswith(client_nonce) or nonce == client_nonce:
        raise malformed("the server's nonce does not go on from the client's")
    if not is_number(iterations, _DIGITS) or iterations[0] == "0":
        raise malformed("SCRAM wants a number of iterations")
    return nonce, _octets(salt), int(iterations)


def read_client_final(message: bytes) -> tuple[str, str, str, bytes]:
    """What the channel binding attribute says, the nonce, the message without its proof, and the proof.

    Raises:
        ParseError: the message is not one.
    """
    text = read_text(message)
    without_proof, mark, proof = text.rpartition(",p=")
    if not mark:
        raise malformed("SCRAM wants a proof at the end")
    binding, nonce = _attributes(without_proof, "c", "r")
    return binding, nonce, without_proof, _octets(proof)


def read_server_final(message: bytes) -> bytes:
    """The server's signature.

    Raises:
        ParseError: the message is not one.
    """
    (signature,) = _attributes(read_text(message), "v")
    return _octets(signature)


def base64(octets: bytes) -> str:
    """Base64 without line ends."""
    return b2a_base64(octets, newline=False).decode()


def _attributes(text: str, *names: str) -> list[str]:
    """The values of the attributes that must come first and in this order; what follows are extensions."""
    attributes = text.split(",")
    if attributes[0].startswith("m="):
        raise malformed("SCRAM: an extension is asked for that is not known here")
    if len(attributes) < len(names) or any(
        attribute[:2] != f"{name}=" for name, attribute in zip(names, attributes, strict=False)
    ):
        raise malformed(f"SCRAM wants the attributes {', '.join(names)}, in this order")
    return [attribute[2:] for attribute in attributes[: len(names)]]


def _check_nonce(nonce: str) -> None:
    if not nonce or not nonce.isascii() or not nonce.isprintable() or " " in nonce:
        raise malformed("SCRAM wants a nonce of printable characters")


def _octets(text: str) -> bytes:
    try:
        octets = a2b_base64(text, strict_mode=True)
    except ValueError:
        octets = b""
    if not octets:
        raise malformed("SCRAM wants base64")
    return octets
