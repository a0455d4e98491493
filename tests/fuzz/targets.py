"""The table of what is fuzzed: a name, the file of its corpus, and a function of octets that raises on a finding."""

import ast
from functools import partial
from pathlib import Path

import dialogue_checks as dialogues
import parser_checks as parsers
import stream_checks as streams

from smtpkit.wire.parameters import PARAMETERS

__all__ = ["TARGETS", "WORDS", "corpus", "folded", "run_twice"]

_HERE = Path(__file__).parent

TARGETS = {
    "command-strict": ("commands", parsers.command),
    "command-tolerant": ("commands", partial(parsers.command, strict=False)),
    "command-smtputf8": ("commands", partial(parsers.command, smtputf8=True)),
    "reply": ("replies", parsers.reply),
    "reply-assembler": ("replies", parsers.reply_assembler),
    "capabilities": ("capabilities", parsers.capabilities),
    "enhanced-status": ("enhanced_status", parsers.enhanced_status),
    "mailbox": ("addresses", parsers.mailbox),
    "addresses": ("addresses", parsers.addresses),
    "domains": ("domains", parsers.domains),
    "literals": ("domains", parsers.literals),
    "mail-parameters": ("parameters", partial(parsers.parameters, verb="MAIL")),
    "rcpt-parameters": ("parameters", partial(parsers.parameters, verb="RCPT")),
    **{
        f"parameter-{keyword.lower()}": ("parameter_values", partial(parsers.parameter, verb=verb, keyword=keyword))
        for verb, known in PARAMETERS.items()
        for keyword in known
    },
    "xtext": ("xtext", parsers.xtext),
    "utf-8-addr-xtext": ("xtext", partial(parsers.utf8_xtext, smtputf8=False)),
    "utf-8-addr-unitext": ("xtext", partial(parsers.utf8_xtext, smtputf8=True)),
    "proxy-header": ("proxy", parsers.proxy_header),
    "target": ("urls", parsers.target),
    "line-buffer": ("lines", streams.line_buffer),
    "dot-unstuffer-reject": ("bodies", partial(streams.dot_unstuffer, policy="reject")),
    "dot-unstuffer-normalize": ("bodies", partial(streams.dot_unstuffer, policy="normalize")),
    "dot-unstuffer-keep": ("bodies", partial(streams.dot_unstuffer, policy="keep")),
    "dot-stuffer": ("bodies", streams.dot_stuffer),
    "newline-normalizer": ("bodies", streams.newline_normalizer),
    "body-scan": ("bodies", streams.body_scan),
    **{f"sasl-{name.lower()}": ("sasl", partial(dialogues.sasl_server, name=name)) for name in dialogues.MECHANISMS},
    "server-connection": ("server", dialogues.server_connection),
    "client-connection": ("client", dialogues.client_connection),
}
"""Name to the name of the corpus and the function."""


def folded(octets):
    """The input in an alphabet of SMTP: text stays what it is, any other octet becomes a word of the protocol.

    So most of what mutation puts into a text means something there.
    """
    return b"".join([_FOLD[octet] for octet in octets])


def run_twice(check, octets):
    """Run a check on the octets as they are, and folded."""
    check(octets)
    other = folded(octets)
    if other != octets:
        check(other)


def corpus(target):
    """The inputs of a target's corpus: a line each, as Python writes bytes; a line with "#" is a comment."""
    return _read(_HERE / "corpus" / f"{TARGETS[target][0]}.txt")


def _read(path):
    return [ast.literal_eval(line) for line in path.read_text("ascii").splitlines() if not line.startswith("#")]


WORDS = _read(_HERE / "alphabet.txt")
_TEXT = frozenset((*range(32, 127), 9, 10, 13))
_FOLD = [bytes([octet]) if octet in _TEXT else WORDS[octet % len(WORDS)] for octet in range(256)]
