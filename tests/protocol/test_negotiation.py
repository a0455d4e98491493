"""Negotiation: what a message needs against what a server offers."""

import pytest

from smtpkit.errors import NotSupported, ParseError
from smtpkit.protocol import ClientConfig, ClientConnection, Envelope, Extension
from smtpkit.protocol.negotiation import demand, has_ascii_form, in_ascii, negotiate
from smtpkit.protocol.outgoing import Outgoing, scanned
from smtpkit.protocol.tls_facts import TLSFacts
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.parameter_values import DeliverBy, OriginalRecipient
from smtpkit.wire.parameters import ParameterCodec

EVERYTHING = [
    *[(word, ()) for word in ("8BITMIME", "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME", "REQUIRETLS", "DELIVERBY")],
    *[(word, ()) for word in ("FUTURERELEASE", "MT-PRIORITY", "RRVS", "AUTH", "NO-SOLICITING", "MTRK", "CONPERM")],
    ("SIZE", ("1000",)),
]
TO = ["bob@b.example"]


def offers(*words):
    return Capabilities([(word.partition(" ")[0], word.split()[1:]) for word in words])


def body(octets=b"hi\r\n", **options):
    return Outgoing(octets, scanned((octets,)), **options)


def client(capabilities, config=None, tls="verified"):
    made = ClientConnection(config or ClientConfig())
    made.capabilities = capabilities
    made.tls = TLSFacts("TLSv1.3", "x", verified=tls == "verified") if tls else None
    return made


def lines(
    capabilities,
    sender="a@a.example",
    to=TO,
    content=None,
    mail=None,
    rcpt=None,
    config=None,
    tls="verified",
    **options,
):
    envelope = Envelope(sender, to, mail, rcpt)
    recipients = dict(zip(to, envelope.recipients, strict=True))
    given = {"mail_parameters": envelope.mail_parameters, "rcpt_parameters": envelope.rcpt_parameters}
    made = client(capabilities, config, tls)
    command, commands = negotiate(made, envelope.sender, recipients, content or body(), **given, **options)
    return [bytes(command).decode(), *[bytes(each).decode() for each in commands.values()]]


def test_a_plain_message_to_a_plain_server():
    assert lines(offers()) == ["MAIL FROM:<a@a.example>\r\n", "RCPT TO:<bob@b.example>\r\n"]
    assert lines(offers(), sender=None)[0] == "MAIL FROM:<>\r\n"


# SIZE


def test_the_size_is_declared_where_it_is_known_and_wanted():
    assert lines(offers("SIZE"))[0] == "MAIL FROM:<a@a.example> SIZE=4\r\n"
    assert "SIZE" not in lines(offers(), size=9)[0]
    assert "SIZE" not in lines(offers("SIZE"), content=Outgoing())[0]
    assert "SIZE=9" in lines(offers("SIZE"), content=Outgoing(), size=9)[0]
    assert "SIZE=4" in lines(offers("SIZE"), size=9)[0]  # what is known wins
    assert "SIZE=7" in lines(offers("SIZE"), mail={"size": 7})[0]
    assert "SIZE=3" in lines(offers("SIZE"), content=body(b"a"))[0]  # with the CRLF that DATA adds


@pytest.mark.parametrize(("limit", "fits"), [("3", False), ("4", True), ("0", True), ("x", True)])
def test_the_size_is_held_against_the_limit(limit, fits):
    if fits:
        assert "SIZE=4" in lines(offers(f"SIZE {limit}"))[0]
    else:
        with pytest.raises(NotSupported, match="4 octets and the server takes 3") as info:
            lines(offers(f"SIZE {limit}"))
        assert info.value.extension == "SIZE"


# 8BITMIME and BINARYMIME


def test_8_bit_is_declared_or_refused_or_sent_by_name():
    eight = body(b"\xff\r\n")
    assert "BODY=8BITMIME" in lines(offers("8BITMIME"), content=eight)[0]
    assert "BODY" not in lines(offers("8BITMIME"))[0]
    with pytest.raises(NotSupported) as info:
        lines(offers(), content=eight)
    assert info.value.extension == "8BITMIME"
    assert "BODY" not in lines(offers(), content=eight, eight_bit="send")[0]
    assert "BODY=8BITMIME" in lines(offers("8BITMIME"), content=eight, mail={"BODY": "7BIT"})[0]


def test_what_is_not_known_beforehand_is_declared_8_bit():
    assert "BODY=8BITMIME" in lines(offers("8BITMIME"), content=Outgoing())[0]
    assert "BODY" not in lines(offers(), content=Outgoing())[0]


