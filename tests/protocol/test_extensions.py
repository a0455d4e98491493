"""The registry: each entry is whole, and agrees with the parsers and the standards' numbers."""

import pytest

from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, OWNERS, Extension, Owners, dialect_of
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.wire.commands import SYNTAX, Command, Data, Etrn
from smtpkit.wire.dialect import STANDARD
from smtpkit.wire.parameters import PARAMETERS, ParameterCodec

# The longest value of a parameter that its standard lets a client send.
LONGEST = {
    "SIZE": ("SIZE=" + "9" * 20, ""),
    "8BITMIME": ("BODY=8BITMIME", ""),
    "BINARYMIME": ("BODY=BINARYMIME", ""),
    "SMTPUTF8": ("SMTPUTF8", ""),
    "DSN": ("RET=FULL ENVID=" + "x" * 100, "ORCPT=rfc822;" + "x" * 493 + " NOTIFY=SUCCESS,FAILURE,DELAY"),
    "REQUIRETLS": ("REQUIRETLS", ""),
    "DELIVERBY": ("BY=-999999999;NT", ""),
    "FUTURERELEASE": ("HOLDUNTIL=9999-12-31T23:59:59.99Z", ""),
    "MT-PRIORITY": ("MT-PRIORITY=-9", ""),
    "RRVS": ("", "RRVS=9999-12-31T23:59:59+14:00;C"),
    "NO-SOLICITING": ("SOLICIT=" + "x" * 1000, ""),
    "MTRK": ("MTRK=" + "x" * 27 + ":999999999", ""),
    "CONPERM": ("CONPERM", ""),
}


@pytest.mark.parametrize(("keyword", "parameters"), LONGEST.items())
def test_line_limits_grow_by_the_longest_that_the_standard_lets_be_said(keyword, parameters):
    extension = EXTENSIONS[keyword]
    for verb, text, octets in zip(
        ("MAIL", "RCPT"), parameters, (extension.mail_octets, extension.rcpt_octets), strict=True
    ):
        for each in text.split():
            name, _, value = each.partition("=")
            PARAMETERS[verb][name].parse(value or None)
        assert (len(f" {text}") if text else 0) <= octets, verb


def test_dsn_allows_a_rcpt_line_of_1036_octets():
    assert 512 + EXTENSIONS["DSN"].rcpt_octets >= 1036  # RFC 3461 section 5.4


@pytest.mark.parametrize("extension", EXTENSIONS.values(), ids=lambda extension: extension.keyword)
def test_an_entry_is_whole(extension):
    assert EXTENSIONS[extension.keyword] is extension
    assert extension.reference
    assert set(extension.verbs) <= set(SYNTAX)
    assert set(extension.requires) <= set(EXTENSIONS)
    assert bool(extension.mail_parameters) == bool(extension.mail_octets)
    assert bool(extension.rcpt_parameters) == bool(extension.rcpt_octets)


def test_default_extensions_are_known_and_promise_nothing_that_needs_the_application():
    assert set(DEFAULT_EXTENSIONS) <= set(EXTENSIONS)
    assert not {"DSN", "STARTTLS", "AUTH", "BINARYMIME", "REQUIRETLS", "XCLIENT"} & set(DEFAULT_EXTENSIONS)


def test_words_are_kept_in_upper_case():
    own = Extension("x-own", verbs=["xown"], mail_parameters=["xa"], rcpt_parameters=["xb"])
    assert (own.keyword, own.verbs, own.mail_parameters, own.rcpt_parameters) == ("X-OWN", ("XOWN",), ("XA",), ("XB",))


def test_what_is_shown_is_what_made_it():
    own = Extension("XOWN", "ours", ehlo="1 2", requires=["SIZE"])
    assert own == Extension("XOWN", "ours", ehlo="1 2", requires=["SIZE"])
    assert repr(own) == "<Extension XOWN>"


def test_what_needs_tls_is_for_a_client_where_the_server_is_verified():
    facts = {verified: TLSFacts("TLSv1.3", "x", verified=verified) for verified in (True, False)}
    assert [Extension("X").usable_over(tls) for tls in (None, *facts.values())] == [True] * 3
    own = Extension("X", needs_tls=True)
    assert [own.usable_over(tls) for tls in (None, facts[False], facts[True])] == [False, False, True]


@pytest.mark.parametrize("keyword", ["", "-A", "A B", "A\r\n250 B", "É", "A_B", "-"])
def test_a_keyword_must_be_in_the_grammar(keyword):
    with pytest.raises(ValueError, match="no EHLO keyword"):
        Extension(keyword)


# An application's own


class Tag(Command):
    __slots__ = ()
    verb = syntax = "X-TAG"


class Other(Command):
    __slots__ = ()
    verb = syntax = "X-TAG"


