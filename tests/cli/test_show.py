"""``tracelet show``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import tracelet

Cli = Callable[..., Any]


def test_everything_about_a_run_is_shown(cli: Cli, logged: tracelet.Run) -> None:
    shown = cli("show", logged.run_id)

    assert shown.code == 0, shown.err
    lines = [" ".join(line.split()) for line in shown.out.splitlines()]
    assert lines[0] == f"{logged.run_id} finished"
    assert "tags team=ml, note=[bold]not markup[/bold]" in lines
    assert "project examples" in lines
    assert f"directory {logged.dir}" in lines
    assert "model.depth 18" in lines
    assert 'model.name "1e3"' in lines
    assert "models/last.txt 2.1 kB" in lines
    assert "reviewer ada" in lines
    assert "optimizer {lr: 0.1}" in lines
    assert f"local {logged.report['local'].accepted} of 58 delivered" in lines
    assert logged.dir.as_uri() in lines


def test_secrets_are_not_shown(cli: Cli, logged: tracelet.Run) -> None:
    assert "api_key [redacted]" in " ".join(cli("show").out.split())
    assert "abc123secret" not in cli("show").out
    assert "abc123secret" not in cli("show", "--json").out


def test_sections_of_parameters_stand_together(cli: Cli, logged: tracelet.Run) -> None:
    lines = cli("show").out.splitlines()

    start = lines.index(next(line for line in lines if line.strip() == "Args/"))
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["epochs", "3"],
        ["verbose", "None"],
    ]


def test_metrics_have_last_and_extreme_values_and_their_course(
    cli: Cli, logged: tracelet.Run
) -> None:
    lines = [" ".join(line.split()) for line in cli("show").out.splitlines()]

    assert "metric last min max at course" in lines
    loss = next(line for line in lines if line.startswith("train/loss"))
    assert loss.startswith("train/loss 0.02 0.02 1 49 █")
    assert "gradient NaN - - 0 !" in lines
    assert "accuracy 0.5 0.5 0.5 epoch 3 ▄" in lines


def test_control_characters_are_shown_and_not_sent(cli: Cli, logged: tracelet.Run) -> None:
    assert r"a\u001b[31mred" in cli("show").out


def test_it_reads_well_at_80_columns(cli: Cli, logged: tracelet.Run) -> None:
    shown = cli("show")

    too_long = [line for line in shown.out.splitlines() if len(line.rstrip()) > 80]
    assert all(str(logged.dir) in line or "command" in line for line in too_long)


def test_a_terminal_without_block_characters_gets_others(cli: Cli, logged: tracelet.Run) -> None:
    shown = cli("show", PYTHONIOENCODING="ascii")

    assert shown.code == 0
    assert "#" in shown.out
    assert "█" not in shown.out


def test_json_has_it_all(cli: Cli, logged: tracelet.Run) -> None:
    shown = cli("show", logged.dir, "--json").json

    assert shown["params"]["model.depth"] == 18
    assert shown["params"]["Args/verbose"] is None
    assert shown["tags"]["team"] == "ml"
    assert shown["status"] == "finished"
    metrics = {one["name"]: one for one in shown["metrics"]}
    assert metrics["train/loss"] == {
        "name": "train/loss",
        "axis": "iteration",
        "count": 50,
        "iteration": 49,
        "last": 0.02,
        "min": 0.02,
        "max": 1.0,
    }
    assert metrics["gradient"]["last"] == "NaN"
    assert metrics["gradient"]["min"] is None
    (artifact,) = shown["artifacts"]
    assert artifact["path"] == "models/last.txt"
    assert artifact["size"] == 2100
    assert shown["configurations"] == {"optimizer": {"lr": 0.1}}
    assert shown["properties"]["reviewer"]["value"] == "ada"
    local = shown["report"]["backends"]["local"]
    assert local["accepted"] == local["delivered"] + local["rejected"] + local["pending"]
    assert shown["links"]["local"]["url"] == logged.dir.as_uri()


def test_none_is_the_latest_run(cli: Cli, logged: tracelet.Run) -> None:
    with tracelet.start_logging("newer", "other"):
        pass

    assert cli("show", "--json").json["name"] == "newer"
    assert cli("show", "--project", "examples", "--json").json["name"] == "everything"


def test_a_failed_run_says_why(cli: Cli) -> None:
    with pytest.raises(ZeroDivisionError), tracelet.start_logging("failing"):
        raise ZeroDivisionError("division by zero")

    shown = cli("show")

    assert shown.out.splitlines()[0].endswith("failed")
    assert "reason     ZeroDivisionError: division by zero" in shown.out
    assert cli("show", "--json").json["reason"] == "ZeroDivisionError: division by zero"


def test_a_run_without_anything_is_shown(cli: Cli) -> None:
    with tracelet.start_logging("empty"):
        pass

    shown = cli("show")

    assert shown.code == 0
    assert "Metrics" not in shown.out
    assert "0 of 0 delivered" in shown.out


def test_an_unknown_run_is_one_line_with_the_nearest(cli: Cli, logged: tracelet.Run) -> None:
    shown = cli("show", logged.run_id[:-1])

    assert (shown.code, shown.out) == (2, "")
    assert len(shown.err.splitlines()) == 1
    assert f"did you mean {logged.run_id}?" in shown.err


def test_a_misspelt_name_is_answered_with_the_nearest_as_a_shell_takes_it(cli: Cli) -> None:
    with tracelet.start_logging("warm restarts"):
        pass

    assert "; did you mean 'warm restarts'?" in cli("show", "warm restart").err


def test_an_id_of_several_runs_is_no_name_of_another(cli: Cli) -> None:
    for project, name, run_id in (("a", "x", "r"), ("b", "x", "r"), ("c", "r", "other")):
        with tracelet.start_logging(name, project, run_id=run_id):
            pass

    shown = cli("show", "r")

    assert (shown.code, shown.out) == (2, "")
    assert "the run 'r' is in several projects: a, b" in shown.err
    assert cli("show", "r", "-p", "b").code == 0
    assert cli("show", "r", "-p", "c").out.startswith("other ")


def test_a_long_id_is_on_one_line(cli: Cli) -> None:
    with tracelet.start_logging(run_id="r" * 100):
        pass

    assert cli("show").out.splitlines()[0] == f"{'r' * 100} finished"


def test_a_run_is_found_by_its_name_the_latest_of_several(cli: Cli, logged: tracelet.Run) -> None:
    assert cli("show", "everything", "--json").json["run_id"] == logged.run_id
    with tracelet.start_logging("everything", "other") as exp:
        pass

    shown = cli("show", "everything", "--json")

    assert shown.json["run_id"] == exp.run_id
    assert "latest of 2 runs" in shown.err
    assert cli("show", "everything", "-p", "examples", "--json").json["run_id"] == logged.run_id


def test_long_values_are_cut_unless_asked_for_and_brackets_are_no_markup(cli: Cli) -> None:
    text = "y" * 4000
    with tracelet.start_logging("long", params={"[bold]k": text, "plain": 1}) as exp:
        exp.set_tags(tag=text)
        exp.log_metric("[b]m[0]", 2**53 + 1, iteration=2**53 + 1)
        exp.log_metric("validation/" + "mean" * 5, -(2**63), iteration=2**40)

    shown, full = cli("show"), cli("show", "--full")

    assert len(shown.out) < 3000
    joined = "".join(shown.out.split())
    assert joined.count("(4,000characters;--fullshowsthem)") == 2
    assert "".join(full.out.split()).count("y" * 4000) == 2
    lines = [line.split() for line in shown.out.splitlines()]
    assert ["plain", "1"] in lines
    assert any(line[:2] == ["[bold]k", "y" * len(line[1])] for line in lines if len(line) == 2)
    metric = next(line for line in lines if line[:1] == ["[b]m[0]"])
    assert metric[1:5] == ["9007199254740993", "9.007e+15", "9.007e+15", "9.007e+15"]
    wide = cli("show", COLUMNS="200").out
    assert wide.count("9007199254740993") == 4
    assert wide.count(str(-(2**63))) == 3


def test_no_run_at_all_is_one_line(cli: Cli) -> None:
    shown = cli("show")

    assert (shown.code, shown.out) == (2, "")
    assert len(shown.err.splitlines()) == 1
