import subprocess

print(subprocess.run("sleep 6; echo late", shell=True, capture_output=True, text=True).stdout)
