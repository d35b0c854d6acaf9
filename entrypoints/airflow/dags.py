"""The file for Airflow to find: point its DAG folder here. Every pipeline file becomes a DAG.

The configuration folder is ``PIPELINE_CONFIG_DIR``, else as for the command line.
"""

from entrypoints.airflow.factory import build_dags

globals().update(build_dags())
