"""Waits for the calibration thread, which settles the lens before it reports."""
import threading
import time

ready = threading.Condition()
profile: dict[str, float] = {}


def calibrate() -> None:
    time.sleep(6)
    with ready:
        profile["k1"] = -0.021
        ready.notify_all()


def main() -> None:
    threading.Thread(target=calibrate, name="calibrate").start()
    with ready:
        ready.wait_for(lambda: profile)
    print("profile", profile)


if __name__ == "__main__":
    main()
