import json
import subprocess
import sys


def bake(seed):
    p = subprocess.run([sys.executable, "-c", CODE, str(seed)], capture_output=True, text=True, check=True)
    return json.loads(p.stdout)


CODE = """
import json, sys, time
import numpy as np
rng = np.random.default_rng(int(sys.argv[1]))
end = time.monotonic() + 9
n, acc = 0, 0.0
while time.monotonic() < end:
    a = rng.standard_normal((160, 160))
    acc += float(np.linalg.slogdet(a @ a.T + np.eye(160))[1])
    n += 1
print(json.dumps({"n": n, "mean": acc / n}))
"""

if __name__ == "__main__":
    r = bake(5)
    print("baked", r["n"] > 0, f"{r['mean']:.2f}")
