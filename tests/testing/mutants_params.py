"""Mutants that get parameters wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mutants import ChangesParams, Mutant, changed, mutant

from tracelet.backends.memory import MemoryBackend
from tracelet.records import ParamValue

# -- parameters -----------------------------------------------------------------------------------


@mutant("param_types")
class GuessesTypes(ChangesParams):
    def change(self, key: str, value: ParamValue) -> ParamValue:
        return (
            int(value) if isinstance(value, str) and value.isdigit() and len(value) < 9 else value
        )


@mutant("param_nonfinite")
class ParamsOfPlainJson(ChangesParams):
    def change(self, key: str, value: ParamValue) -> ParamValue:
        return None if isinstance(value, float) and not math.isfinite(value) else value


@mutant("param_none")
class NoneIsEmptyText(ChangesParams):
    def change(self, key: str, value: ParamValue) -> ParamValue:
        return "" if value is None else value


@mutant("param_empty")
class DropsEmptyParams(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        super().log_params({key: value for key, value in params.items() if value not in ({}, [])})


@mutant("param_nested")
class TwoLevelsOnly(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        super().log_params({key: params[key] for key in params if key.count(".") < 2})


@mutant("param_unicode")
class StripsTexts(ChangesParams):
    def change(self, key: str, value: ParamValue) -> ParamValue:
        return value.replace("\r\n", "\n") if isinstance(value, str) else value


@mutant("param_long")
class TruncatesParams(ChangesParams):
    def change(self, key: str, value: ParamValue) -> ParamValue:
        return value[:6000] if isinstance(value, str) else value


@mutant("param_long")
class TruncatesParamsAsDeclared(TruncatesParams):
    capabilities = changed(MemoryBackend.capabilities, param_length=6000)


@mutant("param_many")
class HundredParamsACall(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        beyond = [key for key in params if key.startswith("many")][100:]
        super().log_params({key: params[key] for key in params if key not in beyond})


@mutant("param_names")
class DropsOddKeys(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        super().log_params({key: value for key, value in params.items() if "[" not in key})


@mutant("param_name_collisions")
class IgnoresCase(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        known = {key.lower() for key in self.params}
        for key, value in params.items():
            if key in self.params or key.lower() not in known:
                super().log_params({key: value})
                known.add(key.lower())


@mutant("param_overwritten", "resumed_after_finish")
class ParamsAreWriteOnce(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        super().log_params({key: params[key] for key in params if key not in self.params})


@mutant("param_repeated", "report")
class CountsWhatIsTheSame(Mutant):
    def log_params(self, params: Mapping[str, ParamValue]) -> None:
        if "repeated" in params:
            self.adjusted_param("repeated", params["repeated"], "it never changed")
            self._changed.clear()
            self.artifacts["tracelet/adjusted.jsonl"] = self._beside(
                "tracelet/adjusted.jsonl"
            ).read_bytes()
            self.adjustments = 0
        super().log_params(params)


@mutant("param_branches")
class KeepsRemovedParams(Mutant):
    def remove_params(self, keys: Sequence[str]) -> None:
        """Forget nothing."""
