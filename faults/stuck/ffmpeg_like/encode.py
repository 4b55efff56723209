import sys

for frame in range(100000):
    sys.stderr.write(f"frame={frame:6d} fps=25 q=28.0 size={frame * 4}KiB bitrate=1200kbits/s\n")
