"""`linegate dataset`: what people decided comes back, as labelled pictures to train and to measure with."""

import argparse
from pathlib import Path

from linegate.commands.arguments import add_cloud, add_config, add_window


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    export = actions.add_parser("export", help="reviewed pictures with their corrected boxes, as COCO and YOLO")
    export.add_argument("folder", type=Path, metavar="FOLDER", help="of the dataset; what is there already stays")
    add_window(export)
    export.add_argument("--json", action="store_true", help="tell what came as one JSON object")
    add_cloud(export)
    add_config(export)
    export.set_defaults(action=_export)
    push = actions.add_parser("push", help="send them to a Roboflow project, each once")
    push.add_argument("folder", type=Path, metavar="FOLDER", help="that `dataset export` wrote")
    push.add_argument("--project", required=True, metavar="PROJECT", help="of Roboflow, as in its address")
    push.add_argument("--batch", default="linegate", metavar="NAME", help="under which Roboflow lists them (linegate)")
    push.add_argument("--split", choices=("train", "valid", "test"), default="train", help="(train)")
    push.add_argument(
        "--api-url", default="https://api.roboflow.com", metavar="URL", help="of Roboflow (https://api.roboflow.com)"
    )
    add_config(push)
    push.set_defaults(action=_push)


def run(options: argparse.Namespace) -> int:
    """See `export.run` and `push.run`."""
    answer: int = options.action(options)
    return answer


def _export(options: argparse.Namespace) -> int:
    from linegate.commands.dataset import export

    return export.run(options)


def _push(options: argparse.Namespace) -> int:
    from linegate.commands.dataset import push

    return push.run(options)
