"""Times alternatives against each other in one run, so that their ratios can be trusted."""

from time import process_time

__all__ = ["Timing", "compare"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Timing:
    """CPU seconds (user and system) of one call, from several rounds.

    Attributes:
        median: of the rounds.
        spread: the slowest round less the fastest, as a share of the median.
    """

    def __init__(self, rounds: list[float]) -> None:
        ordered = sorted(rounds)
        self.median = ordered[len(ordered) // 2]
        self.spread = (ordered[-1] - ordered[0]) / self.median


def compare(
    contenders: "Mapping[str, Callable[[], object]]", *, rounds: int = 5, seconds: float = 0.05
) -> dict[str, Timing]:
    """Time callables in turns: every round calls each of them, for about `seconds` each.

    The turns make whatever else the machine does fall on all alike.
    """
    calls = {name: _calls_within(seconds, call) for name, call in contenders.items()}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, call in contenders.items():
            times[name].append(_time(call, calls[name]))
    return {name: Timing(measured) for name, measured in times.items()}


def _time(call: "Callable[[], object]", calls: int) -> float:
    begin = process_time()
    for _ in range(calls):
        call()
    return (process_time() - begin) / calls


def _calls_within(seconds: float, call: "Callable[[], object]") -> int:
    # Doubling warms the contender up as well.
    calls = 1
    while (each := _time(call, calls)) * calls < seconds / 4:
        calls *= 2
    return max(1, round(seconds / each))
