"""The state of the code when a run starts: commit, branch, remote, and what is not committed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from user_scripts import Script
from waiting import eventually

import tracelet
from tracelet.capture import git

DIFF = "tracelet/uncommitted.diff"


class Repository:
    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self("init", "--quiet", "--initial-branch=main")
        self("config", "user.email", "me@example.com")
        self("config", "user.name", "Me")

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, **files: str) -> str:
        for name, content in files.items():
            (self.path / f"{name}.py").write_text(content)
        self("add", "--all")
        self("commit", "--quiet", "--message=x")
        return self("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """A repository without a commit, which is the working directory."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    made = Repository(tmp_path / "code")
    monkeypatch.chdir(made.path)
    return made


def run(tmp_path: Path) -> tracelet.Run:
    with tracelet.start_logging(dir=tmp_path / "runs", capture=["git"]) as exp:
        pass
    assert exp.dir is not None
    return tracelet.load_run(exp.dir)


def facts(tmp_path: Path) -> dict[str, Any] | None:
    return run(tmp_path).facts.get("git")


def test_commit_branch_and_remote_are_facts_and_the_diff_is_a_patch(
    repository: Repository, tmp_path: Path
) -> None:
    commit = repository.commit(model="depth = 1\n", data="size = 1\n")
    repository("remote", "add", "backup", "https://example.com/backup.git")
    repository("remote", "add", "origin", "https://me:s3cret@example.com/net.git")
    repository("config", "diff.noprefix", "true")
    repository("config", "color.ui", "always")
    (repository.path / "model.py").write_text("depth = 2\npassword = 'hunter2hunter2'\n")
    found = run(tmp_path)
    assert found.facts["git"] == {
        "commit": commit,
        "branch": "main",
        "remote": "https://example.com/net.git",
        "root": str(repository.path),
    }
    assert msgspec.json.decode((found.dir / "run.json").read_bytes())["facts"] == found.facts
    repository("checkout", "--quiet", ".")
    repository("apply", str(found.dir / DIFF))
    assert (repository.path / "model.py").read_text() == "depth = 2\npassword = '[redacted]'\n"
    assert not any("s3cret" in path.read_text(errors="replace")
                   for path in found.dir.rglob("*") if path.is_file())  # fmt: skip


def test_files_that_hold_secrets_by_their_name_are_left_out_of_the_diff_with_a_note(
    repository: Repository, tmp_path: Path
) -> None:
    names = (".env", "sub/.env.local", "sub/My Credentials.json", "client_SECRETS.yaml", "é.secret")
    repository.commit(model="depth = 1\n")
    for name in (*names, "environment.txt", "secrets/model.txt"):
        file = repository.path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("before\n")
    repository("add", "--force", ".")
    repository("commit", "--quiet", "-m", "files")
    for name in (*names, "environment.txt", "secrets/model.txt"):
        (repository.path / name).write_text("hunter2hunter2\n" if name in names else "after\n")
    (repository.path / "model.py").write_text("depth = 2\n")

    diff = run(tmp_path).dir / DIFF

    content = diff.read_text()
    assert "hunter2" not in content
    notes = [line for line in content.splitlines() if line.startswith("# not recorded")]
    assert len(notes) == len(names)
    assert "# not recorded, because of its name: a/.env b/.env" in notes
    repository("checkout", "--quiet", ".")
    repository("apply", str(diff))
    assert (repository.path / "model.py").read_text() == "depth = 2\n"
    for name in ("environment.txt", "secrets/model.txt"):
        assert (repository.path / name).read_text() == "after\n"
    assert all((repository.path / name).read_text() == "before\n" for name in names)


