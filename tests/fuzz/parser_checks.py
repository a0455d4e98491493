"""What must hold of each parser, whatever octets it is given: one function for each, which raises if it does not.

A parser takes its input, or refuses it with ParseError; what was parsed can be emitted, is then one clean line,
and parsed again is equal.
"""

import ipaddress

from smtpkit.errors import ParseError
from smtpkit.protocol.target import Target
from smtpkit.wire.addresses import Mailbox, domain_or_literal, read_path
from smtpkit.wire.capabilities import Capabilities, ehlo_reply
from smtpkit.wire.commands import Ehlo, parse_command
from smtpkit.wire.lines import LineBuffer
from smtpkit.wire.literals import address_literal, is_address_literal, literal_address
from smtpkit.wire.parameters import PARAMETERS, check_parameters, emit_parameters, parse_parameters
from smtpkit.wire.proxy import parse_proxy_header
from smtpkit.wire.replies import Reply, ReplyAssembler, parse_reply
from smtpkit.wire.status import EnhancedStatus
from smtpkit.wire.xtext import utf8_xtext_decode, utf8_xtext_encode, xtext_decode, xtext_encode

__all__ = [
    "addresses",
    "capabilities",
    "command",
    "domains",
    "emitted_lines",
    "enhanced_status",
    "literals",
    "mailbox",
    "parameter",
    "parameters",
    "proxy_header",
    "refused",
    "reply",
    "reply_assembler",
    "target",
    "utf8_xtext",
    "xtext",
]

REFUSED = object()


def refused(parse, *arguments, **options):
    """The result of a parser, or REFUSED; an error that is none of the documented ones passes."""
    try:
        return parse(*arguments, **options)
    except ParseError as error:
        # A server says so, in these words.
        text = f"{error.what}; expected {error.expected}"
        assert parse_reply(bytes(Reply(error.code, text, error.enhanced))).is_positive is False
        assert str(error)
        return REFUSED


def emitted_lines(octets):
    """The lines of what is to be sent: each ends with CRLF, and holds no CR, LF or NUL."""
    assert octets.endswith(b"\r\n"), octets
    lines = octets[:-2].split(b"\r\n")
    assert not any(set(line) & set(b"\r\n\0") for line in lines), octets
    return lines


def text_of(octets):
    """Any text: what is no UTF-8 becomes lone surrogates."""
    return octets.decode("utf-8", "surrogateescape")


def command(octets, *, smtputf8=False, strict=True):
    """A command is emitted as one line, which reads the same; spelling of the verb and CRLF make no difference."""
    options = {"smtputf8": smtputf8, "strict": strict}
    value = refused(parse_command, octets, **options)
    # These spellings are read by the complete parser, never by the patterns for common lines.
    if octets[:4].isalpha():
        for verb in (octets[:4].swapcase(), octets[:1].lower() + octets[1:4].upper()):
            assert refused(parse_command, verb + octets[4:], **options) == value, (verb, octets)
    if not octets.endswith((b"\r", b"\n")):
        assert refused(parse_command, octets + b"\r\n", **options) == value
    if value is REFUSED:
        return
    line = bytes(value)
    (clean,) = emitted_lines(line)
    assert value.verb.encode() == clean.partition(b" ")[0]
    again = parse_command(line, **options)
    assert (again, bytes(again), hash(again)) == (value, line, hash(value)), (again, value)
    assert repr(value)
    if strict:
        assert parse_command(octets, smtputf8=smtputf8, strict=False) == value
        # Every octet is accounted for: without its last one the line says something else, or nothing.
        shorter = octets.rstrip()[:-1]
        if not octets.rstrip().endswith(b"00"):  # which is 0, in any number of digits
            assert refused(parse_command, shorter, **options) != value, octets
    if not smtputf8:
        assert parse_command(octets, smtputf8=True, strict=strict) == value


def reply(octets):
    """What a reply emits is a fixed point: the same reply, or, of text that is not ASCII or too long, a near one."""
    value = refused(parse_reply, octets)
    if value is REFUSED:
        return
    assert value.lines
    assert len(value.lines) <= 512
    assert not set(value.text) & {"\r", "\0"}
    _emits(value, parse_reply)


