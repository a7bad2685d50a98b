"""`linegate person`: what the configuration needs to know of somebody who may use the station."""

import argparse
import getpass
import re
import sys

import yaml

from linegate.errors import UsageError

LEAST_DIGITS, LEAST_LETTERS = 4, 8


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="as they sign what they decide")
    parser.add_argument("--role", choices=("look", "review", "configure"), default="review", help="(review)")
    parser.add_argument("--password", action="store_true", help="in the place of a PIN, which is digits only")


def run(options: argparse.Namespace) -> int:
    """Print the lines for the configuration, with a hash of what is typed. Returns 0. Raises UsageError."""
    from argon2 import PasswordHasher

    what = "password" if options.password else "pin"
    secret = _asked("Password" if options.password else "PIN")
    if options.password and len(secret) < LEAST_LETTERS:
        raise UsageError(f"a password has {LEAST_LETTERS} characters or more")
    if not options.password and not re.fullmatch(rf"[0-9]{{{LEAST_DIGITS},}}", secret):
        raise UsageError(f"a PIN is {LEAST_DIGITS} digits or more; --password takes anything")
    member = {"role": options.role, what: PasswordHasher().hash(secret)}
    print(yaml.safe_dump({"station": {"people": {options.name: member}}}, sort_keys=False, width=200), end="")
    return 0


def _asked(what: str) -> str:
    """Typed twice without being seen, or a line of standard input. Raises UsageError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    secret = getpass.getpass(f"{what}: ")
    if getpass.getpass("Again: ") != secret:
        raise UsageError("those two differ")
    return secret
