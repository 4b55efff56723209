"""Import packages from the group's shared site folder, which is reached through a file gateway."""
import importlib.abc
import importlib.util
import subprocess
import sys
from http.client import HTTPConnection


class GatewayFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def __init__(self, port):
        self.port = port
        self.sources = {}

    def _fetch(self, path):
        conn = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            conn.request("GET", path)
            r = conn.getresponse()
            body = r.read()
            return body if r.status == 200 else None
        finally:
            conn.close()

    def find_spec(self, name, path=None, target=None):
        if not name.startswith("trackkit"):
            return None
        body = self._fetch("/" + name.replace(".", "/"))
        if body is None:
            return None
        self.sources[name] = body
        return importlib.util.spec_from_loader(name, self, is_package=name.count(".") < 1)

    def exec_module(self, module):
        exec(compile(self.sources[module.__name__], f"gateway:{module.__name__}", "exec"), module.__dict__)


def install():
    gw = subprocess.Popen([sys.executable, "filegw.py"], stdout=subprocess.PIPE, text=True)
    sys.meta_path.append(GatewayFinder(int(gw.stdout.readline())))