def _emits(value, parse):
    written = bytes(value)
    lines = emitted_lines(written)
    assert all(len(line) <= 510 and line.replace(b"\t", b" ").decode("ascii").isprintable() for line in lines)
    plain = all(line.replace("\t", " ").isprintable() and line.isascii() for line in value.lines)
    if len(lines) <= 512 and len(written) <= 64 * 1024:  # a status on every line may be too much to read
        again = parse(written)
        assert (again.code, again.enhanced) == (value.code, value.enhanced)
        assert bytes(again) == written
        assert not plain or len(lines) > len(value.lines) or again == value, (again, value)
    assert str(value)
    assert repr(value)


def reply_assembler(octets):
    """Replies do not depend on how the input was cut (at each "|"); after an error there are no more."""
    pieces = octets.split(b"|")
    whole = _assembled([b"".join(pieces)])
    assert _assembled(pieces) == whole
    for value in whole:
        if isinstance(value, Reply):
            _emits(value, _read_leniently)


def _read_leniently(written, *, enhanced=True):
    assembler = ReplyAssembler()
    *first, last = [assembler.add(line, enhanced=enhanced) for line in written[:-2].split(b"\r\n")]
    assert not any(first)
    return last


def _assembled(pieces):
    buffer, assembler, found = LineBuffer(), ReplyAssembler(), []
    for piece in pieces:
        buffer.feed(piece)
        while (line := buffer.next_line(1 << 20)) is not None:
            value = refused(assembler.add, line)
            found.append(value)
            if value is REFUSED:
                return found
            assert assembler.incomplete is (value is None)
    return [*found, assembler.incomplete]


def capabilities(octets):
    """Any reply is read without complaint; what could be said in EHLO comes back when it is said again."""
    lines = text_of(octets.replace(b"\0", b"")).replace("\r", "").split("\n")
    value = Capabilities.parse(Reply(250, lines))
    assert value.size is None or 0 <= value.size < 10**20
    assert len(set(value.auth)) == len(value.auth)
    assert all(0 < number < 10**6 for number in value.limits.values())
    assert all(keyword in value and value[keyword] is parameters for keyword, parameters in value.items())
    assert repr(value)
    said = refused(ehlo_reply, value.domain, value.greeting, value.items())
    if said is not REFUSED:
        assert Capabilities.parse(said) == value
        if value.greeting.isascii() and value.greeting.isprintable():
            again = Capabilities.parse(_read_leniently(bytes(said), enhanced=False))
            assert (again, again.domain, again.greeting) == (value, value.domain, value.greeting)


def enhanced_status(octets):
    """A status is what it was read from."""
    value = refused(EnhancedStatus.parse, text_of(octets))
    if value is not REFUSED:
        assert str(value).encode() == octets
        assert EnhancedStatus(value.status_class, value.subject, value.detail) == value


def mailbox(octets):
    """A mailbox is written with the least quoting and reads the same; so it does as a path."""
    value = refused(Mailbox.parse, text_of(octets))
    if value is not REFUSED:
        _is_mailbox(value)
        path, end = read_path(f"<{value}> x")
        assert (path, end) == (value, len(str(value)) + 2)


def _is_mailbox(value):
    text = str(value)
    octets = text.encode()
    assert len(octets) <= 254
    assert not set(octets) & set(range(32)), octets
    assert value.is_ascii is text.isascii()
    assert len(octets) - len(value.domain.encode()) <= 65
    _is_domain(value.domain)
    if value.domain:
        again = Mailbox.parse(text)
        assert (again, hash(again), str(again)) == (value, hash(value), text)


def _is_domain(text):
    # RFC 1035 section 2.3.4, and of the characters those that separate addresses.
    assert len(text.encode()) <= 255
    assert text.startswith("[") or all(len(label.encode("punycode")) <= 64 for label in text.split(".")), text
    assert set(text).isdisjoint(' <>@",;\\()')


def addresses(octets):
    """A mailbox that is made of any two parts, and any path, can be written and read."""
    local_part, _, domain = text_of(octets).rpartition("@")
    value = refused(Mailbox, local_part, domain)
    if value is not REFUSED:
        _is_mailbox(value)
    read = refused(read_path, text_of(octets))
    if read is not REFUSED:
        value, end = read
        assert 2 <= end <= len(octets)
        written = f"<{'' if value is None else value}>"
        assert read_path(written) == (value, len(written))


