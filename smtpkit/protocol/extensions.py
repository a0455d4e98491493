"""The registry of service extensions: one entry each, which both roles and the documentation are driven by."""

from smtpkit.wire.value import Value

__all__ = ["DEFAULT_EXTENSIONS", "EXTENSIONS", "Extension"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable


class Extension(Value):
    """One service extension (RFC 5321 section 2.2).

    Args:
        keyword: the EHLO keyword.
        reference: where it is defined.
        ehlo: what a server says behind the keyword, fixed text.
        verbs: commands that it adds.
        mail_parameters, rcpt_parameters: upper-case keywords of the ESMTP parameters that it adds.
        mail_octets, rcpt_octets: what it adds to the limit of a MAIL or RCPT line, in octets.
        requires: keywords of extensions without which it must not be offered.
        needs_tls: True if it is offered, and legal, under TLS only.

    Raises:
        ValueError: the keyword is not in the grammar of RFC 5321 section 4.1.1.1.
    """

    __slots__ = (
        "keyword",
        "reference",
        "ehlo",
        "verbs",
        "mail_parameters",
        "rcpt_parameters",
        "mail_octets",
        "rcpt_octets",
        "requires",
        "needs_tls",
    )

    def __init__(
        self,
        keyword: str,
        reference: str = "",
        *,
        ehlo: str = "",
        verbs: "Iterable[str]" = (),
        mail_parameters: "Iterable[str]" = (),
        rcpt_parameters: "Iterable[str]" = (),
        mail_octets: int = 0,
        rcpt_octets: int = 0,
        requires: "Iterable[str]" = (),
        needs_tls: bool = False,
    ) -> None:
        letters = keyword.replace("-", "")
        if not (letters.isalnum() and keyword.isascii()) or keyword[0] == "-":
            raise ValueError(f"{keyword!r} is no EHLO keyword: letters, digits and hyphens, not a hyphen first")
        self.keyword = keyword.upper()
        self.reference = reference
        self.ehlo = ehlo
        self.verbs = tuple(verb.upper() for verb in verbs)
        self.mail_parameters = tuple(word.upper() for word in mail_parameters)
        self.rcpt_parameters = tuple(word.upper() for word in rcpt_parameters)
        self.mail_octets = mail_octets
        self.rcpt_octets = rcpt_octets
        self.requires = tuple(requires)
        self.needs_tls = needs_tls


# fmt: off
_REGISTRY = (
    Extension("PIPELINING", "RFC 2920"),
    Extension("SIZE", "RFC 1870", mail_parameters=["SIZE"], mail_octets=26),
    # RFC 6152 names no increment; " BODY=8BITMIME" is 14 octets.
    Extension("8BITMIME", "RFC 6152", mail_parameters=["BODY"], mail_octets=14),
    Extension("SMTPUTF8", "RFC 6531", mail_parameters=["SMTPUTF8"], mail_octets=10, requires=["8BITMIME"]),
    Extension("ENHANCEDSTATUSCODES", "RFC 2034"),
    Extension("CHUNKING", "RFC 3030", verbs=["BDAT"]),
    Extension("BINARYMIME", "RFC 3030", mail_parameters=["BODY"], mail_octets=16, requires=["CHUNKING"]),
    Extension("DSN", "RFC 3461", mail_parameters=["RET", "ENVID"], rcpt_parameters=["NOTIFY", "ORCPT"],
              mail_octets=115, rcpt_octets=544),
    Extension("STARTTLS", "RFC 3207", verbs=["STARTTLS"]),
    Extension("AUTH", "RFC 4954", verbs=["AUTH"], mail_parameters=["AUTH"], mail_octets=500),
    Extension("REQUIRETLS", "RFC 8689", mail_parameters=["REQUIRETLS"], mail_octets=11, needs_tls=True),
    Extension("DELIVERBY", "RFC 2852", mail_parameters=["BY"], mail_octets=17),
    Extension("FUTURERELEASE", "RFC 4865", mail_parameters=["HOLDFOR", "HOLDUNTIL"], mail_octets=34),
    Extension("MT-PRIORITY", "RFC 6710", mail_parameters=["MT-PRIORITY"], mail_octets=15),
    Extension("RRVS", "RFC 7293", rcpt_parameters=["RRVS"], rcpt_octets=33),
    Extension("LIMITS", "RFC 9422"),
    Extension("NO-SOLICITING", "RFC 3865", mail_parameters=["SOLICIT"], mail_octets=256),
    Extension("MTRK", "RFC 3885", mail_parameters=["MTRK"], mail_octets=50, requires=["DSN"]),
    Extension("CHECKPOINT", "RFC 1845", mail_parameters=["TRANSID"], mail_octets=88),
    Extension("CONPERM", "RFC 4141", mail_parameters=["CONPERM"], mail_octets=8),
    Extension("ETRN", "RFC 1985", verbs=["ETRN"]),
    Extension("VRFY", "RFC 5321", verbs=["VRFY"]),
    Extension("EXPN", "RFC 5321", verbs=["EXPN"]),
    Extension("HELP", "RFC 5321", verbs=["HELP"]),
    Extension("XCLIENT", "Postfix", ehlo="NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", verbs=["XCLIENT"]),
    Extension("XFORWARD", "Postfix", ehlo="NAME ADDR PORT PROTO HELO IDENT SOURCE", verbs=["XFORWARD"]),
)
# fmt: on

EXTENSIONS = {extension.keyword: extension for extension in _REGISTRY}

DEFAULT_EXTENSIONS = ("PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "CHUNKING", "HELP")
