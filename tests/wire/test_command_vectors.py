"""Command lines that other projects' tests hold: whether they are commands, and what they say."""

import json
from pathlib import Path

import pytest

from smtpkit.errors import ParseError
from smtpkit.wire.commands import (
    HISTORIC_VERBS,
    Ehlo,
    Etrn,
    Expn,
    Lhlo,
    Mail,
    Noop,
    UnknownCommand,
    Vrfy,
    parse_command,
)


def vectors(name):
    path = Path(__file__).parent.parent.joinpath("vectors", f"{name}.json")
    return pytest.mark.parametrize("vector", json.loads(path.read_text())["vectors"], ids=lambda vector: vector["id"])


def refused(line, **options):
    with pytest.raises(ParseError):
        parse_command(line, **options)


# What the sources of the vectors know and parse_command does not decide.
UNKNOWN_VERBS = {
    "commands-041": "ATRN's argument is not looked at: the verb is answered 502",
    "commands-045": "BURL likewise",
    "commands-063": "a verb that nobody knows is a command of unknown verb",
    "commands-064": "GET likewise; what to do with HTTP is the server's decision",
    "commands-066": "CONNECT likewise",
}
KEPT_AS_GIVEN = {
    "mail_rcpt_params-153": "leading zeros are in the grammar (RFC 5321 section 4.1.3); the spelling is kept",
}
DISAGREE = {
    "mail_rcpt_params-168": "UTF-8 in MAIL needs the parameter SMTPUTF8 in the same command (RFC 6531 section 3.3)",
    "mail_rcpt_params-173": "grammatical xtext, but the ENVID must be printable before encoding (RFC 3461 section 4.4)",
}


@vectors("commands")
def test_vectors_of_commands(vector):
    line = vector["input_utf8"].encode()
    if vector["rfc"] == "invalid" and vector["id"] not in UNKNOWN_VERBS:
        refused(line)
        return
    command = parse_command(line)
    assert command.verb == line.split()[0].decode()
    assert (type(command) is UnknownCommand) == (vector["id"] in UNKNOWN_VERBS or command.verb in HISTORIC_VERBS)
    expected = vector["expected"]
    if expected["ok"] and type(command) in (Ehlo, Lhlo, Vrfy, Expn, Noop, Etrn):
        fields = command.__match_args__
        assert getattr(command, fields[0]) == expected.get("argument", getattr(command, fields[0]))


def what_the_sources_tell(command, wanted):
    """Our reading in the words of a vector, whose sources name few of the fields; of the rest, what it says."""
    path = command.reverse_path if isinstance(command, Mail) else command.forward_path
    parameters = command.parameters
    original = parameters.get("ORCPT")
    told = {
        "command": command.verb,
        "address": "" if path is None else f"{path.local_part}@{path.domain}",
        "args": {keyword: str(value) for keyword, value in parameters.items()},
        "env_id": parameters.get("ENVID"),
        "envid": parameters.get("ENVID"),
        "ret": parameters.get("RET"),
        "notify": list(parameters.get("NOTIFY", ())),
        "solicit": ",".join(parameters.get("SOLICIT", ())),
        "trans_id": parameters.get("TRANSID"),
        "by": parameters["BY"].seconds if "BY" in parameters else None,
        "orcpt_type": original and original.address_type.upper(),
        "orcpt": original and original.address,
        "orcpt_utf8": original and original.address,
    }
    return {key: told.get(key, value) for key, value in wanted.items()}


@vectors("mail_rcpt_params")
def test_vectors_of_mail_and_rcpt(vector):
    line = vector["input_utf8"].encode()
    if vector["rfc"] != "valid" or vector["id"] in DISAGREE:
        refused(line, smtputf8=True)
    else:
        command = parse_command(line, smtputf8=True)
        assert bytes(command).startswith(line[:4])
        if vector["expected"]["ok"] and vector["id"] not in KEPT_AS_GIVEN:
            assert what_the_sources_tell(command, vector["expected"]) == vector["expected"]
    if vector.get("rfc_with_valid_path") == "valid":
        parse_command(line.replace(b"<>", b"<a@b>"))


def test_vectors_that_disagree_hold_with_the_parameter():
    assert parse_command("MAIL FROM:<te\x85st@example.com> SMTPUTF8".encode()).reverse_path.local_part == "te\x85st"
