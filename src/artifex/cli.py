"""The command `artifex`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import artifex
from artifex.data.errors import ArtifexError

_INTERRUPTED = 128 + 2  # as shells count an end by SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `artifex` with these arguments (those of the process by default) and returns its exit status.

    0 is success, 1 an error that is told in one line, 2 a wrong argument, 130 an interruption by Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return _fail("interrupted", _INTERRUPTED)
    except BrokenPipeError:  # of `artifex demo | head`; what is left in the buffer must not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ArtifexError, OSError) as error:
        return _fail(f"error: {error}", 1)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="artifex", description="The data system for training generative models."
    )
    parser.add_argument("--version", action="version", version=f"artifex {artifex.__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", required=True)
    demo = commands.add_parser(
        "demo",
        help="train a small model on real photographs, for about a minute",
        description="Cuts photographs into a folder of JPEG files, trains a variational autoencoder on them, stops "
        "in the middle of an epoch, resumes, checks that the batches are those of a run that was not stopped, "
        "and draws a picture of it all.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER", help="where all files go")
    demo.add_argument("--seconds", type=float, default=60, metavar="S", help="how long to train")
    demo.add_argument("--images", type=int, default=3000, metavar="N", help="how many files to cut")
    demo.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random")
    demo.set_defaults(run=_demo)
    return parser


def _demo(arguments: argparse.Namespace) -> None:
    # JAX is loaded here, so that `artifex --help` answers at once.
    from rich.console import Console

    from artifex.examples.demo import demo

    out, seconds, images, seed = arguments.out, arguments.seconds, arguments.images, arguments.seed
    demo(out, seconds=seconds, images=images, seed=seed, console=Console())


def _fail(message: str, status: int) -> int:
    sys.stderr.write(f"artifex: {message}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
