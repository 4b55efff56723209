import subprocess
import sys


def start_rank(rank):
    # a process group each, so that one rank can be signalled with its helpers
    return subprocess.Popen([sys.executable, "rank.py", str(rank)], process_group=0)


ranks = [start_rank(r) for r in range(2)]
codes = [p.wait() for p in ranks]
print("ranks ended", codes)
