"""What is offered, and legal, in each standing of a session."""

import pytest

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.extensions import DEFAULT_EXTENSIONS, EXTENSIONS, Extension
from smtpkit.protocol.limits import Limits
from smtpkit.protocol.states import State
from smtpkit.wire.capabilities import Capabilities
from smtpkit.wire.parameter_values import DeliverBy

LOGIN = AuthPolicy({}, mechanisms=["PLAIN"])


def offer(*, tls=False, authenticated=False, extended=True, **settings):
    return ServerConfig("mx.example", **settings).offer(tls=tls, authenticated=authenticated, extended=extended)


def keywords(**settings):
    return dict(Capabilities.parse(offer(**settings).reply))


def legal(verb, state=State.READY, **settings):
    return verb in offer(**settings).rows[state]


def test_the_default_ones():
    assert keywords() == {keyword: ("33554432",) if keyword == "SIZE" else () for keyword in DEFAULT_EXTENSIONS}


def test_the_size_is_told_or_that_there_is_no_bound():
    assert keywords(max_message_size=7, extensions=["SIZE"]) == {"SIZE": ("7",)}
    assert keywords(max_message_size=None, extensions=["SIZE"]) == {"SIZE": ("0",)}  # RFC 1870 section 4


def test_limits_are_told():
    told = {"extensions": ["LIMITS"], "limits": Limits(recipients=7)}
    assert keywords(**told) == {"LIMITS": ("RCPTMAX=7",)}
    told["limits"] = Limits(recipients=7, transactions=2)
    assert keywords(**told) == {"LIMITS": ("MAILMAX=2", "RCPTMAX=7")}


def test_starttls_is_offered_in_clear_and_never_under_tls():
    assert "STARTTLS" in keywords(tls_available=True)
    assert legal("STARTTLS", tls_available=True)
    assert "STARTTLS" not in keywords(tls_available=True, tls=True)
    assert not legal("STARTTLS", tls_available=True, tls=True)
    assert not legal("STARTTLS")


def test_auth_is_offered_under_tls():
    assert keywords(auth=LOGIN, tls=True)["AUTH"] == ("PLAIN",)
    assert legal("AUTH", auth=LOGIN, tls=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"auth": LOGIN},
        {"auth": LOGIN, "tls": True, "authenticated": True},
        {"auth": AuthPolicy({}, allow_in_clear=True), "tls_available": True, "require_tls": True},
        {"tls": True},
    ],
    ids=["in clear", "after login", "where TLS is required first", "without a policy"],
)
def test_auth_is_not_offered(settings):
    assert "AUTH" not in keywords(**settings)
    assert not legal("AUTH", **settings)


def test_auth_is_offered_in_clear_where_that_is_allowed():
    assert "AUTH" in keywords(auth=AuthPolicy({}, allow_in_clear=True))


def test_an_extension_that_needs_tls_is_offered_there_alone():
    settings = {"extensions": ["REQUIRETLS"], "tls_available": True}
    assert "REQUIRETLS" not in keywords(**settings)
    assert "REQUIRETLS" not in offer(**settings).mail_parameters
    assert "REQUIRETLS" in keywords(**settings, tls=True)
    assert "REQUIRETLS" in offer(**settings, tls=True).mail_parameters


def test_where_tls_is_required_only_the_verbs_of_rfc_3207_are_legal():
    settings = {"tls_available": True, "require_tls": True}
    assert set(offer(**settings).rows[State.READY]) == {"NOOP", "EHLO", "STARTTLS", "QUIT"}
    assert legal("MAIL", **settings, tls=True)


def test_where_login_is_required_only_the_verbs_of_rfc_4954_are_legal():
    settings = {"tls": True, "auth": LOGIN, "extensions": ["XCLIENT"]}
    assert set(offer(**settings).rows[State.READY]) == {"AUTH", "EHLO", "HELO", "NOOP", "RSET", "QUIT", "XCLIENT"}
    assert legal("MAIL", **settings, authenticated=True)
    assert legal("MAIL", tls=True, auth=AuthPolicy({}, required=False))


