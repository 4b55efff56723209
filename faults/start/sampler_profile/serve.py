"""Loads a profile and renders the prompts of a queue with it."""
import argparse
import json
import pathlib
import queue
import sys
import warnings

from settings import Profile


def load_profiles(path: pathlib.Path) -> dict[str, dict]:
    try:
        overrides = json.loads(path.with_suffix(".local.json").read_text())
    except FileNotFoundError as error:
        print(f"no local overrides ({error})", file=sys.stderr)
        overrides = {}
    return {**json.loads(path.read_text()), **overrides}


def choose(profiles: dict[str, dict], name: str) -> Profile:
    return Profile.model_validate(profiles[name])


def render(profile: Profile, jobs: "queue.Queue[str]") -> int:
    done = 0
    while not jobs.empty():
        prompt = jobs.get()
        print(f"{profile.sampler.name.value} {profile.sampler.steps} steps: {prompt}")
        done += 1
    return done


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--profile", default="landscape")
    parser.add_argument("--profiles", type=pathlib.Path, default=pathlib.Path("profiles.json"))
    args = parser.parse_args()
    warnings.warn("profiles as JSON are deprecated, use TOML", DeprecationWarning)
    profile = choose(load_profiles(args.profiles), args.profile)
    jobs: "queue.Queue[str]" = queue.Queue()
    for prompt in ("an old man", "a girl with a hat"):
        jobs.put(prompt)
    print(f"{render(profile, jobs)} images")
    return 0


if __name__ == "__main__":
    sys.exit(main())