class Lower(Command):
    __slots__ = ()
    verb = syntax = "x-tag"


class Fake(Command):
    __slots__ = ()
    verb = syntax = "DATA"


CODEC = ParameterCodec("X-N", int)


def test_commands_and_codecs_are_known_by_their_words():
    own = Extension(
        "X-OWN", verbs=[Tag, "X-BARE", "ETRN", Data], mail_parameters=[CODEC, "SIZE"], rcpt_parameters=["X-T"]
    )
    assert own.verbs == ("X-TAG", "X-BARE", "ETRN", "DATA")
    assert own.commands == {"X-TAG": Tag, "ETRN": Etrn, "DATA": Data}
    assert own.mail_codecs == {"X-N": CODEC, "SIZE": PARAMETERS["MAIL"]["SIZE"]}
    assert own.rcpt_codecs == {"X-T": ParameterCodec.of_text("X-T")}
    assert own.mail_parameters == ("X-N", "SIZE")
    dialect = dialect_of([own, EXTENSIONS["SIZE"]])
    assert dialect.commands["X-TAG"] is Tag
    assert "X-BARE" not in dialect.commands
    assert dialect.mail["X-N"].parse("5") == 5
    assert dialect.rcpt["X-T"].parse("a") == "a"


@pytest.mark.parametrize("kind", ["mail_parameters", "rcpt_parameters"])
def test_one_kind_of_word_is_enough_for_a_dialect(kind):
    dialect = dialect_of([Extension("X-OWN", **{kind: [ParameterCodec("X-N", int)]})])
    assert "X-N" in (dialect.mail if kind == "mail_parameters" else dialect.rcpt)


def test_what_adds_no_word_needs_no_dialect():
    assert dialect_of([*EXTENSIONS.values(), Extension("XOWN", ehlo="a")]) is STANDARD
    assert dialect_of([Extension("XOWN", read=len)]).readers["XOWN"] is len


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"verbs": ["X TAG"]}, "no verb"),
        ({"verbs": [Fake]}, "DATA is a verb of the standards"),
        ({"verbs": [Lower]}, "not in upper case"),
        ({"mail_parameters": ["X=N"]}, "no parameter"),
        ({"mail_parameters": [ParameterCodec("SIZE", int)]}, "SIZE is a parameter of the standards"),
    ],
)
def test_words_must_be_in_the_grammar_and_the_standards_keep_theirs(arguments, says):
    with pytest.raises(ValueError, match=says):
        Extension("XOWN", **arguments)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"verbs": [Tag]}, {"verbs": [Other]}),
        ({"mail_parameters": [CODEC]}, {"mail_parameters": ["X-N"]}),
        ({"rcpt_parameters": [CODEC]}, {"rcpt_parameters": [ParameterCodec("X-N", float)]}),
    ],
)
def test_two_extensions_do_not_give_one_word_two_meanings(one, other):
    dialect_of([Extension("XA", **one), Extension("XB", **one)])
    with pytest.raises(ValueError, match="different meanings"):
        dialect_of([Extension("XA", **one), Extension("XB", **other)])


def test_other_words_behind_a_keyword_are_checked():
    changed = EXTENSIONS["DELIVERBY"].with_ehlo("60")
    assert (changed.ehlo, changed.keyword) == ("60", "DELIVERBY")
    assert changed != EXTENSIONS["DELIVERBY"]
    assert Extension("XA").with_ehlo("b").ehlo == "b"
    with pytest.raises(ValueError, match="bad DELIVERBY"):
        EXTENSIONS["DELIVERBY"].with_ehlo("soon")


@pytest.mark.parametrize("extension", [each for each in EXTENSIONS.values() if not isinstance(each.ehlo, str)])
def test_what_is_made_of_the_configuration_can_be_read(extension):
    config = ServerConfig("mx.example", limits=Limits(transactions=3, recipients=7), max_message_size=5)
    words = extension.ehlo(config, ["PLAIN"])
    expected = {"SIZE": "5", "AUTH": "PLAIN", "LIMITS": "MAILMAX=3 RCPTMAX=7"}
    assert words == expected[extension.keyword]
    assert EXTENSIONS["LIMITS"].ehlo(ServerConfig("mx.example"), []) == "RCPTMAX=1000"
    assert EXTENSIONS["SIZE"].ehlo(config.replace(max_message_size=None), []) == "0"


def test_a_word_belongs_to_the_first_extension_that_has_it():
    assert OWNERS.parameters["BODY"] is EXTENSIONS["8BITMIME"]
    assert OWNERS.verbs["BDAT"] is EXTENSIONS["CHUNKING"]
    own = Extension("XOWN", verbs=[Tag], rcpt_parameters=[CODEC])
    assert Owners([own]).parameters == {"X-N": own}
    assert Owners([own]).verbs == {"X-TAG": own}
