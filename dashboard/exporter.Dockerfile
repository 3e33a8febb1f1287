FROM python:3.11.14-slim
WORKDIR /app
COPY requirements.txt .
# What the exporter imports, in the versions that the tests run with.
RUN pip install --no-cache-dir --constraint requirements.txt \
    numpy pandas prometheus-client scikit-learn scipy threadpoolctl
COPY helpers helpers
USER 65532:65532
ENTRYPOINT ["python", "-m", "helpers.exporter"]
