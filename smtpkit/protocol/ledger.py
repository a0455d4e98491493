"""Counts of what came from each address lately, without I/O: one process may keep them, or several together."""

from smtpkit.protocol import standard_replies as say

__all__ = ["KINDS", "Ledger", "network_of"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from smtpkit.wire.replies import Reply

KINDS = ("connections", "messages", "recipients", "errors", "failed_logins")

_SECRET = 16  # octets at the head of the memory
_KEY, _PERIOD, _COUNTS = 0, 1, 2  # words of a slot: whose, of which period, then two numbers for each kind
_WORDS = _COUNTS + 2 * len(KINDS)
_WORD = 8  # octets
_PROBES = 8  # slots that an address may stand in
_MOST = 1 << 62


class Ledger:
    """What came from each address in the last `window` seconds, with a limit for each kind, or None.

    `add()` counts, `over()` says whether it is too much.  Clocks are the caller's: `now` is seconds of any clock
    that does not go back, the same for all who share the memory.  An IPv6 address stands for its /64.  The
    window slides: of the period before the present one, the part counts that is not over yet.

    All is held in one block of memory of a fixed size, in which an address that is not seen any more makes room
    for another one; a flood of addresses makes it forget, never grow.  Several processes may share the block,
    such as an anonymous mmap that they have inherited: each writes to a part of its own, so that there is no lock,
    and reads the parts of all.  A number may then be late by what is being counted at that moment.

    Args:
        connections, messages, recipients, errors, failed_logins: the most that may come from one address in a
            window; None for what is not limited, and not counted.
        window: seconds.
        addresses: how many each process remembers.
        workers: how many processes share the memory.
        memory: a writable buffer of `size(addresses, workers)` octets, of zeros; None for one of its own.

    Raises:
        ValueError: a number is not above 0, or the memory is too small.
    """

    def __init__(
        self,
        *,
        connections: int | None = None,
        messages: int | None = None,
        recipients: int | None = None,
        errors: int | None = None,
        failed_logins: int | None = None,
        window: float = 600.0,
        addresses: int = 4096,
        workers: int = 1,
        memory: "bytearray | memoryview | None" = None,
    ) -> None:
        given = (connections, messages, recipients, errors, failed_logins)
        limits = {kind: limit for kind, limit in zip(KINDS, given, strict=True) if limit is not None}
        if min((window, addresses, workers, *limits.values())) <= 0:
            raise ValueError("limits, window, addresses and workers are numbers above 0")
        self.limits = limits
        self.window = window
        self.addresses = addresses
        self.workers = workers
        self._worker = 0
        self._offsets = {kind: _COUNTS + 2 * number for number, kind in enumerate(KINDS)}
        size = self.size(addresses, workers)
        self._memory = memoryview(bytearray(size) if memory is None else memory)
        if len(self._memory) < size:
            raise ValueError(f"the memory has {len(self._memory)} octets, and {size} are wanted")
        self._begin()

    def __repr__(self) -> str:
        limits = ", ".join(f"{kind}={limit}" for kind, limit in self.limits.items())
        return f"<Ledger of {limits or 'nothing'} in {self.window} s, worker {self._worker} of {self.workers}>"

    @staticmethod
    def size(addresses: int = 4096, workers: int = 1) -> int:
        """Octets of memory for so many addresses in each of so many processes."""
        return _SECRET + workers * addresses * _WORDS * _WORD

    def of_worker(self, number: int) -> "Ledger":
        """The same ledger, as the process of that number, from 0 on, writes to it.

        Raises:
            ValueError: there are not so many.
        """
        if not 0 <= number < self.workers:
            raise ValueError(f"there are {self.workers} workers, numbered from 0")
        other = Ledger.__new__(Ledger)
        other.__dict__.update(self.__dict__, _worker=number)
        return other

    def add(self, address: str | None, kind: str, now: float, number: int = 1) -> None:
        """Count something that came from an address.

        Args:
            address: IPv4 or IPv6, or any other text that names a peer; None for nobody is not counted.
            kind: "connections", "messages", "recipients", "errors" or "failed_logins".
            now: seconds.
            number: how many came.
        """
        if not address or kind not in self.limits:
            return
        period = int(now // self.window) + 1  # 0 is what the memory begins with
        start = self._own_slot(self._key(address), period)
        words = self._words
        place = start + self._offsets[kind] + period % 2
        words[place] = min(words[place] + number, _MOST)

    def count(self, address: str | None, kind: str, now: float) -> float:
        """What came of a kind from an address in the last `window` seconds, in all processes."""
        if not address or kind not in self.limits:
            return 0
        periods, part = divmod(now, self.window)
        period, key, words = int(periods) + 1, self._key(address), self._words
        left = 1 - part / self.window  # of the period before
        place = self._offsets[kind]
        total: float = 0
        for worker in range(self.workers):
            for start in self._slots(key, worker):
                if words[start + _KEY] == key:
                    if words[start + _PERIOD] == period:
                        total += words[start + place + period % 2]
                    if words[start + _PERIOD] >= period - 1:
                        total += words[start + place + 1 - period % 2] * left
                    break
        return total

    def over(self, address: str | None, kind: str, now: float) -> bool:
        """Whether an address has reached its limit."""
        limit = self.limits.get(kind)
        return limit is not None and self.count(address, kind, now) >= limit

    def refusal(self, address: str | None, kind: str, now: float) -> "Reply | None":
        """The reply to who has reached the limit (421 4.7.0), else None."""
        return say.TOO_MUCH_OF_ADDRESS if self.over(address, kind, now) else None

    # The memory

    def _begin(self) -> None:
        secret = self._memory[:_SECRET]
        if not any(secret):
            from os import urandom

            secret[:] = urandom(_SECRET)  # so that nobody can choose addresses that push others out
        self._secret = bytes(secret)
        self._words = self._memory[_SECRET : self.size(self.addresses, self.workers)].cast("Q")

    def _key(self, address: str) -> int:
        from hashlib import blake2b

        octets = network_of(address).encode("utf-8", "surrogateescape")
        return int.from_bytes(blake2b(octets, digest_size=8, key=self._secret).digest(), "big") or 1

    def _slots(self, key: int, worker: int) -> "list[int]":
        first = key % self.addresses
        base = worker * self.addresses
        most = min(_PROBES, self.addresses)
        return [(base + (first + step) % self.addresses) * _WORDS for step in range(most)]

    def _own_slot(self, key: int, period: int) -> int:
        # That of the address, brought to the present period; else the one that was used longest ago.
        words = self._words
        slots = self._slots(key, self._worker)
        for start in slots:
            if words[start + _KEY] == key:
                self._turn(start, period)
                return start
        start = min(slots, key=lambda each: words[each + _PERIOD])
        for place in range(start, start + _WORDS):
            words[place] = 0
        words[start + _PERIOD] = period
        words[start + _KEY] = key  # last: until now nobody reads it
        return start

    def _turn(self, start: int, period: int) -> None:
        words = self._words
        last = words[start + _PERIOD]
        if last == period:
            return
        for place in range(start + _COUNTS, start + _WORDS):
            if last != period - 1 or (place - start - _COUNTS) % 2 == period % 2:
                words[place] = 0
        words[start + _PERIOD] = period


def network_of(address: str) -> str:
    """What an address is counted as: itself, but an IPv6 address as its /64, which is what one customer has."""
    if ":" not in address:
        return address
    from ipaddress import IPv6Address

    try:
        number = int(IPv6Address(address))
    except ValueError:
        return address
    return str(IPv6Address(number >> 64 << 64)) if number >> 32 != 0xFFFF else address
