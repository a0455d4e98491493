"""Prints the pages of docs/ that are made from the code: reference.md, protocol.md, and the tables in two others.

`python3 docs/make_reference.py` writes them; tests/test_docs.py fails if they are not up to date.
"""

import enum
import importlib
import inspect
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import state_tables

from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS
from smtpkit.protocol.hints import HINTS
from smtpkit.protocol.sending import OPTIONS
from smtpkit.sasl import ScramKeys, make_record, mechanism_names
from smtpkit.sasl.records import read_secret
from smtpkit.sasl.registry import mechanism
from smtpkit.wire.commands import TOLERANCES
from smtpkit.wire.parameters import PARAMETERS

DOCS = Path(__file__).parent
MODULES = {
    "smtpkit": "The core of both roles, without I/O.",
    "smtpkit.sync": "Client and server with blocking sockets and threads.",
    "smtpkit.asyncio": "Client and server for asyncio.",
    "smtpkit.stores": "Where a server puts what it receives.",
    "smtpkit.testing": "A mail server for tests, with all that may go wrong; the pytest fixture `smtp_server` is one.",
    "smtpkit.protocol": "What an event loop of your own is made of, as [sans-io.md](sans-io.md) shows.",
    "smtpkit.protocol.exchanges": "The exchanges of a client, generators without I/O.",
    "smtpkit.protocol.transcript_entries": "What a `Transcript` is made of.",
    "smtpkit.protocol.replay": "A transcript played again.",
    "smtpkit.sasl": "Mechanisms of logins in both roles, without I/O, and what a server stores of passwords.",
    "smtpkit.tls": "TLS without a socket, and the settings for it.",
}
FOR_LOOPS = {"smtpkit.protocol", "smtpkit.protocol.exchanges"}  # what has an entry above has no other there
CONSTANTS = {  # whose values are long
    "EXTENSIONS": "By EHLO keyword the entry of each extension: [protocol.md](protocol.md#extensions) prints them.",
    "OPTIONS": "What `Client.send()` and `Sending` take, and what each means: the table at the end.",
}
REFERENCE = """# Reference

Every public name, its signature, and the first line of its description.
`help()` shows the rest: arguments, errors, sources.
This page is printed by `docs/make_reference.py`.
"""
PROTOCOL = """# Tables of the protocol

`docs/make_reference.py` prints them from the code.
The order of commands is in `smtpkit/protocol/states.py`, the extensions are in `smtpkit/protocol/extensions.py`.
"""
STATES = """## Which command may follow in which state

A cell is the state after a positive reply, or the code by which a server refuses the command.
All extensions are offered here, TLS is not active yet, and nobody has to log in; [limits.md](limits.md) has the rest.
A command that is refused leaves the state as it was (RFC 5321 section 4.1.4).
A state without a column reads no commands: `greeting`, `auth` (a SASL exchange, which takes responses), `closed`.
In `data` the end of data stands like a verb, and all else is content; "BDAT LAST" is the chunk that ends the message.
Where a cell of BDAT is a code, the octets of the chunk are read and dropped before it is said.
"""
LMTP_STATES = """### LMTP

The same table with LHLO in the place of EHLO and HELO (RFC 2033 section 4.1).
Where BDAT LAST finds no recipient there is nobody to answer for (RFC 2033 section 4.3).
"""
DIAGRAM = """### As a diagram

One line is one arrow: from a state to the next, and by what.
QUIT and 421 lead from everywhere to `closed`; NOOP, HELP, VRFY and EXPN lead nowhere.
"""
EXTENSIONS_INTRODUCTION = """## Extensions

One entry of the registry drives both roles.
It says what EHLO shows, which verbs and parameters are legal, and what their values are.
It also says how long a line may be, and what must be offered with it.
A server offers those marked "default" unless `ServerConfig(extensions=…)` says otherwise.
What stands behind a keyword in italics is for the server's owner to choose: `extensions=["DELIVERBY 60"]`.
A server refuses what goes beyond it, and a client does not send that.
What a parameter asks for is for the application to do, or to refuse: a positive MT-PRIORITY of \
whom it does not trust, above all (RFC 6710 section 4.1).
FUTURERELEASE is for submission alone (RFC 4865).
STARTTLS and AUTH come with the TLS and AUTH settings.
VRFY, EXPN and HELP are keywords alone: a server that does not show them may have the commands all the same.
[Adding an extension](extending.md) shows how an application puts an entry of its own beside these.
"""
EHLO_WORDS = {  # in words; how they come about is in the entry
    "SIZE": "`max_message_size`",
    "AUTH": "the mechanisms that can succeed",
    "LIMITS": "RCPTMAX, and MAILMAX if there is one, of `Limits`",
    "DELIVERBY": "*the least by-time of mode R*",
    "FUTURERELEASE": "*the greatest HOLDFOR and the latest HOLDUNTIL*",
    "MT-PRIORITY": "*the name of a policy*",
    "NO-SOLICITING": "*keywords that are refused*",
    "XCLIENT": "*names of attributes*",
    "XFORWARD": "*names of attributes*",
}