def test_the_whole_repository_is_compared_also_from_a_folder_of_it(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(model="depth = 1\n")
    (repository.path / "model.py").write_text("depth = 2\n")
    (repository.path / "sub").mkdir()
    monkeypatch.chdir(repository.path / "sub")
    repository("config", "diff.relative", "true")
    assert b"+depth = 2" in (run(tmp_path).dir / DIFF).read_bytes()


def test_what_was_changed_after_the_start_is_not_in_the_diff(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit(model="depth = 1\n")
    (repository.path / "model.py").write_text("depth = 2\n")
    exp = tracelet.start_logging(dir=tmp_path / "runs", capture=["git"])
    assert exp.dir is not None
    eventually((exp.dir / DIFF).exists)
    (repository.path / "model.py").write_text("depth = 3\n")
    exp.stop()
    assert b"+depth = 2" in (exp.dir / DIFF).read_bytes()


def test_a_repository_without_changes_has_no_diff(repository: Repository, tmp_path: Path) -> None:
    repository.commit(model="depth = 1\n")
    assert not (run(tmp_path).dir / DIFF).exists()


def test_a_repository_without_a_commit_has_a_branch(repository: Repository, tmp_path: Path) -> None:
    (repository.path / "model.py").write_text("depth = 1\n")
    found = facts(tmp_path)
    assert found is not None
    assert (found["commit"], found["branch"]) == (None, "main")


def test_a_commit_that_is_checked_out_has_no_branch(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(model="depth = 1\n")
    repository("checkout", "--quiet", "--detach")
    found = facts(tmp_path)
    assert found is not None
    assert (found["commit"], found["branch"], found["remote"]) == (commit, None, None)


def test_a_worktree_is_a_place_of_its_own(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.commit(model="depth = 1\n")
    repository("worktree", "add", "--quiet", "-b", "idea", str(tmp_path / "idea"))
    monkeypatch.chdir(tmp_path / "idea")
    (tmp_path / "idea" / "model.py").write_text("depth = 5\n")
    found = run(tmp_path)
    assert found.facts["git"]["root"] == str(tmp_path / "idea")
    assert (found.facts["git"]["branch"], found.facts["git"]["commit"]) == ("idea", commit)
    assert b"+depth = 5" in (found.dir / DIFF).read_bytes()


@pytest.mark.parametrize("without", ["repository", "git", "directory", "a sound repository"])
def test_where_git_knows_nothing_there_is_no_fact_and_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    if without == "git":
        subprocess.run(["git", "init", "--quiet"], check=True)
        monkeypatch.setenv("PATH", str(tmp_path))
    elif without == "a sound repository":
        (here / ".git").mkdir()
        (here / ".git" / "HEAD").write_text("nonsense")
    exp = tracelet.Experiment(dir=tmp_path / "runs", capture=["git"])
    if without == "directory":
        shutil.rmtree(here)
    with exp:
        pass
    assert exp.dir is not None
    assert "git" not in tracelet.load_run(exp.dir).facts


def slow_git(directory: Path, command: str) -> None:
    """Put a git before the real one that never answers a command."""
    script = directory / "bin" / "git"
    script.parent.mkdir()
    script.write_text(
        f'#!/bin/sh\ncase "$1" in {command}) tail -f "$0";; esac\nexec {shutil.which("git")} "$@"\n'
    )
    script.chmod(0o755)


def test_a_git_that_hangs_does_not_hold_up_the_start(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(model="depth = 1\n")
    slow_git(tmp_path, "rev-parse")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(git, "HEAD_SECONDS", 0.2)
    assert facts(tmp_path) is None


def test_a_comparison_that_hangs_is_given_up_with_a_warning(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(model="depth = 1\n")
    slow_git(tmp_path, "diff")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setattr(git, "DIFF_SECONDS", 0.2)
    with pytest.warns(tracelet.TraceletWarning, match="capture of git"):
        found = run(tmp_path)
    assert found.facts["git"]["branch"] == "main"
    assert not (found.dir / DIFF).exists()


def test_a_diff_beyond_all_measure_is_left_out_with_a_warning(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit(model="depth = 1\n")
    (repository.path / "model.py").write_text("depth = 2\n" * 100)
    monkeypatch.setattr(git, "DIFF_BYTES", 1000)
    exp = tracelet.start_logging(dir=tmp_path / "runs", capture=["git"])
    with pytest.warns(tracelet.TraceletWarning, match="1,000 bytes"):
        exp.stop()
    assert exp.dir is not None
    assert not (exp.dir / DIFF).exists()


def test_a_comparison_that_fails_is_a_warning_and_not_taken_for_no_difference(
    repository: Repository, tmp_path: Path
) -> None:
    repository.commit(model="depth = 1\n")
    (repository.path / ".git/index").write_bytes(b"damaged")
    with pytest.warns(tracelet.TraceletWarning, match="could not make the diff"):
        assert not (run(tmp_path).dir / DIFF).exists()


def test_the_code_is_looked_for_beside_the_script(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit(model="depth = 1\n")
    text = f"""
        import os, tracelet
        os.chdir({str(tmp_path)!r})
        with tracelet.start_logging(run_id="r", capture=["git"]): pass
    """
    Script(repository.path, text).succeed()
    found = tracelet.load_run(tmp_path / ".tracelet" / "default" / "r")
    assert found.facts["git"]["commit"] == commit


def test_a_launcher_among_the_packages_is_not_the_code(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        sys.modules["__main__"], "__file__", f"{sys.prefix}/bin/launch", raising=False
    )
    assert git.code_directories() == [repository.path]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://me:secret@example.com/net.git", "https://example.com/net.git"),
        ("https://ghp_abc@example.com:8443/net.git", "https://example.com:8443/net.git"),
        ("https://me:p@ss@example.com/a@b.git", "https://example.com/a@b.git"),
        ("ssh://git@example.com/net.git", "ssh://git@example.com/net.git"),
        ("ssh://git:secret@example.com/net.git", "ssh://git@example.com/net.git"),
        ("git@example.com:me/net.git", "git@example.com:me/net.git"),
        ("/srv/net.git", "/srv/net.git"),
        ("file:///srv/net.git", "file:///srv/net.git"),
    ],
)
def test_an_address_is_shown_without_its_credentials(url: str, shown: str) -> None:
    assert git.without_credentials(url) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:hunter2@example.com/net.git", "https://example.com/net.git"),
        ("https://hunter2@example.com/net.git", "https://example.com/net.git"),
        ("https://me:hun/ter2@example.com/net.git", "https://example.com/net.git"),
        ("https://me:hun@ter2@example.com/a@b", "https://example.com/a@b"),
        ("https://example.com:8080/a@b", "https://example.com:8080/a@b"),
        ("https://[::1]:80/a@b", "https://[::1]:80/a@b"),
        ("helper::https://me:hunter2@example.com/net", "helper::https://example.com/net"),
        ("ssh://git@example.com/net.git", "ssh://git@example.com/net.git"),
        ("ssh://git:hunter2@example.com:22/net", "ssh://git@example.com:22/net"),
        ("git+ssh://git:hun@ter2@example.com/net", "git+ssh://git@example.com/net"),
        ("git@example.com:net.git", "git@example.com:net.git"),
        ("git:hunter2@example.com:net.git", "git@example.com:net.git"),
        ("example.com:folder/net@2", "example.com:folder/net@2"),
        ("C:\\net@2", "C:\\net@2"),
        ("../net", "../net"),
    ],
)
def test_no_form_of_address_keeps_a_password(address: str, shown: str) -> None:
    assert git.without_credentials(address) == shown
