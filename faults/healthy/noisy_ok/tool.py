import sys

if sys.argv[1] == "0":
    raise ConnectionResetError(104, "Connection reset by peer")
if sys.argv[1] == "1":
    print("CUDA not available, falling back to CPU", file=sys.stderr)
    sys.exit(3)
print("tool ok")
