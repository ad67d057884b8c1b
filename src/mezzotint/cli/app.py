"""The table of commands, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.main import get_command

from mezzotint import __version__
from mezzotint.cli.bench import bench, bench_steering, bench_sweep, bench_training
from mezzotint.cli.compare import compare
from mezzotint.cli.data import data
from mezzotint.cli.evaluate import evaluate, steering
from mezzotint.cli.finetune import finetune
from mezzotint.cli.generate import generate
from mezzotint.cli.latents import latents
from mezzotint.cli.listing import models, samplers
from mezzotint.cli.messages import fail
from mezzotint.cli.paper import paper
from mezzotint.cli.recall import recall
from mezzotint.cli.replay import replay
from mezzotint.cli.serve import serve
from mezzotint.cli.store import store
from mezzotint.cli.study import study
from mezzotint.cli.train import train
from mezzotint.errors import MezzotintError
from mezzotint.extras import missing_extra

INTERRUPTED = 130  # what shells expect after Ctrl-C

app = typer.Typer(
    name="mezzotint",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# The table of commands: a file each, and a line here. Panels are in the order of their first command.
app.command(rich_help_panel="Make pictures")(generate)
app.command(rich_help_panel="Make pictures")(replay)
app.command(rich_help_panel="Make pictures")(recall)
app.command(rich_help_panel="Make pictures")(compare)
app.command(rich_help_panel="Make pictures")(serve)
app.command(rich_help_panel="See what there is")(models)
app.command(rich_help_panel="See what there is")(samplers)
app.add_typer(latents, rich_help_panel="See what there is")
app.add_typer(study, rich_help_panel="Measure")
app.add_typer(store, rich_help_panel="Measure")
app.command(rich_help_panel="Measure")(paper)
app.command(rich_help_panel="Measure")(bench)
app.command(rich_help_panel="Measure")(bench_steering)
app.command(rich_help_panel="Measure")(bench_sweep)
app.command(rich_help_panel="Measure")(bench_training)
app.command("eval", rich_help_panel="Measure")(evaluate)
app.command("eval-steering", rich_help_panel="Measure")(steering)
app.add_typer(data, rich_help_panel="Train your own")
app.add_typer(train, rich_help_panel="Train your own")
app.command(rich_help_panel="Train your own")(finetune)


def _version(asked: bool) -> None:
    if asked:
        print(f"mezzotint {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Guided text-to-image diffusion: fast, reproducible to the seed, explained.

    Start with: mezzotint generate "a red rose" --seed 7
    """
    if context.invoked_subcommand is None:
        print(context.get_help())


def _abandon_stdout() -> None:
    """Python's own last flush must not complain too."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@cache
def command() -> Any:
    """The tree of commands. Typer reads the types of all options to build it, 0.1 s: once a process."""
    return get_command(app)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line, by default the process's own; returns the exit code.

    0 all is well; 1 some pictures failed, or a replay differs; 2 bad input, one line on stderr; 130 Ctrl-C.
    """
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")  # it advises on imports that are not ours
    try:
        code = command()(argv, prog_name="mezzotint", standalone_mode=False)
        if sys.stdout:  # None where the shell closed it
            sys.stdout.flush()
    except typer.TyperException as error:
        return fail(error.format_message())
    except MezzotintError as error:
        return fail(str(error))
    except ModuleNotFoundError as error:
        if line := missing_extra(error):
            return fail(line)
        raise  # a mistake of ours, or a broken installation
    except (KeyboardInterrupt, typer.Abort):
        code = INTERRUPTED
    except BrokenPipeError:  # whoever read our output has gone
        _abandon_stdout()
        return 1
    except OSError as error:
        if error.filename is not None:  # not of a stream: a bug of ours, which needs its traceback
            raise
        _abandon_stdout()
        return fail(f"cannot write the output: {error.strerror or error}")
    if code == INTERRUPTED:
        return fail("interrupted", INTERRUPTED)
    return int(code or 0)
