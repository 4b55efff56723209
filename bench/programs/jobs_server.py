"""A real `defib serve` for `bench/chaos` and `bench/soak`: started, asked, killed, looked at."""

import http.client
import json
import os
import signal
import subprocess
import time
import urllib.parse

SOON_S = 30


class Server:
    """A server in a folder with its `defib.toml`; its output goes to `serve.log` there."""

    def __init__(self, program, folder):
        self.program, self.folder = program, folder
        self.state = os.path.join(folder, "state")
        self.process, self.url, self.connection = None, None, None

    def start(self):
        told = os.path.join(self.state, "server.json")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("DEFIB_")}
        environment.update(DEFIB_STATE=self.state, NO_COLOR="1")
        with open(os.path.join(self.folder, "serve.log"), "ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve"], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=log,
            )
        until = time.monotonic() + SOON_S
        while True:
            try:
                with open(told) as file:
                    server = json.load(file)
                if server["pid"] == self.process.pid:
                    break
            except (OSError, ValueError):
                pass
            if self.process.poll() is not None:
                raise RuntimeError("the server ended with {}; see serve.log".format(self.process.returncode))
            if time.monotonic() > until:
                raise RuntimeError("the server does not start")
            time.sleep(0.005)
        self.url = urllib.parse.urlsplit(server["url"])
        self.connection = None

    def ask(self, method, path, body=None, headers=None, timeout=SOON_S):
        """Status and JSON. Raises OSError or HTTPException where the server is gone."""
        if method == "GET" and self.connection is not None:
            try:
                return self._ask(method, path, body, headers, timeout)
            except (http.client.RemoteDisconnected, ConnectionError):
                pass  # A connection that rested was closed: another one may be made.
        return self._ask(method, path, body, headers, timeout)

    def _ask(self, method, path, body, headers, timeout):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=timeout)
        try:
            text = None if body is None else json.dumps(body)
            all_headers = dict(headers or {})
            if text is not None:
                all_headers["Content-Type"] = "application/json"
            self.connection.request(method, path, text, all_headers)
            response = self.connection.getresponse()
            read = response.read()
            return response.status, (json.loads(read) if read else None)
        except BaseException:
            self.connection.close()
            self.connection = None
            raise

    def raw(self, path):
        connection = http.client.HTTPConnection(self.url.hostname, self.url.port, timeout=SOON_S)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        """Asks it to end; its exit status."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def tree(self):
        """Live descendants: pid and command line."""
        children = {}
        for name in os.listdir("/proc"):
            if not name.isdigit():
                continue
            try:
                with open("/proc/{}/stat".format(name)) as file:
                    rest = file.read().rsplit(")", 1)[1].split()
                with open("/proc/{}/cmdline".format(name), "rb") as file:
                    command = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
            except OSError:
                continue
            if rest[0] not in "ZX":
                children.setdefault(int(rest[1]), []).append((int(name), command))
        found, todo = [], [self.process.pid]
        while todo:
            for pid, command in children.get(todo.pop(), []):
                found.append((pid, command))
                todo.append(pid)
        return found


def alive(pid):
    try:
        with open("/proc/{}/stat".format(pid)) as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def describe(pid):
    """What is needed to find out why a process is still there."""
    told = {"pid": pid}
    try:
        with open("/proc/{}/cmdline".format(pid), "rb") as file:
            told["command"] = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
        with open("/proc/{}/status".format(pid)) as file:
            fields = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
        told.update({key: fields.get(key, "").strip() for key in ("State", "PPid", "Threads", "SigPnd", "SigBlk")})
        with open("/proc/{}/wchan".format(pid)) as file:
            told["waits"] = file.read()
        told["children"] = open("/proc/{0}/task/{0}/children".format(pid)).read().split()
        told["descriptors"] = sorted(
            os.readlink("/proc/{}/fd/{}".format(pid, number)) for number in os.listdir("/proc/{}/fd".format(pid))
        )[:30]
    except OSError as error:
        told["error"] = str(error)
    return told
