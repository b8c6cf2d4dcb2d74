"""The notebooks: clean, in two languages, without a command that does not exist; and that they run to their end."""

from __future__ import annotations

import ast
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
import typer
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

from kerasbert.cli import app
from migration.cli import app as migrate
from notebooks import execution

ROOT = Path(__file__).resolve().parents[1]
PROGRAMS = {"kerasbert": typer.main.get_command(app), "kerasbert-migrate": typer.main.get_command(migrate)}


def code(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def words(notebook: NotebookNode) -> Iterator[list[str]]:
    """The words of every command that a notebook gives, with 1 in place of what is filled in at run time."""
    for source in code(notebook):
        if source.startswith("!") and "{command}" not in source:
            yield ["1" if "{" in word else word for word in shlex.split(source[1:])]
            continue
        if "%" in source or source.startswith("!"):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.List) and node.elts and ast.unparse(node.elts[0]).startswith("'kerasbert"):
                yield [ast.literal_eval(part) if isinstance(part, ast.Constant) else "1" for part in node.elts]
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "command":
                assert isinstance(node.value, ast.JoinedStr)
                parts = (part.value if isinstance(part, ast.Constant) else "1" for part in node.value.values)
                yield shlex.split("".join(map(str, parts)))


def parse(arguments: list[str]) -> None:
    """Parses a command line as the program does, without running it."""
    command, rest = PROGRAMS[arguments[0]], arguments[1:]
    while hasattr(command, "commands"):
        assert rest and rest[0] in command.commands, f"no such command: {shlex.join(arguments)}"
        command, rest = command.commands[rest[0]], rest[1:]
    command.make_context(shlex.join(arguments), rest).close()


def test_there_are_four() -> None:
    assert len(execution.NAMES) == 4


@pytest.mark.parametrize("name", execution.NAMES)
def test_a_notebook_is_clean(name: str) -> None:
    notebook = execution.read(name)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [] and cell.execution_count is None, f"{name}: clear its outputs before committing"
        assert len(cell.source.splitlines()) <= 25, "what is longer belongs into kerasbert.notebook"
    assert "tensorflow_version" not in "".join(code(notebook))
    assert nbformat.writes(notebook).strip() == (execution.FOLDER / f"{name}.ipynb").read_text("utf-8").strip()


@pytest.mark.parametrize("name", execution.NAMES)
def test_a_notebook_opens_in_colab_in_two_languages(name: str) -> None:
    notebook = execution.read(name)
    home = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
    path = home.removeprefix("https://github.com/")
    link = f"https://colab.research.google.com/github/{path}/blob/main/notebooks/{name}.ipynb"
    assert link in notebook.cells[0].source
    for readme in ("README.md", "README.zh.md"):
        assert link in (ROOT / readme).read_text("utf-8"), readme
    assert f"git+{home}" in code(notebook)[0]
    assert code(notebook)[0] == code(execution.read(execution.NAMES[0]))[0], "one first cell for all"
    assert "#@param" in "".join(code(notebook))
    for cell in notebook.cells:
        for line in cell.source.splitlines():
            if cell.cell_type == "markdown" and line.startswith("#"):
                english, slash, chinese = line.lstrip("# ").partition(" / ")
                assert slash and english.isascii() and any("一" <= sign <= "鿿" for sign in chinese), line


@pytest.mark.parametrize("readme", ["README.md", "README.zh.md"])
def test_what_a_readme_shows_and_links_to_is_there(readme: str) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (ROOT / readme).read_text("utf-8"))
    assert any(target.endswith(".png") for target in targets)
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("name", execution.NAMES)
def test_the_commands_of_a_notebook_exist(name: str) -> None:
    given = [line for line in words(execution.read(name)) if line[0] in PROGRAMS]
    assert len(given) >= 3
    for line in given:
        parse(line)


def test_a_command_that_does_not_exist_is_seen() -> None:
    for wrong in (["kerasbert", "nothing"], ["kerasbert-migrate", "checkpoint", "nothing"]):
        with pytest.raises(AssertionError):
            parse(wrong)
    with pytest.raises(Exception, match="No such option"):
        parse(["kerasbert", "evaluate", "gold", "--no-such-option"])


@pytest.mark.slow
@pytest.mark.parametrize("name", execution.NAMES)
def test_a_notebook_runs_to_its_end(name: str, tmp_path: Path) -> None:
    fields, quiet = {"work": str(tmp_path / "work")}, {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = execution.execute(name, sys.executable, fields, quiet, tmp_path / "done.ipynb")
    shown = [output for cell in done.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("text/html" in output.get("data", {}) for output in shown), "nothing to look at"


@pytest.mark.slow
def test_a_command_that_fails_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "FOLDER", tmp_path)
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("!exit 3")]), tmp_path / "bad.ipynb")
    with pytest.raises(CellExecutionError, match="ended with 3"):
        execution.execute("bad", sys.executable, {}, {}, tmp_path / "done.ipynb")
    assert (tmp_path / "done.ipynb").is_file()
