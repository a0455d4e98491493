"""The registry: each entry is whole, and agrees with the parsers and the standards' numbers."""

import pytest

from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.wire.commands import SYNTAX

# What each adds to the line of MAIL and of RCPT, in octets, as its RFC says.
OCTETS = {
    "SIZE": (26, 0),  # RFC 1870 section 3
    "BINARYMIME": (16, 0),  # RFC 3030 section 3
    "SMTPUTF8": (10, 0),  # RFC 6531 section 3.1
    "AUTH": (500, 0),  # RFC 4954 section 3
    "REQUIRETLS": (11, 0),  # RFC 8689 section 2
    "DELIVERBY": (17, 0),  # RFC 2852 section 2
    "FUTURERELEASE": (34, 0),  # RFC 4865 section 3
    "MT-PRIORITY": (15, 0),  # RFC 6710 section 3
    "RRVS": (0, 33),  # RFC 7293 section 3.1
}


@pytest.mark.parametrize(("keyword", "octets"), OCTETS.items())
def test_line_limits_grow_by_what_the_standard_says(keyword, octets):
    extension = EXTENSIONS[keyword]
    assert (extension.mail_octets, extension.rcpt_octets) == octets


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


@pytest.mark.parametrize("keyword", ["", "-A", "A B", "A\r\n250 B", "É", "A_B", "-"])
def test_a_keyword_must_be_in_the_grammar(keyword):
    with pytest.raises(ValueError, match="no EHLO keyword"):
        Extension(keyword)
