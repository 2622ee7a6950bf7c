"""Help and usage errors: complete, and quick because nothing heavy is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import typer.main

import cxrdiag
from cxrdiag.cli.app import app

HEAVY = {"torch", "torchvision", "pandas", "sklearn", "scipy", "matplotlib", "numpy", "PIL"}
COMMANDS: dict[str, typer.core.TyperCommand] = typer.main.get_command(app).commands  # type: ignore[attr-defined]

# Runs the command line, then writes which modules that has loaded.
PROBE = """
import json, sys
from cxrdiag.cli.app import main
try:
    main()
except SystemExit as exit:
    code = exit.code
print("\\n" + json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]))
"""


def test_the_commands_are_those_of_the_design() -> None:
    assert {"prepare", "train", "eval", "predict", "demo"} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("--help", 0),
        ("--version", 0),
        *((f"{name} --help", 0) for name in sorted(COMMANDS)),
        ("frobnicate", 2),
        ("train --epochs many", 2),
        ("predict", 2),
        ("eval --no-such-option", 2),
    ],
)
def test_nothing_heavy_is_imported(command: str, code: int) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *command.split()],
        capture_output=True,
        text=True,
        check=True,
    )
    actual, loaded = json.loads(done.stdout.splitlines()[-1])
    assert actual == code
    assert "typer" in loaded
    assert not HEAVY & set(loaded)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_describes_every_option(name: str, cxrdiag_command, monkeypatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    outcome = cxrdiag_command(name, "--help")
    assert outcome.code == 0
    described = [line for line in outcome.out.splitlines() if "--" in line]
    for parameter in COMMANDS[name].params:
        if parameter.param_type_name == "option":
            option = max(parameter.opts, key=len)
            line = next(line for line in described if f" {option} " in line)
            assert parameter.help, f"{option} is not explained"  # type: ignore[attr-defined]
            assert line.strip() != option


@pytest.mark.parametrize(
    ("name", "option", "default"),
    [
        ("train", "--run", "runs/RECIPE-1, -2, ..."),
        ("train", "--epochs", "the recipe's"),
        ("train", "--seed", "the recipe's"),
        ("eval", "--run", "the newest"),
        ("predict", "--run", "the newest run, else the shipped model"),
        ("prepare", "--out", "data/prepared"),
    ],
)
def test_help_names_the_default(name: str, option: str, default: str, cxrdiag_command) -> None:
    text = " ".join(cxrdiag_command(name, "--help").out.split())
    said = text.partition(f" {option} ")[2].partition(" --")[0]
    assert f"default: {default}" in said.replace("(", "")


def test_the_list_of_commands_cuts_nothing_off(cxrdiag_command) -> None:
    text = cxrdiag_command("--help").out.partition("Commands:")[2]
    listed = [line for line in text.split("\n") if line.strip()]
    assert len(listed) == len(COMMANDS)
    assert all(line.endswith(".") and not line.endswith("...") for line in listed)


def test_version(cxrdiag_command) -> None:
    assert cxrdiag_command("--version").out == f"cxrdiag {cxrdiag.__version__}\n"


def test_no_arguments_show_the_help(cxrdiag_command) -> None:
    outcome = cxrdiag_command()
    assert all(name in outcome.out + outcome.err for name in COMMANDS)


def test_the_help_says_that_it_is_no_medical_device(cxrdiag_command) -> None:
    for arguments in (["--help"], ["predict", "--help"]):
        assert "Not a medical device" in " ".join(cxrdiag_command(*arguments).out.split())
