"""A configuration object comes back as it was given, in this process and from the run."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tracelet
from tracelet.errors import ArtifactNotFoundError, InvalidValueError, ValueTypeError
from tracelet.inner_path import InnerPath
from tracelet.wire import REDACTED

VALUE = {
    "value": 13.37,
    "none": None,
    "dict": {"sub_value": "string", "1": 11},
    "list_of_ints": [1, 2, 3, 4],
    "nan": math.inf,
    "empty": {},
}


@pytest.fixture
def exp(tmp_path: Path) -> Any:
    with tracelet.start_logging("run", dir=tmp_path / "runs") as exp:
        yield exp


def stored(exp: tracelet.Experiment) -> dict[str, Any]:
    exp.flush()
    assert exp.dir is not None
    return dict(tracelet.load_run(exp.dir).configurations)


def test_a_mapping_is_kept_whole_and_typed(exp: Any) -> None:
    assert exp.connect_configuration(VALUE, name="dictionary") is VALUE

    assert exp.get_configuration("dictionary") == VALUE
    assert stored(exp) == {"dictionary": VALUE}


def test_a_list_is_kept_and_the_name_is_general_unless_given(exp: Any) -> None:
    exp.connect_configuration([1, {"a": (2, Path("x"))}])

    assert exp.get_configuration() == [1, {"a": [2, "x"]}]
    assert stored(exp) == {"General": [1, {"a": [2, "x"]}]}


def test_what_is_taken_does_not_change_with_what_was_given(exp: Any) -> None:
    given = {"layers": [1]}
    exp.connect_configuration(given)
    given["layers"].append(2)
    exp.get_configuration()["layers"].append(3)

    assert exp.get_configuration() == {"layers": [1]}


def test_a_later_one_of_the_same_name_takes_its_place(exp: Any) -> None:
    exp.connect_configuration({"a": 1})
    exp.connect_configuration({"a": 2})

    assert stored(exp) == {"General": {"a": 2}}


def test_its_file_is_json_that_people_can_read(exp: Any) -> None:
    exp.connect_configuration(VALUE, name="model")
    exp.flush()

    shown = msgspec.json.decode((exp.dir / "configs" / "model.json").read_bytes())
    assert shown == {**VALUE, "nan": "Infinity"}


def test_a_file_is_kept_byte_for_byte_with_its_suffix(exp: Any, tmp_path: Path) -> None:
    content = b"# lr\r\nlr: 1e-3\n\xff"
    file = tmp_path / "model.yaml"
    file.write_bytes(content)

    assert exp.connect_configuration(file, name="yaml file") == file
    file.unlink()

    assert exp.get_configuration("yaml file").read_bytes() == content
    assert stored(exp)["yaml file"].read_bytes() == content
    assert (exp.dir / "configs" / "yaml file.yaml").read_bytes() == content


@pytest.mark.parametrize(
    ("file", "suffix"),
    [("net.v1.yaml", ".yaml"), ("e.tar.gz", ".tar.gz"), ("all.gz", ".gz"), ("Makefile", "")],
)
def test_a_file_comes_back_with_the_suffix_that_its_loader_goes_by(
    exp: Any, tmp_path: Path, file: str, suffix: str
) -> None:
    (tmp_path / file).write_bytes(b"content")
    exp.connect_configuration(tmp_path / file, name="file")
    exp.connect_configuration(tmp_path / file, name="again")

    found = [exp.get_configuration("file"), stored(exp)["file"], stored(exp)["again"]]
    assert {"".join(path.suffixes) for path in found} == {suffix}
    assert {path.read_bytes() for path in found} == {b"content"}


def test_a_file_comes_back_where_no_link_can_be_made(
    exp: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr("os.link", refuse)
    (tmp_path / "a.yaml").write_bytes(b"a: 1")
    exp.connect_configuration(tmp_path / "a.yaml", name="copied")
    assert exp.get_configuration("copied").suffix == ".yaml"

    replacing = InnerPath.replacing

    def refuse_in_blobs(file: InnerPath) -> Any:
        # The backend copies, too: were it refused, the end of the run would wait a minute for it.
        return refuse() if "blobs" in file.path.parts else replacing(file)

    monkeypatch.setattr(InnerPath, "replacing", refuse_in_blobs)
    (tmp_path / "b.yaml").write_bytes(b"b: 1")
    exp.connect_configuration(tmp_path / "b.yaml", name="not even that")
    assert exp.get_configuration("not even that").read_bytes() == b"b: 1"


def test_names_that_look_alike_have_files_of_their_own(exp: Any) -> None:
    names = ["q/r", "q_r", "q/r.json", "q/r/s", "q/r_s", "q_r/s"]
    for name in names:
        exp.connect_configuration({"called": name}, name=name)
    exp.flush()

    files = [msgspec.json.decode(file.read_bytes()) for file in (exp.dir / "configs").iterdir()]
    assert sorted(file["called"] for file in files) == sorted(names)
    assert (exp.dir / "configs" / "q_r.json").exists()


def test_one_that_becomes_a_file_leaves_no_other_behind(exp: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"x")
    exp.connect_configuration({"a": 1}, name="model")
    exp.connect_configuration({"a": 1}, name="other.json")
    exp.flush()
    exp.stop()

    with tracelet.start_logging("run", dir=tmp_path / "runs", resume=exp.run_id) as again:
        again.connect_configuration(tmp_path / "a.txt", name="model")
        again.connect_configuration(tmp_path / "a.txt", name="other")
    files = sorted(file.name for file in (exp.dir / "configs").iterdir())
    assert files == ["model.txt", "other.json", "other.txt"]


def test_one_that_there_is_not_is_told_with_the_nearest(exp: Any) -> None:
    with pytest.raises(tracelet.TraceletError, match="there is none"):
        exp.get_configuration("net")
    exp.connect_configuration({"a": 1}, name="network")
    exp.flush()

    for of in (exp, tracelet.load_run(exp.dir)):
        assert of.get_configuration("/network") == {"a": 1}
        with pytest.raises(LookupError) as told:
            of.get_configuration("netwrk")
        assert isinstance(told.value, tracelet.TraceletError)
        assert str(told.value) == "no configuration object 'netwrk'; did you mean 'network'?"
        with pytest.raises(ValueTypeError):
            of.get_configuration(["network"])


def test_secrets_are_hidden_in_values_and_in_files(exp: Any, tmp_path: Path) -> None:
    file = tmp_path / "db.ini"
    file.write_text("host = here\npassword = hunter2\n")
    exp.connect_configuration({"db": {"password": "hunter2", "host": "here"}}, name="value")
    exp.connect_configuration(str(file), name="file")

    found = stored(exp)
    assert found["value"] == {"db": {"password": REDACTED, "host": "here"}}
    assert found["file"].read_text() == f"host = here\npassword = {REDACTED}\n"


def test_a_resumed_run_reads_what_was_configured_before(exp: Any, tmp_path: Path) -> None:
    exp.connect_configuration({"a": 0})
    exp.connect_configuration({"a": 1})
    exp.stop()

    with tracelet.start_logging("run", dir=tmp_path / "runs", resume=exp.run_id) as again:
        assert again.get_configuration() == {"a": 1}
        with pytest.raises(KeyError):
            again.get_configuration("other")


def test_a_rank_that_writes_nothing_still_reads_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RANK", "1")
    with tracelet.start_logging("run", dir=tmp_path) as exp:
        exp.connect_configuration({"a": 1})
        assert exp.get_configuration() == {"a": 1}


@pytest.mark.parametrize(
    ("given", "name", "error"),
    [
        ("no/such/file.yaml", "x", ArtifactNotFoundError),
        (3, "x", ValueTypeError),
        (None, "x", ValueTypeError),
        ({"a": 1}, "", InvalidValueError),
        ({"a": 1}, 3, ValueTypeError),
        ("lr: 0.1\n" * 100, "x", ArtifactNotFoundError),
        ({"a": 1}, "x" * 251, InvalidValueError),
        (__file__, "x" * 253, InvalidValueError),
        ({"a": 1}, "a\0b", InvalidValueError),
    ],
)
def test_what_is_no_configuration_is_refused(
    exp: Any, given: Any, name: Any, error: type[Exception]
) -> None:
    with pytest.raises(error):
        exp.connect_configuration(given, name=name)

    assert stored(exp) == {}


@pytest.mark.parametrize("name", [".", ".."])
def test_a_file_without_a_suffix_cannot_be_called_what_no_file_is(
    exp: Any, tmp_path: Path, name: str
) -> None:
    (tmp_path / "Makefile").write_text("all:\n")
    with pytest.raises(InvalidValueError, match="becomes that of a file"):
        exp.connect_configuration(tmp_path / "Makefile", name=name)

    assert stored(exp) == {}


@pytest.mark.parametrize("name", ["x" * 250, "/../" * 45, ".."])
def test_a_name_that_looks_like_no_file_s_is_delivered(exp: Any, name: str) -> None:
    exp.connect_configuration({"a": 1}, name=name)

    assert exp.stop().complete
    assert tracelet.load_run(exp.dir).get_configuration(name) == {"a": 1}


def test_a_job_that_must_not_stop_still_gets_back_what_it_gave(tmp_path: Path) -> None:
    with (
        tracelet.start_logging("run", dir=tmp_path, on_error="warn") as exp,
        pytest.warns(tracelet.TraceletWarning, match="no file"),
    ):
        assert exp.connect_configuration("no/such/file.yaml") == "no/such/file.yaml"