STORED = {  # one secret of each kind, to ask what it is good for
    "password": "secret",
    "record": read_secret(make_record("secret", cost=2)),
    "SCRAM-SHA-1 keys": ScramKeys.derive("secret", "SCRAM-SHA-1", iterations=1),
    "SCRAM-SHA-256 keys": ScramKeys.derive("secret", "SCRAM-SHA-256", iterations=1),
    "SCRAM-SHA-512 keys": ScramKeys.derive("secret", "SCRAM-SHA-512", iterations=1),
}
SOURCES = {
    "PLAIN": "RFC 4616",
    "LOGIN": "draft-murchison-sasl-login",
    "CRAM-MD5": "RFC 2195",
    "SCRAM-SHA-1": "RFC 5802",
    "SCRAM-SHA-256": "RFC 7677",
    "SCRAM-SHA-512": "draft-melnikov-scram-sha-512",
    "OAUTHBEARER": "RFC 7628",
    "XOAUTH2": "Google, Microsoft",
    "EXTERNAL": "RFC 4422",
    "ANONYMOUS": "RFC 4505",
}


def reference() -> str:
    """The page with every public name."""
    parts, known = [REFERENCE], {}
    for module, purpose in MODULES.items():
        loaded = importlib.import_module(module)
        parts.append(f"## `{module}`\n\n{purpose}\n")
        entries = {name: _entry(name, getattr(loaded, name)) for name in loaded.__all__}
        parts += [entry for name, entry in entries.items() if module not in FOR_LOOPS or known.get(name) != entry]
        known |= entries
    parts.append("## Options of `Client.send()` and `Client.send_message()`\n")
    parts.append(_table(["option", "meaning"], [[f"`{name}`", meaning] for name, meaning in OPTIONS.items()]))
    return "\n".join(parts)


def protocol() -> str:
    """The page with the state tables and the extensions."""
    smtp, lmtp = ((_headed(state_tables.rows(lmtp=lmtp)), state_tables.diagram(lmtp=lmtp)) for lmtp in (False, True))
    states = [smtp[0], DIAGRAM, smtp[1], LMTP_STATES, *lmtp]
    return "\n".join([PROTOCOL, STATES, *states, EXTENSIONS_INTRODUCTION, _extensions()])


def _extensions():
    heads = ["keyword", "defined in", "offered", "behind it", "verbs", "parameters of MAIL", "parameters of RCPT"]
    rows = [
        [
            each.keyword,
            each.reference,
            "default" if each.keyword in DEFAULT_EXTENSIONS else "",
            EHLO_WORDS.get(each.keyword, ""),
            " ".join(each.verbs),
            ", ".join(_typed(codec) for codec in each.mail_codecs.values()),
            ", ".join(_typed(codec) for codec in each.rcpt_codecs.values()),
            str(each.mail_octets or ""),
            str(each.rcpt_octets or ""),
            " ".join(each.requires),
            "yes" if each.needs_tls else "",
        ]
        for each in EXTENSIONS.values()
    ]
    return _table([*heads, "octets for MAIL", "octets for RCPT", "requires", "TLS only"], rows)


def _typed(codec):
    # Its keyword and the type of its value, as the function that reads it says.
    returned = inspect.signature(codec.parse).return_annotation
    return f"{codec.keyword}: {_annotation(returned)}"


def wire(page: str) -> str:
    """The page about the wire layer, with its tables made anew."""
    tolerances = [
        [what, f"`{example.decode()}`", f"`{read_as.decode()}`" if read_as else "as it is"]
        for what, example, read_as, _, _ in TOLERANCES
    ]
    parameters = [
        [f"`{keyword}`", verb, " ".join(e.keyword for e in EXTENSIONS.values() if keyword in _parameters(e))]
        for verb, known in PARAMETERS.items()
        for keyword in known
    ]
    page = _filled(page, "tolerances", _table(["what", "example", "read as"], tolerances))
    return _filled(page, "parameters", _table(["parameter", "of", "legal with"], parameters))


