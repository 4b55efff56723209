import sys
import traceback

print("UserWarning: resource_tracker: There appear to be 1 leaked semaphore objects to clean up at shutdown", file=sys.stderr)
print("CUDA out of memory. Retrying with a smaller batch.", file=sys.stderr)
try:
    {}["missing"]
except KeyError:
    traceback.print_exc()
print("done")
