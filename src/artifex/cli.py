"""The command `artifex`."""

import argparse
import os
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from types import FrameType

import artifex
from artifex.data.errors import ArtifexError, ConfigError, MissingPackageError

# The next line, and the cursor, which a progress bar hides.
_END_OF_BAR = b"\n\x1b[?25h"


class DemoModality(StrEnum):
    """What a demo trains on."""

    IMAGE = "image"
    TEXT = "text"
    AUDIO = "audio"


@dataclass(frozen=True)
class _Option:
    """An option that one demo alone has: a whole number, which the demo checks."""

    name: str
    default: int | None
    does: str


@dataclass(frozen=True)
class _Demo:
    """A demo: the module with its function `demo(out, *, seconds, seed, console, ...)`, and its own options."""

    module: str
    does: str
    options: tuple[_Option, ...]


_DEMOS = {
    DemoModality.IMAGE: _Demo(
        "artifex.examples.image_demo",
        "cuts photographs into a folder of JPEG files, trains a variational autoencoder on them, and draws a picture",
        (_Option("images", 3000, "how many files to cut"),),
    ),
    DemoModality.TEXT: _Demo(
        "artifex.examples.text_demo",
        "trains a tokenizer and a small transformer on Python's own documentation, and writes texts with it",
        (_Option("documents", None, "how many texts to take"),),
    ),
    DemoModality.AUDIO: _Demo(
        "artifex.examples.audio_demo",
        "trains an autoencoder and a flow on recordings of speech, and writes sounds and a picture of them",
        (),
    ),
}


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
    _add_demo(commands.add_parser("demo", help="train a small model on real data, for about a minute"))
    return parser


def _add_demo(parser: argparse.ArgumentParser) -> None:
    does = "; ".join(f"{modality}: {demo.does}" for modality, demo in _DEMOS.items())
    parser.description = (
        "Trains a small model on data that need no download, stops in the middle of an epoch, resumes, and checks "
        f"that the batches are those of a run that was not stopped. {does}."
    )
    parser.formatter_class = argparse.ArgumentDefaultsHelpFormatter
    modalities = [str(modality) for modality in DemoModality]
    parser.add_argument("--modality", choices=modalities, default="image", help="what to train on")
    folder = "where all files go (default: demo/MODALITY)"
    parser.add_argument("--out", type=Path, default=argparse.SUPPRESS, metavar="FOLDER", help=folder)
    parser.add_argument("--seconds", type=float, default=60, metavar="S", help="how long to train")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random")
    for modality, demo in _DEMOS.items():
        for option in demo.options:
            default = "all" if option.default is None else option.default
            told = f"{option.does}, for {modality} alone (default: {default})"
            # Left out of the arguments unless it is given, so that a demo without it can refuse it.
            parser.add_argument(
                f"--{option.name}", type=int, default=argparse.SUPPRESS, metavar="N", help=told
            )
    parser.set_defaults(run=_demo)


def _demo(arguments: argparse.Namespace) -> None:
    given, modality = vars(arguments), DemoModality(arguments.modality)
    own = {option.name: given.get(option.name, option.default) for option in _DEMOS[modality].options}
    for other, demo in _DEMOS.items():
        for option in demo.options:
            if option.name in given and option.name not in own:
                raise ConfigError(
                    f"`--{option.name}` is for `--modality {other}`, got `--modality {modality}`"
                )
    out = given.get("out", Path("demo", modality))
    # JAX is loaded here, so that `artifex --help` answers at once.
    try:
        demo = import_module(_DEMOS[modality].module).demo
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("artifex"):
            raise
        raise MissingPackageError(
            f'the demo needs the package `{error.name}`: pip install "artifex-data[demo]"'
        ) from error
    from rich.console import Console

    demo(out, seconds=arguments.seconds, seed=arguments.seed, console=Console(), **own)


if __name__ == "__main__":
    sys.exit(main())
