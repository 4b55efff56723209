import subprocess


def probe(path):
    return subprocess.run(["ffprobe-nightly", "-show_streams", path], capture_output=True, check=True)


print(probe("walk.mp4"))
