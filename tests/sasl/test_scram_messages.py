"""The four messages of SCRAM, read one by one."""

import pytest

from smtpkit.errors import ParseError
from smtpkit.sasl.scram_messages import ClientFirst, base64, read_client_final, read_server_final, read_server_first


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (b"n,,n=user,r=abc", ClientFirst("n,,", "n", "", "user", "abc", "n=user,r=abc")),
        (
            b"y,a=x=2Cy,n=a=3Db,r=a+/=,ext=1",
            ClientFirst("y,a=x=2Cy,", "y", "x,y", "a=b", "a+/=", "n=a=3Db,r=a+/=,ext=1"),
        ),
        (b"p=tls-unique,,n=u,r=c", ClientFirst("p=tls-unique,,", "tls-unique", "", "u", "c", "n=u,r=c")),
        ("n,,n=é,r=c".encode(), ClientFirst("n,,", "n", "", "é", "c", "n=é,r=c")),
    ],
)
def test_client_first(message, expected):
    assert ClientFirst.parse(message) == expected
    assert (expected.header + expected.bare).encode() == message


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"n,,",
        b"q,,n=u,r=c",
        b"p=y,,n=u,r=c",
        b"p=n,,n=u,r=c",
        b"p=,,n=u,r=c",
        b"n,u,n=u,r=c",
        b"n,,n=u,r=",
        b"n,,m=1,n=u,r=c",
    ],
)
def test_client_first_that_is_none(message):
    with pytest.raises(ParseError):
        ClientFirst.parse(message)


def test_server_first():
    assert read_server_first(b"r=abcd,s=QUJD,i=4096", "abc") == ("abcd", b"ABC", 4096)
    assert read_server_first(b"r=abc=,s=QQ==,i=1,ext=", "abc") == ("abc=", b"A", 1)
    for message in (b"r=abc,s=QQ==,i=1", b"r=abcd,s=,i=1", b"r=abcd,s=Q,i=1", b"r=abcd,s=QQ==,i=0", b"r=abcd,s=QQ=="):
        with pytest.raises(ParseError):
            read_server_first(message, "abc")


@pytest.mark.parametrize("iterations", ["", "0", "01", "x", "4x", "-1", "+1", "1_0", " 1", "\u0661", "9" * 30])
def test_a_number_of_iterations_is_digits(iterations):
    with pytest.raises(ParseError):
        read_server_first(f"r=abcd,s=QQ==,i={iterations}".encode(), "abc")


@pytest.mark.parametrize(
    "message", ["r=abcd,i=1,s=QQ==", "s=QQ==,r=abcd,i=1", "r=abcd,x=1,s=QQ==,i=1", "r=abcd,s=QQ==,1"]
)
def test_attributes_come_in_order(message):
    with pytest.raises(ParseError, match="r, s, i, in this order"):
        read_server_first(message.encode(), "abc")


@pytest.mark.parametrize("nonce", ["ab cd", "abc\x7f", "abc\xe9", "abc\t"])
def test_a_nonce_is_of_printable_characters(nonce):
    with pytest.raises(ParseError):
        read_server_first(f"r={nonce},s=QQ==,i=1".encode(), "ab")


def test_a_servers_nonce_goes_on_from_the_clients():
    for nonce in ("abc", "ab", "xabc", "abx"):
        with pytest.raises(ParseError, match="does not go on"):
            read_server_first(f"r={nonce},s=QQ==,i=1".encode(), "abc")


def test_iterations_have_nine_digits_at_most():
    assert read_server_first(b"r=abcd,s=QQ==,i=999999999", "abc")[2] == 999_999_999
    with pytest.raises(ParseError):
        read_server_first(b"r=abcd,s=QQ==,i=1000000000", "abc")


def test_client_final():
    assert read_client_final(b"c=biws,r=abc,p=QQ==") == ("biws", "abc", "c=biws,r=abc", b"A")
    assert read_client_final(b"c=biws,r=abc,x=,p=y,p=QQ==") == ("biws", "abc", "c=biws,r=abc,x=,p=y", b"A")
    for message in (b"c=biws,r=abc", b"r=abc,c=biws,p=QQ==", b"c=biws,r=abc,p=Q"):
        with pytest.raises(ParseError):
            read_client_final(message)


def test_server_final():
    assert read_server_final(b"v=QQ==") == b"A"
    assert read_server_final(b"v=QQ==,ext=1") == b"A"
    with pytest.raises(ParseError):
        read_server_final(b"QQ==")


def test_base64_has_no_line_ends():
    assert base64(bytes(100)).count("\n") == 0
