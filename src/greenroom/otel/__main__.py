"""`python -m greenroom.otel > greenroom.json`: prints the dashboard, to be imported in Grafana."""

import sys

from greenroom.otel import dashboard

sys.stdout.write(dashboard())
