"""decode | resize | score: three programs, the last is the slow one."""
import subprocess
import sys

PY = sys.executable


def main():
    decode = subprocess.Popen([PY, "stage.py", "decode"], stdout=subprocess.PIPE)
    resize = subprocess.Popen([PY, "stage.py", "resize"], stdin=decode.stdout, stdout=subprocess.PIPE)
    decode.stdout.close()
    score = subprocess.Popen([PY, "stage.py", "score"], stdin=resize.stdout, stdout=subprocess.PIPE, text=True)
    resize.stdout.close()
    out, _ = score.communicate()
    print(out.strip(), [p.wait() for p in (decode, resize, score)])


if __name__ == "__main__":
    main()
