import time

end = time.monotonic() + 6
total = 0
while time.monotonic() < end:
    total += sum(range(1000))
print(total > 0)
