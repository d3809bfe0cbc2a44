"""Mutants that get artifacts and descriptions wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mutants import Mutant, changed, mutant

from tracelet.backends.base import (
    ArtifactFile,
    ConfigObject,
    Property,
    Support,
    TextLine,
)
from tracelet.backends.memory import MemoryBackend
from tracelet.records import RunInfo, RunLink, Status

# -- artifacts ------------------------------------------------------------------------------------


class ChangesFiles(Mutant):
    def log_artifact(self, artifact: ArtifactFile) -> None:
        path, content = self.change(artifact.path, artifact.source.read_bytes())
        if path:
            self.artifacts[path] = content

    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        raise NotImplementedError


@mutant("artifact_file")
class TextFilesOnly(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path, content.replace(b"\r", b"") if path.startswith("plain") else content


@mutant("artifact_folder", "artifact_nothing_else")
class FlatFolders(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path.replace("/below/", "/") if path == "folder/below/c.bin" else path, content


@mutant("artifact_nested", "artifact_nothing_else")
class KeepsTheNameOfTheFile(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return f"{path}/0-0" if path.startswith("models") else path, content


@mutant("artifact_twice")
class FirstContentWins(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path, self.artifacts.get(path, content)


@mutant("artifact_copies")
class OneOfEachContent(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        known = content in [self.artifacts[other] for other in self.artifacts if other != path]
        return "" if known else path, content


@mutant("artifact_empty")
class DropsEmptyFiles(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path if content else "", content


@mutant("artifact_names", "artifact_nothing_else")
class UnquotedUrls(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path.partition("#")[0], content


@mutant("artifact_large")
class SmallFilesOnly(ChangesFiles):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path, content[:50_000]


class UploadsLater(ChangesFiles):
    """Stands for an SDK that is given the user's file and reads it when it has time."""


@mutant("artifact_changed_afterwards")
class ReadsLater(UploadsLater):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return path, b"AFTER!" if path == "changed.txt" else content


@mutant("artifact_deleted_afterwards")
class FindsNothingLater(UploadsLater):
    def change(self, path: str, content: bytes) -> tuple[str, bytes]:
        return "" if path == "deleted.txt" else path, content


@mutant("artifact_nothing_else")
class LeavesANote(Mutant):
    def close(self, status: Status) -> None:
        self.artifacts["state.db"] = b"for the next time"
        super().close(status)


# -- descriptions ---------------------------------------------------------------------------------


@mutant("config_values")
class ConfigsAreTexts(Mutant):
    def log_config(self, config: ConfigObject) -> None:
        super().log_config(config)
        if config.value is not None:
            self.configs[config.name] = str(config.value)


@mutant("config_file")
class ParsesConfigFiles(Mutant):
    def log_config(self, config: ConfigObject) -> None:
        super().log_config(config)
        if config.value is None:
            self.configs[config.name] = self.configs[config.name].replace(b"\r\n", b"\n")


@mutant("texts")
class SplitsLines(Mutant):
    def log_text(self, lines: Sequence[TextLine]) -> None:
        parts = [changed(line, text=part) for line in lines for part in line.text.split("\n")]
        super().log_text(parts)


@mutant("tags")
class FirstTagWins(Mutant):
    def set_tags(self, tags: Mapping[str, str]) -> None:
        super().set_tags({key: tags[key] for key in tags if key not in self.tags})


@mutant("properties")
class PropertiesAreTexts(Mutant):
    def set_properties(self, properties: Mapping[str, Property]) -> None:
        texts = {name: changed(one, value=str(one.value)) for name, one in properties.items()}
        super().set_properties(texts)


@mutant("properties")
class DropsDescriptions(Mutant):
    def set_properties(self, properties: Mapping[str, Property]) -> None:
        super().set_properties({name: Property(one.value) for name, one in properties.items()})


@mutant("identity")
class OneProjectForAll(Mutant):
    def open(self, run: RunInfo) -> RunLink:
        return super().open(changed(run, project="Default"))


@mutant("identity")
class NoGroups(Mutant):
    def open(self, run: RunInfo) -> RunLink:
        return super().open(changed(run, group=None))


@mutant("one_run", "two_runs_at_once", "resumed_after_finish", "fault_open_fails", "fault_hangs")
class MakesTwoRuns(Mutant):
    runs = 2


@mutant("report")
class RefusesALevel(Mutant):
    def log_text(self, lines: Sequence[TextLine]) -> None:
        if any(line.text.startswith("connecting") for line in lines):
            raise ValueError("no such level")
        super().log_text(lines)


@mutant("report")
class CountsTooMuch(Mutant):
    def close(self, status: Status) -> None:
        self.adjustments += 1
        super().flush()
        super().close(status)

    def flush(self) -> None:
        if "spoken" not in vars(self):
            self.spoken = True
            self.adjustments += 1


@mutant("declared")
class SaysNothingOfRepeats(Mutant):
    capabilities = changed(MemoryBackend.capabilities, repeats=Support.UNKNOWN)


@mutant("declared", "metric_nan")
class SaysNothingOfNan(Mutant):
    capabilities = changed(MemoryBackend.capabilities, nan=Support.UNKNOWN)
