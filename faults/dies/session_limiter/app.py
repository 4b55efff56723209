"""A device session shared by request threads; each has an event loop of its own."""
import asyncio
import sys
import threading
import traceback


class Session:
    def __init__(self, width: int) -> None:
        self.slots = asyncio.Semaphore(width)
        self.served = 0

    async def run(self, name: str, steps: int) -> str:
        async with self.slots:
            for _ in range(steps):
                await asyncio.sleep(0.01)
            self.served += 1
        return f"{name}: {steps} steps"


class Request(threading.Thread):
    def __init__(self, session: Session, names: list[str]) -> None:
        super().__init__(name=f"request-{names[0]}")
        self.session, self.names = session, names
        self.failed = False

    async def serve(self) -> None:
        answers = await asyncio.gather(*(self.session.run(name, 20) for name in self.names))
        for answer in answers:
            print(self.name, answer, flush=True)

    def run(self) -> None:
        try:
            asyncio.run(self.serve())
        except Exception:
            self.failed = True
            traceback.print_exc()


def main() -> int:
    session = Session(1)
    first = Request(session, ["warmup", "probe"])
    first.start()
    first.join()
    requests = [Request(session, [f"user{n}", f"user{n}-hires"]) for n in range(2)]
    for request in requests:
        request.start()
    for request in requests:
        request.join()
    print(f"{session.served} served")
    return 1 if any(request.failed for request in [first, *requests]) else 0


if __name__ == "__main__":
    sys.exit(main())
