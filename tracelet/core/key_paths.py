"""Where each parameter is in the tree of all: which of them cannot be there at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tracelet.core.flatten import Flat, KeyPath, path_of


class KeyPaths(Mapping[str, KeyPath]):
    """The path of each flat key; a value cannot be where others have their branch."""

    def __init__(self) -> None:
        self._paths: dict[str, KeyPath] = {}
        self._leaves: dict[KeyPath, str] = {}
        self._below: dict[KeyPath, dict[str, None]] = {}

    def __getitem__(self, key: str) -> KeyPath:
        return self._paths[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)

    def put(self, key: str, path: KeyPath) -> None:
        """Put a key at a path, wherever it was before."""
        if self._paths.get(key) == path:
            return
        self.remove(key)
        self._paths[key] = path
        self._leaves[path] = key
        for prefix in _prefixes(path):
            self._below.setdefault(prefix, {})[key] = None

    def remove(self, key: str) -> None:
        """Forget a key; harmless if it is not known."""
        path = self._paths.pop(key, ())
        self._leaves.pop(path, None)
        for prefix in _prefixes(path):
            below = self._below[prefix]
            del below[key]
            if not below:
                del self._below[prefix]

    def losers(self, key: str, path: KeyPath) -> list[str]:
        """Return the keys that cannot be beside a value at ``path``: above it, or below."""
        if self._paths.get(key) == path:  # they went when it came there
            return []
        above = [self._leaves[prefix] for prefix in _prefixes(path) if prefix in self._leaves]
        return [other for other in (*above, *self._below.get(path, ())) if other != key]

    def settled(self, flat: Flat) -> dict[str, KeyPath]:
        """Return the path of each key: ``"a.b"`` means a nested one that is there already."""
        given = {key: path_of(key, flat.paths) for key in flat.values}
        deeper = [key for key, path in given.items() if len(self._paths.get(key, ())) > len(path)]
        if not deeper:
            return given
        leaves = set(given.values())
        branches = {prefix for path in leaves for prefix in _prefixes(path)}
        for key in deeper:
            old = self._paths[key]
            if old not in branches and leaves.isdisjoint(_prefixes(old)):
                given[key] = old
        return given


def _prefixes(path: KeyPath) -> list[KeyPath]:
    return [path[:depth] for depth in range(1, len(path))]
