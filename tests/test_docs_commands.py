"""Every command line in README.md and docs/ is one that works.

Each is run, on the scripted backend and our own rows, but for those in a block after `<!-- not run: REASON -->`. What is not run,
or not as it stands, is composed, so that a key or an option that is gone is found.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from experiments.run import check
from experiments.starting.start import hydras
from tests.commanding import command
from tests.conftest import ROOT, composed, write_own_rows

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"(?:<!-- not run: (?P<reason>[^>]+?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.S | re.M)
PREFIX = re.compile(r"^\$ ?")
OF_A_MODEL = ("run", "plan", "doctor")
"""Commands that take a backend, a results root and a data root, which are made ours and small."""
FLAGS = ("-m", "--multirun", "--help", "--cfg", "job", "--config-dir", "my_conf")


class Line(NamedTuple):
    """One command line of a page."""

    page: str
    text: str
    name: str
    arguments: list[str]
    reason: str | None

    def __str__(self) -> str:
        return f"{self.page}: {self.text}"


def lines() -> Iterator[Line]:
    for page in PAGES:
        for block in BLOCK.finditer(page.read_text(encoding="utf-8")):
            if block["language"] in ("", "shell", "bash", "console"):
                for text in block["code"].replace("\\\n", " ").splitlines():
                    if words := command_of(text):
                        yield Line(str(page.relative_to(ROOT)), " ".join(text.split()), words[0], words[1:], block["reason"])


def command_of(text: str) -> list[str]:
    """A command's name and its arguments; empty where a line starts none of ours."""
    text = PREFIX.sub("", text)
    words = shlex.split(text, comments=True) if text.startswith(("python ", "fmtbench ")) else []
    if words[:2] == ["python", "-m"] and words[2].startswith("experiments."):
        return [words[2].removeprefix("experiments."), *words[3:]]
    return words[1:] if words[:1] == ["fmtbench"] else []


def left_out(line: Line) -> list[str]:
    """What of a line that is run gives way to a small run's own."""
    return [word for word in line.arguments if line.name in OF_A_MODEL and word.startswith(("limit=", "data_root=", "backend="))]


ALL = list(lines())
RUN = [line for line in ALL if line.reason is None]
FIRST = {(line.page, line.name): line for line in reversed(RUN)}
"""Of a page and command, which stands for the others outside the long form."""
LONG_AND_SHORT = [pytest.param(line, marks=() if line in FIRST.values() else pytest.mark.slow) for line in RUN]


def test_the_pages_have_command_lines() -> None:
    assert len(ALL) >= 40
    assert len(RUN) >= 10
    assert {line.name for line in RUN} >= {"run", "plan", "score", "tables", "export", "rescore"}


def test_no_command_hides_outside_a_block() -> None:
    """In running text a command may be named, and is then code of one line without arguments that nobody tests."""
    for page in PAGES:
        prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
        starts = [line for line in prose.splitlines() if re.match(r"\s*\$? ?python -m experiments", line)]
        assert not starts, f"{page.name}: put it into a fenced block: {starts}"


@pytest.mark.parametrize("line", [line for line in ALL if line not in FIRST.values() or left_out(line)], ids=str)
def test_a_command_line_composes(line: Line) -> None:
    overrides = [word for word in line.arguments if word not in FLAGS and not mine(word) and not word.startswith("hydra/")]
    config = composed(*(first(hydras(line.name, word)) for word in overrides if not word.startswith("hydra.")), root=line.name)
    if line.name == "run":
        check(config)


def mine(word: str) -> bool:
    """Whether an argument names the reader's own condition or task, which we have not got."""
    return word in ("condition=[free_cot,terse_json]", "task=[mine]", "plugins=[mypackage]")


def first(word: str) -> str:
    """The first job of a sweep."""
    (override,) = OverridesParser.create().parse_overrides([word])
    if not override.is_sweep_override():
        return word
    return f"{override.get_key_element()}={next(iter(override.sweep_string_iterator()))}"


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our own rows, a quickstart of the scripted backend, transcripts and questions."""
    place = tmp_path_factory.mktemp("docs")
    write_own_rows(place / "data")
    (place / "qa.csv").write_text("question,answer\nWhat is 6 * 7?,42\n", encoding="utf-8")
    (place / "my_prompt.yaml").write_text("role: You keep the books of a small firm.\n", encoding="utf-8")
    (place / "log.jsonl").write_text(json.dumps({"text": "The answer is 18.", "gold": "18"}) + "\n", encoding="utf-8")
    done = command("run", "backend=scripted", "limit=2", f"results={place}/results")
    assert done.code == 0, done.err
    rescore_theirs(place)
    records_of_their_own(place)
    return place


def records_of_their_own(place: Path) -> None:
    """The files of the guide on schemas, as it shows them, and the results that its lines look at."""
    blocks = re.findall(r"```(json\w*)\n(.*?)^```$", (ROOT / "docs" / "guides" / "own_schema.md").read_text("utf-8"), re.S | re.M)
    for (_, code), name in zip(blocks, ("invoice.json", "invoices.jsonl")):
        (place / name).write_text(code, encoding="utf-8")
    (line,) = [line for line in RUN if line.name == "run" and "schema.path=invoice.json" in line.arguments]
    done = command(line.name, *ours(line, place))
    assert done.code == 0, done.err


def rescore_theirs(place: Path) -> None:
    """What the lines of the guide on rescoring leave, since each line may run alone: `rescored` and `mine`."""
    for arm, letters in {"chain_of_thought": "BBBBAB", "concise": "BABAAC"}.items():
        replies = [{"item": i, "sample": 0, "gold": "B", "text": f'So: Answer("{one}")'} for i, one in enumerate(letters)]
        path = place / "logs" / "gpt-4" / arm / "sat.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text("".join(json.dumps(reply) + "\n" for reply in replies), encoding="utf-8")
    for line in RUN:
        if line.name == "rescore":
            done = command(line.name, *ours(line, place))
            assert done.code == 0, done.err


READERS_OWN = re.compile(
    r"(?<!name)=(results/|log\.jsonl|qa\.csv|my_prompt\.yaml|invoices\.jsonl|invoice\.json|lm$|logs$|logs/\*|rows$|rescored$|mine$)"
)
"""Files and folders that a line takes for the reader's."""


@pytest.mark.parametrize("line", LONG_AND_SHORT, ids=str)
def test_a_command_line_runs(line: Line, workplace: Path) -> None:
    done = command(line.name, *ours(line, workplace))
    assert done.code == 0, done.err


def ours(line: Line, place: Path) -> list[str]:
    """The line's arguments with our folders for the reader's, and with few items where a model would be asked."""
    kept = [word for word in line.arguments if word not in left_out(line)]
    placed = [READERS_OWN.sub(rf"={place}/\1", word) for word in kept]
    if line.name in ("run", "doctor"):
        placed += ["backend=scripted", f"results={place}/results"]
    if line.name in OF_A_MODEL:
        placed += ["limit=2", f"data_root={place}/data"]
    return [*placed, "draws=100"] if line.name == "tables" and "format=html" not in placed else placed
