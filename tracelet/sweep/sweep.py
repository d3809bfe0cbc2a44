"""The sweep: many configurations, described by their factors and made one at a time.

Promises:

- Every method returns a new sweep; neither this one, nor its target, nor what was given is changed.
- ``len``, indexing, ``sample`` and ``save`` cost what the axes cost, not what their product would.
- Iterating can be repeated; each configuration is a fresh dict, nested ones and objects included.
"""

from __future__ import annotations

import operator
import os
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from tracelet.errors import InvalidValueError, ValueTypeError, warn
from tracelet.sweep.configuration import Configuration
from tracelet.sweep.factors import (
    Concat,
    Entries,
    Factor,
    Picked,
    Product,
    Repeats,
    axis_factor,
    concatenated,
    fresh,
)
from tracelet.sweep.files import (
    checked_entry,
    entry_of,
    read_entry,
    read_product,
    saved,
    write_factors,
)
from tracelet.sweep.targets import Target, check_configuration, check_values
from tracelet.sweep.values import axis, many, size_of, whole_number

if TYPE_CHECKING:
    import pandas as pd

    from tracelet.sweep.results import Results


_CHECKED_AT_ONCE = 10_000
"""A factor with more entries is checked against its target when it runs, not when it is made."""


class Sweep:
    """An ordered list of factors; their Cartesian product, the first the slowest.

    ``for config in sweep: train(**config)`` runs through it; :meth:`run` does that in parallel,
    each configuration a run of its own. Without factors it is one configuration, ``{}``.

    Args:
        target: what the configurations are for: a function, a dataclass, a pydantic model, a
            class, a click command, an argparse parser, or None. Names that it does not know are
            warned of, values of a dataclass or model are checked.
        configs: configurations to begin with: mappings in which :class:`DynamicValue` may stand,
            pydantic models, paths of YAML or JSON files; each is expanded, one after another.
        strict: an unknown name is an error.

    Raises:
        ValueTypeError: for a target or a configuration of another type.
        InvalidValueError: for a configuration that cannot be meant.
    """

    def __init__(
        self, target: Any = None, configs: Iterable[Any] | None = None, *, strict: bool = False
    ) -> None:
        self._target = Target(target)
        self._strict = strict
        self._product = Product()
        if configs is not None:
            is_one = isinstance(configs, Mapping | str | os.PathLike)
            if is_one or (given := many(configs)) is None:
                raise ValueTypeError(
                    f"configs= is a list of configurations, not a {type(configs).__name__}"
                )
            entries = [read_entry(self._without_sweep(one)) for one in given]
            self._product = self._extended(concatenated("configs", entries))

    @property
    def target(self) -> Any:
        """What the configurations are for, or None."""
        return self._target.value

    @property
    def size(self) -> int:
        """How many configurations; where that is more than ``len`` can say, too."""
        return self._product.size

    def product(self, /, **axes: Any) -> Sweep:
        """Combine every configuration with every value of each name, the last the fastest.

        Args:
            axes: the values of each name: a list, tuple, range, set (sorted), array, generator or
                another iterable; a str, number, mapping or None is a single value.

        Raises:
            InvalidValueError: an axis is empty, or a name varies already.
        """
        return self._with(*(axis_factor({name: axis(name, one)}) for name, one in axes.items()))

    def zip(self, /, **axes: Any) -> Sweep:
        """Combine every configuration with the n-th values of all names together.

        Args:
            axes: as of :meth:`product`, all of one length; a single value is repeated.

        Raises:
            InvalidValueError: the lengths differ, an axis is empty, or a name varies already.
        """
        if not axes:
            raise InvalidValueError("zip() needs names: sweep.zip(lr=[0.1, 0.2], epochs=[10, 20])")
        columns = {name: axis(name, one) for name, one in axes.items()}
        singles = {name: columns.pop(name) for name, one in axes.items() if many(one) is None}
        lengths = {name: size_of(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            lengths_found = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
            raise InvalidValueError(f"zip() pairs values, and {lengths_found}")
        return self._with(*(axis_factor(one) for one in (columns, singles) if one))

    def chain(self, /, *configs: Any) -> Sweep:
        """Combine every configuration with each of these, as they are; their names may differ.

        Args:
            configs: mappings, pydantic models, or sweeps, of which all configurations are taken.

        Raises:
            ValueTypeError: for anything else.
            InvalidValueError: there are none, or a name varies already.
        """
        return self._with(
            concatenated("chain()", [entry_of(self._without_sweep(one)) for one in configs])
        )

    def set(self, /, **values: Any) -> Sweep:
        """Give every configuration these values; a list is one value here."""
        return self._with(Entries([values])) if values else self._with()

    def sample(self, n: int, seed: int | None = None) -> Sweep:
        """Draw configurations without replacement, from a sweep of any size.

        Args:
            n: how many, from 1.
            seed: the same seed draws the same ones; None: others each time.

        Raises:
            InvalidValueError: ``n`` is less than 1, or more than there are.
        """
        count = whole_number("sample() draws a number of configurations", n)
        if count > self.size:
            raise InvalidValueError(
                f"sample({count}) of a sweep that has {self.size} configurations"
            )
        return self._replaced(Picked(self._product, _draw(self.size, count, random.Random(seed))))

    def validate(self) -> Sweep:
        """Check every configuration against a target that is a dataclass or a pydantic model.

        :meth:`run` does so before anything runs.

        Returns:
            This sweep.

        Raises:
            InvalidValueError: a value does not fit; the message names field and configuration.
        """
        for configuration in self:
            check_configuration(self._target, configuration, configuration.index)
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sweep to a ``.yaml``, ``.yml``, ``.json`` or ``.jsonl`` file.

        Its factors are written, so the file is as long as its axes; the target is not.

        Raises:
            InvalidValueError: for another suffix.
            ValueTypeError: a value is of a type that no file can hold, e.g. a function.
        """
        write_factors(Path(path), saved(self._product))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], target: Any = None, *, strict: bool = False
    ) -> Sweep:
        """Read a sweep that was saved, or a list of configurations that was written by hand.

        Args:
            path: a ``.yaml``, ``.yml``, ``.json`` or ``.jsonl`` file; JSON lines may have blank
                lines and ``//`` comments.
            target: what it is for, as of :class:`Sweep`.
            strict: an unknown name is an error.

        Raises:
            ArtifactNotFoundError: there is no such file.
            InvalidValueError: it holds something else.
        """
        return cls(target, strict=strict) * cls._of(Target(None), read_product(Path(path)))

    def run(
        self,
        train: Callable[..., Any] | None = None,
        *,
        name: str | None = None,
        project: str | None = None,
        backend: Any = None,
        executor: Any = None,
        max_workers: int | None = None,
        on_error: Literal["collect", "raise"] = "collect",
        retry_failed: bool = False,
        config: Any = None,
        **settings: Any,
    ) -> Results:
        """Call a training with every configuration, each as a run of its own, in parallel.

        The runs share a group, and inside each ``tracelet.get_active_experiment()`` is its run,
        which has the configuration as its parameters. What becomes of each configuration is kept
        in the sweep's directory: the same call runs only what is not done yet, however the last
        one ended.

        Args:
            train: called as ``train(**configuration)``; or with the configuration as its one
                argument, if that is typed as a dict, a dataclass or a pydantic model. None: the
                target. With a class as the target, its attributes are bound meanwhile.
            name: of the sweep and the group of its runs; None: the training's name.
            project: of the runs.
            backend: of the runs, as for ``start_logging``.
            executor: any ``concurrent.futures.Executor``, or one of submitit's; it is not shut
                down. None: new processes of this machine.
            max_workers: how many of these at once; None: as many as there are processors.
            on_error: ``collect`` keeps a failure with its result; ``raise`` stops at the first
                and raises it, when those that run have ended.
            retry_failed: run those again that have failed before.
            config: settings of the runs, as for ``start_logging``.
            settings: any other setting of the runs, e.g. ``dir`` or ``tags``.

        Returns:
            The results, in the order of the configurations.

        Raises:
            InvalidValueError: a configuration does not fit, or there are too many.
            ValueTypeError: the training cannot be sent to another process.
            SweepBusyError: another process runs a sweep of this name.
            SettingsError: a setting is unknown or has the wrong type.
            UnknownBackendError: a backend is not known, or not installed.
        """
        from tracelet.sweep.run import MOST, Execution, Plan

        chosen = self._target.value if train is None else train
        if not callable(chosen) or (train is None and isinstance(chosen, type)):
            raise ValueTypeError(f"run() needs a training to call, not {chosen!r:.80}")
        if on_error not in ("collect", "raise"):
            raise InvalidValueError(f"on_error is 'collect' or 'raise', not {on_error!r}")
        if max_workers is not None:
            max_workers = whole_number("max_workers is the number of processes", max_workers)
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise ValueTypeError(f"executor= takes an object with submit(), not {executor!r:.80}")
        if self._product.size > MOST:
            raise InvalidValueError(
                f"a sweep of {self._product.size:,} configurations is not run: sample(n) draws some"
            )
        try:
            factors = saved(self._product)
        except ValueTypeError:  # it runs all the same, but only its own script can resume it
            factors = None
        given = {"project": project, "backend": backend, "config": config, **settings}
        plan = Plan(
            list(self),
            target=self._target,
            train=chosen,
            name=name,
            factors=factors,
            settings=given,
        )
        with plan.held(executor):
            return Execution(
                plan,
                executor,
                max_workers=max_workers,
                on_error=on_error,
                retry_failed=retry_failed,
            ).run()

    def to_dataframe(self) -> pd.DataFrame:
        """Return one row a configuration, its columns in order of appearance.

        Integers stay integers, and bools stay bools, in a column that has missing values.

        Raises:
            MissingPackageError: pandas is not installed; the message has the install line.
        """
        from tracelet.sweep.frames import rows_to_dataframe

        return rows_to_dataframe(list(self))

    def __len__(self) -> int:
        return self._product.size

    def __bool__(self) -> bool:
        return self._product.size > 0

    def __iter__(self) -> Iterator[Configuration]:
        shares = self._product.shares
        for index, (values, repeat) in enumerate(self._product.parts()):
            configuration = Configuration(fresh(values) if shares else values)
            configuration.index, configuration.repeat = index, repeat
            yield configuration

    @overload
    def __getitem__(self, index: int) -> Configuration: ...
    @overload
    def __getitem__(self, index: slice) -> Sweep: ...
    def __getitem__(self, index: int | slice) -> Configuration | Sweep:
        if isinstance(index, slice):
            return self._replaced(Picked(self._product, range(*index.indices(self.size))))
        try:
            place = operator.index(index)
        except TypeError:
            raise ValueTypeError(
                f"a sweep is indexed by an integer or a slice, not by a {type(index).__name__}"
            ) from None
        if not -self.size <= place < self.size:
            raise IndexError(f"configuration {place} of a sweep that has {self.size}")
        place %= self.size
        values, repeat = self._product.pick(place)
        configuration = Configuration(fresh(values))
        configuration.index, configuration.repeat = place, repeat
        return configuration

    def __mul__(self, other: Any) -> Sweep:
        if isinstance(other, Sweep):
            return self._adopting(other)._with(*other._product.factors)
        if isinstance(other, Mapping):
            return self.product(**checked_entry(other, "sweep * {…}"))
        return NotImplemented

    def __mod__(self, other: Any) -> Sweep:
        return (
            self.set(**checked_entry(other, "sweep % {…}"))
            if isinstance(other, Mapping)
            else NotImplemented
        )

    def __pow__(self, times: int) -> Sweep:
        return self._with(
            Repeats(whole_number("** repeats each configuration a number of times", times))
        )

    def __add__(self, other: Any) -> Sweep:
        if not isinstance(other, Sweep):
            return NotImplemented
        both = self._adopting(other)
        names = other._product.names - self._product.names
        both._target.check(sorted(names), strict=both._strict)
        return both._replaced(Concat([self._product, other._product]))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sweep):
            return NotImplemented
        return self._product == other._product and self.target is other.target

    __hash__ = None  # type: ignore[assignment]  # its values need not be hashable

    def __repr__(self) -> str:
        target = "" if self.target is None else f" of {self._target.label}"
        many_or_one = "configuration" if self.size == 1 else "configurations"
        return f"<Sweep{target}: {self.size:,} {many_or_one}>"

    @classmethod
    def of_product(cls, product: Product) -> Sweep:
        """Return the sweep of factors that are there already, for nothing in particular."""
        return cls._of(Target(None), product)

    @classmethod
    def _of(cls, target: Target, product: Product, *, strict: bool = False) -> Sweep:
        self = cls.__new__(cls)
        self._target, self._product, self._strict = target, product, strict
        return self

    def _adopting(self, other: Sweep) -> Sweep:
        """Return this sweep for the other's target, if it has none itself."""
        if self.target is not None or other.target is None:
            return self
        other._target.check(sorted(self._product.names), strict=other._strict)
        return self._of(other._target, self._product, strict=other._strict)

    def _replaced(self, *factors: Factor) -> Sweep:
        return self._of(self._target, Product(factors), strict=self._strict)

    def _with(self, *factors: Factor) -> Sweep:
        """Return this sweep with more factors behind its own."""
        return self._replaced(*self._extended(*factors).factors)

    def _extended(self, *factors: Factor) -> Product:
        product = self._product
        names = frozenset[str]().union(*(factor.names for factor in factors)) - product.names
        self._target.check(sorted(names), strict=self._strict)
        for factor in factors:
            if twice := sorted(factor.varying & product.varying):
                raise InvalidValueError(
                    f"{', '.join(map(repr, twice))} varies already: a name can be varied once; "
                    f"to try other values besides, add another sweep with +"
                )
            if factor.size <= _CHECKED_AT_ONCE:
                check_values(self._target, (values for values, _ in factor.parts()))
            if overridden := sorted(factor.fixed & product.varying):
                warn(
                    f"{', '.join(map(repr, overridden))} varied, and now has one value: there are "
                    f"as many configurations as before, which are the same in it"
                )
            product = Product([*product.factors, factor])
        return product

    @staticmethod
    def _of_sweep(sweep: Sweep) -> Product:
        return sweep._product

    def _without_sweep(self, given: Any) -> Any:
        """Return the product of a sweep, and anything else as it is."""
        return self._of_sweep(given) if isinstance(given, Sweep) else given


def _draw(below: int, count: int, source: random.Random) -> list[int]:
    """Return ``count`` different numbers from 0 to ``below - 1``, in the order they were drawn."""
    if below <= sys.maxsize:
        return source.sample(range(below), count)
    drawn: dict[int, None] = {}
    while len(drawn) < count:
        drawn[source.randrange(below)] = None
    return list(drawn)
