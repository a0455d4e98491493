"""Prints the state tables of smtpkit/protocol/states.py for docs/protocol.md: as a table, and as a diagram."""

from types import SimpleNamespace

from smtpkit.protocol.auth_policy import AuthPolicy
from smtpkit.protocol.config import ServerConfig
from smtpkit.protocol.extensions import EXTENSIONS
from smtpkit.protocol.refusals import out_of_place
from smtpkit.protocol.states import (
    END_OF_DATA,
    INTERMEDIATE,
    LMTP,
    LMTP_REFUSALS,
    RESPONSE,
    ROWS,
    SMTP,
    SMTP_REFUSALS,
    State,
)
from smtpkit.wire.commands import UnknownCommand

__all__ = ["diagram", "rows"]

_UNKNOWN = {"TURN": "a historic verb", "XYZZY": "any other"}
_NOT_READ = frozenset({"greeting", RESPONSE})  # where commands are read
_ORDER = [
    verb
    for verb in dict.fromkeys(["EHLO", "HELO", "LHLO", *(verb for _, verb in ROWS), *_UNKNOWN])
    if verb not in _NOT_READ
]
_ANY_TIME = frozenset({"NOOP", "HELP", "VRFY", "EXPN"})

# What an arrow says of a step that is no verb.
_SUCCESSES = {"greeting": "220", RESPONSE: "235"}
_FURTHER = {RESPONSE: "334"}
_REFUSED = {"greeting": "any other greeting", RESPONSE: "a refusal", END_OF_DATA: "a refusal at the end of data"}


def rows(*, lmtp: bool) -> list[list[str]]:
    """A head and a row for each verb: the state after a positive reply, or the code of the refusal."""
    table = LMTP if lmtp else SMTP
    states = [state for state in State if table[state].keys() - _NOT_READ]
    cells = [
        [f"**{_UNKNOWN.get(verb, verb)}**", *(_cell(table, lmtp, state, verb) for state in states)] for verb in _ORDER
    ]
    return [["", *(state.value for state in states)], *cells]


def diagram(*, lmtp: bool) -> str:
    """The same as a diagram that Mermaid draws; one line is one arrow."""
    table = LMTP if lmtp else SMTP
    arrows: dict[tuple[State, State], list[str]] = {}
    for state, row in (LMTP_REFUSALS if lmtp else SMTP_REFUSALS).items():
        for step, following in row.items():
            arrows.setdefault((state, following), []).append(_REFUSED.get(step, f"a refusal of {step}"))
    for (state, step), following in INTERMEDIATE.items():
        if following is not table[state][step]:
            arrows.setdefault((state, following), []).append(_FURTHER.get(step, f"334 to {step}"))
    for state, row in table.items():
        for step, following in row.items():
            if following is not State.CLOSED and not (following is state and step in _ANY_TIME):
                arrows.setdefault((state, following), []).append(_SUCCESSES.get(step, step))
    order = list(State)
    lines = ["stateDiagram-v2", f'    state "{State.BDAT_FAILED.value}" as {_name(State.BDAT_FAILED)}']
    lines.append(f"    [*] --> {_name(State.GREETING)}")
    for (state, following), causes in sorted(arrows.items(), key=lambda each: [order.index(end) for end in each[0]]):
        lines.append(f"    {_name(state)} --> {_name(following)} : {', '.join(causes)}")
    lines.append(f"    {_name(State.REFUSED)} --> {_name(State.CLOSED)} : QUIT")
    lines.append(f"    {_name(State.READY)} --> {_name(State.CLOSED)} : QUIT, as from any other")
    lines.append(f"    {_name(State.CLOSED)} --> [*]")
    return "\n".join(["```mermaid", *lines, "```", ""])


def _cell(table: "dict[State, dict[str, State]]", lmtp: bool, state: State, verb: str) -> str:
    following = table[state].get(verb)
    if following is not None:
        return following.value
    if verb == END_OF_DATA or state is State.DATA:
        return ""
    if lmtp and (state, verb) == (State.MAIL, "BDAT LAST"):
        return "no reply"  # there is nobody to answer for (RFC 2033 section 4.3)
    offered = [word for word in EXTENSIONS if word not in ("STARTTLS", "AUTH")]
    policy = AuthPolicy({}, required=False, allow_in_clear=True)
    config = ServerConfig("mx.example", lmtp=lmtp, extensions=offered, tls_available=True, auth=policy)
    offer = config.offer(tls=False, authenticated=False, extended=True)
    command = UnknownCommand(verb) if verb in _UNKNOWN else SimpleNamespace(verb=verb.removesuffix(" LAST"))
    reply = out_of_place(command, state, offer, config, tls=False, authenticated=False, refused=False)
    return str(reply.code)


def _name(state: State) -> str:
    return state.value.replace(" ", "_")
