import sys

import stage00
import stage01
import stage02
import stage03
import stage04
import stage05
import stage06
import stage07
import stage08
import stage09
import stage10
import stage11

print("ready", len(sys.modules))
