"""Runs all versions over the same pages and says what is left of each.

    python3 measure.py

The version with a server needs `defib`, in PATH or named by `DEFIB`; without it that row is
left out, which is said.
"""

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time

from pages import make_pages

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGE = os.path.join(os.path.dirname(os.path.dirname(HERE)), "python")
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
LONGEST_S = 60
ENDING_S = 5
PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main():
    wanted = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    wanted.add_argument("--pages", type=int, default=20)
    wanted.add_argument("--ruled", type=int, default=5, help="how many of them never end")
    wanted.add_argument("--after", type=float, default=5, help="seconds to look on after the last answer")
    wanted.add_argument("--json", action="store_true")
    wanted = wanted.parse_args()
    ruled = {(2 * index + 1) * wanted.pages // (2 * wanted.ruled) for index in range(wanted.ruled)}
    with tempfile.TemporaryDirectory() as folder:
        pages = make_pages(folder, wanted.pages, ruled)
        programs = ["threads.py", "worker_app.py"]
        if shutil.which(os.environ.get("DEFIB", "defib")):
            programs.append("served_app.py")
        else:
            print("served_app.py is not measured: there is no defib in PATH, nor in DEFIB", file=sys.stderr)
        rows = [measure(program, pages, wanted.after) for program in programs]
    if wanted.json:
        print(json.dumps(rows))
        return
    print("{} pages, {} of them never end, time limit 2 s\n".format(wanted.pages, wanted.ruled))
    print("| version | answers | took | threads left | of them busy | CPU in the {:g} s after | memory | ends |".format(wanted.after))
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        print(
            "| {program} | {answers} of {readable} | {took_s:.1f} s | {threads} | {busy} | {cpu_s:.2f} s "
            "| {rss_mib:.0f} MiB | {ending} |".format(
                readable=wanted.pages - wanted.ruled, ending="yes" if row["ends"] else "no", **row
            )
        )


def measure(program, pages, after):
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join([PACKAGE, os.environ.get("PYTHONPATH", "")]))
    process = subprocess.Popen(
        [sys.executable, os.path.join(HERE, program), *pages],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, env=environment,
    )
    try:
        told = [json.loads(next_line(process)) for _ in pages]
        before = tree(process.pid)
        time.sleep(after)
        left = tree(process.pid)
        process.stdin.close()
        ends = has_ended(process)
    finally:
        process.kill()
        process.wait()
    used_s = [cpu_s - before[0].get(thread, 0) for thread, cpu_s in left[0].items()]
    return {
        "program": program,
        "answers": sum(one["words"] is not None for one in told),
        "took_s": told[-1]["at_s"],
        "threads": len(used_s),
        "busy": sum(seconds > after / 50 for seconds in used_s),
        "cpu_s": sum(used_s),
        "rss_mib": left[1],
        "ends": ends,
    }


def has_ended(process):
    """Python itself waits for threads at its end, also for those that were given up."""
    try:
        process.wait(ENDING_S)
    except subprocess.TimeoutExpired:
        return False
    return True


def next_line(process):
    if not select.select([process.stdout], [], [], LONGEST_S)[0]:
        raise TimeoutError("no answer for {} s".format(LONGEST_S))
    return process.stdout.readline()


def tree(top):
    """CPU seconds of each thread of a process and all below it, and their memory in MiB."""
    parents = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = stat("/proc/" + name)
        if fields:
            parents[int(name)] = int(fields[1])
    inside = {top}
    while True:
        more = {pid for pid, parent in parents.items() if parent in inside} - inside
        if not more:
            break
        inside |= more
    cpu_s, rss_mib = {}, 0
    for pid in inside:
        fields = stat("/proc/{}".format(pid))
        rss_mib += int(fields[21]) * PAGE_MIB if fields else 0
        for thread in os.listdir("/proc/{}/task".format(pid)) if fields else []:
            fields = stat("/proc/{}/task/{}".format(pid, thread))
            if fields:
                cpu_s[thread] = (int(fields[11]) + int(fields[12])) * TICK_S
    return cpu_s, rss_mib


def stat(place):
    """The fields behind the name, from the state on; None for what has ended meanwhile."""
    try:
        with open(place + "/stat") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return None


if __name__ == "__main__":
    main()
