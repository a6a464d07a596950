"""What the measuring tools have in common: who competes, on which command line, and how results are printed and kept.

Every tool measures Larder beside redis-server, on loopback, with processes that it starts and ends itself. With
--json it also writes its rows to a file: a list of {"case": ..., "<contestant>": {figure: number}}.
"""
import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .process import ROOT, ServerProcess, larder_binary, oracle_binary

ORACLE = "redis"
FLOOR = "floor"


@dataclass(frozen=True)
class Contestant:
    name: str
    command: tuple
    bare: bool = False  # takes no options: {port} and {dir} stand in the command

    def start(self, *options, prefix=()):
        return ServerProcess([*prefix, *self.command], options, name=self.name, bare=self.bare, wait_seconds=60)


def parse_arguments(description, *extra):
    """Options that all tools share, and those of one tool as (flags, keywords) pairs."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=larder_binary("release"), help="Larder's binary (that of build/release)")
    parser.add_argument("--oracle", default=None, help="redis-server's binary (the one in PATH or in redis-tools)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND",
                        help="one more server; {port} and {dir} in the command are filled in")
    parser.add_argument("--only", default="", metavar="REGEX", help="only the cases whose name matches")
    parser.add_argument("--quick", action="store_true", help="less work and fewer rounds, for a first impression")
    parser.add_argument("--json", metavar="FILE", help="write the figures to a file too")
    for flags, keywords in extra:
        parser.add_argument(*flags, **keywords)
    return parser.parse_args()


def contestants(options):
    """Larder, whatever --also names, and redis-server at the end: the one that the others are compared with."""
    if not Path(options.server).is_file():
        sys.exit(f"{options.server} is not there: build it (scripts/serve does), or name another with --server")
    oracle = options.oracle or oracle_binary()
    if not oracle or not shutil.which("redis-benchmark"):
        sys.exit("nothing to compare with: install redis-tools")
    others = [Contestant(name, tuple(command.split()), bare=True)
              for name, command in (spec.split("=", 1) for spec in options.also)]
    return [Contestant("larder", (options.server,)), *others, Contestant(ORACLE, (oracle,))]


def floor_contestant(directory):
    """The server that parses requests and stores nothing, compiled into `directory`."""
    binary = Path(directory) / "null_server"
    source = ROOT / "scripts" / "bench" / "null_server.c"
    subprocess.run(["cc", "-O2", str(source), "-o", str(binary), "-lev"], check=True)
    return Contestant(FLOOR, (str(binary), "{port}"), bare=True)


def redis_benchmark(port, args, count, clients=50, pipeline=1):
    argv = ["redis-benchmark", "-p", port, "-n", count, "-c", clients, "-P", pipeline, "-q", *args.split()]
    done = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0 or "rror" in done.stderr:
        raise RuntimeError(f"redis-benchmark failed: {done.stderr or done.stdout}")


def select_cases(cases, options, name=lambda case: case.name):
    chosen = [case for case in cases if re.search(options.only, name(case))]
    if not chosen:
        sys.exit(f"no case matches {options.only!r}")
    return chosen


class Table:
    """Rows printed as they come, and written as JSON at the end."""

    def __init__(self, options, names, figures):
        self.path, self.names, self.figures = options.json, names, figures
        self.rows = []
        head = "".join(f"{name + ' ' + figure:>20s}" for name in names for figure in figures)
        print(f"{'':28s}{head}", flush=True)

    def add(self, case, results):
        """results: for each contestant a dict of figures, or None when it cannot do this case."""
        self.rows.append({"case": case, **results})
        cells = "".join(self._cell(results.get(name), figure) for name in self.names for figure in self.figures)
        print(f"{case:28s}{cells}", flush=True)

    def write(self):
        if self.path:
            Path(self.path).write_text(json.dumps(self.rows, indent=1) + "\n")

    @staticmethod
    def _cell(result, figure):
        return f"{'-':>20s}" if not result or result[figure] is None else f"{result[figure]:20.3f}"


def temporary_directory():
    return tempfile.TemporaryDirectory(prefix="larder-bench-")
