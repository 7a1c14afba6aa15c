"""The page of a run: `python -m benchmarks.page RESULTS.json` writes docs/benchmarks.md and copies the chart.

With `RESULTS.json LATER.json ...` the cases of later runs take the place of those of the first. The chart is then to
be drawn of them all: `python -m benchmarks.chart RESULTS.json LATER.json ... docs/images/benchmarks.png`.
"""

import json
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.environment import REQUIREMENTS, pins
from benchmarks.figures import HEADER, CaseResults, from_run, losses, newest, rows

DOCS = Path(__file__).parents[1] / "docs"
PICTURE = "images/benchmarks.png"

_WORDS = {"wall": "wall clock", "cpu": "CPU", "first_batch": "first batch", "peak_mb": "memory"}

_INTRODUCTION = """\
<!-- Written by `python -m benchmarks.page`, from the results of a run: change that. -->
# Speed

Every number here was measured beside loops written by hand for the very same work and beside other packages, all of a
case in one run, each at the best setting that we know. `x hand` is how many times as fast a contender was as the best
loop by hand; only such ratios hold on another machine. CPU is that of all processes of a contender, in microseconds
per item; where a machine has other things to do it is the steadier figure.
"""

_RULES = """\
## How it is measured

- Everyone does the whole work: all records in a new order each epoch, full batches on the device (here the CPU), and
  each batch is waited for. The first batch of everyone is looked at: images are float32 in [0, 1]; each row of ids is
  that of a document as the library `tokenizers` has it, and packed rows hold whole documents; each spectrogram is
  that of a second of one of the files.
- A contender is a process of its own, in an environment of its own. They take turns, A B C A B C; one whose turn it
  is not is stopped, with its workers, so that it neither disturbs the others nor works ahead. What it had made ahead
  is used up before its time is taken, and its CPU time counts that too.
- Medians of the rounds of all starts, for one process of a contender may be faster than the next. `spread` is from
  the fastest round to the slowest, as a share of the median: differences below it mean nothing.
- `first s` is from the making of a pipeline to its first batch, compilation included, imports not, nor what a program
  that has made its model has done by then: JAX is at work, and for this package, whose data sets take an `nnx.Rngs`,
  one was made and asked for a key (0.16 s here, once in a process). `MB` is the peak of memory, of all processes of
  a contender together; what they share is counted in each.
- A star marks those who make pictures smaller without antialiasing, which is less work. This package filters unless
  it is told not to.
- Texts: peers encode with `tokenizers`, and one of them with tiktoken, as the loop by hand and this package do. Where
  documents are tokenized beforehand, that is no part of the time of anyone. This package packs tokens that it has
  stored, so it has no part in the case that packs texts as they come. It leaves documents in their file and reads
  those that are asked for, where the others hold all of them in memory: on a disk that has to be waited for the first
  seconds are slower, which is what a large spread shows. Its batches hold the texts as well, and packed rows the
  segments and positions of documents, where the settings do not say otherwise.
- Sounds: `whole files` are decoded, mixed by a mean and resampled before a second is cut out, as one writes it first;
  `part first` is the fast function of the loop by hand, which all that take a function can be given. The decoders
  of SPDL and HF datasets are left out, for they need FFmpeg on the machine, and so is torchaudio, whose package
  loads with a torch for CUDA alone.
- jax-dataloader and datarax are not in the cases with files, which they do not decode, nor SPDL in those with texts;
  where a position is restored, tf.data, jax-dataloader, datarax and SPDL are left out.
"""

_AGAIN = """\
## Again, on your machine

```sh
make bench                            # everything; the first time it makes nine environments, of several GB
make bench ARGS="arrays jpeg --starts 3 --rounds 5 --only artifex,grain,hand"
make bench ARGS="--without-peers"     # this package and loops by hand, in the environment of the project
make bench ARGS="--list"
```

A run says where a ratio of this package fell, against `benchmarks/baseline.json`, by more than 15 % and more than the
spread; `--save-baseline` keeps the ratios of a run, `--strict` makes a fall an error. This page is written by
`python -m benchmarks.page RESULTS.json`.
"""


def main() -> None:
    source, *later = map(Path, sys.argv[1:])
    picture = DOCS / PICTURE if later else source.with_suffix(".png")
    if not later and picture.exists():
        (DOCS / PICTURE).parent.mkdir(exist_ok=True)
        shutil.copy(picture, DOCS / PICTURE)
    runs = [json.loads(path.read_text()) for path in (source, *later)]
    (DOCS / "benchmarks.md").write_text(page(runs[0], *runs[1:], has_picture=picture.exists()))
    print(f"written to {DOCS / 'benchmarks.md'}")


