import random
import sys
import time

steps, seed = int(sys.argv[1]), int(sys.argv[2])
source = random.Random(seed)
for step in range(steps):
    time.sleep(0.25)
    value = source.random()
print(f"{value:.4f}")
