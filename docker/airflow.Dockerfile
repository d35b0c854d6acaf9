# Airflow with the pipelines in it: docker build --file docker/airflow.Dockerfile --tag pipeline-airflow .
# One image for scheduler, triggerer, DAG processor, API server and workers.
FROM apache/airflow:3.3.2-python3.11
USER root
RUN install -d -o airflow -g root /srv /srv/var
USER airflow
COPY --chown=airflow:root requirements-test.txt pyproject.toml README.md LICENSE /opt/airflow/pipeline/
COPY --chown=airflow:root src /opt/airflow/pipeline/src
COPY --chown=airflow:root adapters /opt/airflow/pipeline/adapters
COPY --chown=airflow:root entrypoints /opt/airflow/pipeline/entrypoints
COPY --chown=airflow:root dbt /opt/airflow/pipeline/dbt
COPY --chown=airflow:root config /opt/airflow/pipeline/config
# The lock of the tests pins Airflow, dbt and all drivers together, as they were tested.
RUN pip install --no-cache-dir --constraint /opt/airflow/pipeline/requirements-test.txt \
    '/opt/airflow/pipeline[airflow,avro,rest,s3,snowflake,sql]'
COPY --chown=airflow:root config /srv/config
COPY --chown=airflow:root dbt /srv/dbt
COPY --chown=airflow:root entrypoints/airflow/dags.py /opt/airflow/dags/pipelines.py
ENV PIPELINE_ENV=production \
    PIPELINE_CONFIG_DIR=/srv/config \
    PIPELINE_HOME=/srv