def test_a_binary_body_needs_both_extensions():
    binary = body(b"\0", binary=True)
    assert "BODY=BINARYMIME" in lines(offers("BINARYMIME", "CHUNKING", "8BITMIME"), content=binary)[0]
    for missing in (["BINARYMIME"], ["CHUNKING"], []):
        with pytest.raises(NotSupported) as info:
            lines(offers(*missing), content=binary)
        assert info.value.extension == "BINARYMIME"


def test_binarymime_is_not_declared_of_text():
    with pytest.raises(ParseError, match="binary=True"):
        lines(offers("8BITMIME", "BINARYMIME", "CHUNKING"), mail={"BODY": "BINARYMIME"})


# SMTPUTF8 and domains


def test_addresses_beyond_ascii_need_smtputf8():
    with_utf8 = lines(offers("SMTPUTF8", "8BITMIME"), to=["jörg@b.example"])
    assert with_utf8 == ["MAIL FROM:<a@a.example> SMTPUTF8\r\n", "RCPT TO:<jörg@b.example>\r\n"]
    for sender, to in (("jörg@b.example", TO), ("a@a.example", ["jörg@b.example"])):
        with pytest.raises(NotSupported, match="needs SMTPUTF8") as info:
            lines(offers(), sender=sender, to=to)
        assert info.value.extension == "SMTPUTF8"


def test_one_address_of_several_is_enough_to_need_it():
    with pytest.raises(NotSupported):
        lines(offers(), to=["bob@b.example", "j\xf6rg@b.example"])


def test_a_domain_is_said_in_ascii_where_smtputf8_is_not_offered():
    said = lines(offers(), sender="a@bücher.example", to=["b@müller.example", "c@c.example"])
    assert said == [
        "MAIL FROM:<a@xn--bcher-kva.example>\r\n",
        "RCPT TO:<b@xn--mller-kva.example>\r\n",
        "RCPT TO:<c@c.example>\r\n",
    ]
    _, commands = negotiate(client(offers()), None, {"b@müller.example": Mailbox("b", "müller.example")}, body())
    assert list(commands) == ["b@müller.example"]  # as the caller gave it


def test_a_domain_is_said_in_ascii_where_smtputf8_is_offered_too():
    """The next server may lack it, and a message that asked for it would bounce there."""
    said = lines(offers("SMTPUTF8"), to=["b@müller.example"])
    assert said == ["MAIL FROM:<a@a.example>\r\n", "RCPT TO:<b@xn--mller-kva.example>\r\n"]
    assert "müller" in lines(offers("SMTPUTF8"), to=["b@müller.example", "jörg@b.example"])[1]


@pytest.mark.parametrize("domain", ["faß.example", "βόλος.example"])
def test_a_domain_whose_ascii_form_is_not_certain_is_not_guessed_at(domain):
    with pytest.raises(NotSupported):
        in_ascii(Mailbox("a", domain))


def test_an_upper_case_domain_is_the_same_domain():
    assert in_ascii(Mailbox("a", "MÜLLER.example")).domain == "xn--mller-kva.example"
    ascii_already = Mailbox("a", "B.example")
    assert in_ascii(ascii_already) is ascii_already


def test_a_domain_that_the_codec_refuses_is_an_error():
    with pytest.raises(NotSupported):
        in_ascii(Mailbox("a", "\u05d0a.example"))  # of both directions


def test_a_header_beyond_ascii_needs_smtputf8():
    assert "SMTPUTF8" in lines(offers("SMTPUTF8"), utf8_header=True)[0]


# Parameters of other extensions

NEEDS = [
    ({"RET": "HDRS"}, None, "DSN"),
    ({"ENVID": "x"}, None, "DSN"),
    (None, {"NOTIFY": ("NEVER",)}, "DSN"),
    (None, {"ORCPT": OriginalRecipient("rfc822", "x@y")}, "DSN"),
    ({"REQUIRETLS": True}, None, "REQUIRETLS"),
    ({"HOLDFOR": 5}, None, "FUTURERELEASE"),
    ({"HOLDUNTIL": "2026-01-01T00:00:00Z"}, None, "FUTURERELEASE"),
    ({"MT-PRIORITY": 3}, None, "MT-PRIORITY"),
    ({"BODY": "8BITMIME"}, None, "8BITMIME"),
    ({"SMTPUTF8": True}, None, "SMTPUTF8"),
    ({"SIZE": 5}, None, "SIZE"),
    ({"AUTH": None}, None, "AUTH"),
    ({"SOLICIT": ("org.example:ads",)}, None, "NO-SOLICITING"),
    ({"CONPERM": True}, None, "CONPERM"),
]


