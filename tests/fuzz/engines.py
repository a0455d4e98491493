"""What makes inputs for one target: atheris, guided by coverage, or hypothesis, by mutation of the corpus."""

import json
import os
import sys
import time
import traceback
from contextlib import nullcontext
from pathlib import Path

__all__ = ["run_target"]

_BEGAN = time.monotonic()  # what is imported counts
_BATCH = 50  # examples for which hypothesis is asked at a time
_LONGEST = 2048  # octets of an input


def run_target(name, engine, seconds, report):
    """Run one target and write what was found to the file `report`."""
    if engine == "atheris":
        import atheris

        importing = atheris.instrument_imports(include=["smtpkit"])
    else:
        importing = nullcontext()
    with importing:
        import targets
    findings = Findings(targets.TARGETS[name][1], targets.run_twice, report)
    inputs = targets.corpus(name)
    for octets in inputs:
        findings.run(octets)
    if engine == "atheris":
        _with_atheris(findings, inputs, targets.WORDS, seconds)
    else:
        _with_hypothesis(findings, inputs, seconds)
        findings.write(over=True)


class Findings:
    """Runs a check, and keeps the smallest input of each kind of failure."""

    def __init__(self, check, run_twice, report):
        self.check = check
        self.run_twice = run_twice
        self.report = report
        self.executions = 0
        self.smallest = {}
        self.write(over=False)

    def run(self, octets):
        self.executions += 1
        if self._error(octets) is not None:
            smaller = self._shrunk(octets)
            kind, error = self._error(smaller)
            if kind not in self.smallest or len(smaller) < len(self.smallest[kind][1]):
                self.smallest[kind] = error, smaller
                self.write(over=False)

    def _error(self, octets):
        """What fails, and where: the innermost line of smtpkit's, and the one that noticed."""
        try:
            self.run_twice(self.check, octets)
        except Exception as error:  # noqa: BLE001 (whatever it is, it is a finding)
            frames = traceback.extract_tb(error.__traceback__)
            own = [frame for frame in frames if "smtpkit" in Path(frame.filename).parts]
            shown = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in (own[-1:] + frames[-1:])]
            return (type(error).__name__, " < ".join(dict.fromkeys(shown))), repr(error)[:300]
        return None

    def _shrunk(self, octets):
        """Leave out what is not needed for the same failure: halves first, single octets in the end."""
        kind = self._error(octets)[0]
        size = len(octets) // 2
        while size:
            at = 0
            while at < len(octets):
                shorter = octets[:at] + octets[at + size :]
                if (error := self._error(shorter)) is not None and error[0] == kind:
                    octets = shorter
                else:
                    at += size
            size //= 2
        return octets

    def write(self, *, over):
        """Say how far it is; what is not over when the process has ended has crashed."""
        found = [(error, kind[1], ascii(octets)) for kind, (error, octets) in self.smallest.items()]
        self.report.write_text(json.dumps({"executions": self.executions, "findings": found, "over": over}))


def _with_atheris(findings, inputs, words, seconds):
    import atheris

    corpus = Path("corpus")  # in the scratch directory of the parent
    corpus.mkdir()
    for number, octets in enumerate(inputs):
        corpus.joinpath(str(number)).write_bytes(octets)
    entries = ("".join(f"\\x{octet:02X}" for octet in word) for word in words if len(word) > 1)
    Path("words").write_text("".join(f'"{entry}"\n' for entry in entries))
    until = _BEGAN + seconds

    def run(octets):
        findings.run(octets)
        over = time.monotonic() > until
        if over or not findings.executions & 1023:
            findings.write(over=over)
        if over:
            os._exit(0)  # libFuzzer's own way out says nothing

    flags = ["-dict=words", f"-max_len={_LONGEST}", "-timeout=20", "-rss_limit_mb=1024", "-verbosity=0", str(corpus)]
    atheris.Setup([sys.argv[0], *flags], run)
    atheris.Fuzz()


def _with_hypothesis(findings, inputs, seconds):
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    places = st.integers(0, _LONGEST)
    snippets = st.sampled_from(inputs).flatmap(lambda octets: st.slices(len(octets)).map(lambda part: octets[part]))
    pieces = st.one_of(st.binary(max_size=4), snippets, st.sampled_from([b"\r\n", b"|", b"+", b'"', b"\\", b"."]))
    edits = st.lists(st.tuples(places, st.integers(0, 8), pieces), max_size=9)
    begins = st.one_of(st.sampled_from(inputs), st.binary(max_size=200), st.lists(pieces, max_size=12).map(b"".join))
    until = _BEGAN + seconds
    batch = 0

    @given(begins, edits)
    def run(octets, edits):
        findings.run(octets)
        for place, left_out, piece in edits:  # to draw an example takes longer than to run it
            at = place % (len(octets) + 1)
            octets = (octets[:at] + piece + octets[at + left_out :])[:_LONGEST]
            findings.run(octets)

    checks = list(HealthCheck)
    run = settings(
        max_examples=_BATCH, database=None, deadline=None, phases=[Phase.generate], suppress_health_check=checks
    )(run)
    while batch == 0 or time.monotonic() < until:
        batch += 1
        seed(batch)(run)()
        findings.write(over=False)


if __name__ == "__main__":
    run_target(sys.argv[1], sys.argv[2], float(sys.argv[3]), Path(sys.argv[4]))
