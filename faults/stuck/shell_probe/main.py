import subprocess

probe = subprocess.Popen(["sh", "-c", "seq 1 200000; echo done >&2"], stdout=subprocess.PIPE)
code = probe.wait()
lines = probe.stdout.read().splitlines()
print(code, len(lines))
