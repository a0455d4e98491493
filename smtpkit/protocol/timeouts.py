"""How long each wait may last: RFC 5321 section 4.5.3.2 as a table."""

from smtpkit.wire.value import Value

__all__ = ["STANDARD_TIMEOUTS", "Timeouts"]

# Wait, by its name in `waiting_for`: seconds.
_STANDARD = {
    "connect": 30.0,  # not in the standard
    "TLS handshake": 30.0,  # not in the standard
    "greeting": 300.0,  # 4.5.3.2.1
    **dict.fromkeys(("EHLO", "HELO", "LHLO", "STARTTLS", "AUTH"), 300.0),  # not in the standard: as MAIL
    "MAIL": 300.0,  # 4.5.3.2.2
    "RCPT": 300.0,  # 4.5.3.2.3
    "DATA": 120.0,  # 4.5.3.2.4
    "BDAT": 300.0,  # not in the standard: as RCPT; the last chunk is "end of data"
    "body": 180.0,  # 4.5.3.2.5, each block
    "end of data": 600.0,  # 4.5.3.2.6: too short a wait here duplicates mail
    "RSET": 300.0,  # not in the standard: as MAIL
    "QUIT": 20.0,  # not in the standard, and less than anything in it: nobody's mail depends on the reply
    "other": 300.0,
}


class Timeouts(Value):
    """Seconds for each wait of a client.

    Args:
        every: one number for all of them; None for the standard's.
        connect, handshake, greeting, hello, starttls, auth, mail, rcpt, data, body, end_of_data, quit: one of
            them; `body` is for each block of it, and for each chunk of BDAT but the last.

    Raises:
        ValueError: a number is not above 0.
    """

    __slots__ = ("table",)

    def __init__(
        self,
        every: float | None = None,
        *,
        connect: float | None = None,
        handshake: float | None = None,
        greeting: float | None = None,
        hello: float | None = None,
        starttls: float | None = None,
        auth: float | None = None,
        mail: float | None = None,
        rcpt: float | None = None,
        data: float | None = None,
        body: float | None = None,
        end_of_data: float | None = None,
        quit: float | None = None,  # noqa: A002 (the verb's name)
    ) -> None:
        given = {
            "connect": connect,
            "TLS handshake": handshake,
            "greeting": greeting,
            "EHLO": hello,
            "HELO": hello,
            "LHLO": hello,
            "STARTTLS": starttls,
            "AUTH": auth,
            "MAIL": mail,
            "RCPT": rcpt,
            "DATA": data,
            "body": body,
            "BDAT": body,
            "end of data": end_of_data,
            "QUIT": quit,
        }
        self.table = dict(_STANDARD) if every is None else dict.fromkeys(_STANDARD, every)
        self.table.update({name: seconds for name, seconds in given.items() if seconds is not None})
        for name, seconds in self.table.items():
            if not seconds > 0:
                raise ValueError(f"a time-out is a number of seconds above 0, not {seconds} ({name})")

    def __getitem__(self, wait: str) -> float:
        """Seconds for the wait of this name."""
        return self.table.get(wait, self.table["other"])


STANDARD_TIMEOUTS = Timeouts()
