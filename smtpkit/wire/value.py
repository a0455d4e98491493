"""The base of every value type: fields in `__slots__`, and from them equality, hash, repr and `__match_args__`."""

__all__ = ["Value"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Value:
    """A small immutable record.

    A subclass names its fields in `__slots__`, in the order of its constructor, and checks them there:
    an object that exists can be emitted.  Fields are never assigned after construction.  That is a
    promise to readers, not a guard: a guard on assignment would cost more than making the object does.
    A slot whose name begins with an underscore holds something derived, and is left out of comparisons.
    """

    __slots__ = ()
    __match_args__: tuple[str, ...] = ()

    def __init_subclass__(cls) -> None:
        own = tuple(name for name in cls.__dict__.get("__slots__", ()) if name[0] != "_")
        cls.__match_args__ = (*cls.__match_args__, *own)  # type: ignore[misc]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__match_args__)

    def __hash__(self) -> int:
        return hash((type(self), *(_hashable(getattr(self, name)) for name in self.__match_args__)))

    def __repr__(self) -> str:
        fields = ", ".join(repr(getattr(self, name)) for name in self.__match_args__)
        return f"{type(self).__name__}({fields})"


def _hashable(value: "Any") -> "Any":
    # Parameters are held in a dict; equal dicts need equal hashes whatever their order.
    return frozenset(value.items()) if isinstance(value, dict) else value
