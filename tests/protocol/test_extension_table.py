"""Each extension in both roles: offered and not, its values, and what it bounds."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from smtpkit.errors import NotSupported
from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.exchanges import command
from smtpkit.protocol.extensions import EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.sending import Sending
from smtpkit.wire import commands as c
from smtpkit.wire.addresses import Mailbox
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.capability_values import HoldLimits
from smtpkit.wire.parameter_values import DeliverBy, MessageTracking, OriginalRecipient, ValidSince

playing = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("playing.py"))))

TOMORROW = "2031-01-01T00:00:00Z"
# Extension, command that carries it, keyword, value, as it is written.
PARAMETERS = [
    ("SIZE", "MAIL", "SIZE", 5, "SIZE=5"),
    ("8BITMIME", "MAIL", "BODY", "8BITMIME", "BODY=8BITMIME"),
    ("SMTPUTF8", "MAIL", "SMTPUTF8", True, "SMTPUTF8"),
    ("DSN", "MAIL", "RET", "HDRS", "RET=HDRS"),
    ("DSN", "MAIL", "ENVID", "e=1", "ENVID=e+3D1"),
    ("DSN", "RCPT", "NOTIFY", ("SUCCESS", "DELAY"), "NOTIFY=SUCCESS,DELAY"),
    ("DSN", "RCPT", "ORCPT", OriginalRecipient("rfc822", "b@b.example"), "ORCPT=rfc822;b@b.example"),
    ("AUTH", "MAIL", "AUTH", Mailbox("a", "a.example"), "AUTH=a@a.example"),
    ("REQUIRETLS", "MAIL", "REQUIRETLS", True, "REQUIRETLS"),
    ("DELIVERBY", "MAIL", "BY", DeliverBy(120, "R", True), "BY=120;RT"),
    ("FUTURERELEASE", "MAIL", "HOLDFOR", 86400, "HOLDFOR=86400"),
    ("FUTURERELEASE", "MAIL", "HOLDUNTIL", TOMORROW, f"HOLDUNTIL={TOMORROW}"),
    ("MT-PRIORITY", "MAIL", "MT-PRIORITY", -3, "MT-PRIORITY=-3"),
    ("RRVS", "RCPT", "RRVS", ValidSince("2014-04-03T23:01:00Z", "C"), "RRVS=2014-04-03T23:01:00Z;C"),
    ("NO-SOLICITING", "MAIL", "SOLICIT", ("net.example:ADV",), "SOLICIT=net.example:ADV"),
    ("MTRK", "MAIL", "MTRK", MessageTracking("QUJD", 60), "MTRK=QUJD:60"),
    ("CHECKPOINT", "MAIL", "TRANSID", "1@a.example", "TRANSID=<1@a.example>"),
    ("CONPERM", "MAIL", "CONPERM", True, "CONPERM"),
]
# Extension, its command, the same as it is written, its standard reply.
VERBS = [
    ("ETRN", c.Etrn("b.example"), b"ETRN b.example\r\n", 250),
    ("XFORWARD", c.XForward({"NAME": "c.example"}), b"XFORWARD NAME=c.example\r\n", 250),
    ("XCLIENT", c.XClient({"NAME": "c.example"}), b"XCLIENT NAME=c.example\r\n", 220),
]
ALWAYS = [
    ("VRFY", c.Vrfy("a"), b"VRFY a\r\n", 252),
    ("EXPN", c.Expn("a"), b"EXPN a\r\n", 250),
    ("HELP", c.Help(), b"HELP\r\n", 214),
]
BESIDE = {"MTRK": {"ENVID": "4711@a.example"}}  # what a parameter cannot be without
IDS = [f"{extension} {keyword}" for extension, _, keyword, _, _ in PARAMETERS]


def settings(extension):
    """Of a server that offers the extension, and nothing that it does not need."""
    if extension == "AUTH":
        return {"extensions": [], "auth": AuthPolicy({"u": "p"}, required=False, allow_in_clear=True)}
    return {"extensions": [extension, *EXTENSIONS[extension].requires]}


def lines(verb, text):
    if verb == "MAIL":
        return f"MAIL FROM:<a@a.example> {text}\r\n".encode()
    return f"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example> {text}\r\n".encode()


def sending(core, verb="MAIL", parameters=(), content=b"hi\r\n", **options):
    which = "mail_parameters" if verb == "MAIL" else "rcpt_parameters"
    return Sending(core, "a@a.example", ["b@b.example"], content, {which: dict(parameters), **options}).exchange()


def first_commands(core, *args, **options):
    return [bytes(each) for each in next(sending(core, *args, **options)) if isinstance(each, c.Command)]


# Parameters


@pytest.mark.parametrize(("extension", "verb", "keyword", "value", "text"), PARAMETERS, ids=IDS)
def test_a_server_that_offers_it_has_the_value_in_the_envelope(extension, verb, keyword, value, text):
    play = playing.ready(playing.config(**settings(extension)), tls=True)
    beside = BESIDE.get(keyword, {})
    text = " ".join([text, *map("=".join, beside.items())])
    assert playing.codes(play.say(lines(verb, text)))[-1] == 250
    envelope = play.core.envelope
    parameters = envelope.mail_parameters if verb == "MAIL" else envelope.rcpt_parameters[0]
    assert parameters == {keyword: value, **beside}
    assert play.events[-1].parameters == {keyword: value, **beside}


@pytest.mark.parametrize(("extension", "verb", "keyword", "value", "text"), PARAMETERS, ids=IDS)
@pytest.mark.parametrize("hello", ["EHLO", "HELO"])
def test_a_server_that_does_not_offer_it_says_555(extension, verb, keyword, value, text, hello):
    offered = settings(extension) if hello == "HELO" else {"extensions": []}
    play = playing.ready(playing.config(**offered), hello=f"{hello} c.example\r\n".encode(), tls=True)
    refusal = play.say(lines(verb, text))
    assert playing.codes(refusal)[-1] == 555
    assert b" 5.5.4 " in refusal


@pytest.mark.parametrize(("extension", "verb", "keyword", "value", "text"), PARAMETERS, ids=IDS)
def test_a_client_writes_it_where_it_is_offered(extension, verb, keyword, value, text, ready):
    core = ready("8BITMIME", extension, *EXTENSIONS[extension].requires, "PIPELINING", tls=True)
    parameters = {keyword: value, **BESIDE.get(keyword, {})}
    (line,) = [each for each in first_commands(core, verb, parameters) if each.startswith(verb.encode())]
    assert text.encode() in line.split()


@pytest.mark.parametrize(("extension", "verb", "keyword", "value", "text"), PARAMETERS, ids=IDS)
def test_a_client_does_not_send_what_is_not_offered(extension, verb, keyword, value, text, ready):
    core = ready("X-NOTHING", tls=True)
    with pytest.raises(NotSupported) as caught:
        first_commands(core, verb, {keyword: value})
    assert caught.value.extension == extension
    assert core.data_to_send() == b""


# Verbs


@pytest.mark.parametrize(("extension", "item", "line", "code"), VERBS + ALWAYS, ids=repr)
def test_a_server_that_offers_a_verb_takes_it(extension, item, line, code):
    play = playing.ready(playing.config(extensions=[extension]))
    assert playing.codes(play.say(line)) == [code]
    assert getattr(play.events[-1], "command", play.events[-1]) == item


@pytest.mark.parametrize(("extension", "item", "line", "code"), VERBS, ids=repr)
def test_a_verb_that_is_not_offered_is_502(extension, item, line, code):
    play = playing.ready(playing.config(extensions=[]))
    assert play.say(line).startswith(b"502 5.5.1 ")


@pytest.mark.parametrize(("extension", "item", "line", "code"), ALWAYS, ids=repr)
def test_some_verbs_are_there_without_their_keyword(extension, item, line, code, ready, play):
    server = playing.ready(playing.config(extensions=[]))
    assert playing.codes(server.say(line)) == [code]
    core = ready("X-NOTHING")
    assert play(core, command(item, core), [b"C: " + line[:-2], "S: 250 ok"]).result.code == 250


@pytest.mark.parametrize(("extension", "item", "line", "code"), VERBS, ids=repr)
def test_a_client_says_a_verb_where_it_is_offered_alone(extension, item, line, code, ready, play):
    core = ready(extension)
    assert play(core, command(item, core), [b"C: " + line[:-2], f"S: {code} ok"]).result.code == code
    with pytest.raises(NotSupported, match=f"the server does not offer {extension}"):
        play(core := ready("X-NOTHING"), command(item, core), [])


@pytest.mark.parametrize(
    "line", [b"STARTTLS\r\n", b"AUTH PLAIN\r\n", b"MAIL FROM:<>\r\nRCPT TO:<b@b.example>\r\nBDAT 1\r\nx"]
)
def test_starttls_auth_and_bdat_are_502_where_they_are_not_offered(line):
    assert playing.codes(playing.ready(playing.config(extensions=[])).say(line))[-1] == 502


# What stands behind keywords


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("SIZE", 5),
        ("LIMITS", {"MAILMAX": 3, "RCPTMAX": 7}),
        ("DELIVERBY", None),
        ("DELIVERBY 60", 60),
        ("FUTURERELEASE", HoldLimits(999999999, "9999-12-31T23:59:59Z")),
        (f"FUTURERELEASE 86400 {TOMORROW}", HoldLimits(86400, TOMORROW)),
        ("MT-PRIORITY", None),
        ("MT-PRIORITY MIXER", "MIXER"),
        ("NO-SOLICITING", ()),
        ("NO-SOLICITING net.example:ADV,org.example:ADV", ("net.example:ADV", "org.example:ADV")),
        ("XCLIENT", ("NAME", "ADDR", "PORT", "PROTO", "HELO", "LOGIN", "DESTADDR", "DESTPORT")),
        ("XFORWARD name addr", ("NAME", "ADDR")),
        ("PIPELINING", ()),
    ],
)
def test_what_a_server_says_is_what_a_client_reads(line, value):
    limits = Limits(recipients=7, transactions=3)
    config = playing.config(extensions=[line], max_message_size=5, limits=limits)
    reply = config.offer(tls=False, authenticated=False, extended=True).reply
    assert Capabilities.parse(reply).value(line.partition(" ")[0]) == value


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("DELIVERBY soon", "bad DELIVERBY"),
        ("DELIVERBY 1234567890", "bad DELIVERBY"),
        ("FUTURERELEASE 60", "bad FUTURERELEASE"),
        ("FUTURERELEASE 0 " + TOMORROW, "bad FUTURERELEASE"),
        ("FUTURERELEASE 60 tomorrow", "bad FUTURERELEASE"),
        ("NO-SOLICITING 1", "bad NO-SOLICITING"),
        ("SIZE 5", "nothing is to be chosen behind SIZE"),
        ("PIPELINING 5", "nothing is to be chosen behind PIPELINING"),
        ("X-NONE 5", "no extension 'X-NONE' is known"),
    ],
)
def test_what_makes_no_sense_behind_a_keyword_is_not_said(line, says):
    with pytest.raises(ValueError, match=says):
        playing.config(extensions=[line])


BOUNDED = [
    ("DELIVERBY 60", "BY", DeliverBy(59, "R"), "BY=59;R", 550, "5.4.7"),
    (f"FUTURERELEASE 60 {TOMORROW}", "HOLDFOR", 61, "HOLDFOR=61", 501, "5.5.4"),
    (f"FUTURERELEASE 60 {TOMORROW}", "HOLDUNTIL", "2031-01-01T00:59:59-00:01", "", 501, "5.5.4"),
    ("NO-SOLICITING net.example:ADV", "SOLICIT", ("a", "Net.example:adv"), "SOLICIT=a,Net.example:adv", 550, "5.7.1"),
]
WITHIN = [
    ("DELIVERBY 60", "BY=60;R"),
    ("DELIVERBY 60", "BY=1;N"),
    ("DELIVERBY 60", "BY=-5;NT"),
    ("DELIVERBY", "BY=1;R"),
    (f"FUTURERELEASE 60 {TOMORROW}", "HOLDFOR=60"),
    (f"FUTURERELEASE 60 {TOMORROW}", "HOLDUNTIL=2031-01-01T01:00:00.5+01:00"),
    ("NO-SOLICITING net.example:ADV", "SOLICIT=a"),
    ("NO-SOLICITING", "SOLICIT=a"),
]


@pytest.mark.parametrize(("line", "keyword", "value", "text", "code", "status"), BOUNDED)
def test_what_is_beyond_it_a_server_refuses_and_a_client_does_not_send(line, keyword, value, text, code, status, ready):
    play = playing.ready(playing.config(extensions=[line]))
    refusal = play.say(lines("MAIL", text or f"{keyword}={value}"))
    assert refusal.startswith(f"{code} {status} ".encode())
    with pytest.raises(NotSupported, match="would refuse") as caught:
        first_commands(ready(line), "MAIL", {keyword: value})
    assert caught.value.extension == line.partition(" ")[0]


@pytest.mark.parametrize(("line", "text"), WITHIN)
def test_what_is_within_it_is_taken(line, text, ready):
    play = playing.ready(playing.config(extensions=[line]))
    assert playing.codes(play.say(lines("MAIL", text))) == [250]
    parameters = play.core.envelope.mail_parameters
    assert text.encode() in first_commands(ready(line), "MAIL", parameters)[0].split()


@pytest.mark.parametrize("line", ["FUTURERELEASE", "FUTURERELEASE 60", "FUTURERELEASE 60 tomorrow"])
def test_a_client_sends_where_a_server_says_nothing_that_bounds(line, ready):
    assert b"HOLDFOR=61" in first_commands(ready(line), "MAIL", {"HOLDFOR": 61})[0]


@pytest.mark.parametrize("verb", ["XCLIENT", "XFORWARD"])
def test_attributes_that_the_keyword_does_not_name_may_not_be_told(verb):
    play = playing.ready(playing.config(extensions=[f"{verb} name addr"]))
    assert play.say(f"{verb} NAME=c.example HELO=c\r\n".encode()) == b"501 5.5.4 Unknown attribute\r\n"
    assert playing.codes(play.say(f"{verb} name=c.example ADDR=192.0.2.1\r\n".encode()))[0] in (220, 250)


# Rules of parameters together


@pytest.mark.parametrize(
    ("extensions", "text", "code"),
    [
        (["FUTURERELEASE"], f"HOLDFOR=5 HOLDUNTIL={TOMORROW}", 501),
        (["MTRK", "DSN"], "MTRK=QUJD", 501),
        (["MTRK", "DSN"], "MTRK=QUJD ENVID=4711", 501),
        (["DELIVERBY"], "BY=0;R", 501),
        (["DELIVERBY"], "BY=-1;R", 501),
        (["CHUNKING", "8BITMIME"], "BODY=BINARYMIME", 555),
        (["DSN"], "RET=FULL RET=FULL", 501),
        (["MT-PRIORITY"], "MT-PRIORITY=10", 501),
        (["MT-PRIORITY"], "MT-PRIORITY=1 MT-PRIORITY=1", 501),
        (["SIZE"], "SIZE=33554433", 552),
    ],
)
def test_parameters_that_contradict_each_other_or_the_offer(extensions, text, code):
    assert playing.codes(playing.ready(playing.config(extensions=extensions)).say(lines("MAIL", text))) == [code]


def test_all_the_keywords_of_a_solicitation_fit_into_the_line():
    play = playing.ready(playing.config(extensions=["NO-SOLICITING"]))
    assert playing.codes(play.say(lines("MAIL", "SOLICIT=" + "x" * 1000))) == [250]
    assert playing.codes(play.say(b"RSET\r\n" + lines("MAIL", "SOLICIT=" + "x" * 1001))) == [250, 501]


def test_requiretls_is_neither_offered_nor_taken_nor_sent_in_clear(ready):
    config = playing.config(extensions=["REQUIRETLS"], tls_available=True)
    clear = playing.ready(config)
    assert playing.codes(clear.say(lines("MAIL", "REQUIRETLS"))) == [555]
    with pytest.raises(NotSupported, match="needs TLS"):
        first_commands(ready("REQUIRETLS"), requiretls=True)


def test_binary_content_needs_both_its_extensions_and_bdat(ready):
    play = playing.ready(playing.config(extensions=["CHUNKING", "BINARYMIME"]))
    play.say(b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<b@b.example>\r\n")
    assert playing.codes(play.say(b"DATA\r\n")) == [503]
    for offered in (["CHUNKING"], ["BINARYMIME"]):
        with pytest.raises(NotSupported):
            first_commands(ready(*offered), content=b"\x00", binary=True)
    assert b"BODY=BINARYMIME" in first_commands(ready("CHUNKING", "BINARYMIME"), content=b"\x00", binary=True)[0]


# How a conversation goes


def test_pipelining_groups_and_its_absence_does_not(ready):
    assert len(first_commands(ready("PIPELINING"))) == 3
    assert len(first_commands(ready("8BITMIME"))) == 1


def test_chunking_saves_a_round_trip(ready):
    assert [line[:4] for line in first_commands(ready("PIPELINING", "CHUNKING"))[:3]] == [b"MAIL", b"RCPT", b"BDAT"]
    with pytest.raises(NotSupported):
        list(sending(ready("PIPELINING"), chunking=True))


def test_every_extension_has_its_place_in_a_table_of_this_file():
    mentioned = {row[0] for row in (*PARAMETERS, *VERBS, *ALWAYS)}
    elsewhere = {"PIPELINING", "CHUNKING", "BINARYMIME", "ENHANCEDSTATUSCODES", "LIMITS", "STARTTLS"}
    assert mentioned | elsewhere == set(EXTENSIONS)


# An application's own


class Tag(c.Command):
    __slots__ = ("number",)
    verb = "X-TAG"
    syntax = "X-TAG number"

    def __init__(self, number):
        self.number = number

    @classmethod
    def parse_argument(cls, text):
        return cls(int(text))

    def argument_text(self):
        return str(self.number)


OWN = Extension("X-TAGS", verbs=[Tag], mail_parameters=["X-TEXT"], needs_tls=True)


def test_an_own_verb_arrives_as_its_own_value():
    play = playing.ready(playing.config(extensions=[OWN]), tls=True)
    assert playing.codes(play.say(b"x-tag 5\r\n")) == [250]
    assert play.events[-1] == Tag(5)
    play.decisions = {Tag: lambda core, event: core.reject()}
    assert playing.codes(play.say(b"X-TAG 6\r\n")) == [502]


def test_a_syntax_error_in_an_own_verb_is_501_with_its_syntax():
    play = playing.ready(playing.config(extensions=[OWN]), tls=True)
    assert play.say(b"X-TAG five\r\n") == b"501 5.5.4 bad argument; expected X-TAG number\r\n"


def test_what_needs_tls_is_not_there_in_clear():
    play = playing.ready(playing.config(extensions=[OWN]))
    assert playing.codes(play.say(b"X-TAG 5\r\n")) == [502]
    assert playing.codes(play.say(lines("MAIL", "X-TEXT=a"))) == [555]
