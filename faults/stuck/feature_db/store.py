import queue
import sqlite3

import numpy as np


class FeatureStore:
    """sqlite connections are not cheap to open on the shared disk: keep a few and lend them out."""

    def __init__(self, path, size=3):
        self._free = queue.Queue()
        for _ in range(size):
            db = sqlite3.connect(path, check_same_thread=False)
            self._free.put(db)
        db.execute("create table if not exists feat (id integer primary key, v blob)")
        db.commit()

    def put_many(self, rows):
        db = self._free.get()
        db.executemany("insert or replace into feat values (?, ?)", [(k, v.astype("f4").tobytes()) for k, v in rows])
        db.commit()
        self._free.put(db)

    def lookup(self, key):
        db = self._free.get()
        row = db.execute("select v from feat where id = ?", (key,)).fetchone()
        if row is None:
            raise KeyError(key)
        vec = np.frombuffer(row[0], "f4")
        self._free.put(db)
        return vec
