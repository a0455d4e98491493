"""Target: URLs, hosts and ports, and the defaults of each."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smtpkit.protocol import Credentials
from smtpkit.protocol.target import Target

FORMS = [
    # where, port, (host, port, tls, lmtp)
    ("mail.example", None, ("mail.example", 25, "if-offered", False)),
    ("mail.example", 587, ("mail.example", 587, "required", False)),
    ("mail.example", 465, ("mail.example", 465, "implicit", False)),
    ("mail.example:2525", None, ("mail.example", 2525, "if-offered", False)),
    ("192.0.2.1", None, ("192.0.2.1", 25, "if-offered", False)),
    ("::1", 25, ("::1", 25, "if-offered", False)),
    ("[2001:db8::1]:2525", None, ("2001:db8::1", 2525, "if-offered", False)),
    ("smtp://mail.example", None, ("mail.example", 25, "if-offered", False)),
    ("SMTP://mail.example/", None, ("mail.example", 25, "if-offered", False)),
    ("smtp://mail.example:587", None, ("mail.example", 587, "required", False)),
    ("smtp://mail.example:465", None, ("mail.example", 465, "implicit", False)),
    ("smtp://mail.example:587", 2525, ("mail.example", 2525, "if-offered", False)),
    ("smtp://u:p@mail.example", None, ("mail.example", 587, "required", False)),
    ("smtp://u:p@mail.example:2525", None, ("mail.example", 2525, "required", False)),
    ("smtp://u:p@localhost:2525", None, ("localhost", 2525, "if-offered", False)),
    ("smtp://u:p@127.0.0.1:587", None, ("127.0.0.1", 587, "required", False)),
    ("smtps://mail.example", None, ("mail.example", 465, "implicit", False)),
    ("smtps://u:p@mail.example:4465", None, ("mail.example", 4465, "implicit", False)),
    ("smtp://[2001:db8::1]", None, ("2001:db8::1", 25, "if-offered", False)),
    ("smtps://u@[::1]:4465", None, ("::1", 4465, "implicit", False)),
    ("lmtp://mail.example", None, ("mail.example", 24, "if-offered", True)),
    ("lmtp://[::1]:2424", None, ("::1", 2424, "if-offered", True)),
    ("smtp://mail.example?tls=off", None, ("mail.example", 25, "off", False)),
    ("smtp://mail.example?tls=implicit", None, ("mail.example", 465, "implicit", False)),
    ("smtp://mail.example:465?tls=required", None, ("mail.example", 465, "required", False)),
    ("smtps://mail.example?tls=implicit", None, ("mail.example", 465, "implicit", False)),
    ("smtp://localhost?fingerprint=ab", None, ("localhost", 25, "required", False)),
    ("smtp://localhost?fingerprint=ab&tls=if-offered", None, ("localhost", 25, "if-offered", False)),
]


@pytest.mark.parametrize(("where", "port", "expected"), FORMS)
def test_forms(where, port, expected):
    target = Target.parse(where, port)
    assert (target.host, target.port, target.tls, target.lmtp) == expected
    assert target.path == ""


@pytest.mark.parametrize("where", ["lmtp+unix:///run/lmtp.sock", "lmtp+unix:///run/lmtp.sock?timeout=3"])
def test_a_unix_socket(where):
    target = Target.parse(where)
    assert (target.host, target.port, target.path, target.lmtp) == ("", 0, "/run/lmtp.sock", True)
    assert target.tls == "if-offered"
    assert target.is_local
    assert str(target) == "lmtp+unix:///run/lmtp.sock"
    assert Target.parse("smtp+unix:///a%20b").path == "/a b"


def test_arguments_win_over_the_url():
    target = Target.parse("smtp://u:p@mail.example?tls=off", tls="required", auth=("other", "secret"))
    assert target.tls == "required"
    assert target.options == {}
    assert target.credentials == Credentials("other", "secret")
    mine = Credentials("me", token="t")
    assert Target.parse("mail.example", auth=mine).credentials is mine
    assert Target.parse("mail.example", auth=mine).port == 587


def test_user_and_password_are_percent_decoded():
    target = Target.parse("smtp://tim%40example.com:p%3A%2F%3F%23%40%25w+%C3%BC@mail.example")
    assert target.credentials == Credentials("tim@example.com", "p:/?#@%w+ü")
    assert Target.parse("smtp://tim@mail.example").credentials == Credentials("tim", None)
    assert Target.parse("smtp://tim:a:b@mail.example").credentials == Credentials("tim", "a:b")
    assert Target.parse("smtp://tim:@mail.example").credentials == Credentials("tim", "")


def test_a_pinned_certificate_wants_tls():
    assert Target.parse("localhost", pinned=True).tls == "required"
    assert Target.parse("localhost", 465, pinned=True).tls == "implicit"
    assert Target.parse("memory:", pinned=True).tls == "off"
    for where, pinned in (("smtp://localhost?tls=off", True), ("smtp://localhost?tls=off&fingerprint=ab", False)):
        with pytest.raises(ValueError, match="tls='off' does not go with it"):
            Target.parse(where, pinned=pinned)


def test_options_of_the_query():
    target = Target.parse(
        "smtp://mail.example?cafile=/etc/ca.pem&server_hostname=x.example&local_hostname=me.example&timeout=5&tls=off"
    )
    assert target.options == {
        "cafile": "/etc/ca.pem",
        "server_hostname": "x.example",
        "local_hostname": "me.example",
        "timeout": "5",
    }


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.1.2.3", "[::1]"])
def test_this_host(host):
    assert Target.parse(f"smtp://{host}").is_local


@pytest.mark.parametrize(
    "host",
    [
        "localhost.example",
        "localhost.",
        "128.0.0.1",
        "127.0.0.1.example",
        "127.0.0.999",
        "127.1",
        "127.0.0.\u0661",
        "mail",
        "[::2]",
        "[::ffff:127.0.0.1]",
        "127.example",
    ],
)
def test_nothing_else_is_this_host(host):
    assert not Target.parse(f"smtp://{host}").is_local


@pytest.mark.parametrize(
    "where",
    [
        *["", "smtp://", "smtp:///path", "smtp://host/path", "smtp://:25", "smtp://user@", "http://host", "://host"],
        *["lmtp+unix://", "lmtp+unix:///", "lmtp+unix://run/lmtp.sock", "lmtp+unix://host", "lmtp+unix:///a%00b"],
        *["smtp://h:0", "smtp://h:65536", "smtp://h:x", "smtp://h:-1", "smtp://h:\u0661", "smtp://h:99999999999"],
        *["smtp://[::1", "smtp://[::1]x", "smtp://[::1]:x", "smtp://[x]", "smtp://[[]", "smtp://a[b", "smtp://[%41]"],
        *["smtp://h?tls=maybe", "smtp://h?color=red", "smtps://h?tls=off"],
        *["smtp://a b", "smtp://a\r\nb", "a\0b", "a\x7fb", "smtp://h#x", "user@host", "host/path", "host?tls=off"],
        *["smtps://h?tls=if-offered"],
    ],
)
def test_what_is_no_target_is_an_error(where):
    with pytest.raises(ValueError) as info:
        Target.parse(where)
    assert str(info.value)


def test_a_policy_that_does_not_exist_is_an_error():
    with pytest.raises(ValueError, match="tls is one of implicit, required, if-offered, off, not 'starttls'"):
        Target.parse("mail.example", tls="starttls")
    with pytest.raises(ValueError, match="not ''"):
        Target.parse("mail.example", tls="")
    with pytest.raises(ValueError, match="smtps is TLS"):
        Target.parse("smtps://mail.example", tls="off")


@pytest.mark.parametrize("auth", ["ab", ("a",), ("a", "b", "c"), 5, {"a": "b"}])
def test_auth_is_credentials_or_a_pair(auth):
    with pytest.raises(ValueError, match=r"Credentials, or \(username, password\)"):
        Target.parse("mail.example", auth=auth)


WRONG = [
    "smtp://u:{}@host:x",
    "smtp://u:{}@host/path",
    "smtp://u:{}@host?color=red",
    "smtp://u:{}@host?tls=maybe",
    "smtp://u:{}@",
    "http://u:{}@host",
    "smtp://u:{}@[::1",
    "u:{}@host",
    "smtp://u:{} @host",
    "smtps://u:{}@host?tls=off",
    "lmtp+unix://u:{}@host",
]


@pytest.mark.parametrize("form", WRONG)
@pytest.mark.parametrize("password", ["sesame", "ses/ame", "ses?ame", "ses?ame&x", "ses#ame", "ses@ame", "ses:ame"])
def test_no_error_shows_a_password(form, password):
    with pytest.raises(ValueError) as info:
        Target.parse(form.format(password))
    assert "ses" not in str(info.value)
    assert "ame" not in str(info.value).replace("name", "")


@pytest.mark.parametrize("password", ["ses/ame", "ses?ame", "ses#ame"])
def test_a_password_that_is_not_encoded_is_explained(password):
    with pytest.raises(ValueError, match="% and two digits") as info:
        Target.parse(f"smtp://u:{password}@host")
    assert "ame" not in str(info.value).replace("name", "")


def test_its_words_show_no_password():
    target = Target.parse("smtp://u:sesame@[2001:db8::1]:2525")
    assert str(target) == "smtp://[2001:db8::1]:2525"
    assert "sesame" not in repr(target)
    assert str(Target.parse("smtps://u:p@h")) == "smtps://h:465"
    assert str(Target.parse("lmtp://h")) == "lmtp://h:24"


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.text(max_size=30) | st.text("smtp:/@[]?=&%#u.0123456789", max_size=30).map("smtp://".__add__))
def test_whatever_is_given_only_value_error_is_raised(where):
    try:
        target = Target.parse(where)
    except ValueError:
        return
    assert bool(target.host) != bool(target.path)
    assert 0 <= target.port <= 65535


@pytest.mark.parametrize("port", [-1, 0, 65536, 70000])
def test_a_port_that_is_none(port):
    with pytest.raises(ValueError, match=f"a port is a number from 1 to 65535, not {port}"):
        Target.parse("mail.example", port)


@pytest.mark.parametrize(("where", "port"), [("lmtp://mail.example:25", None), ("lmtp://mail.example", 25)])
def test_lmtp_is_never_spoken_on_the_port_of_smtp(where, port):
    with pytest.raises(ValueError, match="LMTP is never spoken on port 25"):
        Target.parse(where, port)


@pytest.mark.parametrize("where", ["memory:", "MEMORY:", "memory://", "print:", "print://"])
def test_messages_may_stay_in_this_process(where):
    target = Target.parse(where, 587, tls="required", auth=("user", "password"))
    assert target.captured == where.lower().partition(":")[0]
    assert str(target) == f"{target.captured}:"
    assert (target.host, target.tls, target.credentials, target.is_local) == ("", "off", None, True)


@pytest.mark.parametrize("where", ["memory:25", "memory", "memory.example", "smtp://memory"])
def test_a_host_may_be_called_as_a_scheme_is(where):
    assert Target.parse(where).captured == ""


@pytest.mark.parametrize("where", ["memory:///path", "memory:?tls=off", "print://host"])
def test_what_stays_in_this_process_has_no_host_and_no_options(where):
    with pytest.raises(ValueError, match=r".+"):
        Target.parse(where)
