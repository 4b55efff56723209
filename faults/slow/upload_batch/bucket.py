import requests


class Bucket:
    def __init__(self, base):
        self.base = base

    def put(self, key, data):
        r = requests.put(f"{self.base}/{key}", data=data, timeout=(3, 120))
        r.raise_for_status()
        return r.headers.get("Location", f"/{key}")