def domains(octets):
    """What may stand after EHLO is given back as it is, and can stand there."""
    text = text_of(octets)
    value = refused(domain_or_literal, text)
    if value is not REFUSED:
        assert value is text
        assert emitted_lines(bytes(Ehlo(value))) == [b"EHLO " + octets]
        _is_domain(value)


def literals(octets):
    """A literal holds an address that is one for Python too, and is written in one way."""
    text = text_of(octets)
    if is_address_literal(text):
        address = literal_address(text)
        assert _same_address(address, ipaddress.ip_address(address))
        assert literal_address(address_literal(address)) == address
    else:
        assert refused(literal_address, text) is REFUSED
    literal = refused(address_literal, text)
    if literal is not REFUSED:
        assert is_address_literal(literal)
        assert address_literal(literal_address(literal)) == literal


def _same_address(text, address):
    mapped = address.ipv4_mapped if address.version == 6 else None
    return text == (str(address) if mapped is None else f"::ffff:{mapped}")


def parameters(octets, verb):
    """Parameters come back when they are written, in their order, and are such as a caller may give."""
    values = refused(parse_parameters, verb, text_of(octets))
    if values is REFUSED:
        return
    assert 0 < len(values) <= 32
    text = emit_parameters(verb, values)
    _is_value(text, also=" =")
    again = parse_parameters(verb, text)
    assert list(again.items()) == list(values.items())
    assert check_parameters(verb, values) == values
    assert emit_parameters(verb, again) == text


def _is_value(text, also=""):
    # esmtp-value of RFC 5321 section 4.1.2, and RFC 6531 section 3.3: no "=", no SP, no controls.
    assert set(text).isdisjoint({*map(chr, range(33)), "=", "\x7f"} - set(also)), text
    text.encode()


def parameter(octets, verb, keyword):
    """A value is emitted in one spelling, which reads the same."""
    codec = PARAMETERS[verb][keyword]
    value = refused(codec.parse, text_of(octets))
    if value is REFUSED:
        return
    text = codec.emit(value)
    _is_value(text)
    assert text.isascii()
    again = codec.parse(text)
    assert (again, hash(again), codec.emit(again)) == (value, hash(value), text)
    assert check_parameters(verb, {keyword: value}) == {keyword: value}
    assert repr(value)


def xtext(octets):
    """Any text is encoded as visible ASCII and comes back; what is decoded comes back too."""
    _codec(octets, xtext_encode, xtext_decode)


def utf8_xtext(octets, *, smtputf8):
    """The same for the two forms of RFC 6533."""
    _codec(octets, lambda text: utf8_xtext_encode(text, smtputf8=smtputf8), utf8_xtext_decode, ascii_only=not smtputf8)


def _codec(octets, encode, decode, *, ascii_only=True):
    text = text_of(octets)
    encoded = refused(encode, text)
    if encoded is not REFUSED:
        assert encoded.isascii() or not ascii_only
        _is_value(encoded)
        assert len(encoded) <= 12 * len(text)
        assert decode(encoded) == text
    decoded = refused(decode, text)
    if decoded is not REFUSED:
        assert decode(encode(decoded)) == decoded


def proxy_header(octets):
    """A header reads the same in any company; what is cut off is waited for; it can be written again."""
    read = refused(parse_proxy_header, octets)
    if read is REFUSED:
        return
    if read is None:
        assert len(octets) < 536
        return
    header, size = read
    assert 0 < size <= min(len(octets), 536)
    assert parse_proxy_header(octets[:size]) == read
    for cut in (0, 1, 5, 6, 12, 15, 16, size // 2, size - 1):
        assert cut >= size or parse_proxy_header(octets[:cut]) is None, cut
    written = bytes(header)
    assert parse_proxy_header(written) == (header, len(written))
    if header.version == 1:
        assert emitted_lines(written)


def target(octets):
    """A URL gives a target, or the ValueError that is documented, which shows no password."""
    where = octets.decode("latin-1")
    try:
        value = Target.parse(where)
    except ValueError as error:
        assert type(error) in (ValueError, ParseError), error  # and not one that leaked from below
        return
    assert bool(value.path) is not bool(value.host)
    assert 0 <= value.port <= 65535
    if not value.path:
        again = Target.parse(str(value))
        assert (again.host, again.port, again.lmtp) == (value.host, value.port, value.lmtp)
    if value.credentials is not None:
        assert isinstance(value.credentials.username, str)
    assert value.is_local in (True, False)