def test_a_helo_session_has_no_extensions():
    settings = {"extended": False, "auth": AuthPolicy({}, allow_in_clear=True, required=False), "tls_available": True}
    plain = offer(**settings)
    assert plain.mail_parameters == plain.rcpt_parameters == frozenset()
    assert plain.line_limit == 512
    assert not {"AUTH", "STARTTLS", "BDAT"} & set(plain.rows[State.READY])
    assert bytes(plain.plain_reply) == b"250 mx.example\r\n"


def test_xclient_alone_is_legal_before_any_hello():
    settings = {"extensions": ["XCLIENT", "XFORWARD", "ETRN", "CHUNKING"], "extended": False}
    assert legal("XCLIENT", State.CONNECTED, **settings)
    assert not legal("XFORWARD", State.CONNECTED, **settings)
    assert not legal("XCLIENT", State.READY, **settings)


def test_chunks_are_legal_where_offered():
    assert legal("BDAT LAST", State.RCPT)
    assert not legal("BDAT LAST", State.RCPT, extensions=[])


def test_line_limits_grow_with_what_is_offered():
    none = offer(extensions=[])
    assert (none.command_limit, none.line_limits) == (512, {"MAIL": 512, "RCPT": 512})
    some = offer(extensions=["SIZE", "DSN"])
    assert some.line_limits == {"MAIL": 512 + 26 + 116, "RCPT": 512 + 543}
    assert some.line_limit == max(some.line_limits.values())


def test_a_login_may_begin_with_a_long_token_where_login_is_offered():
    assert offer(auth=LOGIN, tls=True).line_limits["AUTH"] == 12288
    assert "AUTH" not in offer(auth=LOGIN).line_limits
    assert offer(auth=LOGIN, tls=True, limits=Limits(line=600)).line_limits["AUTH"] == 600


def test_who_has_logged_in_may_still_say_for_whom():
    # RFC 4954 section 5: the AUTH parameter of MAIL, from everybody, always.
    for standing in ({"tls": True}, {"tls": True, "authenticated": True}, {}):
        after = offer(auth=LOGIN, extensions=[], **standing)
        assert after.mail_parameters == {"AUTH"}
        assert after.line_limits["MAIL"] == 1012


def test_increments_have_a_bound_and_a_limit_that_was_given_has_none():
    huge = Extension("XHUGE", mail_octets=100_000)
    assert offer(extensions=[huge]).line_limit == 8192
    given = offer(extensions=[huge], limits=Limits(line=20_000))
    assert (given.command_limit, given.line_limit, given.line_limits["MAIL"]) == (20_000, 20_000, 20_000)


def test_binary_needs_its_extension():
    assert not offer().binary
    assert offer(extensions=["CHUNKING", "BINARYMIME"]).binary


def test_verbs_of_an_extension_of_ones_own_change_no_state():
    own = Extension("XOWN", verbs=["XSTATS"])
    for state in (State.READY, State.MAIL, State.RCPT):
        assert offer(extensions=[own]).rows[state]["XSTATS"] is state
    assert not legal("XSTATS", State.CONNECTED, extensions=[own])
    assert not legal("XSTATS", extensions=[own], extended=False)


def test_lmtp_says_lhlo():
    rows = offer(lmtp=True).rows[State.CONNECTED]
    assert "LHLO" in rows
    assert not {"EHLO", "HELO"} & set(rows)


def test_checks_know_what_was_said():
    checks = offer(extensions=["DELIVERBY 60", Extension("XA", ehlo="a b", rcpt_parameters=["X-A"], check=pair)]).checks
    assert checks["BY"]({"BY": DeliverBy(60, "R")}) is None
    assert checks["BY"]({"BY": DeliverBy(59, "R")}).code == 550
    assert checks["X-A"]({"X-A": "c"}) == ({"X-A": "c"}, ("a", "b"))
    assert offer(extensions=["DELIVERBY 60"], extended=False).checks == {}


def test_attributes_are_those_behind_the_keyword():
    attributes = offer(extensions=["XFORWARD name ADDR"]).attributes
    assert attributes == {"XCLIENT": frozenset(), "XFORWARD": {"NAME", "ADDR"}}


def pair(parameters, value):
    return parameters, value


def test_every_extension_can_be_offered():
    told = keywords(extensions=[each for each in EXTENSIONS if each not in ("STARTTLS", "AUTH")], tls=True)
    assert set(told) == set(EXTENSIONS) - {"STARTTLS", "AUTH"}
