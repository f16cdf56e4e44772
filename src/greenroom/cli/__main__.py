"""`python -m greenroom.cli` is `greenroom`."""

import sys

from greenroom.cli import main

sys.exit(main())
