import time

time.sleep(7)
print("slept")
