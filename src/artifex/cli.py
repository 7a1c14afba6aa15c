"""The command `artifex`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import artifex
from artifex.data.errors import ArtifexError

# The next line, and the cursor, which a progress bar hides.
_END_OF_BAR = b"\n\x1b[?25h"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs `artifex` with these arguments, by default those of the process.

    Returns:
        The exit status: 0, or 1 after an error that was told in one line. A wrong argument exits with 2,
        Ctrl-C with 130.
    """
    arguments = _parser().parse_args(argv)
    try:
        with _interruptible():
            arguments.run(arguments)
            sys.stdout.flush()
    except BrokenPipeError:  # of `artifex demo | head`; what is still to be flushed must not fail once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ArtifexError, OSError) as error:
        sys.stderr.write(f"artifex: error: {error}\n")
        return 1
    return 0


@contextmanager
def _interruptible() -> Generator[None, None, None]:
    """Makes Ctrl-C end the process at once, unless somebody else takes care of it.

    KeyboardInterrupt would not do: where it is raised within JAX's hook on garbage collection it gets lost, and
    an interpreter that ends in the middle of importing JAX may crash.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, _end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _end(_number: int, _frame: FrameType | None) -> None:
    if sys.stdout.isatty():
        os.write(sys.stdout.fileno(), _END_OF_BAR)
    os.write(sys.stderr.fileno(), b"artifex: interrupted\n")
    os._exit(128 + signal.SIGINT)


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


if __name__ == "__main__":
    sys.exit(main())
