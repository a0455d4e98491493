"""What a server offers: the reply to EHLO or LHLO, read and written (RFC 5321 section 4.1.1.1)."""

from collections.abc import Mapping

from smtpkit.errors import ParseError
from smtpkit.wire.capability_values import READERS
from smtpkit.wire.replies import Reply
from smtpkit.wire.strings import is_keyword

__all__ = ["Capabilities", "ehlo_reply"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    Readers = Mapping[str, Callable[[tuple[str, ...]], Any]]

_LINE_TEXT = 506  # octets of a reply line without code, separator and CRLF


class Capabilities(Mapping[str, tuple[str, ...]]):
    """A mapping of upper-case EHLO keyword to the tuple of its parameters, in the order of the reply.

    Without arguments it is what HELO leaves one with: nothing is offered.  Every keyword is kept, also those
    that the grammar does not allow.  Of a keyword that comes twice the first line counts; AUTH lines are
    merged, the old form `AUTH=LOGIN PLAIN` among them.

    Args:
        keywords: pairs of a keyword and its parameters.
        domain: the name by which the server calls itself.
        greeting: what it says behind its name.
        readers: by keyword what makes a value of its parameters; None for those of the standards.
    """

    __slots__ = ("_keywords", "_limits", "_readers", "_size", "domain", "greeting")

    def __init__(
        self,
        keywords: "Iterable[tuple[str, Sequence[str]]]" = (),
        *,
        domain: str = "",
        greeting: str = "",
        readers: "Readers | None" = None,
    ) -> None:
        self._readers = READERS if readers is None else readers
        self.domain = domain
        self.greeting = greeting
        known: dict[str, tuple[str, ...]] = {}
        mechanisms: list[str] = []
        for word, parameters in keywords:
            keyword = word.upper() if word.isascii() else word  # str.upper() makes an ASCII S of U+017F
            known.setdefault(keyword, tuple(parameters))
            if keyword == "AUTH":
                mechanisms += parameters
            elif keyword.startswith("AUTH="):
                known.setdefault("AUTH", ())
                mechanisms += (word[5:], *parameters)
        if mechanisms:
            known["AUTH"] = tuple(dict.fromkeys([name for name in mechanisms if name]))
        self._keywords = known
        # Asked for with each message, and read once.
        self._size: int | None = READERS["SIZE"](known.get("SIZE", ()))
        self._limits: dict[str, int] = READERS["LIMITS"](known.get("LIMITS", ()))

    @classmethod
    def parse(cls, reply: Reply, readers: "Readers | None" = None) -> "Capabilities":
        """What a positive reply to EHLO or LHLO offers; whatever it says, it is read as far as it makes sense."""
        first, *others = reply.lines
        domain, _, greeting = first.partition(" ")
        lines = [words for line in others if (words := line.split())]
        return cls([(words[0], words[1:]) for words in lines], domain=domain, greeting=greeting, readers=readers)

    def value(self, keyword: str) -> "Any":
        """What the parameters of a keyword mean; a tuple of them where nobody has said how to read them.

        Returns:
            As the reader of the extension makes it; None where the keyword is not offered, or makes no sense.
        """
        words = self._keywords.get(keyword)
        reader = self._readers.get(keyword)
        if words is None or reader is None:
            return words
        try:
            return reader(words)
        except ValueError:
            return None

    @property
    def size(self) -> int | None:
        """The octets that a message may have (RFC 1870 section 3).

        0 says that there is no fixed limit; None that nothing is known: no SIZE, no number, or no sensible one.
        """
        return self._size

    @property
    def auth(self) -> tuple[str, ...]:
        """The SASL mechanisms on offer, in upper case, each once (RFC 4954 section 3)."""
        names: tuple[str, ...] = READERS["AUTH"](self._keywords.get("AUTH", ()))
        return names

    @property
    def limits(self) -> Mapping[str, int]:
        """MAILMAX, RCPTMAX and RCPTDOMAINMAX, those of them that the server states (RFC 9422).

        A wrong value is left out, a parameter that has not the form of one leaves all out (section 3); of two
        values the smaller counts.
        """
        return self._limits

    def __getitem__(self, keyword: str) -> tuple[str, ...]:
        return self._keywords[keyword]

    def __iter__(self) -> "Iterator[str]":
        return iter(self._keywords)

    def __len__(self) -> int:
        return len(self._keywords)

    def __contains__(self, keyword: object) -> bool:
        return keyword in self._keywords

    def __repr__(self) -> str:
        offered = "; ".join([" ".join((keyword, *parameters)) for keyword, parameters in self._keywords.items()])
        return f"<Capabilities of {self.domain or 'nobody'}: {offered or 'nothing'}>"


def ehlo_reply(domain: str, greeting: str, keywords: "Iterable[tuple[str, Sequence[str]]]") -> Reply:
    """The positive reply to EHLO or LHLO; `Capabilities.parse` gives back what goes in.

    Args:
        domain: the name of the server, without spaces.
        greeting: any text behind it, or "".
        keywords: pairs of a keyword and its parameters.

    Raises:
        ParseError: a keyword or parameter that the grammar does not allow, or a line of more than 512 octets
            (it cannot be broken, since each line is a keyword).
    """
    if not _is_visible(domain):
        raise ParseError("not the name of a server", domain)
    lines = [f"{domain} {greeting}" if greeting else domain]
    for keyword, parameters in keywords:
        if not is_keyword(keyword):
            raise ParseError("not an EHLO keyword", keyword, expected='(ALPHA / DIGIT) *(ALPHA / DIGIT / "-")')
        for parameter in parameters:
            if not _is_visible(parameter):
                raise ParseError("not an EHLO parameter", parameter, expected="1*(%d33-126)")
        lines.append(" ".join((keyword, *parameters)))
    for line in lines:
        if len(line) > _LINE_TEXT:
            raise ParseError("a line of the EHLO reply is longer than 512 octets", line)
    return Reply(250, lines)


def _is_visible(word: str) -> bool:
    return word.isascii() and word.isprintable() and word != "" and " " not in word
