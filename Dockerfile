# The image of the day-2 jobs. Secrets and specs come at run time, never at build time.
#   docker build --build-arg VERSION=0.1.0 --build-arg REVISION=$(git rev-parse HEAD) -t kitestring .
# For a build that repeats: --build-arg PYTHON_IMAGE=docker.io/library/python:3.11…@sha256:DIGEST
ARG PYTHON_IMAGE=docker.io/library/python:3.11.13-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# with a date given, byte code goes by the sources' hashes: it holds whatever a layer does to times
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 SOURCE_DATE_EPOCH=1580601600
WORKDIR /src
COPY requirements/bootstrap.txt requirements/image.txt requirements/image-build.txt requirements/
# uv installs in seconds what takes pip minutes; where it can't reach the packages, pip may
RUN python -m venv /opt/kitestring && python -m venv /opt/build \
 && /opt/build/bin/pip install --require-hashes -r requirements/bootstrap.txt \
 && /opt/build/bin/pip install --require-hashes -r requirements/image-build.txt \
 && { /opt/build/bin/uv pip install --no-cache --compile-bytecode --require-hashes \
        --python /opt/kitestring/bin/python -r requirements/image.txt \
      || /opt/kitestring/bin/pip install --require-hashes -r requirements/image.txt ; }
COPY pyproject.toml README.md LICENSE ./
COPY src src
# --no-index: whatever requirements/image.txt lacks stops the build
RUN /opt/build/bin/pip wheel --no-index --no-deps --no-build-isolation --wheel-dir /dist . \
 && /opt/kitestring/bin/pip install --no-index --find-links /dist "kitestring[local,ingest,kubernetes]"
# the server that drills restore to, unpacked once: at run time the file system is read-only
RUN XDG_CACHE_HOME=/opt/kitestring/cache /opt/kitestring/bin/python -c \
    "from kitestring.local.wheel import find_wheel, unpacked; unpacked(find_wheel())"

FROM ${PYTHON_IMAGE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="kitestring" \
      org.opencontainers.image.description="Day-2 jobs of a Milvus cluster: backup, compaction, drift, restore drills" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
RUN groupadd --gid 65532 kitestring \
 && useradd --uid 65532 --gid 65532 --home-dir /var/lib/kitestring --create-home --shell /usr/sbin/nologin kitestring
COPY --from=build /opt/kitestring /opt/kitestring
ENV PATH=/opt/kitestring/bin:$PATH \
    XDG_CACHE_HOME=/opt/kitestring/cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /var/lib/kitestring
# as process 1, Python ignores SIGTERM; SIGINT ends a command as Ctrl-C does, cleaning up
STOPSIGNAL SIGINT
ENTRYPOINT ["kitestring"]
CMD ["--help"]
