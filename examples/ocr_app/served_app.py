"""The same app, with the detector behind `defib serve`.

    python3 served_app.py page-*.pgm

Starts the server beside itself (`DEFIB` names the program, else it is sought in PATH). The
session only has the ids of jobs; results are files of the server.
"""

import json
import os
import subprocess
import tempfile
import time

import app
import defib

HERE = os.path.dirname(os.path.abspath(__file__))
SOON_S = 20

session = {"results": []}


def serve(folder):
    """A server on a free port, with the backend of `defib.toml`."""
    with open(os.path.join(HERE, "defib.toml")) as file:
        config = file.read().replace("127.0.0.1:8808", "127.0.0.1:0")
    config = config.replace('"predict.py', '"{}/predict.py'.format(HERE))
    with open(os.path.join(folder, "defib.toml"), "w") as file:
        file.write(config)
    state = os.path.join(folder, "state")
    server = subprocess.Popen(
        [os.environ.get("DEFIB", "defib"), "serve", "--quiet"],
        cwd=folder, env=dict(os.environ, DEFIB_STATE=state), stdin=subprocess.DEVNULL,
    )
    until = time.monotonic() + SOON_S
    while time.monotonic() < until and server.poll() is None:
        try:
            with open(os.path.join(state, "server.json")) as file:
                return server, defib.Client(json.load(file)["url"])
        except (OSError, ValueError):
            time.sleep(0.02)
    server.kill()
    raise RuntimeError("the server does not start")


def recognise(path):
    job = session["client"].submit({}, files={"page": path}, max_attempts=1)
    job.wait(check=False)
    if job.state != "succeeded":
        return None
    session["results"].append(job.id)
    return job.values["words"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        server, session["client"] = serve(folder)
        try:
            app.run(recognise)
        finally:
            server.terminate()
            server.wait(SOON_S)
