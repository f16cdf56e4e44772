"""Airflow in a folder of its own, without its examples, its database or anything that runs."""

import os
import tempfile

# Airflow reads these when it is imported, and makes its home then.
os.environ["AIRFLOW_HOME"] = tempfile.mkdtemp(prefix="airflow-")
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
