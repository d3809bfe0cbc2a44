"""Backends that cannot keep something, and say so: nothing is wrong with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mutants import Mutant, changed, declares, honest
from mutants_metrics import DropsNan

from tracelet.backends.base import (
    ArtifactFile,
    ConfigObject,
    Property,
    Support,
    TextLine,
)
from tracelet.records import MetricPoint, ParamValue, Status

# -- what is declared is no fault -----------------------------------------------------------------


@honest
class SaysThatItDropsNan(DropsNan):
    capabilities = declares(nan=Support.UNSUPPORTED)


@honest
class KeepsNanBeside(Mutant):
    capabilities = declares(nan=Support.EMULATED)

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        for point in batch:
            if point.value != point.value:
                self.adjusted_point(point, "no NaN here")
                super().log_metrics([changed(point, value=0.0)])
            else:
                super().log_metrics([point])


@honest
class KeepsLongParamsBeside(Mutant):
    capabilities = declares(param_length=6000)

    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        for key, value in params.items():
            if isinstance(value, str) and len(value) > 6000:
                self.adjusted_param(key, value, "too long")
                super().log_params({key: value[:6000]})
            else:
                super().log_params({key: value})


@honest
class SaysThatItKeepsFewThings(Mutant):
    capabilities = declares(
        artifacts=Support.UNSUPPORTED,
        configs=Support.UNSUPPORTED,
        texts=Support.UNSUPPORTED,
        tags=Support.UNSUPPORTED,
        properties=Support.UNSUPPORTED,
        statuses=Support.UNSUPPORTED,
        axes=Support.UNSUPPORTED,
        timestamps=Support.UNSUPPORTED,
    )

    def log_metrics(self, batch: Sequence[MetricPoint]) -> None:
        super().log_metrics([changed(point, axis="iteration", time=0.0) for point in batch])

    def log_artifact(self, artifact: ArtifactFile) -> None: ...

    def log_config(self, config: ConfigObject) -> None: ...

    def log_text(self, lines: Sequence[TextLine]) -> None: ...

    def set_tags(self, tags: Mapping[str, str]) -> None: ...

    def set_properties(self, properties: Mapping[str, Property]) -> None: ...

    def close(self, status: Status) -> None: ...
