"""What one client may ask of a server before it is told to stop."""

from smtpkit.wire.value import Value

__all__ = ["AUTH_LINE", "COMMAND_LINE", "Limits"]

COMMAND_LINE = 512  # octets with CRLF (RFC 5321 section 4.5.3.1.4)
AUTH_LINE = 12288  # octets that suffice for a response, without CRLF (RFC 4954 section 4)


class Limits(Value):
    """Bounds on one session; the last eight are kept by the adapters, which own sockets and clocks.

    | limit                 | over it                                                         | counts                 |
    |-----------------------|-----------------------------------------------------------------|------------------------|
    | `line`                | 500 5.5.2, and the rest of the line is dropped                  | octets with CRLF       |
    | `commands`            | 421 4.7.0, close                                                | since a message        |
    | `errors`              | 421 4.7.0, close                                                | in the session         |
    | `errors_in_a_row`     | 421 4.7.0, close                                                | since a good answer    |
    | `recipients`          | 452 4.5.3 to the RCPT                                           | accepted ones          |
    | `transactions`        | 421 4.7.0, close                                                | MAIL accepted          |
    | `unread`              | reading stops                                                   | octets                 |
    | `unread_before_login` | the same, where login is required and has not come              | octets                 |
    | `connections`         | 421 4.3.2, close                                                | in the server          |
    | `per_address`         | 421 4.3.2, close                                                | from one address       |
    | `idle`                | 421 4.4.2, close                                                | seconds of one wait    |
    | `total`               | 421 4.4.2, close                                                | seconds of the session |
    | `minimum_rate`        | 421 4.4.2, close: content came slower than this, over a minute  | octets a second        |
    | `handler`             | asyncio: 451 4.3.0; in threads: 421 4.3.0, close                | seconds of user code   |

    An error is a 500, 501, 502, 504 or 555 that the core gave, or a 503; the 503s behind a refused MAIL,
    RCPT or DATA of one transaction count once.  `line=None` is 512 octets and what the offered extensions
    add (RFC 5321 section 4.5.3.1.4); `idle` should be 300 at least (section 4.5.3.2.7); `transactions=None` is no
    bound, `total=None`, `minimum_rate=None` and `handler=None` neither.  The seconds of user code are
    those of one call of a hook or a handler; where it reads a stream, those from one piece to the next, without the
    wait for the client.

    Raises:
        ValueError: a limit is not above 0.
    """

    __slots__ = (
        "commands",
        "connections",
        "errors",
        "errors_in_a_row",
        "handler",
        "idle",
        "line",
        "minimum_rate",
        "per_address",
        "recipients",
        "total",
        "transactions",
        "unread",
        "unread_before_login",
    )

    def __init__(
        self,
        *,
        line: int | None = None,
        commands: int = 10_000,
        errors: int = 100,
        errors_in_a_row: int = 10,
        recipients: int = 1000,
        transactions: int | None = None,
        unread: int = 128 * 1024,
        unread_before_login: int = 16 * 1024,
        connections: int = 1000,
        per_address: int = 500,
        idle: float = 300,
        total: float | None = 4 * 3600,
        minimum_rate: float | None = 64,
        handler: float | None = 300,
    ) -> None:
        self.line = line
        self.commands = commands
        self.errors = errors
        self.errors_in_a_row = errors_in_a_row
        self.recipients = recipients
        self.transactions = transactions
        self.unread = unread
        self.unread_before_login = unread_before_login
        self.connections = connections
        self.per_address = per_address
        self.idle = idle
        self.total = total
        self.minimum_rate = minimum_rate
        self.handler = handler
        for name in self.__match_args__:
            limit = getattr(self, name)
            if limit is not None and not limit > 0:
                raise ValueError(f"{name} is a number above 0, not {limit}")