def authentication(page: str) -> str:
    """The page about logins, with its tables made anew."""
    mechanisms = [mechanism(name) for name in mechanism_names()]
    known = [
        [
            each.name,
            SOURCES[each.name.removesuffix("-PLUS")],
            each.credential,
            ", ".join(kind for kind, secret in STORED.items() if each.accepts(secret)),
            "shown: TLS only" if each.plaintext else "",
            "proves itself" if each.mutual else "",
        ]
        for each in mechanisms
    ]
    hints = [
        [
            " ".join(each.hosts),
            f"{each.code} {each.enhanced}".strip(),
            each.says,
            each.credential,
            each.cause,
            f"<{each.source}>",
        ]
        for each in HINTS
    ]
    heads = ["mechanism", "defined in", "the client needs", "the server may store", "secret", "the server"]
    page = _filled(page, "mechanisms", _table(heads, known))
    return _filled(page, "hints", _table(["greeting", "reply", "says", "login by", "cause", "source"], hints))


def _parameters(extension):
    return (*extension.mail_parameters, *extension.rcpt_parameters)


def _filled(page, name, table):
    return re.sub(rf"(?<=<!-- {name} -->\n).*?(?=<!-- end -->)", lambda _: table, page, count=1, flags=re.DOTALL)


def _headed(rows):
    return _table(rows[0], rows[1:])


def _table(heads, rows):
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _entry(name, value):
    if isinstance(value, type):
        lines = [f"### `{name}{_signature(value)}`\n", _first(value)]
        if issubclass(value, Exception):
            lines.append(f"A kind of {', '.join(base.__name__ for base in _public_bases(value))}.")
        if issubclass(value, enum.Enum):
            lines.append("Members: " + ", ".join(f"`{member}`" for member in value.__members__) + ".")
        members = list(_members(value))
        return "\n".join(lines + (["", *members] if members else [])) + "\n"
    if callable(value):
        return f"### `{name}{_signature(value)}`\n\n{_first(value)}\n"
    return f"### `{name}`\n\n{CONSTANTS.get(name) or _constant(value)}\n"


def _constant(value):
    if isinstance(value, enum.Enum):
        return f'"{value.value}", of `{type(value).__name__}`: {_first(type(value))}'
    return f"`{value!r}`"


def _public_bases(kind):
    for base in kind.__bases__:
        yield from _public_bases(base) if base.__name__.startswith("_") else (base,)


def _members(kind):
    # Its own, and those of classes that have no entry of their own.
    public = {each for each in kind.__mro__[1:] if not each.__module__.startswith("smtpkit") or _has_entry(each)}
    for name in dir(kind):
        if name.startswith("_") or next(each for each in kind.__mro__ if name in each.__dict__) in public:
            continue
        value = inspect.getattr_static(kind, name)
        plain = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if isinstance(value, property):
            yield f"- `.{name}`: {_first(value)}"
        elif inspect.isfunction(plain) and plain.__doc__:
            yield f"- `.{name}{_signature(getattr(kind, name), bound=plain is value)}`: {_first(plain)}"


def _has_entry(kind):
    return any(
        getattr(importlib.import_module(module), kind.__name__, None) is kind for module in MODULES.keys() - FOR_LOOPS
    )


def _first(value):
    # The first paragraph, in one line: a sentence may be wrapped.
    text = inspect.getdoc(value) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _signature(value, bound=False):
    if isinstance(value, type) and (value.__init__ is object.__init__ or issubclass(value, (enum.Enum, Exception))):
        return ""
    signature = inspect.signature(value)
    parameters = list(signature.parameters.values())[bound:]
    text = ", ".join(_parameter(parameters, index) for index in range(len(parameters)))
    result = signature.return_annotation
    arrow = "" if isinstance(value, type) or result is inspect.Signature.empty else f" -> {_annotation(result)}"
    return f"({text}){arrow}"


def _parameter(parameters, index):
    each = parameters[index]
    kinds = [parameter.kind for parameter in parameters[:index]]
    star = "*, " if each.kind is each.KEYWORD_ONLY and not {each.KEYWORD_ONLY, each.VAR_POSITIONAL} & set(kinds) else ""
    stars = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**"}.get(each.kind, "")
    note = "" if each.annotation is each.empty else f": {_annotation(each.annotation)}"
    default = "" if each.default is each.empty else f" = {each.default!r}" if note else f"={each.default!r}"
    return f"{star}{stars}{each.name}{note}{default}"


def _annotation(value):
    text = value if isinstance(value, str) else inspect.formatannotation(value)
    return re.sub(r"\b[a-z_][\w.]*\.(?=[A-Za-z])", "", text).replace("'", "").replace("NoneType", "None")


def main() -> None:
    """Write the pages."""
    (DOCS / "reference.md").write_text(reference(), encoding="utf-8")
    (DOCS / "protocol.md").write_text(protocol(), encoding="utf-8")
    for name, filled in (("wire.md", wire), ("authentication.md", authentication)):
        page = DOCS / name
        if page.exists():
            page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
