import sys
import time

for step in range(1, 41):
    sys.stderr.write(f"\r{step * 100 // 40:3d}%|{'#' * (step // 4):<10}| {step}/40 [00:0{step // 10}<00:01, 10.00it/s]")
    sys.stderr.flush()
    time.sleep(0.1)
sys.stderr.write("\n")
