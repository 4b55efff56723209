#!/bin/sh
exec python3 studio.py --plugins samplers upscalers masks prompts
