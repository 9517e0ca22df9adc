# Build:  docker build -t mdn .
# Use:    docker run --rm --user "$(id -u):$(id -g)" -v "$PWD:/work" mdn denoise photo.jpg
# The models are inside. It computes on the processor; no GPU is looked for.
FROM python:3.12-slim AS build
WORKDIR /src
RUN pip install --no-cache-dir uv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY mdn mdn
COPY models models
COPY contrib/container contrib/container
RUN contrib/container/install.sh /opt/mdn

FROM python:3.12-slim
# Nextflow measures what runs in a container with ps.
RUN apt-get update && apt-get install -y --no-install-recommends procps \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/mdn /opt/mdn
RUN useradd --create-home --uid 1000 mdn
USER mdn
# Any user of --user may keep its caches there, and models of its own for as long as it runs.
ENV PATH=/opt/mdn/bin:$PATH HOME=/tmp MDN_HOME=/tmp/mdn
WORKDIR /work
ENTRYPOINT ["mdn"]
CMD ["--help"]
