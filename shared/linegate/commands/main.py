"""The `linegate` command: reads the arguments, calls, and turns what happens into an exit code."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from linegate.errors import ConfigError, LinegateError, UsageError
from linegate.files import readable, real, whole, writable, writing
from linegate.inspection import visible
from linegate.redaction import redact

# Exit codes after sysexits.h, clear of the verdicts' 0 … 3; 130 and 141 are what a shell makes of SIGINT and SIGPIPE.
USAGE, UNAVAILABLE, INTERNAL, INPUT_OUTPUT, CONFIGURATION = 64, 69, 70, 74, 78
INTERRUPTED, NOBODY_READS = 130, 141

# What is left out of a plain installation, and the extra that brings it
EXTRAS = {"inference_sdk": "roboflow", "google": "cloud"}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    # Until a command has something to clean up, Ctrl-C just ends it: no traceback out of the middle of an import.
    before = _on_interrupt(signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and hasattr(stream, "reconfigure"):  # a name or a sign that the terminal can't show
            stream.reconfigure(errors="backslashreplace")
    try:
        options = _parser().parse_args(arguments)
        code = int(options.run(options))
        if sys.stdout is not None:
            sys.stdout.flush()
    except UsageError as error:
        code = _said(USAGE, str(error))
    except ConfigError as error:
        print(f"{error.source}:", *(f"  {visible(fault)}" for fault in error.faults), sep="\n", file=sys.stderr)
        code = CONFIGURATION
    except KeyboardInterrupt:
        code = INTERRUPTED
    except LinegateError as error:
        code = _said(INTERNAL, str(error))
    except BrokenPipeError:
        _read_no_more()
        code = NOBODY_READS
    except ImportError as error:
        code = _said(UNAVAILABLE, _missing(error))
    except OSError as error:  # a full disk, a folder without permission: not ours to mend
        about = f": {error.filename}" if error.filename else ""
        code = _said(INPUT_OUTPUT, f"{error.strerror or error}{about}")
    except Exception:
        import traceback

        print(redact(traceback.format_exc()), end="", file=sys.stderr)
        code = _said(INTERNAL, "this is a fault of Linegate; the lines above say where")
    finally:
        _on_interrupt(before)
    return code


def _said(code: int, message: str) -> int:
    print("linegate:", visible(redact(message), keep="\n"), file=sys.stderr)
    return code


def _on_interrupt(reaction: "signal._HANDLER") -> "signal._HANDLER":
    """Set what Ctrl-C does, unless whoever started us had it ignored; what it did before."""
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, reaction)
    return before


def _interruptible() -> None:
    """From here on there are folders to remove before Ctrl-C ends the command."""
    from linegate.temporary import leave

    _on_interrupt(leave)


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


_positive = whole(1, 100_000)
_ratio = real(0, 1)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="linegate", description="A quality gate for production lines, beside the line.")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND", parser_class=_Parser)

    demo = commands.add_parser("demo", help="see it work: sample boards, two cameras, an HMI that listens")
    demo.add_argument("--boards", type=_positive, metavar="N", help="how many boards to draw (24)")
    demo.add_argument("--dir", type=Path, metavar="DIR", help="keep everything in this new or empty folder")
    demo.add_argument("--json", action="store_true", help="one JSON object at the end on standard output")
    demo.add_argument("--images", type=Path, metavar="DIR", help="inspect the pictures of this folder instead")
    demo.add_argument("--golden", type=Path, metavar="FILE", help="golden picture for those without NAME_temp beside")
    demo.set_defaults(run=_demo)

    inspect = commands.add_parser(
        "inspect", help="one picture through the same functions; exit 0 PASS, 1 FAIL, 2 REVIEW, 3 ERROR"
    )
    inspect.add_argument("image", type=Path, metavar="IMAGE")
    inspect.add_argument("--golden", type=Path, metavar="FILE", help="the picture of a good board")
    inspect.add_argument("--config", type=Path, metavar="FILE", help="take the recipe of a line from this file")
    inspect.add_argument("--line", metavar="LINE", help="which line of the file (the first)")
    inspect.add_argument("--json", action="store_true", help="the inspection as one JSON object on standard output")
    inspect.add_argument("--annotated", type=Path, metavar="OUT.jpg", help="write the annotated picture here")
    inspect.set_defaults(run=_inspect)

    evaluate = commands.add_parser("evaluate", help="how good a gate is, on labelled pictures")
    evaluate.add_argument("dataset", type=Path, metavar="DATASET", help="folder of labelled pictures")
    evaluate.add_argument("--format", required=True, choices=("deeppcb", "coco", "voc", "yolo"))
    evaluate.add_argument("--config", type=Path, metavar="FILE", help="take the recipe of a line from this file")
    evaluate.add_argument("--line", metavar="LINE", help="which line of the file (the first)")
    evaluate.add_argument(
        "--station",
        metavar="NAME",
        help="what stands for {station} in the name of golden pictures; {folder} in it is a picture's folder",
    )
    evaluate.add_argument(
        "--serial",
        default="{name}",
        metavar="NAME",
        help="what stands for {serial}: {name} is a picture's name, {folder} its folder ({name})",
    )
    evaluate.add_argument(
        "--golden",
        type=Path,
        metavar="FILE",
        help="the picture of a good board; {station} and {serial} may stand in it",
    )
    evaluate.add_argument(
        "--missing-labels-are-good",
        action="store_true",
        help="a picture without a label file is a good board (voc, yolo), not left out",
    )
    evaluate.add_argument("--detector", choices=("golden", "roboflow"), help="in place of the recipe's")
    evaluate.add_argument(
        "--verifier", choices=("golden", "gemini", "workflow", "none"), help="in place of the recipe's"
    )
    evaluate.add_argument("--iou", type=_ratio, default=0.5, metavar="IOU", help="overlap that makes a hit (0.5)")
    evaluate.add_argument("--limit", type=_positive, metavar="N", help="N pictures, evenly spread over the dataset")
    evaluate.add_argument(
        "--parallel", type=whole(1, 256), default=2, metavar="N", help="boards under way at a time (2)"
    )
    evaluate.add_argument(
        "--recall", type=_ratio, default=0.98, metavar="R", help="recall to choose a threshold for (0.98)"
    )
    evaluate.add_argument(
        "--escape-rate", type=_ratio, default=0.0, metavar="R", help="part of bad boards that may pass, likewise (0)"
    )
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    evaluate.add_argument("--html", type=Path, metavar="FILE", help="write a report to read and print here")
    evaluate.set_defaults(run=_evaluate)

    edge = commands.add_parser("edge", help="run the gate beside a line until stopped")
    edge.set_defaults(run=_edge)
    status = commands.add_parser("status", help="what is waiting, in work, dead-lettered, undelivered")
    status.add_argument("--json", action="store_true", help="as one JSON object")
    status.set_defaults(run=_status)
    latest = commands.add_parser("list", help="the latest inspections: time, verdict, board, reasons")
    latest.add_argument("--line", metavar="LINE", help="only of this line")
    latest.add_argument("--verdict", type=str.upper, choices=("PASS", "FAIL", "REVIEW", "ERROR"), help="only these")
    latest.add_argument(
        "--since", metavar="WHEN", help="not before this time (2026-03-01T06:00), or as long ago (90m, 8h, 2d)"
    )
    latest.add_argument("--limit", type=_positive, default=20, metavar="N", help="N at most (20)")
    latest.set_defaults(run=_list)
    show = commands.add_parser("show", help="all that is known of one board, and where its pictures lie")
    show.add_argument("wanted", metavar="SERIAL|ID", help="of the board, or of the inspection (its first digits)")
    show.set_defaults(run=_show)
    for command in (latest, show):
        command.add_argument("--json", action="store_true", help="as JSON")
    replay = commands.add_parser("replay", help="put dead letters back to work")
    replay.add_argument("--topic", choices=_topics(), help="only those of this topic")
    replay.set_defaults(run=_replay)
    recover = commands.add_parser("recover", help="set a damaged database aside and save what can be read of it")
    recover.set_defaults(run=_recover)
    enable = commands.add_parser("enable", help="send again to a target that was disabled by its answer 410")
    enable.add_argument("target", metavar="TARGET")
    enable.set_defaults(run=_enable)
    doctor = commands.add_parser("doctor", help="try every part of a configuration against reality")
    doctor.add_argument("--send", action="store_true", help="also send every target a message that says it is a test")
    doctor.add_argument("--json", action="store_true", help="as a JSON list")
    doctor.set_defaults(run=_doctor)
    for command in (status, replay, enable):
        command.add_argument("--cloud", action="store_true", help="of the gate on Google Cloud that the file names")
    for command in (edge, status, latest, show, replay, recover, enable, doctor):
        command.add_argument(
            "--config", type=Path, default=Path("linegate.yaml"), metavar="FILE", help="(linegate.yaml)"
        )

    listen = commands.add_parser("webhook-listen", help="receive, verify and print webhooks: a receiver to try with")
    listen.add_argument("--secret", action="append", required=True, help="whsec_…; several while they rotate")
    listen.add_argument("--port", type=whole(0, 65_535), default=8099, help="(8099)")
    listen.add_argument("--host", default="127.0.0.1", help="0.0.0.0 to hear other machines (127.0.0.1)")
    listen.add_argument("--json", action="store_true", help="one JSON object a webhook")
    listen.set_defaults(run=_listen)

    workflow = commands.add_parser("workflow", help="Roboflow workflows to import")
    actions = workflow.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    show = actions.add_parser("show", help="print the definition of a workflow as JSON")
    show.add_argument(
        "name",
        choices=("detect", "complete"),
        nargs="?",
        default="detect",
        help="detection only, or with Gemini (detect)",
    )
    show.add_argument("--model-id", required=True, metavar="PROJECT/VERSION", help="of the trained model")
    show.set_defaults(run=_workflow)

    golden = commands.add_parser("golden", help="golden pictures")
    actions = golden.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    build = actions.add_parser("build", help="one golden picture out of several good boards")
    build.add_argument("good", type=Path, nargs="+", metavar="GOOD", help="pictures of good boards, three or more")
    build.add_argument("-o", "--output", type=Path, default=Path("golden.png"), metavar="FILE", help="(golden.png)")
    build.set_defaults(run=_golden_build)

    cost = commands.add_parser("cost", help="what a thousand boards cost on Google Cloud")
    cost.add_argument("--config", type=Path, required=True, metavar="FILE")
    cost.add_argument("--recipe", metavar="NAME", help="(the first)")
    cost.add_argument("--prices", type=Path, metavar="FILE", help="prices in place of the built-in list")
    cost.add_argument(
        "--crops", type=real(0, 10_000), default=3.0, metavar="N", help="findings on a board, on average (3)"
    )
    cost.add_argument("--json", action="store_true", help="as one JSON object")
    cost.set_defaults(run=_cost)

    package = commands.add_parser("package", help="each function as the zip that is deployed")
    actions = package.add_subparsers(required=True, metavar="ACTION", parser_class=_Parser)
    build = actions.add_parser("build", help="write the zips")
    build.add_argument("-o", "--output", type=Path, default=Path("build"), metavar="DIR", help="(build)")
    build.set_defaults(run=_package)

    bench = commands.add_parser("bench", help="where the time of a board goes, against the bare detector and verifier")
    bench.add_argument("--services", nargs=2, metavar=("ROBOFLOW_URL", "GEMINI_URL"), help="measure these (stand-ins)")
    bench.add_argument(
        "--throughput", action="store_true", help="boards a second instead, with and without worker processes"
    )
    bench.add_argument(
        "--images", type=Path, metavar="DIR", help="pictures for --throughput, as `demo --images` takes them"
    )
    bench.add_argument("--golden", type=Path, metavar="FILE", help="golden picture for those without NAME_temp beside")
    bench.add_argument("--boards", type=_positive, default=15, metavar="N", help="boards of each kind (15)")
    bench.add_argument("--json", action="store_true", help="as one JSON object")
    bench.set_defaults(run=_bench)

    init = commands.add_parser("init", help="write a commented linegate.yaml to start from")
    init.add_argument(
        "path", type=Path, nargs="?", default=Path("linegate.yaml"), metavar="FILE", help="(linegate.yaml)"
    )
    init.set_defaults(run=_init)
    schema = commands.add_parser("schema", help="print the JSON Schema of the configuration, for editors")
    schema.set_defaults(run=_schema)
    return parser


def _topics() -> Sequence[str]:
    from linegate.events import TOPICS

    return TOPICS


def _demo(options: argparse.Namespace) -> int:
    from linegate.commands.demo import run

    if options.golden and not options.images:
        raise UsageError(
            "--golden FILE goes with --images DIR; boards that are drawn have a golden picture of their own"
        )
    if options.boards and options.images:
        raise UsageError("--boards N draws boards, --images DIR takes those of a folder: give one of the two")
    _interruptible()
    return run(options.boards or 24, options.dir, options.images, options.golden, as_json=options.json)


def _inspect(options: argparse.Namespace) -> int:
    from linegate import logs
    from linegate.commands.inspect import run

    readable(options.image, "picture")
    if not options.golden and not options.config:
        raise UsageError("nothing to compare with: give --golden FILE, the picture of a good board, or --config FILE")
    logs.configure("ERROR")
    _interruptible()
    return run(options.image, options.golden, options.config, options.line, options.annotated, as_json=options.json)


def _evaluate(options: argparse.Namespace) -> int:
    from linegate import logs
    from linegate.commands.evaluate import run
    from linegate.evaluation.assessing import Request

    logs.configure("CRITICAL")
    _on_interrupt(signal.default_int_handler)  # what has been inspected by then is told
    return run(
        Request(
            dataset=options.dataset,
            layout=options.format,
            configuration=options.config,
            line=options.line,
            station=options.station,
            serial=options.serial,
            golden=options.golden,
            missing_are_good=options.missing_labels_are_good,
            detector=options.detector,
            verifier=options.verifier,
            iou=options.iou,
            limit=options.limit,
            parallel=options.parallel,
            recall=options.recall,
            escape_rate=options.escape_rate,
            json=options.json,
            html=options.html,
        )
    )


def _edge(options: argparse.Namespace) -> int:
    import threading
    from types import FrameType

    from linegate import config, logs
    from linegate.edge.runtime import Runtime

    logs.configure(config.log_level())
    runtime = Runtime(config.load(options.config))
    stop = threading.Event()

    def stopped(number: int, _: FrameType | None) -> None:
        logs.log.info("runtime.stopping", signal=signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    runtime.start()
    stop.wait()
    if not runtime.stop():
        sys.stderr.flush()
        os._exit(0)  # a call that hangs would keep the interpreter; nothing of it is lost
    return 0


def _status(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.status import show, show_in_cloud

    if options.cloud:
        return show_in_cloud(config.without_secrets(options.config), as_json=options.json)
    return show(config.load(options.config), as_json=options.json)


def _list(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.records import listed

    settings = config.without_secrets(options.config)
    return listed(settings, options.line, options.verdict, options.since, options.limit, as_json=options.json)


def _show(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.records import shown

    return shown(config.without_secrets(options.config), options.wanted, as_json=options.json)


def _recover(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.recover import run

    return run(config.load(options.config))


def _replay(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.status import replay, replay_in_cloud

    if options.cloud:
        return replay_in_cloud(config.without_secrets(options.config), options.topic)
    return replay(config.load(options.config), options.topic)


def _enable(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.status import enable, enable_in_cloud

    if options.cloud:
        return enable_in_cloud(config.without_secrets(options.config), options.target)
    return enable(config.load(options.config), options.target)


def _doctor(options: argparse.Namespace) -> int:
    from linegate import logs
    from linegate.commands.doctor import run

    logs.configure("CRITICAL")
    return run(options.config, send=options.send, as_json=options.json)


def _listen(options: argparse.Namespace) -> int:
    from linegate.commands.webhook_listen import run
    from linegate.settings import webhook_secret

    for secret in options.secret:
        try:
            webhook_secret(secret)
        except ValueError as error:
            raise UsageError(f"--secret {error}") from error
    _interruptible()
    return run(options.secret, options.host, options.port, as_json=options.json, wait=signal.pause)


def _workflow(options: argparse.Namespace) -> int:
    from linegate.commands.workflow import show

    return show(options.name, options.model_id)


def _golden_build(options: argparse.Namespace) -> int:
    from linegate.commands.golden import run

    _interruptible()
    return run(options.good, options.output)


def _cost(options: argparse.Namespace) -> int:
    from linegate import config
    from linegate.commands.cost import run

    return run(
        config.without_secrets(options.config), options.recipe, options.prices, options.crops, as_json=options.json
    )


def _package(options: argparse.Namespace) -> int:
    from linegate.commands.package import run

    return run(options.output)


def _bench(options: argparse.Namespace) -> int:
    _interruptible()
    if options.throughput:
        from linegate.commands.bench.throughput import run as run_throughput

        return run_throughput(options.images, options.golden, as_json=options.json)
    if options.images or options.golden:
        raise UsageError("--images and --golden belong to --throughput")
    from linegate.commands.bench.latency import run

    return run(options.boards, options.services, as_json=options.json)


def _init(options: argparse.Namespace) -> int:
    from linegate.commands.init import write_configuration

    if options.path.exists():
        raise UsageError(f"{options.path} exists and is left as it is; name another file or remove it")
    with writing(writable(options.path)):
        write_configuration(options.path)
    return 0


def _schema(_: argparse.Namespace) -> int:
    from linegate.reference import show

    return show()
