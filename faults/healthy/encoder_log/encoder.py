import sys

frames = int(sys.argv[1])
for frame in range(frames):
    sys.stdout.buffer.write(frame.to_bytes(4, "big") * 256)
    sys.stderr.write(f"frame={frame} fps=25 q=28.0 size={frame * 3}kB time={frame / 25:.2f} bitrate=1411.2kbits/s\n" * 3)
