"""`python -m experiments.benchmarks.recovery` puts every contender through every trial and prints one table."""

from __future__ import annotations

import argparse
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from .contenders import Contender, Fmtbench, Inspect, InspectSet, LmEval
from .server import Trace, serving
from .trials import Outcome, crowd_trial, disk_trial, kill_trial, moments, small_disk

DISK_MB = 64
HEAD = "| what | suite | asked, for items | again | of these answered | lost | twice | exit codes | last words |"


def main() -> None:
    given = arguments()
    Inspect.python, LmEval.python = Path(given.inspect) / "bin" / "python", Path(given.lm_eval) / "bin" / "python"
    suites = [one for one in (Fmtbench, Inspect, InspectSet, LmEval) if not given.only or one.__name__ in given.only]
    print(f"{versions(Inspect.python, 'inspect_ai')}, {versions(LmEval.python, 'lm_eval')}, Python {platform.python_version()}\n")
    print(f"{HEAD}\n| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | --- |", flush=True)
    for trial in given.trials:
        for suite in suites:
            for outcome in TRIALS[trial](suite, given):
                print(line(outcome), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m experiments.benchmarks.recovery", description=__doc__)
    parser.add_argument("--inspect", required=True, help="environment of inspect-ai")
    parser.add_argument("--lm-eval", required=True, help="environment of lm-evaluation-harness")
    parser.add_argument("--trials", nargs="*", default=list(TRIALS), choices=list(TRIALS))
    parser.add_argument("--only", nargs="*", help="some of the suites, by class name")
    parser.add_argument("--items", type=int, default=600)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--crowds", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def kills(suite: type[Contender], given: argparse.Namespace) -> list[Outcome]:
    when = moments(given.kills, given.items, given.seed)
    return [tried(suite, given, partial(kill_trial, when=when))]


def disks(suite: type[Contender], given: argparse.Namespace) -> list[Outcome]:
    return [tried(suite, given, partial(disk_trial, size_mb=DISK_MB), disk=True)]


def crowds(suite: type[Contender], given: argparse.Namespace) -> list[Outcome]:
    return [tried(suite, given, partial(crowd_trial, processes=size)) for size in given.crowds]


TRIALS: dict[str, Callable[[type[Contender], argparse.Namespace], list[Outcome]]] = {
    "kill": kills,
    "disk": disks,
    "crowd": crowds,
}


def tried(
    suite: type[Contender], given: argparse.Namespace, trial: Callable[[Contender, Trace], Outcome], *, disk: bool = False
) -> Outcome:
    """One trial in a fresh folder, with its own server."""
    place = Path(tempfile.mkdtemp(prefix="recovery-"))
    results = place / "results"
    with serving() as trace:
        if disk:
            with small_disk(results, DISK_MB):
                found = trial(suite(place / "work", results, trace.url, given.items), trace)
        else:
            results.mkdir()
            found = trial(suite(place / "work", results, trace.url, given.items), trace)
    if not found.lost and not found.words:
        shutil.rmtree(place)
    return found


def line(one: Outcome) -> str:
    what = f"{one.what}, {one.kills} times" if one.kills else one.what
    counts = f"{one.executions}, for {one.items} | {one.again} | {one.answered_again} | {one.lost} | {one.duplicated}"
    words = one.words.replace("|", "\\|")[:160]
    return f"| {what} | {one.name} | {counts} | {' '.join(map(str, one.codes))} | {words} |"


def versions(python: Path, package: str) -> str:
    code = f"from importlib.metadata import version; print('{package}', version('{package}'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True, timeout=60).stdout.strip()


if __name__ == "__main__":
    main()
