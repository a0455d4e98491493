"""Known causes of refused logins at well-known servers: a table by greeting, code and text; nothing is guessed.

The server is told by a host name in its greeting: its own words, which anybody could say, so a hint is for people to
read and decides nothing.  A row's texts were seen in the provider's documentation or in public logs.
"""

__all__ = ["HINTS", "Hint", "hint_for"]

from smtpkit.wire.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.wire.replies import Reply


class Hint(Value):
    """One row of the table; it fits a refusal if all that it names does.

    Args:
        hosts: host names in the greeting; one that begins with a dot is the end of a name.
        code: the reply code.
        enhanced: the enhanced status code, "" for any or none.
        says: a part of the reply's text, in any case.
        credential: what the login used: "password" or "token"; "" for any, and for no login.
        cause: what the known cause is, and the way on.
        source: where that stands.
    """

    __slots__ = ("hosts", "code", "enhanced", "says", "credential", "cause", "source")

    def __init__(
        self,
        hosts: "tuple[str, ...]",
        code: int,
        enhanced: str,
        cause: str,
        source: str,
        *,
        says: str = "",
        credential: str = "",
    ) -> None:
        self.hosts = hosts
        self.code = code
        self.enhanced = enhanced
        self.says = says
        self.credential = credential
        self.cause = cause
        self.source = source

    def fits(self, reply: "Reply", names: "set[str]", credential: str) -> bool:
        """Whether this row is about a reply of the server that has said `names`."""
        return (
            reply.code == self.code
            and self.enhanced in ("", str(reply.enhanced))
            and self.credential in ("", credential)
            and self.says.lower() in reply.text.lower().replace("\n", " ")
            and any(name == host or (host[0] == "." and name.endswith(host)) for host in self.hosts for name in names)
        )


_GMAIL = ("smtp.gmail.com", "smtp-relay.gmail.com")
_MICROSOFT = (".outlook.office365.com", ".outlook.com", ".office365.com")
_SES = ("email-smtp.amazonaws.com",)
_BREVO = ("smtp-relay.brevo.com", "smtp-relay.sendinblue.com")
_SENDGRID = (".sendgrid.net",)
_POSTMARK = (".postmarkapp.com",)

_GOOGLE_CODES = "https://support.google.com/a/answer/3726730"
_GOOGLE_OAUTH = "https://developers.google.com/gmail/imap/xoauth2-protocol"
_GOOGLE_APPS = "https://support.google.com/accounts/answer/185833"
_SMTP_AUTH = (
    "https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/authenticated-client-smtp-submission"
)
_MICROSOFT_OAUTH = (
    "https://learn.microsoft.com/exchange/client-developer/legacy-protocols/"
    "how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth"
)
_MICROSOFT_PASSWORDS = (
    "https://techcommunity.microsoft.com/blog/exchange/"
    "exchange-online-to-retire-basic-auth-for-client-submission-smtp-auth/4114750"
)
_SES_CREDENTIALS = "https://docs.aws.amazon.com/ses/latest/dg/smtp-credentials.html"
_BREVO_SMTP = "https://help.brevo.com/hc/en-us/articles/7959631848850-Create-and-manage-your-SMTP-keys"
_BREVO_ADDRESSES = (
    "https://help.brevo.com/hc/en-us/articles/5740111683858-Authorize-and-block-IP-addresses-for-API-and-SMTP-security"
)
_SENDGRID_SMTP = "https://www.twilio.com/docs/sendgrid/for-developers/sending-email/integrating-with-the-smtp-api"
_POSTMARK_SMTP = "https://postmarkapp.com/developer/user-guide/send-email-with-smtp"