@pytest.mark.parametrize(("mail", "rcpt", "extension"), NEEDS)
def test_a_parameter_whose_extension_is_missing_is_not_dropped(mail, rcpt, extension):
    with pytest.raises(NotSupported) as info:
        lines(offers(), mail=mail, rcpt=rcpt)
    assert info.value.extension == extension
    assert extension in str(info.value)
    keyword = next(iter(mail or rcpt))
    assert keyword in "".join(lines(Capabilities(EVERYTHING), mail=mail, rcpt=rcpt))


def test_a_parameter_that_nobody_knows_hides_none_behind_it():
    with pytest.raises(NotSupported, match="DSN"):
        lines(offers(), mail={"X-ANY": "a", "RET": "HDRS"})


def test_keywords_may_be_in_any_case():
    with pytest.raises(NotSupported):
        lines(offers(), mail={"ret": "FULL"})
    assert "RET=FULL" in lines(offers("DSN"), mail={"ret": "FULL"})[0]


def test_parameters_that_no_extension_defines_are_the_callers_business():
    assert "XFOO=bar" in lines(offers(), mail={"XFOO": "bar"})[0]


@pytest.mark.parametrize("evil", ["x\r\nRSET", "x y", "x\0", "x\n"])
@pytest.mark.parametrize("which", ["mail value", "mail keyword", "rcpt value", "rcpt keyword"])
def test_nothing_can_be_smuggled_through_a_parameter(evil, which):
    parameters = {f"X{evil}": "y"} if "keyword" in which else {"XFOO": evil}
    with pytest.raises(ParseError):
        lines(offers(), **{which[:4]: parameters})


@pytest.mark.parametrize("evil", ["x\r\nRSET", "x\0", "x\n"])
def test_nothing_can_be_smuggled_through_an_encoded_parameter(evil):
    with pytest.raises(ParseError):
        lines(offers("DSN"), mail={"ENVID": evil})


# Extensions


def test_what_needs_tls_is_sent_to_a_verified_server_alone():
    assert "REQUIRETLS" in lines(offers("REQUIRETLS"), mail={"REQUIRETLS": True})[0]
    for tls in (None, "not verified"):
        with pytest.raises(NotSupported, match="REQUIRETLS needs TLS and a verified certificate"):
            lines(offers("REQUIRETLS"), mail={"REQUIRETLS": True}, tls=tls)


def test_a_verb_obeys_the_same_as_a_parameter():
    own = Extension("X-OWN", verbs=["XVERB"], needs_tls=True)
    demand(client(offers("X-OWN")), own, "XVERB")
    with pytest.raises(NotSupported, match="XVERB needs X-OWN, which the server does not offer"):
        demand(client(offers()), own, "XVERB")
    for tls in (None, "not verified"):
        with pytest.raises(NotSupported, match="XVERB needs TLS"):
            demand(client(offers("X-OWN"), tls=tls), own, "XVERB")


def test_what_the_server_would_refuse_is_not_sent():
    with pytest.raises(NotSupported, match="at least"):
        lines(offers("DELIVERBY 60"), mail={"BY": DeliverBy(59, "R")})
    with pytest.raises(ParseError):
        lines(offers("DELIVERBY 60"), mail={"BY": "soon"})


def test_an_extension_of_ones_own_is_written_by_its_codecs():
    codec = ParameterCodec("X-N", lambda text: int(text, 16), "{:x}".format)
    own = ClientConfig(extensions=[Extension("X-OWN", mail_parameters=[codec], rcpt_parameters=[codec])])
    written = lines(offers("X-OWN"), mail={"x-n": 255}, rcpt={"X-N": 16}, config=own)
    assert written == ["MAIL FROM:<a@a.example> X-N=ff\r\n", "RCPT TO:<bob@b.example> X-N=10\r\n"]
    with pytest.raises(NotSupported, match="X-N needs X-OWN"):
        lines(offers(), mail={"X-N": 255}, config=own)


def test_a_keyword_that_nobody_knows_is_sent_as_it_is():
    assert lines(offers(), mail={"X-ANY": "a"})[0] == "MAIL FROM:<a@a.example> X-ANY=a\r\n"


@pytest.mark.parametrize(
    ("address", "has_one"),
    [
        (Mailbox("a", "b.example"), True),
        (Mailbox("a", "bücher.example"), True),
        (Mailbox("ä", "b.example"), False),
        (Mailbox("ä", "bücher.example"), False),
    ],
)
def test_an_international_domain_has_an_ascii_form_and_a_local_part_has_none(address, has_one):
    assert has_ascii_form(address) is has_one
