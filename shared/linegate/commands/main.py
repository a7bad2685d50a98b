"""The `linegate` command: reads the arguments, calls, and turns what happens into an exit code.

Each command is the module of its name, with two functions: `arguments(parser)` says what may be typed after it, `run(options)`
does it and returns the exit code. Only the module of the command that was typed is imported.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NoReturn

from linegate import __version__
from linegate.commands.interrupt import on_interrupt
from linegate.errors import ConfigError, LinegateError, UsageError
from linegate.redaction import redact
from linegate.texts import visible

# In the order in which `linegate --help` tells them
COMMANDS: Final = {
    "demo": "see it work: sample boards, two cameras, an HMI that listens",
    "inspect": "one picture through the same functions; exit 0 PASS, 1 FAIL, 2 REVIEW, 3 ERROR",
    "evaluate": "how good a gate is, on labelled pictures",
    "qualify": "the gate as an attribute gauge: a study to sign, and how many boards it needs",
    "challenge": "known-bad pictures through the running gate; exit 0 if it FAILED all of them",
    "edge": "run the gate beside a line until stopped",
    "station": "pages for people at the line, of a gate that runs beside or not",
    "person": "what the configuration needs to know of somebody who may use the station",
    "status": "what is waiting, in work, dead-lettered, undelivered",
    "list": "the latest inspections: time, verdict, board, reasons",
    "report": "a shift in figures, as text and as a page that prints",
    "show": "all that is known of one board, and where its pictures lie",
    "answer": "decide about a product as a person; exit 1 if the gate refuses it",
    "export": "verdicts and dispositions for an MES, as CSV or IPC-CFX",
    "dataset": "what people decided, as labelled pictures to train with",
    "replay": "put dead letters back to work",
    "recover": "set a damaged database aside and save what can be read of it",
    "enable": "send again to a target that was disabled by its answer 410",
    "doctor": "try every part of a configuration against reality",
    "listen": "play the controller of a line: trigger, tell and acknowledge what the gate shows",
    "webhook-listen": "receive, verify and print webhooks: a receiver to try with",
    "workflow": "Roboflow workflows to import",
    "golden": "golden pictures",
    "assembly": "zones for the detector assembly",
    "anomaly": "models of the kind anomaly: learn one from good pictures, find its threshold",
    "measure": "what gauges read on pictures, and how well they repeat",
    "model": "models on this machine: what a file is, how fast it is here",
    "cost": "what a thousand boards cost on Google Cloud",
    "package": "each function as the zip that is deployed",
    "bench": "where the time of a board goes, against the bare detector and verifier",
    "init": "write a commented linegate.yaml to start from",
    "schema": "print the JSON Schema of the configuration, for editors",
}

# Exit codes after sysexits.h, clear of the verdicts' 0 … 3; 130 and 141 are what a shell makes of SIGINT and SIGPIPE.
USAGE, UNAVAILABLE, INTERNAL, INPUT_OUTPUT, CONFIGURATION = 64, 69, 70, 74, 78
INTERRUPTED, NOBODY_READS = 130, 141

# What is left out of a plain installation, and the extra that brings it
EXTRAS = {
    "inference_sdk": "roboflow",
    "google": "cloud",
    "onnxruntime": "onnx",
    "roboflow": "dataset",
    "pymodbus": "modbus",
    "paho": "mqtt",
    "asyncua": "opcua",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    # Until a command has something to clean up, Ctrl-C just ends it: no traceback out of the middle of an import.
    before = on_interrupt(signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):  # a name or a sign that the terminal can't show
            stream.reconfigure(errors="backslashreplace")
    try:
        arguments = sys.argv[1:] if arguments is None else arguments
        options = _parser(arguments).parse_args(arguments)
        code = int(options.run(options))
        if sys.stdout is not None:
            sys.stdout.flush()
    except UsageError as error:
        code = _report(USAGE, str(error))
    except ConfigError as error:
        print(f"{error.source}:", *(f"  {visible(fault)}" for fault in error.faults), sep="\n", file=sys.stderr)
        code = CONFIGURATION
    except KeyboardInterrupt:
        code = INTERRUPTED
    except LinegateError as error:
        code = _report(INTERNAL, str(error))
    except BrokenPipeError:
        _read_no_more()
        code = NOBODY_READS
    except ImportError as error:
        code = _report(UNAVAILABLE, _missing(error))
    except OSError as error:  # a full disk, a folder without permission: not ours to mend
        about = f": {error.filename}" if error.filename else ""
        code = _report(INPUT_OUTPUT, f"{error.strerror or error}{about}")
    except Exception:
        import traceback

        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        code = _report(INTERNAL, "this is a fault of Linegate; the lines above say where")
    finally:
        on_interrupt(before)
    return code


def _report(code: int, message: str) -> int:
    print("linegate:", visible(redact(message), keep="\n"), file=sys.stderr)
    return code


def _read_no_more() -> None:
    """`linegate … | head`: what the interpreter flushes at its end goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def _missing(error: ImportError) -> str:
    extra = EXTRAS.get((error.name or "").partition(".")[0])
    if extra:
        return f"{error}: install Linegate with its extra {extra!r}, as in  pip install '.[{extra}]'"
    if "libGL" in str(error) or "libgthread" in str(error):
        return f"{error}: on a bare Debian or Ubuntu, install libgl1 and libglib2.0-0"
    return f"{error}: this installation is incomplete; install Linegate again, as in  pip install ."


def _parser(arguments: Sequence[str]) -> argparse.ArgumentParser:
    """Knows all commands by name, and all about the one that was typed."""
    parser = _Parser(prog="linegate", description="A quality gate for production lines, beside the line.")
    parser.add_argument("--version", action="version", version=f"linegate {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)
    typed = next((argument for argument in arguments if not argument.startswith("-")), "")
    for name, said in COMMANDS.items():
        command = commands.add_parser(name, help=said)
        if name == typed:
            module = import_module(f"linegate.commands.{name.replace('-', '_')}")
            module.arguments(command)
            command.set_defaults(run=module.run)
    return parser