def page(run: dict[str, Any], *later: dict[str, Any], has_picture: bool) -> str:
    """The whole page, as Markdown; cases of later runs replace those of the first, where they stand."""
    cases = newest(run, *later)
    parts = [
        _INTRODUCTION,
        _machine(run),
        *(_again(one, later[i + 1 :]) for i, one in enumerate(later)),
        losses_section(cases),
        "## All figures\n",
        *(_case(case) for case in cases),
        f"![Microseconds per item of all contenders]({PICTURE})\n" if has_picture else "",
        _RULES,
        _settings(cases),
        _AGAIN,
    ]
    return "\n".join(part for part in parts if part)


def _machine(run: dict[str, Any]) -> str:
    machine = run["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"The last run: {run['started'][:10]}, {machine['cores']} cores ({machine['cpu']}, {machine['system']}),\n"
        f"load {machine['load']:g} at the start, {run['starts']} starts of everyone, with {run['rounds']} rounds of "
        f"{run['seconds']:g} s each.\n"
        f"Python {machine['python']}, {versions}.\n"
    )


def _again(run: dict[str, Any], later: tuple[dict[str, Any], ...]) -> str:
    replaced = {case.name for one in later for case in from_run(one)}
    names = ", ".join(case.name for case in from_run(run) if case.name not in replaced)
    if not names:
        return ""
    return (
        f"Measured again, {run['started'][:10]}, load {run['machine']['load']:g} at the start, {run['starts']} "
        f"starts\nwith {run['rounds']} rounds of {run['seconds']:g} s each: {names}.\n"
    )


def losses_section(cases: list[CaseResults]) -> str:
    """Everyone who is ahead of us, by whatever measure."""
    found = losses(cases)
    lines = ["## Where Artifex loses\n"]
    if not found:
        return "\n".join([*lines, "Nowhere, in this run.\n"])
    lines += [
        "All who were ahead, by whatever measure; `times` is how many times as much Artifex took. Where that is\n"
        "within the spread of the two it says so.\n"
    ]
    for title, group in _by_case(found):
        lines += [f"**{title}**\n", *_table(("who", "ahead by", "times", ""), _loss_rows(group)), ""]
    return "\n".join(lines)


def _by_case(found: list[Any]) -> Iterable[tuple[str, list[Any]]]:
    groups: dict[str, list[Any]] = {}
    for loss in found:
        groups.setdefault(loss[0].title, []).append(loss)
    return groups.items()


def _loss_rows(group: list[Any]) -> list[tuple[str, ...]]:
    rows = []
    for case, ours, measure, other, ratio, spread in sorted(group, key=lambda loss: -loss[4]):
        several = len(case.of("artifex")) > 1
        note = [f"than {ours.name}"] if several else []
        note += ["not antialiased"] if not other.antialiased else []
        note += ["within the spread"] if ratio - 1 <= spread else []
        rows.append((other.name, _WORDS[measure], f"{ratio:.2f}", ", ".join(note)))
    return rows


def _case(case: CaseResults) -> str:
    header = (HEADER[0], case.item + "s" + HEADER[1], *HEADER[2:])
    lines = [f"### {case.title[0].upper()}{case.title[1:]}\n", *_table(header, rows(case)), ""]
    if any(not r.antialiased for r in case.results):
        lines.append("\\* not antialiased\n")
    lines += [f"{r.name} failed: {r.error}\n" for r in case.results if r.error is not None]
    return "\n".join(lines)


def _table(header: tuple[str, ...], body: list[tuple[str, ...]]) -> list[str]:
    words = {"contender", "who", "ahead by", "how", "name", "versions", ""}
    ruler = ["---" if cell in words else "---:" for cell in header]
    return [f"| {' | '.join(row).replace('*', chr(92) + '*')} |" for row in (header, tuple(ruler), *body)]


def _settings(cases: list[CaseResults]) -> str:
    lines = ["## Settings\n"]
    for group in dict.fromkeys(case.group for case in cases):
        found: dict[str, str] = {}
        for case in (c for c in cases if c.group == group):
            found |= {r.name: r.setting for r in case.results if r.setting}
        lines += [f"**{group}**\n", *_table(("who", "how"), list(found.items())), ""]
    used = {r.environment for case in cases for r in case.results if r.environment}
    versions = [
        (name, ", ".join(pins(name))) for name in sorted(used) if (REQUIREMENTS / f"{name}.txt").exists()
    ]
    if versions:
        lines += ["**Environments**\n", *_table(("name", "versions"), versions), ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
