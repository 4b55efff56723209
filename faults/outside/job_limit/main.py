import time

for step in range(100):
    print("step", step, flush=True)
    time.sleep(0.3)
