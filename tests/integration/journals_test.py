"""Damaged journals, a full disk, a directory that cannot be written, a clock that jumps, a merge while others write:
each with a clear message, and nothing lost that was finished.
usage: journals_test.py POPALIGN JUMPING_CLOCK
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from harness import check, command, dataset_contents, environment, run, start
from journals import count_records, journals, records, write_small_run
from tiny_model import write_tiny_model

SKIP = 77
INSTRUCTIONS, TOKENS = 8, 32


def interrupted(source, directory):
    """A copy of a finished run without its pair file."""
    shutil.copytree(source, directory)
    (directory / "pairs.h5").unlink()
    return directory


def small_disk(path, size):
    """Mounts a file system of that size; false without the right to."""
    path.mkdir()
    return subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(path)],
                          capture_output=True).returncode == 0


def remount(path, options):
    subprocess.run(["mount", "-o", f"remount,{options}", str(path)], check=True)


class Case:
    def __init__(self, program, model, work):
        self.program, self.model, self.work = program, model, work
        self.whole = work / "whole"
        self.config, self.answers = write_small_run(work / "whole.yaml", self.whole, model, INSTRUCTIONS, TOKENS)
        run(program, "synthesize", "--config", self.config, ranks=2)
        self.reference = dataset_contents(self.whole / "pairs.h5")

    def config_for(self, directory):
        return write_small_run(self.work / f"{directory.parent.name}-{directory.name}.yaml", directory, self.model,
                               INSTRUCTIONS, TOKENS)[0]

    def finish(self, directory, what, ranks=3, **options):
        done = run(self.program, "synthesize", "--config", self.config_for(directory), ranks=ranks, **options)
        check(dataset_contents(directory / "pairs.h5") == self.reference, f"{what}: the same pairs in the end")
        return done.stderr

    def torn_tail(self):
        directory = interrupted(self.whole, self.work / "torn")
        path = journals(directory)[1]
        at, length = list(records(path))[-1]
        path.write_bytes(path.read_bytes()[:at + length // 2])
        said = self.finish(directory, "a torn tail")
        check(f"{path}: {16 + length // 2} bytes of an unfinished record" in said, "the torn tail is told of")
        check(f"{self.answers - 1} of {self.answers} answers are made" in said, "one answer is made again")

    def flipped_byte(self):
        directory = interrupted(self.whole, self.work / "flipped")
        path = journals(directory)[0]
        data = bytearray(path.read_bytes())
        at, length = list(records(path))[3]
        data[at + length - 1] ^= 4
        path.write_bytes(data)
        said = self.finish(directory, "a flipped byte")
        check(f"{path}: damaged at byte {at - 16}" in said, "the damage is told of")
        check(f"{self.answers - 1} of {self.answers} answers are made" in said, "one answer is made again")

    def full_disk(self):
        disk = self.work / "disk"
        if not small_disk(disk, "12k"):
            print("skipped in part: no right to mount a small file system")
            return
        try:
            directory = disk / "full"
            config = self.config_for(directory)
            said = run(self.program, "synthesize", "--config", config, ranks=2, expect=1).stderr
            check("append to the journal" in said and "No space left on device" in said, "a full disk is told of")
            kept = count_records(directory)
            check(0 < kept < self.answers, f"{kept} of {self.answers} answers fitted and are kept")
            remount(disk, "size=64k")  # enough for the journals
            said = run(self.program, "synthesize", "--config", config, ranks=3, expect=1).stderr
            check(f"{directory / 'pairs.h5.partial'}: cannot reserve its space" in said, "so is a pair file's")
            check(count_records(directory) == self.answers, "its answers are kept")
            remount(disk, "size=8m")
            said = self.finish(directory, "after a full disk")
            check(f"{self.answers} of {self.answers} answers are made already" in said, "none of them is made again")
            (directory / "pairs.h5").unlink()
            remount(disk, "ro")
            said = run(self.program, "synthesize", "--config", config, ranks=2, expect=1).stderr
            check("Read-only file system" in said and str(directory) in said, "a read-only directory is told of")
            remount(disk, "rw")
            self.finish(directory, "after a read-only directory")
        finally:
            subprocess.run(["umount", str(disk)], check=True)

    def jumping_clock(self, library):
        directory = self.work / "clock"
        config = self.config_for(directory)
        preloaded = command("env", 2, f"LD_PRELOAD={library}", self.program, "synthesize", "--config", config,
                            "--set", "run.time_limit=3000")
        done = subprocess.run(preloaded, env=environment(), text=True, capture_output=True, timeout=300)
        check(done.returncode == 0, "a run whose clock jumps by days ends well" +
              (f": {done.stderr[-500:]}" if done.returncode else ""))
        check(dataset_contents(directory / "pairs.h5") == self.reference, "a jumping clock: the same pairs")

    def merge_meanwhile(self):
        directory = self.work / "live"
        config = self.config_for(directory)
        process = start(self.program, "synthesize", "--config", config, ranks=2)
        merges = 0
        while process.poll() is None:
            if count_records(directory) < self.answers // 4:
                time.sleep(0.02)
                continue
            said = run(self.program, "synthesize", "--config", config, "--merge-only", ranks=2).stderr
            check("unfinished record" not in said, "a live journal's tail is nothing to tell of")
            self.check_part(directory / "pairs-so-far.h5")
            merges += 1
        check(process.returncode == 0, f"a run of which {merges} merges were made meanwhile")
        check(dataset_contents(directory / "pairs.h5") == self.reference, "and its pairs are the same")
        run(self.program, "synthesize", "--config", config, "--merge-only", ranks=3)
        check(dataset_contents(directory / "pairs-so-far.h5") == self.reference, "merged alone: the same pairs")

    def check_part(self, path):
        import h5py

        verified = json.loads(run(self.program, "inspect", path, "--verify").stdout)
        check(verified["problems"] == [], "a part of a run is consistent")
        with h5py.File(path) as part, h5py.File(self.whole / "pairs.h5") as whole:
            def answers(file):
                text, offsets = file["responses/text/bytes"][:].tobytes(), file["responses/text/offsets"][:]
                ids, places = file["instructions/id/bytes"][:].tobytes(), file["instructions/id/offsets"][:]
                for i, s, *sides in zip(*(file[f"pairs/{name}"][:] for name in
                                          ("instruction", "strategy", "chosen", "rejected"))):
                    yield (ids[places[i]:places[i + 1]], int(s),
                           *(text[offsets[row]:offsets[row + 1]] for row in sides))
            known = list(answers(whole))
            some = list(answers(part))
            check(some == [pair for pair in known if pair in some], f"{len(some)} of {len(known)} pairs, in order")


def main():
    program, clock = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    try:
        import h5py  # noqa: F401
        import numpy  # noqa: F401
    except ImportError as error:
        print(f"skipped: {error}")
        return SKIP
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        case = Case(program, write_tiny_model(work / "model"), work)
        case.torn_tail()
        case.flipped_byte()
        case.full_disk()
        case.jumping_clock(clock)
        case.merge_meanwhile()
    return 0


if __name__ == "__main__":
    sys.exit(main())
