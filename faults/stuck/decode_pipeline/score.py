import json
import sys

best = None
total = 0
for line in sys.stdin:
    frame = json.loads(line)
    total += 1
    if best is None or frame["sharpness"] > best["sharpness"]:
        best = frame
    if total % 200 == 0:
        print(f"{total} frames scored", flush=True)
print(f"{total} frames, sharpest is {best['frame']}", flush=True)
