"""Prompts and how often they were asked for."""
import sqlite3


class History:
    def __init__(self, path) -> None:
        self.db = sqlite3.connect(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS prompts (text TEXT, request INTEGER)")

    def remember(self, prompt: str, request: int) -> int:
        with self.db:
            self.db.execute("INSERT INTO prompts VALUES (?, ?)", (prompt, request))
            return self.db.execute("SELECT count(*) FROM prompts WHERE text = ?", (prompt,)).fetchone()[0]
