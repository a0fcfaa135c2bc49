"""configs/README.md has exactly the keys that the program reads."""
import subprocess
import sys

from harness import ROOT, check, environment

reference = subprocess.run([sys.argv[1], "--config-reference"], text=True, capture_output=True,
                           env=environment()).stdout
readme = (ROOT / "configs" / "README.md").read_text()
check(len(reference) > 1000 and readme.endswith(reference),
      "configs/README.md ends with the output of `popalign --config-reference`")