# The first row that fits is the answer: those that ask for a text stand before those that do not.
HINTS = (
    Hint(
        _GMAIL,
        534,
        "5.7.9",
        "the account has 2-Step Verification: log in with an app password, or with a token (XOAUTH2)",
        _GOOGLE_CODES,
    ),
    Hint(
        _GMAIL,
        534,
        "5.7.14",
        "Google wants to be sure that it is you: sign in with a web browser first, then log in with an app password",
        _GOOGLE_CODES,
    ),
    Hint(
        _GMAIL,
        535,
        "5.7.8",
        "Gmail takes no account password: use an app password (it needs 2-Step Verification) or a token (XOAUTH2); "
        "if it is an app password already, it or the user name is wrong",
        _GOOGLE_APPS,
        credential="password",
    ),
    Hint(
        _GMAIL,
        535,
        "5.7.8",
        "the token has expired, belongs to another user, or lacks the scope https://mail.google.com/",
        _GOOGLE_OAUTH,
        credential="token",
    ),
    Hint(_GMAIL, 530, "5.7.0", "Gmail takes mail after login only: give credentials", _GOOGLE_CODES, says="auth"),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "SMTP AUTH is switched off for the whole organization: an administrator can allow it for this mailbox "
        "(Set-CASMailbox -SmtpClientAuthenticationDisabled $false)",
        _SMTP_AUTH,
        says="disabled for the Tenant",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "SMTP AUTH is switched off for this mailbox: an administrator can allow it "
        "(Set-CASMailbox -SmtpClientAuthenticationDisabled $false)",
        _SMTP_AUTH,
        says="disabled for the Mailbox",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "the organization's security defaults forbid passwords: use a token (XOAUTH2)",
        _SMTP_AUTH,
        says="security defaults",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "Microsoft takes no passwords for this account: use a token (XOAUTH2)",
        _MICROSOFT_OAUTH,
        says="basic authentication is disabled",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "user name or password is wrong",
        "https://github.com/freescout-help-desk/freescout/issues/4930",
        says="credentials were incorrect",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.139",
        "mostly a policy refuses this login: SMTP AUTH or passwords are switched off, or conditional access forbids "
        "it; an administrator sees which in the sign-in log",
        _SMTP_AUTH,
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.3",
        "user name or password is wrong, or the account takes no passwords any more: then use a token (XOAUTH2)",
        _SMTP_AUTH,
        credential="password",
    ),
    Hint(
        _MICROSOFT,
        535,
        "5.7.3",
        "the token has expired, belongs to another mailbox, or lacks the scope "
        "https://outlook.office.com/SMTP.Send; or SMTP AUTH is switched off for the mailbox",
        _MICROSOFT_OAUTH,
        credential="token",
    ),
    Hint(
        _MICROSOFT,
        550,
        "5.7.30",
        "Microsoft takes no passwords any more here: use a token (XOAUTH2)",
        _MICROSOFT_PASSWORDS,
        says="basic authentication",
    ),
    Hint(_MICROSOFT, 530, "5.7.57", "this server takes mail after login only: give credentials", _SMTP_AUTH),
    Hint(
        _SES,
        535,
        "",
        "Amazon SES has SMTP credentials of its own, for each region: an IAM secret access key is not the password",
        _SES_CREDENTIALS,
        credential="password",
    ),
    Hint(_SES, 530, "", "Amazon SES takes mail after login only: give SMTP credentials", _SES_CREDENTIALS, says="auth"),
    Hint(
        _BREVO,
        525,
        "5.7.1",
        "Brevo blocks this IP address: add it to the account's authorised IPs, or switch the blocking off",
        _BREVO_ADDRESSES,
        says="IP address",
    ),
    Hint(
        _BREVO,
        535,
        "",
        "Brevo wants the account's SMTP login and an SMTP key: neither an API key nor the account's password will do",
        _BREVO_SMTP,
        credential="password",
    ),
    Hint(
        _BREVO,
        502,
        "5.7.0",
        "Brevo takes mail after login only, and forgets a login when EHLO is said again",
        "https://github.com/frappe/frappe/issues/38558",
        says="authenticate first",
    ),
    Hint(
        _SENDGRID,
        535,
        "",
        'SendGrid wants the user name "apikey", literally, and an API key with the right to send as the password',
        _SENDGRID_SMTP,
        credential="password",
    ),
    Hint(
        _POSTMARK,
        535,
        "5.7.8",
        "Postmark wants the server's API token as user name and password both, or the access key and the secret key "
        "of an SMTP token",
        _POSTMARK_SMTP,
        credential="password",
    ),
)


def hint_for(reply: "Reply", greeting: "Reply | None", credential: str = "") -> str:
    """The known cause of a refusal and the way on; "" where the server, the code or the text is not known.

    What a standard gives a meaning is known of every server.

    Args:
        reply: the refusal.
        greeting: the server's first reply; None if it is not known.
        credential: what the login used, "password" or "token"; "" without login.
    """
    if greeting is None:
        return _by_standard(reply)
    names = {word.lower() for word in greeting.lines[0].split() if "." in word}
    return next((hint.cause for hint in HINTS if hint.fits(reply, names, credential)), "") or _by_standard(reply)


def _by_standard(reply: "Reply") -> str:
    if reply.code != 530:
        return ""
    if "STARTTLS" in reply.text.upper():
        return "the server takes mail over TLS only: use tls='required'"  # RFC 3207 section 4
    return "the server takes mail after login only: log in with auth="  # RFC 4954 section 6
